"""Reads 6-2 as JSON, by kpkit's own definition: schemas/json/six2.schema.json.

Images hold persons, persons hold joints as `[x, y, flag]`. Fields that the definition does not know are kept as extras
("six2.<field>") and written back where they were.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kpkit.core import catalog
from kpkit.core.dataset import AREA_SOURCES, BBOX_SOURCES, Dataset
from kpkit.core.report import Collector
from kpkit.errors import FormatError, RecordError, did_you_mean
from kpkit.formats.base import ReadOptions
from kpkit.formats.json_document import decode
from kpkit.formats.six2_rows import (
    DIGITS,
    NAMES,
    PREFIX,
    UNLABELLED,
    Id,
    Image,
    Joint,
    Person,
    Rows,
    canonical_joint,
    image_path,
    pixels,
)

FORMAT, VERSION = "kpkit-six2", 1

Record = dict[str, Any]


def read_json(path: Path, content: bytes, options: ReadOptions, collector: Collector) -> Dataset:
    """Read one 6-2 JSON file.

    Raises FormatError where the file as a whole is not one, RecordError with the path of the field otherwise.
    """
    top = _checked_top(decode(content, path), path)
    rows = Rows(catalog.skeleton(top["skeleton"]), options.sizes, collector)
    reader = _Reader(path, rows, collector)
    for number, record in enumerate(top["images"]):
        reader.image(record, f"images[{number}]")
    reader.check_ids()
    meta = reader.extras(top, TOP_KEYS, "")
    reader.name_likely_typos()
    return rows.dataset(path, meta=meta)


def _checked_top(top: Any, path: Path) -> Record:
    if not isinstance(top, dict) or top.get("format") != FORMAT:
        raise FormatError(
            "not a 6-2 JSON file",
            code="KP-SIX2-TOP",
            place=str(path),
            expected=f'an object with "format": "{FORMAT}"',
            got=", ".join(list(top)[:8]) or "{}" if isinstance(top, dict) else type(top).__name__,
            help="a team's own JSON is read with a layout file: --layout FILE.toml",
        )
    if top.get("version") != VERSION:
        raise FormatError(
            "this version of the 6-2 file is not known",
            code="KP-SIX2-VERSION",
            place=f"{path}: version",
            expected=str(VERSION),
            got=repr(top.get("version")),
            help="a newer kpkit may read it",
        )
    if top.get("skeleton") not in NAMES:
        raise FormatError(
            "the file does not name one of 6-2's skeletons",
            code="KP-SIX2-SKELETON",
            place=f"{path}: skeleton",
            expected=" or ".join(NAMES),
            got=repr(top.get("skeleton")),
            help=did_you_mean(str(top.get("skeleton")), NAMES),
        )
    if not isinstance(top.get("images"), list):
        raise FormatError("there is no list of images", code="KP-SIX2-TOP", place=f"{path}: images", expected="a list")
    return top


def _wrong(expected: str, got: object) -> RecordError:
    return RecordError("a value of the wrong kind", code="KP-SIX2-TYPE", expected=expected, got=repr(got)[:60])


def _number(value: Any) -> float:
    if isinstance(value, float):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**300:
        return float(value)
    raise _wrong("a number", value)


def _box(value: Any) -> list[float]:
    if not isinstance(value, list) or len(value) != 4:
        raise _wrong("four numbers, x y w h", value)
    return [_number(one) for one in value]


def _id(value: Any) -> Id:
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise _wrong("a whole number or a text", value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong("a text", value)
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong("true or false", value)
    return value


def _one_of(known: tuple[str, ...]) -> Callable[[Any], int]:
    def index(value: Any) -> int:
        if value not in known:
            raise _wrong(" | ".join(known), value)
        return known.index(value)

    return index


_IMAGE_FIELDS: dict[str, Callable[[Any], Any]] = {"width": pixels, "height": pixels, "image_id": _id, "split": _text}
_PERSON_FIELDS: dict[str, Callable[[Any], Any]] = {
    "bbox": _box,
    "bbox_source": _one_of(BBOX_SOURCES),
    "area": _number,
    "area_source": _one_of(AREA_SOURCES),
    "head_box": _box,
    "track_id": _id,
    "score": _number,
    "is_crowd": _boolean,
    "category_id": _id,
}
TOP_KEYS = frozenset({"format", "version", "skeleton", "images", "extras"})
IMAGE_KEYS = frozenset({"image", "persons", "extras", *_IMAGE_FIELDS})
PERSON_KEYS = frozenset({"person_id", "joints", "extras", *_PERSON_FIELDS})
_SIMILAR = 0.8


class _Reader:
    """Walks through the records of one file; errors go to the collector with the path of the field."""

    def __init__(self, path: Path, rows: Rows, collector: Collector) -> None:
        self.path = path
        self.rows = rows
        self.collector = collector
        self.joint_index = {name: k for k, name in enumerate(rows.skeleton.keypoints)}
        self._unknown: dict[str, tuple[str, frozenset[str]]] = {}

    def error(self, error: RecordError, place: str) -> None:
        error.place = f"{self.path}: {place}"
        self.collector.error(error)

    def image(self, record: Any, place: str) -> None:
        """One image and its persons; an image that cannot be named is left out."""
        try:
            if not isinstance(record, dict):
                raise _wrong("an object", record)
            name = image_path(_text(record.get("image")), "")
        except RecordError as error:
            self.error(error, f"{place}.image" if isinstance(record, dict) else place)
            return
        known = self.fields(record, _IMAGE_FIELDS, place)
        image_id = known.pop("image_id", None)
        row = self.rows.add_image(Image(name, id=image_id, extras=self.extras(record, IMAGE_KEYS, place), **known))
        persons = record.get("persons", [])
        if not isinstance(persons, list):
            self.error(_wrong("a list", persons), f"{place}.persons")
            return
        for number, person in enumerate(persons):
            self.person(person, row, f"{place}.persons[{number}]")

    def person(self, record: Any, image: int, place: str) -> None:
        """One person; without an id it is left out."""
        try:
            if not isinstance(record, dict):
                raise _wrong("an object", record)
            person_id = _id(record.get("person_id"))
        except RecordError as error:
            self.error(error, f"{place}.person_id" if isinstance(record, dict) else place)
            return
        joints = [UNLABELLED] * len(self.joint_index)
        given = record.get("joints", {})
        if isinstance(given, dict):
            for name, value in given.items():
                self.joint(name, value, joints, place)
        else:
            self.error(_wrong("an object of joints by name", given), f"{place}.joints")
        known = self.fields(record, _PERSON_FIELDS, place)
        extras = self.extras(record, PERSON_KEYS, place)
        where = f"{self.path}: {place}.person_id"
        self.rows.add_person(Person(image, person_id, joints, place=where, extras=extras, **known))

    def joint(self, name: str, value: Any, joints: list[Joint], place: str) -> None:
        """Put one joint into its place in `joints`."""
        try:
            k = self.joint_index.get(name)
            if k is None:
                raise RecordError(
                    f"{self.rows.skeleton.name} has no joint '{name}'",
                    code="KP-SIX2-JOINT",
                    help=did_you_mean(name, self.joint_index),
                )
            if not isinstance(value, list) or len(value) != 3:
                raise _wrong("[x, y, flag]", value)
            x, y, flag = value
            if type(flag) is not int or not 0 <= flag < len(DIGITS):
                raise _wrong("flag 0 (not visible), 1 (visible) or 2 (truncated)", flag)
            joints[k] = canonical_joint(DIGITS[flag], _optional(x), _optional(y))
        except RecordError as error:
            self.error(error, f"{place}.joints.{name}{_element(error.place)}")

    def fields(self, record: Record, table: Mapping[str, Callable[[Any], Any]], place: str) -> Record:
        """The fields of `table` that are given and not null, converted."""
        found: Record = {}
        for name, convert in table.items():
            if (value := record.get(name)) is None:
                continue
            try:
                found[name] = convert(value)
            except RecordError as error:
                self.error(error, f"{place}.{name}")
        return found

    def extras(self, record: Record, known: frozenset[str], place: str) -> Record:
        """Fields that the definition does not know, by their namespaced names."""
        named = record.get("extras")
        found = {} if named is None else named
        if not isinstance(found, dict):
            self.error(_wrong("an object", named), f"{place}.extras".lstrip("."))
            found = {}
        for name in record.keys() - known:
            self._unknown.setdefault(name, (f"{self.path}: {place}.{name}", known))
        unknown = {name: value for name, value in record.items() if name not in known}
        return {PREFIX + name: value for name, value in {**unknown, **found}.items()}

    def check_ids(self) -> None:
        """Image ids are given for all images or for none."""
        without = [row for row, image in enumerate(self.rows.images) if image.id is None]
        if without and len(without) < len(self.rows.images):
            self.error(
                RecordError(
                    "this image has no image_id and others have", code="KP-SIX2-IMAGE-ID", expected="all or none"
                ),
                f"images[{without[0]}]",
            )
            for row, image in enumerate(self.rows.images):
                image.id = row + 1 if image.id is None else image.id

    def name_likely_typos(self) -> None:
        """Note unknown fields whose names nearly are known ones: they are kept, but not understood."""
        for name, (place, known) in sorted(self._unknown.items()):
            near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=_SIMILAR)
            if near:
                self.collector.issue(
                    "KP-SIX2-FIELD",
                    f"the field '{name}' is not part of the definition; it is kept, not understood",
                    place=place,
                    help=f"did you mean '{near[0]}'?",
                )


def _optional(value: Any) -> float | None:
    return None if value is None else _number(value)


def _element(field: str) -> str:
    return {"x": "[0]", "y": "[1]", "v": "[2]"}.get(field, "")
