"""Reads a team's own CSV or JSON by a layout file. See docs/formats/layouts.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kpkit.errors import RecordError, did_you_mean
from kpkit.formats.layout_definition import LoadedLayout, load_layout
from kpkit.formats.six2_rows import UNLABELLED, Image, Joint, canonical_joint
from kpkit.guard import read_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from kpkit.core.dataset import Dataset
    from kpkit.core.report import Collector
    from kpkit.formats.base import ReadOptions

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


def read_with_layout(path: Path, options: ReadOptions, collector: Collector) -> Dataset:
    """Read `path` as `options.layout` says.

    Raises DefinitionError for the layout, FormatError and RecordError for the file.
    """
    if options.layout is None:
        raise ValueError("read_with_layout needs options.layout")
    layout = load_layout(options.layout)
    content = read_bytes(path)
    if layout.layout.csv is not None:
        from kpkit.formats.layout_csv import read_layout_csv

        return read_layout_csv(path, content, layout, options, collector)
    from kpkit.formats.layout_json import read_layout_json

    return read_layout_json(path, content, layout, options, collector)


class Meaning:
    """What the layout says about values: which are missing, in which unit they are, what a flag means.

    Every error is a RecordError; its place is "x", "y", "v" or "" and is completed by the reader.
    """

    def __init__(self, layout: LoadedLayout, collector: Collector) -> None:
        coordinates = layout.layout.coordinates
        self.layout = layout
        self.collector = collector
        self.unit = coordinates.unit
        self.base = coordinates.base
        self.box_form = coordinates.box
        self.flags = layout.layout.flags
        self.decimal = layout.layout.csv.decimal if layout.layout.csv is not None else "."
        self._missing_texts = {one for one in coordinates.missing if isinstance(one, str)}
        self._missing_numbers = {float(one) for one in coordinates.missing if not isinstance(one, str)}
        self._missing_points = {tuple(point) for point in coordinates.missing_points}

    def joint_index(self, name: str) -> int | None:
        """The joint behind the team's name, None where the layout ignores it."""
        index = self.layout.index.get(name)
        if index is None and name not in self.layout.ignored:
            raise RecordError(
                f"the layout knows no joint '{name}'",
                code="KP-LAYOUT-JOINT",
                help=did_you_mean(name, self.layout.index) + " (or name it under [joints] or in ignore_joints)",
            )
        return index

    def joint(self, x: Any, y: Any, flag: Any, image: Image, place: str) -> Joint:
        """One joint from raw values (numbers, texts of a CSV, None)."""
        point = (self.number(x, "x"), self.number(y, "y"))
        if point in self._missing_points:
            point = (None, None)
        px = None if point[0] is None else self._pixels(point[0], image.width, "x")
        py = None if point[1] is None else self._pixels(point[1], image.height, "y")
        state = self._state(flag)
        if state is None:
            state = "unlabelled" if px is None and py is None else self.flags.default
        if state == "unlabelled" and (px, py) not in ((None, None), (0.0, 0.0)):
            self.collector.issue(
                "KP-LAYOUT-UNLABELLED",
                "a joint flagged unlabelled has coordinates; they are left out",
                place=place,
                help="if they are meant, map the flag to 'occluded' in the layout",
            )
            return UNLABELLED
        return canonical_joint(state, px, py)

    def number(self, value: Any, place: str) -> float | None:
        """A number, None where it is missing by the layout."""
        if value is None or (isinstance(value, str) and (not value.strip() or value in self._missing_texts)):
            return None
        number = self._parsed(value, place)
        return None if number in self._missing_numbers else number

    def box(self, values: Sequence[Any], image: Image) -> list[float] | None:
        """x, y, w, h in pixels; None where all four are missing."""
        numbers = [self.number(value, "") for value in values]
        known = [number for number in numbers if number is not None]
        if not known:
            return None
        if len(known) != 4:
            raise RecordError(
                "the box is incomplete", code="KP-LAYOUT-BOX", expected="four numbers or none", got=str(len(known))
            )
        if self.box_form == "xyxy":
            known = [*known[:2], known[2] - known[0], known[3] - known[1]]
        corner = [self._pixels(known[0], image.width, ""), self._pixels(known[1], image.height, "")]
        return [*corner, self._length(known[2], image.width, ""), self._length(known[3], image.height, "")]

    def _state(self, flag: Any) -> str | None:
        """The state behind a flag; None where there is no flag."""
        text = "" if flag is None else _flag_text(flag)
        if text in self.flags.values:
            return self.flags.values[text]
        if not text:
            return None
        raise RecordError(
            "the layout does not know this flag",
            code="KP-LAYOUT-FLAG",
            place="v",
            expected=" | ".join(self.flags.values) or "no flag",
            got=repr(text),
            help=f'say what it means in the layout: [flags] values = {{ "{text}" = "occluded" }}',
        )

    def _parsed(self, value: Any, place: str) -> float:
        number = value
        if isinstance(value, str):
            text = value.strip().replace(self.decimal, ".") if "." not in value or self.decimal == "." else ""
            number = float(text) if _NUMBER.fullmatch(text) else None
        if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) < 1e300:
            raise RecordError(
                "not a number",
                code="KP-LAYOUT-NUMBER",
                place=place,
                expected=f"a finite number, decimal '{self.decimal}', or a missing marker of the layout",
                got=repr(value)[:60],
                help="name texts and numbers that mean 'missing' in [coordinates] missing",
            )
        return float(number)

    def _pixels(self, value: float, extent: int, place: str) -> float:
        return value - self.base if self.unit == "pixel" else self._length(value, extent, place)

    def _length(self, value: float, extent: int, place: str) -> float:
        if self.unit == "pixel":
            return value
        if extent < 0:
            raise RecordError(
                "the size of the image is not known, and the coordinates are parts of it",
                code="KP-LAYOUT-SIZE",
                place=place,
                expected="width and height in the file",
                help="give the sizes with --images DIR or --image-sizes FILE.csv",
            )
        # One division at the end: 12.5 percent of 640 is 80 exactly.
        return value * extent if self.unit == "fraction" else value * extent / 100


def _flag_text(flag: Any) -> str:
    """How a flag is written in the layout: 1 and 1.0 as "1", true as "true"."""
    if isinstance(flag, bool):
        return "true" if flag else "false"
    if isinstance(flag, float) and flag.is_integer():
        return str(int(flag))
    return str(flag).strip()
