"""Labels and rows of an augmentation, written whole at the end, or part by part as the blocks are done."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from kpkit.core.dataset import Dataset
from kpkit.core.partition import Part, PartWriter
from kpkit.core.report import Collector, Loss
from kpkit.formats.base import WriteOptions
from kpkit.guard import sync_file
from kpkit.pipelines.augment_files import place_images
from kpkit.pipelines.augment_labels import Made
from kpkit.pipelines.augment_prepare import Work
from kpkit.pipelines.augment_rows import ROWS, RowsFile
from kpkit.pipelines.augment_work import Folder


class Output(Protocol):
    """Takes what came of the blocks, in order."""

    def add(self, augmented: Dataset, made: list[Made]) -> None:
        """The labels of a block, and the pictures they are of."""
        ...

    def finish(self, collector: Collector) -> list[Loss]:
        """Make the output whole; returns what the writer left out."""
        ...


@contextlib.contextmanager
def output_of(work: Work, folder: Folder) -> Iterator[Output]:
    """The output that is made in `folder`."""
    if len(work.labels.ranges) == 1:
        yield Whole(work, folder)
        return
    output = InParts(work, folder)
    try:
        yield output
    finally:
        output.give_up()


def _labels(work: Work, folder: Path) -> Path:
    """Where the labels stand; their folder is made."""
    labels = folder / work.place
    (labels if work.target.kind == "folder" else labels.parent).mkdir(parents=True, exist_ok=True)
    return labels


class Whole:
    """One block, written by any format."""

    def __init__(self, work: Work, folder: Folder) -> None:
        self._work, self._folder = work, folder.path

    def add(self, augmented: Dataset, made: list[Made]) -> None:
        """See Output."""
        self._augmented, self._made = augmented, made

    def finish(self, collector: Collector) -> list[Loss]:
        """Write labels and rows, and bring the pictures to the format's places."""
        work, target = self._work, self._work.target
        labels = _labels(work, self._folder)
        # A person that the format cannot hold (YOLO: one without a box) is left out and counted, not the end of it all.
        noted = Collector("collect")
        target.write(self._augmented, labels, WriteOptions(final=work.output / work.place), noted)
        losses = []
        for issue in noted.issues:
            if issue.severity == "error":
                losses.append(Loss("instances", issue.count, issue.message, *issue.places[:1]))
            else:
                collector.issue(**vars(issue))
        if work.job.dry_run:
            return losses
        place_images(self._folder, self._augmented, target)
        rows = RowsFile(self._folder / ROWS, text_ids=work.labels.keys.text_ids)
        rows.write(rows_of(self._made))
        if target.kind == "file":
            sync_file(labels)
        rows.close()
        return losses


class InParts:
    """Several blocks, each a part of the output, of formats that can be written so. A dry run writes nothing."""

    def __init__(self, work: Work, folder: Folder) -> None:
        self._target, self._written = work.target, list[Any]()
        self._images = self._persons = 0
        self._writer: PartWriter | None = None
        if work.job.dry_run:
            return
        self._labels = _labels(work, folder.path)
        self._scratch = folder.scratch()
        options = WriteOptions(final=work.output / work.place, part_size=work.labels.size)
        writer = work.target.part_writer(self._labels.absolute(), options, self._scratch.absolute())
        self._writer = cast(PartWriter, writer)
        self._rows = RowsFile(folder.path / ROWS, text_ids=work.labels.keys.text_ids)

    def add(self, augmented: Dataset, made: list[Made]) -> None:
        """See Output."""
        rows = np.arange(self._persons, self._persons + len(augmented))
        part = Part(augmented, rows, self._images)
        self._images, self._persons = self._images + len(augmented.images), self._persons + len(augmented)
        if self._writer is not None:
            self._written.append(self._writer.write(part, len(self._written)))
            self._rows.write(rows_of(made))

    def finish(self, collector: Collector) -> list[Loss]:
        """See Output."""
        if self._writer is not None:
            self._writer.finish(self._written)
            if self._target.kind == "file":
                sync_file(self._labels)
            self._rows.close()
            shutil.rmtree(self._scratch, ignore_errors=True)
        return []

    def give_up(self) -> None:
        """Let go of what is not finished."""
        if self._writer is not None:
            self._rows.give_up()


def rows_of(made: list[Made]) -> list[Any]:
    """The rows of everybody who is in the output."""
    return [row for one in made for row in one.output.rows if row.instance_id != 0]


__all__ = ["Output", "output_of"]
