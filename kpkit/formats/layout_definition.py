"""A layout: the TOML file that says where a team's own CSV or JSON keeps what. See docs/formats/layouts.md.

The tables are typed; whatever a layout says that cannot be meant is a DefinitionError with the key it stands under.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, get_args

import msgspec
from msgspec import Meta

from kpkit import resources
from kpkit.core import catalog
from kpkit.core.skeleton import Skeleton
from kpkit.errors import DefinitionError, KpkitError, did_you_mean
from kpkit.formats.json_path import Path as JsonPath
from kpkit.formats.json_path import parse_path

State = Literal["visible", "occluded", "truncated", "unlabelled"]
Text = Annotated[str, Meta(min_length=1)]
JOINT = "{joint}"


class CsvTable(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Columns of a CSV file. In the wide shape x, y and flag are patterns with {joint}, in the long shape names."""

    shape: Literal["wide", "long"]
    image: Text
    x: Text
    y: Text
    flag: Text | None = None
    joint: Text | None = None
    person: Text | None = None
    width: Text | None = None
    height: Text | None = None
    box: Annotated[list[Text], Meta(min_length=4, max_length=4)] | None = None
    delimiter: Annotated[str, Meta(min_length=1, max_length=1)] = ","
    decimal: Literal[".", ","] = "."


