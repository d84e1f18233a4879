"""6-2 as CSV, by kpkit's own definition: one row a person, columns by name, commas, UTF-8.

    image,width,height,person_id,<joint>_x,<joint>_y,<joint>_v,...[,bbox_x,bbox_y,bbox_w,bbox_h][,extra columns]

A row without a person_id is an image without persons. An extra column is kept as "six2.<column>"; `image.<name>`
belongs to the image, `extra.<name>` is for a name that the definition uses itself.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from kpkit.core import catalog
from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector
from kpkit.core.skeleton import Skeleton
from kpkit.errors import FormatError, RecordError
from kpkit.formats.base import ReadOptions
from kpkit.formats.six2_rows import (
    DIGITS,
    NAMES,
    PREFIX,
    UNLABELLED,
    Id,
    Joint,
    Person,
    Rows,
    canonical_joint,
    image_path,
    pixels,
)

LEADING = ("image", "width", "height", "person_id")
BOX = ("bbox_x", "bbox_y", "bbox_w", "bbox_h")
IMAGE_EXTRA, NAMED_EXTRA = "image.", "extra."

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)

Row = dict[str, str]


def read_csv(path: Path, content: bytes, options: ReadOptions, collector: Collector) -> Dataset:
    """Read one 6-2 CSV file.

    Raises FormatError for a file that is not one, RecordError with row and column otherwise; the header is row 1.
    """
    table = rows_of(path, content, ",", collector)
    _, header = next(table, (1, []))
    skeleton = _checked_header(header, path)
    reader = _Reader(path, Rows(skeleton, options.sizes, collector), header, collector)
    for number, cells in table:
        reader.row(number, dict(zip(header, cells, strict=True)))
    return reader.rows.dataset(path)


def rows_of(path: Path, content: bytes, delimiter: str, collector: Collector) -> Iterator[tuple[int, list[str]]]:
    """(row number, cells) of a CSV file, the header first as row 1; rows that are empty altogether are left out.

    A row with more or fewer cells than the header is a RecordError.
    """
    table = csv.reader(io.StringIO(_text(content, path), newline=""), strict=True, delimiter=delimiter)
    width, number = 0, 0
    while True:
        number += 1
        try:
            cells = next(table)
        except StopIteration:
            return
        except csv.Error as error:
            raise FormatError(f"not valid CSV: {error}", code="KP-CSV-SYNTAX", place=f"{path}: row {number}") from error
        width = width or len(cells)
        if not any(cells):
            continue
        if len(cells) != width:
            collector.error(
                RecordError(
                    "the row has another number of cells than the header",
                    code="KP-CSV-CELLS",
                    place=f"{path}: row {number}",
                    expected=str(width),
                    got=str(len(cells)),
                    help="quote cells that contain the delimiter or a line break",
                )
            )
            continue
        yield number, cells


def _text(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FormatError(
            "the file is not UTF-8 text",
            code="KP-CSV-UTF8",
            place=f"{path}: line {line}",
            expected="CSV in UTF-8",
            got=f"byte 0x{content[error.start]:02x}",
            help="save it as UTF-8 or convert it first, e.g. iconv -f latin1 -t utf-8",
        ) from error


def number_in(cell: str) -> float | None:
    """The number in a cell, None for an empty one; RecordError for anything else, NaN and infinities included."""
    text = cell.strip()
    if not text:
        return None
    value = float(text) if _NUMBER.fullmatch(text) else float("nan")
    if not abs(value) < float("inf"):
        raise RecordError(
            "not a number",
            code="KP-CSV-NUMBER",
            expected="a finite number with a decimal point, or nothing",
            got=repr(cell),
        )
    return value


def id_in(cell: str) -> Id:
    """Ids that are written as whole numbers are read as such ("7", not "007"), all others as text."""
    return int(cell) if re.fullmatch(r"0|-?[1-9]\d{0,300}", cell, re.ASCII) else cell


def duplicates(names: Sequence[str]) -> list[str]:
    """Names that stand more than once."""
    return sorted({name for name in names if names.count(name) > 1})


def joint_columns(skeleton: Skeleton) -> list[str]:
    """The columns of all joints in order: <joint>_x, <joint>_y, <joint>_v."""
    return [f"{joint}_{field}" for joint in skeleton.keypoints for field in "xyv"]


def _checked_header(header: list[str], path: Path) -> Skeleton:
    place = f"{path}: row 1"
    if len(header) == 1 and re.search(r"[;\t]", header[0]):
        raise FormatError(
            "the cells are not separated by commas",
            code="KP-CSV-DELIMITER",
            place=place,
            expected="commas",
            got=header[0][:60],
            help='describe the file with a layout (delimiter = ";") and read it with --layout FILE.toml',
        )
    if double := duplicates(header):
        raise FormatError("a column stands twice", code="KP-CSV-COLUMN-TWICE", place=place, got=", ".join(double))
    knee, ankle = (catalog.skeleton(name) for name in NAMES)
    has_knee, has_ankle = ("left_knee_x" in header, "left_ankle_x" in header)
    if has_knee and has_ankle:
        raise FormatError(
            "the file has knees and ankles",
            code="KP-SIX2-SKELETON",
            place=place,
            expected="left_knee, right_knee or left_ankle, right_ankle",
            help="read it with a layout that names the joints to take: --layout FILE.toml",
        )
    skeleton = ankle if has_ankle else knee
    known = [*LEADING, *joint_columns(skeleton)]
    missing = [name for name in ("image", "person_id", *joint_columns(skeleton)) if name not in header]
    if missing:
        near = difflib.get_close_matches(missing[0], [name for name in header if name not in known], n=1)
        raise FormatError(
            f"the header has no column '{missing[0]}'" + (f" and {len(missing) - 1} more" if missing[1:] else ""),
            code="KP-SIX2-COLUMN",
            place=place,
            expected=", ".join(missing[:6]),
            got=", ".join(header[:8]),
            help=f"rename '{near[0]}'" if near else "describe the file with a layout: --layout FILE.toml",
        )
    return skeleton


class _Reader:
    """Walks through the rows of one file; errors go to the collector with row and column."""

    def __init__(self, path: Path, rows: Rows, header: list[str], collector: Collector) -> None:
        self.path = path
        self.rows = rows
        self.collector = collector
        self.has_box = set(BOX) <= set(header)
        known = {*LEADING, *joint_columns(rows.skeleton), *(BOX if self.has_box else ())}
        self.extra = [name for name in header if name not in known]
        self.joints = [(name, f"{name}_x", f"{name}_y", f"{name}_v") for name in rows.skeleton.keypoints]
        of_image = [column for column in self.extra if column.startswith(IMAGE_EXTRA)]
        of_person = [column for column in self.extra if column not in of_image]
        rows.person_extras = [PREFIX + _extra_name(column) for column in of_person]
        rows.image_extras = [PREFIX + _extra_name(column) for column in (*of_image, *of_person)]

    def error(self, error: RecordError, number: int, column: str) -> None:
        error.place = f"{self.path}: row {number}, column {column}"
        self.collector.error(error)

    def row(self, number: int, row: Row) -> None:
        """One row; without a usable image name it is left out."""
        try:
            path = image_path(row["image"], "")
        except RecordError as error:
            self.error(error, number, "image")
            return
        image = self._image(path, row, number)
        extras = self._extras(row)
        joints = [self._joint(names, row, number) for names in self.joints]
        box = self._box(row, number)
        if row["person_id"]:
            place = f"{self.path}: row {number}, column person_id"
            self.rows.add_person(Person(image, id_in(row["person_id"]), joints, place=place, bbox=box, extras=extras))
        elif box is not None or any(joint[2] or joint[3] for joint in joints):
            self.error(
                RecordError(
                    "a person has no person_id", code="KP-SIX2-PERSON-ID", expected="a number or a text", got="nothing"
                ),
                number,
                "person_id",
            )
        else:
            self.rows.images[image].extras.update(extras)

    def _image(self, path: str, row: Row, number: int) -> int:
        size = [self._pixels(row, name, number) for name in ("width", "height")]
        known = self.rows.image_named(path, size, lambda error, name: self.error(error, number, name))
        for column in self.extra:
            if column.startswith(IMAGE_EXTRA) and row[column]:
                self.rows.images[known].extras[PREFIX + _extra_name(column)] = row[column]
        return known

    def _pixels(self, row: Row, name: str, number: int) -> int:
        try:
            return pixels(number_in(row.get(name, "")))
        except RecordError as error:
            self.error(error, number, name)
            return -1

    def _joint(self, names: tuple[str, str, str, str], row: Row, number: int) -> Joint:
        name, *columns = names
        column = columns[0]
        try:
            values = []
            for column in columns:
                values.append(number_in(row[column]))
            x, y, flag = values
            if flag not in (None, 0, 1, 2):
                raise RecordError(
                    "not a 6-2 flag",
                    code="KP-SIX2-FLAG",
                    expected="0 (not visible), 1 (visible), 2 (truncated) or nothing",
                    got=repr(row[column]),
                )
            return canonical_joint(DIGITS[int(flag or 0)], x, y)
        except RecordError as error:
            self.error(error, number, f"{name}_{error.place}" if error.place else column)
            return UNLABELLED

    def _box(self, row: Row, number: int) -> list[float] | None:
        if not self.has_box:
            return None
        column = BOX[0]
        try:
            values = []
            for column in BOX:
                values.append(number_in(row[column]))
            box = [value for value in values if value is not None]
            if box and len(box) < len(BOX):
                column = BOX[values.index(None)]
                raise RecordError("a part of the box is missing", code="KP-SIX2-BOX", expected="four numbers or none")
            return box or None
        except RecordError as error:
            self.error(error, number, column)
            return None

    def _extras(self, row: Row) -> dict[str, str]:
        columns = (name for name in self.extra if row[name] and not name.startswith(IMAGE_EXTRA))
        return {PREFIX + _extra_name(name): row[name] for name in columns}


def _extra_name(column: str) -> str:
    prefix = IMAGE_EXTRA if column.startswith(IMAGE_EXTRA) else NAMED_EXTRA
    return column.removeprefix(prefix)
