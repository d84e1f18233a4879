"""The format "tiny": one JSON line a person, COCO's 17 joints by name.

    {"format": "tiny", "persons": 2}
    {"image": "a.jpg", "joints": {"nose": [310.5, 96, 2], "left_eye": [318, 88.25, 1]}}
    {"image": "b.jpg", "joints": {}}

Coordinates are 0-based pixels; the third number is 1 (occluded) or 2 (visible); a joint left out is not labelled.
The first line says how many follow, so that a file that was cut short is noticed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import numpy as np

from kpkit.core import catalog
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.report import Collector
from kpkit.errors import FormatError, RecordError
from kpkit.formats.base import Format, Keeps, ReadOptions, WriteOptions
from kpkit.guard import contained, read_bytes

_MARK = b'{"format":"tiny"'
_Line = TypeVar("_Line")


class Head(msgspec.Struct):
    """The first line."""

    format: Literal["tiny"]
    persons: int


class Person(msgspec.Struct):
    """Any other line."""

    image: str
    joints: dict[str, tuple[float, float, Literal[1, 2]]]


class TinyFormat(Format):
    """Reads and writes tiny files."""

    name = "tiny"
    title = "tiny: one JSON line a person, COCO's 17 joints"
    default_output = "labels.tiny"
    suffixes = (".tiny",)
    usual = ("*.tiny",)
    keeps = Keeps(skeletons=("coco17",), bbox=False, area=False, image_size=False, empty_images=False)

    def sniff(self, path: Path) -> str | None:
        """By the beginning of the first line."""
        try:
            with path.open("rb") as stream:
                head = stream.read(64)
        except OSError:
            return None
        return "tiny" if head.replace(b" ", b"").startswith(_MARK) else None

    def read(self, path: Path, options: ReadOptions, collector: Collector) -> Dataset:
        """Read one file; images stand in the order in which persons name them."""
        first, *rest = read_bytes(path).split(b"\n")
        head = _decode(first, Head, f"{path}: line 1")
        lines = [line for line in rest if line.strip()]
        if len(lines) != head.persons:
            raise FormatError(
                "the file ends too early, or goes on too long",
                code="TINY-COUNT",
                place=str(path),
                expected=f"{head.persons} persons",
                got=str(len(lines)),
            )
        persons = [_decode(line, Person, f"{path}: line {number}") for number, line in enumerate(lines, 2)]
        return _dataset(persons, path)

    def write(self, dataset: Dataset, path: Path, options: WriteOptions, collector: Collector) -> None:
        """Write one file."""
        encode = msgspec.json.encode
        names = dataset.skeleton.keypoints
        lines = [encode(Head("tiny", len(dataset)))]
        for image, xy, flags in zip(dataset.image_index, dataset.xy.tolist(), dataset.visibility.tolist(), strict=True):
            joints = {name: (*point, flag) for name, point, flag in zip(names, xy, flags, strict=True) if flag}
            lines.append(encode(Person(dataset.images.path[image], joints)))
        path.write_bytes(b"\n".join(lines) + b"\n")


def _decode(line: bytes, kind: type[_Line], place: str) -> _Line:
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError("the line is not a tiny one", code="TINY-LINE", place=place, got=str(error)) from error


def _dataset(persons: list[Person], path: Path) -> Dataset:
    skeleton = catalog.skeleton("coco17")
    xy = np.full((len(persons), len(skeleton), 2), np.nan)
    visibility = np.zeros((len(persons), len(skeleton)), np.uint8)
    images: dict[str, int] = {}
    rows: list[Any] = []
    for row, person in enumerate(persons):
        place = f"{path}: line {row + 2}"
        rows.append(images.setdefault(contained(person.image, place=place), len(images)))
        for name, (x, y, flag) in person.joints.items():
            if name not in skeleton.keypoints:
                raise RecordError(f"there is no joint '{name}'", code="TINY-JOINT", place=place)
            joint = skeleton.index(name)
            xy[row, joint], visibility[row, joint] = (x, y), flag
    table = ImageTable.build(path=list(images))
    return Dataset.build(skeleton=skeleton, images=table, image_index=rows, xy=xy, visibility=visibility)