class JsonTable(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Paths in a JSON file. `persons` starts from an image where there is `images`, else from the top."""

    persons: Text
    image: Text
    shape: Literal["by_name", "named", "in_order", "flat"]
    joints: Text
    images: Text | None = None
    person: Text | None = None
    width: Text | None = None
    height: Text | None = None
    joint: Text | None = None
    x: Text | None = None
    y: Text | None = None
    flag: Text | None = None
    order: list[Text] | None = None
    fields: list[Literal["x", "y", "flag", "ignore"]] | None = None
    box: Text | None = None


class Coordinates(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """What the numbers mean."""

    base: Literal[0, 1] = 0
    unit: Literal["pixel", "fraction", "percent"] = "pixel"
    box: Literal["xywh", "xyxy"] = "xywh"
    missing: list[str | float | int] = []
    missing_points: list[Annotated[list[float], Meta(min_length=2, max_length=2)]] = []


class Flags(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """What the flags mean, and what a labelled joint without a flag is."""

    values: dict[str, State] = {}
    default: State = "visible"


class Layout(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """A whole layout. `joints`: the team's name -> the skeleton's; names left out are the skeleton's own."""

    schema: Literal[1]
    kind: Literal["csv", "json"]
    skeleton: Text
    csv: CsvTable | None = None
    json: JsonTable | None = None
    coordinates: Coordinates = Coordinates()
    flags: Flags = Flags()
    joints: dict[str, Text] = {}
    ignore_joints: list[Text] = []
    absent_joints: list[Text] = []


class LoadedLayout(msgspec.Struct, kw_only=True, frozen=True):
    """A checked layout.

    index  the joint behind each of the team's names        ignored  names that are left out on purpose
    """

    path: Path
    layout: Layout
    skeleton: Skeleton
    index: dict[str, int]
    ignored: frozenset[str]

    def names(self) -> list[tuple[str, int]]:
        """(the team's name, joint) of every joint that the files have, in the skeleton's order."""
        return sorted(self.index.items(), key=lambda item: item[1])


def load_layout(path: Path) -> LoadedLayout:
    """Read and check a layout file; DefinitionError names the key that is wrong."""
    document = resources.read_toml(path)
    try:
        layout = msgspec.convert(document, Layout)
    except msgspec.ValidationError as error:
        raise _explained(str(error), path) from error
    return _Checker(path, layout).checked()


_STRUCTS: dict[str, type[msgspec.Struct]] = {
    "": Layout,
    ".csv": CsvTable,
    ".json": JsonTable,
    ".coordinates": Coordinates,
    ".flags": Flags,
}
_MESSAGE = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?\$(?P<path>[^`]*)`)?$", re.DOTALL)
_FIELD = re.compile(r"Object (contains unknown|missing required) field `([^`]*)`")


def _explained(message: str, path: Path) -> DefinitionError:
    match = _MESSAGE.match(message)
    what, where = (match["what"], match["path"] or "") if match else (message, "")
    field = _FIELD.match(what)
    if field is None:
        value = re.match(r"Invalid enum value '(.*)'", what)
        known = {".flags.values[...]": State, ".flags.default": State}.get(where)
        help = did_you_mean(value[1], get_args(known)) if value and known else "see docs/formats/layouts.md"
        return DefinitionError(
            what.replace("`", ""), code="KP-LAYOUT-VALUE", place=_at(path, where.lstrip(".")), help=help
        )
    fields = _STRUCTS[where].__struct_fields__
    key = f"{where}.{field[2]}".lstrip(".")
    if field[1].startswith("contains"):
        return DefinitionError(
            f"a layout has no key '{key}'",
            code="KP-LAYOUT-KEY",
            place=_at(path, key),
            help=did_you_mean(field[2], fields),
        )
    return DefinitionError(
        f"the layout does not say '{key}'",
        code="KP-LAYOUT-KEY",
        place=_at(path, key),
        help="see docs/formats/layouts.md",
    )


def _at(path: Path, key: str) -> str:
    return f"{path}: {key}" if key else str(path)


class _Checker:
    """What the types cannot say."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path = path
        self.layout = layout

    def refuse(self, key: str, message: str, **details: str) -> NoReturn:
        raise DefinitionError(message, code="KP-LAYOUT-VALUE", place=_at(self.path, key), **details)

    def checked(self) -> LoadedLayout:
        layout = self.layout
        skeleton = self._skeleton()
        index = self._index(skeleton)
        if layout.coordinates.base and layout.coordinates.unit != "pixel":
            self.refuse("coordinates.base", "only pixels are counted from 0 or 1", expected="no base beside unit")
        other = {"csv": layout.json, "json": layout.csv}[layout.kind]
        if other is not None or (layout.csv is None and layout.json is None):
            self.refuse("kind", f"a layout of kind '{layout.kind}' has one table [{layout.kind}] and not the other")
        if layout.csv is not None:
            self._check_csv(layout.csv)
        if layout.json is not None:
            self._check_json(layout.json, index)
        return LoadedLayout(
            path=self.path, layout=layout, skeleton=skeleton, index=index, ignored=frozenset(layout.ignore_joints)
        )

    def _skeleton(self) -> Skeleton:
        name = self.layout.skeleton
        try:
            return catalog.skeleton(self.path.parent / name if name.endswith(".toml") else name)
        except KpkitError as error:
            self.refuse("skeleton", error.message, help=error.help)

    def _index(self, skeleton: Skeleton) -> dict[str, int]:
        """The joint behind each of the team's names."""
        layout = self.layout
        for key, names in (("joints", layout.joints.values()), ("absent_joints", layout.absent_joints)):
            for name in names:
                if name not in skeleton.keypoints:
                    self.refuse(
                        key, f"{skeleton.name} has no joint '{name}'", help=did_you_mean(name, skeleton.keypoints)
                    )
        renamed = list(layout.joints.values())
        for name in renamed:
            if renamed.count(name) > 1:
                self.refuse("joints", f"two names stand for '{name}'", expected="one name a joint")
        own = {name: name for name in skeleton.keypoints if name not in renamed}
        for name in layout.ignore_joints:
            if name in layout.joints:
                self.refuse("ignore_joints", f"'{name}' is both read and ignored")
        taken = {**own, **layout.joints}
        absent = {*layout.absent_joints}
        return {
            theirs: skeleton.index(ours)
            for theirs, ours in taken.items()
            if ours not in absent and theirs not in layout.ignore_joints
        }

    def _check_csv(self, table: CsvTable) -> None:
        wide = table.shape == "wide"
        for key, pattern in (("x", table.x), ("y", table.y), ("flag", table.flag)):
            if pattern is not None and (JOINT in pattern) != wide:
                expected = (
                    f"a column name with {JOINT}, e.g. '{JOINT}_{key}'" if wide else f"a column name without {JOINT}"
                )
                self.refuse(
                    f"csv.{key}", f"does not fit the {table.shape} shape", expected=expected, got=f"'{pattern}'"
                )
        if wide != (table.joint is None):
            self.refuse("csv.joint", "the column of joint names belongs to the long shape, and only to it")
        if table.delimiter == table.decimal or table.delimiter in '"\r\n.':
            self.refuse("csv.delimiter", "cannot be told from the numbers or the quotes", got=repr(table.delimiter))

    def _check_json(self, table: JsonTable, index: dict[str, int]) -> None:
        for key, text in _paths(table):
            path = self._path(f"json.{key}", text)
            if path.many != (key in {"images", "persons"}):
                expected = "a path with [] or {}" if not path.many else "a path to one value, without [] and {}"
                self.refuse(
                    f"json.{key}", "the path has the wrong number of values", expected=expected, got=f"'{text}'"
                )
        flat, listed = table.shape == "flat", table.shape in {"flat", "in_order"}
        needed = {"joint": table.shape == "named", "order": listed, "fields": flat, "x": not flat, "y": not flat}
        for key, wanted in needed.items():
            if wanted != (getattr(table, key) is not None):
                verb = "needs" if wanted else "has no"
                self.refuse(f"json.{key}", f"the shape '{table.shape}' {verb} '{key}'")
        if flat and table.flag is not None:
            self.refuse(
                "json.flag",
                "in the shape 'flat' the flag stands among the fields",
                expected='fields = ["x", "y", "flag"]',
            )
        if table.fields is not None:
            counts = [table.fields.count(name) for name in ("x", "y", "flag")]
            if counts[:2] != [1, 1] or counts[2] > 1:
                self.refuse("json.fields", "x and y stand once, flag at most once", got=", ".join(table.fields))
        if table.order is not None:
            self._check_order(table.order, index)

    def _check_order(self, order: Sequence[str], index: dict[str, int]) -> None:
        for name in order:
            if name not in index and name not in self.layout.ignore_joints:
                self.refuse("json.order", f"the joint '{name}' is not known", help=did_you_mean(name, index))
            if order.count(name) > 1:
                self.refuse("json.order", f"'{name}' stands twice")
        if missing := [name for name in index if name not in order]:
            self.refuse(
                "json.order",
                f"the joint '{missing[0]}' has no place",
                help="add it, or list it in absent_joints",
            )

    def _path(self, key: str, text: str) -> JsonPath:
        try:
            return parse_path(text)
        except ValueError as error:
            self.refuse(key, str(error), got=f"'{text}'", help="see docs/formats/layouts.md")


def _paths(table: JsonTable) -> Iterator[tuple[str, str]]:
    names = ("images", "persons", "image", "width", "height", "person", "joints", "joint", "x", "y", "flag", "box")
    for key in names:
        text: Any = getattr(table, key)
        if text is not None:
            yield key, text
