"""A team's own JSON, read by a layout of dotted paths."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector
from kpkit.errors import FormatError, RecordError
from kpkit.formats import json_path
from kpkit.formats.base import ReadOptions
from kpkit.formats.json_document import decode
from kpkit.formats.json_path import parse_path
from kpkit.formats.layout import Meaning
from kpkit.formats.layout_definition import JsonTable, LoadedLayout
from kpkit.formats.six2_rows import UNLABELLED, Id, Joint, Person, Rows, image_path, pixels


def read_layout_json(
    path: Path, content: bytes, layout: LoadedLayout, options: ReadOptions, collector: Collector
) -> Dataset:
    """Read one JSON file by its layout. Raises FormatError and RecordError, the latter with the path of the field."""
    table = layout.layout.json
    if table is None:
        raise ValueError("the layout describes no JSON")
    rows = Rows(layout.skeleton, options.sizes, collector)
    _Reader(path, layout, table, rows, collector).read(decode(content, path))
    return rows.dataset(path)


class _Reader:
    """Walks along the layout's paths; errors go to the collector with the path of the field."""

    def __init__(self, path: Path, layout: LoadedLayout, table: JsonTable, rows: Rows, collector: Collector) -> None:
        self.path = path
        self.table = table
        self.rows = rows
        self.collector = collector
        self.meaning = Meaning(layout, collector)
        self._paths: dict[str, json_path.Path] = {}

    def read(self, document: Any) -> None:
        """The whole document; persons stand below images, or alone."""
        records = "images" if self.table.images is not None else "persons"
        found = False
        for place, key, record in self._each(records, document, ""):
            found = True
            image = self._image(record, key, place)
            if image is None:
                continue
            if records == "persons":
                self._person(record, key, image, place, known=("image", "width", "height"))
                continue
            self._note_unread(record, ("image", "width", "height", "persons"), "images", place)
            for below, person_key, person in self._each("persons", record, place):
                self._person(person, person_key, image, below)
        if not found:
            self._check_leads_somewhere(document, records)

    def _check_leads_somewhere(self, document: Any, records: str) -> None:
        """An empty list is no error; a path that is not in the file at all is."""
        steps = self._path(records).steps
        last = next(n for n, step in enumerate(steps) if step in (json_path.EACH, json_path.VALUES))
        if json_path.Path(steps[:last]).get(document) is None:
            raise FormatError(
                f"the file has nothing at the layout's path '{getattr(self.table, records)}'",
                code="KP-LAYOUT-PATH",
                place=str(self.path),
                expected=f"{records} of the layout",
                got=", ".join(list(document)[:8]) if isinstance(document, dict) else type(document).__name__,
                help=f"correct json.{records} in the layout",
            )

    def _path(self, name: str) -> json_path.Path:
        if name not in self._paths:
            self._paths[name] = parse_path(getattr(self.table, name))
        return self._paths[name]

    def _given(self, name: str) -> bool:
        return getattr(self.table, name) is not None

    def _error(self, error: RecordError, *place: str) -> None:
        where = "".join(part if part.startswith("[") else f".{part}" for part in place if part).lstrip(".")
        error.place = f"{self.path}: {where}" if where else str(self.path)
        self.collector.error(error)

    def _each(self, name: str, record: Any, place: str) -> Iterator[tuple[str, Any, Any]]:
        """(place, key, value) of the records at one of the layout's paths."""
        try:
            for below, key, value in self._path(name).each(record):
                yield f"{place}.{below}".lstrip(".") if not below.startswith("[") else place + below, key, value
        except RecordError as error:
            self._error(error, place, error.place)

    def _get(self, name: str, record: Any, key: Any = None) -> Any:
        """The value at one of the layout's paths; None where the layout has no such path."""
        return self._path(name).get(record, key) if self._given(name) else None

    def _image(self, record: Any, key: Any, place: str) -> int | None:
        try:
            name = self._get("image", record, key)
            if not isinstance(name, str):
                raise RecordError(
                    "the image has no name", code="KP-LAYOUT-IMAGE", expected="a text", got=repr(name)[:60]
                )
            path = image_path(name, "")
        except RecordError as error:
            self._error(error, place, error.place or self._named("image"))
            return None
        size = [self._pixels(name, record, place) for name in ("width", "height")]
        return self.rows.image_named(path, size, lambda error, name: self._error(error, place, self._named(name)))

    def _named(self, name: str) -> str:
        """How a field is called in the file, for places."""
        return getattr(self.table, name) or ""

    def _pixels(self, name: str, record: Any, place: str) -> int:
        try:
            return pixels(self._get(name, record))
        except RecordError as error:
            self._error(error, place, error.place or self._named(name))
            return -1

    def _person(self, record: Any, key: Any, image: int, place: str, known: tuple[str, ...] = ()) -> None:
        try:
            person_id = self._id(record, key)
        except RecordError as error:
            self._error(error, place, error.place or self._named("person"))
            return
        joints = [UNLABELLED] * len(self.rows.skeleton)
        for k, joint in self._joints(record, image, place):
            joints[k] = joint
        box = self._box(record, image, place)
        self.rows.add_person(Person(image, person_id, joints, place=f"{self.path}: {place}", bbox=box))
        self._note_unread(record, ("person", "joints", "box", *known), "persons", place)

    def _id(self, record: Any, key: Any) -> Id:
        if not self._given("person"):
            return len(self.rows.persons) + 1
        value = self._get("person", record, key)
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise RecordError(
            "a person has no id", code="KP-LAYOUT-PERSON", expected="a number or a text", got=repr(value)[:60]
        )

    def _box(self, record: Any, image: int, place: str) -> list[float] | None:
        try:
            values = self._get("box", record)
            if values is None:
                return None
            if not isinstance(values, list) or len(values) != 4:
                raise RecordError("not a box", code="KP-LAYOUT-BOX", expected="four numbers", got=repr(values)[:60])
            return self.meaning.box(values, self.rows.images[image])
        except RecordError as error:
            self._error(error, place, self._named("box"))
            return None

    def _joints(self, record: Any, image: int, place: str) -> Iterator[tuple[int, Joint]]:
        """(joint, value) of every joint that is there and right."""
        filled: dict[int, str] = {}
        base = f"{place}.{self._named('joints')}".lstrip(".")
        for below, name, raw in self._raw_joints(record, place):
            field = ""
            try:
                k = self.meaning.joint_index(_checked_name(name))
                if k is None:
                    continue
                if k in filled:
                    raise RecordError(
                        f"the joint '{name}' stands twice", code="KP-LAYOUT-JOINT-TWICE", got=f"also {filled[k]}"
                    )
                filled[k] = base + below
                x, y, flag = self._fields(raw)
                yield k, self.meaning.joint(x, y, flag, self.rows.images[image], f"{self.path}: {base}{below}")
            except RecordError as error:
                field = error.place
                if field in {"x", "y", "v"}:
                    field = (self._named("flag" if field == "v" else field)) if self.table.fields is None else ""
                self._error(error, base + below, field)

    def _fields(self, raw: Any) -> tuple[Any, Any, Any]:
        """Raw x, y and flag of one joint; a joint that is null has none."""
        if self.table.fields is not None:
            found = dict(zip(self.table.fields, raw, strict=True))
            return found["x"], found["y"], found.get("flag")
        return self._get("x", raw), self._get("y", raw), self._get("flag", raw)

    def _raw_joints(self, record: Any, place: str) -> Iterator[tuple[str, Any, Any]]:
        """(place below the joints, the team's name, raw value) in the file's order."""
        table = self.table
        try:
            joints = self._get("joints", record)
            if joints is None:
                return
            if table.shape == "by_name":
                yield from ((f".{name}", name, raw) for name, raw in _of_kind(joints, dict).items())
            elif table.shape == "named":
                for n, raw in enumerate(_of_kind(joints, list)):
                    yield f"[{n}]", self._get("joint", raw), raw
            else:
                yield from self._ordered(_of_kind(joints, list))
        except RecordError as error:
            self._error(error, place, error.place or self._named("joints"))

    def _ordered(self, joints: list[Any]) -> Iterator[tuple[str, Any, Any]]:
        order, step = self.table.order or [], len(self.table.fields or [0])
        if len(joints) != len(order) * step:
            raise RecordError(
                "the list of joints has the wrong length",
                code="KP-LAYOUT-LENGTH",
                expected=f"{len(order) * step} ({len(order)} joints)",
                got=str(len(joints)),
            )
        for n, name in enumerate(order):
            yield f"[{n * step}]", name, joints[n] if self.table.fields is None else joints[n * step : (n + 1) * step]

    def _note_unread(self, record: Any, names: tuple[str, ...], kind: str, place: str) -> None:
        """Count fields of a record that no path of the layout begins with."""
        if not isinstance(record, dict):
            return
        read = {self._path(name).first_key for name in names if self._given(name)}
        for key in record.keys() - read:
            self.collector.issue(
                "KP-LAYOUT-UNREAD",
                f"the field '{key}' of {kind} is not in the layout and is left out",
                place=f"{self.path}: {place}",
            )


def _checked_name(name: Any) -> str:
    if isinstance(name, str):
        return name
    raise RecordError("the joint has no name", code="KP-LAYOUT-JOINT", expected="a text", got=repr(name)[:60])


def _of_kind(joints: Any, kind: type[Any]) -> Any:
    if isinstance(joints, kind):
        return joints
    expected = "an object" if kind is dict else "a list"
    raise RecordError("not joints", code="KP-LAYOUT-JOINTS", expected=expected, got=repr(joints)[:60])
