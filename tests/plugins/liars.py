"""Formats that break one promise each, and honest ones that keep little: what the contract must tell apart."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kpkit.core import catalog
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.partition import Part, PartWriter
from kpkit.core.report import Collector, Loss
from kpkit.errors import FormatError
from kpkit.formats.base import Keeps, ReadOptions, WriteOptions
from kpkit.formats.coco import CocoFormat
from kpkit.formats.coco_part_write import CocoPartWriter, Written
from kpkit.guard import read_bytes
from kpkit.testing.restrict import restrict

MARK = b"LIAR\n"


class Honest(CocoFormat):
    """COCO behind a first line of its own."""

    name = "liar"
    suffixes = (".liar",)
    default_output = "labels.liar"
    usual = ("*.liar",)

    def sniff(self, path: Path) -> str | None:
        try:
            return "liar" if path.read_bytes().startswith(MARK) else None
        except OSError:
            return None

    def read(self, path: Path, options: ReadOptions, collector: Collector) -> Dataset:
        data = read_bytes(path)
        if not data.startswith(MARK):
            raise FormatError("no liar", place=str(path))
        return self.read_text(data.removeprefix(MARK), path, options, collector)

    def read_text(self, text: bytes, path: Path, options: ReadOptions, collector: Collector) -> Dataset:
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder) / path.name
            plain.write_bytes(text)
            return super().read(plain, options, collector).replace(source=None)

    def write(self, dataset: Dataset, path: Path, options: WriteOptions, collector: Collector) -> None:
        super().write(restrict(dataset, self.keeps), path, options, collector)
        path.write_bytes(MARK + path.read_bytes())

    def part_writer(self, path: Path, options: WriteOptions, scratch: Path) -> PartWriter | None:
        return MarkedParts(path, scratch, "1")


class MarkedParts(CocoPartWriter):
    """Parts behind the same first line."""

    def finish(self, written: Sequence[Written]) -> None:
        super().finish(written)
        self.path.write_bytes(MARK + self.path.read_bytes())


class Plain(Honest):
    """Says nothing about what it keeps: the defaults."""

    keeps = Keeps()


class Poor(Honest):
    """Keeps next to nothing."""

    keeps = Keeps(
        skeletons=("mpii16", "coco17"),
        visibility=frozenset({0, 2}),
        decimals=1,
        bbox=False,
        area=False,
        image_size=False,
        empty_images=False,
        empty_persons=False,
    )


class MakesOccludedVisible(Honest):
    def write(self, dataset: Dataset, path: Path, options: WriteOptions, collector: Collector) -> None:
        flags = np.where(dataset.visibility == 1, 2, dataset.visibility).astype(np.uint8)
        bare = dataset.replace(visibility=flags, truncated=np.zeros_like(dataset.truncated))
        super().write(bare, path, options, collector)


class RoundsInSilence(Honest):
    def write(self, dataset: Dataset, path: Path, options: WriteOptions, collector: Collector) -> None:
        super().write(dataset.replace(xy=np.round(dataset.xy)), path, options, collector)


class CountsNoLoss(Poor):
    def losses(self, dataset: Dataset, final: Path) -> list[Loss]:
        return []


class CountsTooMuch(Honest):
    def losses(self, dataset: Dataset, final: Path) -> list[Loss]:
        return [Loss("bbox", 1, "who knows")]


class WritesTheTime(Honest):
    def write(self, dataset: Dataset, path: Path, options: WriteOptions, collector: Collector) -> None:
        super().write(dataset, path, options, collector)
        path.write_bytes(path.read_bytes() + b" " * (time.monotonic_ns() % 997))


class ClaimsEverything(Honest):
    def sniff(self, path: Path) -> str | None:
        return "mine"


class KnowsNotItself(Honest):
    def sniff(self, path: Path) -> str | None:
        return None


class WritesPlainCoco(Honest):
    def sniff(self, path: Path) -> str | None:
        return "mine" if CocoFormat.sniff(self, path) else None

    def read(self, path: Path, options: ReadOptions, collector: Collector) -> Dataset:
        return CocoFormat.read(self, path, options, collector)

    def write(self, dataset: Dataset, path: Path, options: WriteOptions, collector: Collector) -> None:
        CocoFormat.write(self, dataset, path, options, collector)


class FailsInItsOwnWay(Honest):
    def read(self, path: Path, options: ReadOptions, collector: Collector) -> Dataset:
        if not path.read_bytes().endswith(b"}"):
            raise KeyError("annotations")
        return super().read(path, options, collector)


class ReadsCutFiles(Honest):
    def read_text(self, text: bytes, path: Path, options: ReadOptions, collector: Collector) -> Dataset:
        if text.endswith(b"}"):
            return super().read_text(text, path, options, collector)
        none = np.zeros((0, 17, 2))
        skeleton, images = catalog.skeleton("coco17"), ImageTable.build(path=[])
        return Dataset.build(skeleton=skeleton, images=images, image_index=[], xy=none, visibility=none[..., 0])


class TouchesItsInput(Honest):
    def read(self, path: Path, options: ReadOptions, collector: Collector) -> Dataset:
        dataset = super().read(path, options, collector)
        os.utime(path, (0, 0))
        return dataset


class CannotTravel(Honest):
    def read(self, path: Path, options: ReadOptions, collector: Collector) -> Dataset:
        return super().read(path, options, collector).replace(provenance=({"step": lambda: None},))


class HidesChanges(Honest):
    """Gives back the file it read, whatever became of the dataset."""

    def read(self, path: Path, options: ReadOptions, collector: Collector) -> Dataset:
        dataset = super().read(path, options, collector)
        return dataset.replace(provenance=({"whole": path.read_bytes()},))

    def write(self, dataset: Dataset, path: Path, options: WriteOptions, collector: Collector) -> None:
        if dataset.provenance:
            path.write_bytes(dataset.provenance[0]["whole"])
        else:
            super().write(dataset, path, options, collector)


class SwallowsFullDisks(Honest):
    def write(self, dataset: Dataset, path: Path, options: WriteOptions, collector: Collector) -> None:
        try:
            super().write(dataset, path, options, collector)
        except OSError:
            path.write_bytes(b"")


class NamesNoPath(Honest):
    def read(self, path: Path, options: ReadOptions, collector: Collector) -> Dataset:
        try:
            return super().read(path, options, collector)
        except FormatError:
            raise FormatError("no good") from None


class MixedUpParts(MarkedParts):
    """Every part that is put down is the first."""

    def pack(self, written: Written) -> bytes:
        return super().pack(replace(written, number=0))


class MixesUpParts(Honest):
    """Its parts do not outlive the run as they are."""

    def part_writer(self, path: Path, options: WriteOptions, scratch: Path) -> PartWriter | None:
        return MixedUpParts(path, scratch, "1")


class ForgetfulParts(MarkedParts):
    """Only the first part comes to the output."""

    def finish(self, written: Sequence[Written]) -> None:
        super().finish(written[:1])


class ForgetsParts(Honest):
    """What is written in parts does not come back."""

    def part_writer(self, path: Path, options: WriteOptions, scratch: Path) -> PartWriter | None:
        return ForgetfulParts(path, scratch, "1")


class OneNameParts(MarkedParts):
    """A file of the same name for every part."""

    def write(self, part: Part, number: int) -> Written:
        (self.scratch / "note").write_text(str(number))
        return super().write(part, number)


class NamesAllPartsAlike(Honest):
    """Parts that cannot be told apart."""

    def part_writer(self, path: Path, options: WriteOptions, scratch: Path) -> PartWriter | None:
        return OneNameParts(path, scratch, "1")
