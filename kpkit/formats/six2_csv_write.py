"""Writes 6-2 as CSV, by the definition in six2_csv.

Persons stand in the dataset's order; images without persons stand before the first person of a later image.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from kpkit.core.dataset import BBOX_ANNOTATED, Dataset
from kpkit.core.report import Collector
from kpkit.errors import RecordError
from kpkit.formats.six2_csv import BOX, IMAGE_EXTRA, LEADING, NAMED_EXTRA, id_in, joint_columns
from kpkit.formats.six2_rows import PREFIX, flags_of, plain, written_skeleton

Cell = str | int | float

_QUOTED = re.compile(r"[,\"\r\n]")


def write_csv(dataset: Dataset, path: Path, collector: Collector) -> None:
    """Write `dataset` as 6-2 CSV. Boxes get columns where at least one is annotated; other boxes are left out.

    Raises UsageError where its joints are not 6-2's, RecordError for rows that CSV cannot tell apart.
    """
    joints = joint_columns(written_skeleton(dataset))
    _check_images(dataset)
    _note_what_changes(dataset, collector)
    table = _Table(dataset, {*LEADING, *joints, *BOX})
    with path.open("w", encoding="utf-8", newline="") as stream:
        stream.write(_line([*LEADING, *joints, *table.box_columns, *table.extra_columns]))
        for image, person in _order(dataset):
            stream.write(_line(table.row(image, person)))


def _order(dataset: Dataset) -> Iterator[tuple[int, int | None]]:
    """(image row, person row or None) of every line."""
    empty = np.ones(len(dataset.images), bool)
    empty[dataset.image_index] = False
    waiting = np.flatnonzero(empty).tolist()[::-1]
    for person, image in enumerate(dataset.image_index.tolist()):
        while waiting and waiting[-1] < image:
            yield waiting.pop(), None
        yield image, person
    for image in waiting[::-1]:
        yield image, None


class _Table:
    """Cells of single rows. `used` are the column names that extras may not take."""

    def __init__(self, dataset: Dataset, used: set[str]) -> None:
        self.data = dataset
        self.xy = dataset.xy.tolist()
        self.flags = flags_of(dataset).tolist()
        self.ids = dataset.instance_id.tolist()
        self.annotated = (dataset.bbox_source == BBOX_ANNOTATED) & np.isfinite(dataset.bbox_xywh).all(axis=1)
        self.box_columns = BOX if self.annotated.any() else ()
        self._person_extras = _own(dataset.extras)
        self._image_extras = _own(dataset.images.extras)
        self.extra_columns = [
            *(_column(name, used) for name in self._person_extras),
            *(IMAGE_EXTRA + name for name in self._image_extras),
        ]

    def row(self, image: int, person: int | None) -> list[Cell]:
        images = self.data.images
        size = (int(images.width[image]), int(images.height[image]))
        cells: list[Cell] = [images.path[image], *(value if value >= 0 else "" for value in size)]
        if person is None:
            cells += [""] * (1 + 3 * len(self.data.skeleton) + len(self.box_columns) + len(self._person_extras))
        else:
            cells += self._person(person)
        return [*cells, *(_text(column[image]) for column in self._image_extras.values())]

    def _person(self, n: int) -> Iterator[Cell]:
        yield self.ids[n]
        for (x, y), flag in zip(self.xy[n], self.flags[n], strict=True):
            yield "" if math.isnan(x) else plain(x)
            yield "" if math.isnan(y) else plain(y)
            yield flag
        for value in self.data.bbox_xywh[n].tolist() if self.box_columns else ():
            yield plain(value) if self.annotated[n] else ""
        for column in self._person_extras.values():
            yield _text(column[n])


def _line(cells: Sequence[Cell]) -> str:
    """One line, quoted where needed. The standard library's writer leaves a bare carriage return without quotes."""
    texts = (str(cell) for cell in cells)
    return ",".join('"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text for text in texts) + "\n"


def _own(extras: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(PREFIX): column for name, column in extras.items() if name.startswith(PREFIX)}


def _column(name: str, used: set[str]) -> str:
    taken = name in used or name.startswith((IMAGE_EXTRA, NAMED_EXTRA))
    return NAMED_EXTRA + name if taken else name


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _check_images(dataset: Dataset) -> None:
    """Rows of one path are one image in CSV: their sizes must agree, and persons need an id to be told from none."""
    sizes: dict[str, tuple[int, int]] = {}
    images = dataset.images
    for path, width, height in zip(images.path, images.width.tolist(), images.height.tolist(), strict=True):
        if sizes.setdefault(path, (width, height)) != (width, height):
            raise RecordError(
                "the image stands twice with different sizes",
                code="KP-SIX2-SIZE-CONFLICT",
                place=f"image {path}",
                expected="{}x{}".format(*sizes[path]),
                got=f"{width}x{height}",
                help="write JSON instead: -o labels.six2.json",
            )
    for n, person in enumerate(dataset.instance_id.tolist()):
        if person == "":
            raise RecordError(
                "a person whose id is an empty text cannot stand in CSV",
                code="KP-SIX2-PERSON-ID",
                place=f"image {images.path[dataset.image_index[n]]}",
                help="write JSON instead: -o labels.six2.json",
            )


def _note_what_changes(dataset: Dataset, collector: Collector) -> None:
    """Say which values come back from CSV as something else."""
    merged = len(dataset.images) - len(set(dataset.images.path.tolist()))
    collector.issue("KP-SIX2-CSV-IMAGES", "images of equal path become one image in CSV", count=merged)
    numeric = sum(isinstance(one, str) and isinstance(id_in(one), int) for one in dataset.instance_id.tolist())
    collector.issue("KP-SIX2-CSV-IDS", "ids that are texts of digits are read from CSV as numbers", count=numeric)
    columns = [*_own(dataset.extras).values(), *_own(dataset.images.extras).values()]
    texts = sum(value is not None and not (isinstance(value, str) and value) for one in columns for value in one)
    collector.issue(
        "KP-SIX2-CSV-EXTRAS", "extra values that are not texts are written to CSV as JSON text", count=texts
    )
    top = sum(name.startswith(PREFIX) for name in dataset.meta)
    collector.issue(
        "KP-SIX2-CSV-META", "fields of the file as a whole are left out: CSV has no place for them", count=top
    )
