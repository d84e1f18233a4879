"""A team's own CSV, read by a layout: wide (one row a person) or long (one row a joint)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector
from kpkit.errors import FormatError, RecordError, did_you_mean
from kpkit.formats.base import ReadOptions
from kpkit.formats.layout import Meaning
from kpkit.formats.layout_definition import JOINT, CsvTable, LoadedLayout
from kpkit.formats.six2_csv import duplicates, id_in, rows_of
from kpkit.formats.six2_rows import UNLABELLED, Id, Joint, Person, Rows, image_path, pixels

Row = dict[str, str]


def read_layout_csv(
    path: Path, content: bytes, layout: LoadedLayout, options: ReadOptions, collector: Collector
) -> Dataset:
    """Read one CSV file by its layout; the header is row 1. Raises FormatError and RecordError."""
    table = layout.layout.csv
    if table is None:
        raise ValueError("the layout describes no CSV")
    lines = rows_of(path, content, table.delimiter, collector)
    _, header = next(lines, (1, []))
    rows = Rows(layout.skeleton, options.sizes, collector)
    reader = (_Wide if table.shape == "wide" else _Long)(path, layout, table, rows, collector)
    reader.check_header(header)
    for number, cells in lines:
        reader.row(number, dict(zip(header, cells, strict=True)))
    return rows.dataset(path)


class _Reader(ABC):
    """What both shapes share; errors go to the collector with row and column."""

    def __init__(self, path: Path, layout: LoadedLayout, table: CsvTable, rows: Rows, collector: Collector) -> None:
        self.path = path
        self.table = table
        self.rows = rows
        self.collector = collector
        self.meaning = Meaning(layout, collector)
        self.names = layout.names()

    @abstractmethod
    def joint_columns(self) -> Iterator[str]:
        """The columns beside those of image and person."""

    @abstractmethod
    def row(self, number: int, row: Row) -> None:
        """Read one row."""

    def error(self, error: RecordError, number: int, column: str) -> None:
        error.place = f"{self.path}: row {number}, column {column}"
        self.collector.error(error)

    def check_header(self, header: list[str]) -> None:
        """All columns of the layout are there, once; columns that it does not name are counted as left out."""
        table = self.table
        if double := duplicates(header):
            raise FormatError(
                "a column stands twice", code="KP-CSV-COLUMN-TWICE", place=f"{self.path}: row 1", got=", ".join(double)
            )
        single = (table.image, table.person, table.width, table.height)
        wanted = [*(name for name in single if name is not None), *(table.box or ()), *self.joint_columns()]
        for name in wanted:
            if name not in header:
                raise FormatError(
                    f"the file has no column '{name}' that the layout names",
                    code="KP-LAYOUT-COLUMN",
                    place=f"{self.path}: row 1",
                    expected=f"'{name}'",
                    got=", ".join(header[:8]),
                    help=did_you_mean(name, set(header) - set(wanted))
                    + " (a joint that is not there goes into absent_joints)",
                )
        for name in header:
            if name not in wanted:
                self.collector.issue(
                    "KP-LAYOUT-UNREAD",
                    f"the column '{name}' is not in the layout and is left out",
                    place=f"{self.path}: row 1",
                )

    def image(self, number: int, row: Row) -> int | None:
        """The row of the image in the image table; None where its name cannot be used."""
        table = self.table
        try:
            name = image_path(row[table.image], "")
        except RecordError as error:
            self.error(error, number, table.image)
            return None
        columns = {"width": table.width, "height": table.height}
        size = [self._pixels(number, row, column) for column in columns.values()]
        return self.rows.image_named(
            name, size, lambda error, which: self.error(error, number, columns[which] or table.image)
        )

    def _pixels(self, number: int, row: Row, column: str | None) -> int:
        if column is None:
            return -1
        try:
            return pixels(self.meaning.number(row[column], ""))
        except RecordError as error:
            self.error(error, number, column)
            return -1

    def joint(self, number: int, row: Row, columns: dict[str, str], image: int) -> Joint | None:
        """One joint; `columns` gives the column of x, y and v. None where it is wrong."""
        flag = row[columns["v"]] if "v" in columns else None
        place = f"{self.path}: row {number}, column {columns['x']}"
        try:
            return self.meaning.joint(row[columns["x"]], row[columns["y"]], flag, self.rows.images[image], place)
        except RecordError as error:
            self.error(error, number, columns.get(error.place, columns["x"]))
            return None

    def box(self, number: int, row: Row, image: int) -> list[float] | None:
        if self.table.box is None:
            return None
        try:
            return self.meaning.box([row[column] for column in self.table.box], self.rows.images[image])
        except RecordError as error:
            self.error(error, number, self.table.box[0])
            return None


class _Wide(_Reader):
    """One row a person."""

    def joint_columns(self) -> Iterator[str]:
        for name, _ in self.names:
            yield from self._columns(name).values()

    def _columns(self, name: str) -> dict[str, str]:
        patterns = {"x": self.table.x, "y": self.table.y, "v": self.table.flag}
        return {key: pattern.replace(JOINT, name) for key, pattern in patterns.items() if pattern is not None}

    def row(self, number: int, row: Row) -> None:
        image = self.image(number, row)
        if image is None:
            return
        joints = [UNLABELLED] * len(self.rows.skeleton)
        for name, k in self.names:
            joints[k] = self.joint(number, row, self._columns(name), image) or UNLABELLED
        box = self.box(number, row, image)
        column = self.table.person
        person: Id = id_in(row[column]) if column is not None else len(self.rows.persons) + 1
        if person != "":
            place = f"{self.path}: row {number}, column {column or self.table.image}"
            self.rows.add_person(Person(image, person, joints, place=place, bbox=box))
        elif box is not None or any(joint[2] or joint[3] for joint in joints):
            error = RecordError(
                "a person has no id", code="KP-LAYOUT-PERSON", expected="a number or a text", got="nothing"
            )
            self.error(error, number, column or "")


class _Long(_Reader):
    """One row a joint. Rows of a person need not stand together; without a column for persons an image has one."""

    def __init__(self, path: Path, layout: LoadedLayout, table: CsvTable, rows: Rows, collector: Collector) -> None:
        super().__init__(path, layout, table, rows, collector)
        self._columns = {"x": table.x, "y": table.y} | ({"v": table.flag} if table.flag is not None else {})
        self._persons: dict[tuple[int, Id], Person] = {}
        self._filled: dict[tuple[int, Id, int], int] = {}

    def joint_columns(self) -> Iterator[str]:
        yield self.table.joint or ""
        yield from self._columns.values()

    def row(self, number: int, row: Row) -> None:
        image = self.image(number, row)
        if image is None:
            return
        name, column = row[self.table.joint or ""], self.table.person
        key: Id = id_in(row[column]) if column is not None else 1
        if key == "":
            if name:
                error = RecordError(
                    "a joint belongs to no person", code="KP-LAYOUT-PERSON", expected="an id", got="nothing"
                )
                self.error(error, number, column or "")
            return
        if column is None and not name:
            return
        person = self._person(image, key, number)
        person.bbox = person.bbox or self.box(number, row, image)
        if name:
            self._put(number, row, name, person)

    def _person(self, image: int, key: Id, number: int) -> Person:
        known = self._persons.get((image, key))
        if known is None:
            joints = [UNLABELLED] * len(self.rows.skeleton)
            person_id: Id = key if self.table.person is not None else len(self.rows.persons) + 1
            place = f"{self.path}: row {number}, column {self.table.person or self.table.image}"
            known = self._persons[image, key] = Person(image, person_id, joints, place=place)
            self.rows.add_person(known)
        return known

    def _put(self, number: int, row: Row, name: str, person: Person) -> None:
        column = self.table.joint or ""
        try:
            k = self.meaning.joint_index(name)
        except RecordError as error:
            self.error(error, number, column)
            return
        if k is None:
            return
        before = self._filled.setdefault((person.image, person.id, k), number)
        if before != number:
            twice = RecordError(
                f"the person has two rows for '{name}'",
                code="KP-LAYOUT-JOINT-TWICE",
                expected="one row a joint",
                got=f"also row {before}",
            )
            self.error(twice, number, column)
            return
        joint = self.joint(number, row, self._columns, person.image)
        if joint is not None:
            person.joints[k] = joint
