"""MPII's nested MATLAB struct as flat columns: structure only, what the values mean is judged in `mpii_mat`.

Runs in a limited child process (`flatten`), or in-process on bytes (`walk`).

    person_row, person_slot        [N]    int32    0-based entry of annolist and slot in its annorect
    person_values, person_kinds    [N,7]           x1 y1 x2 y2 scale objpos.x objpos.y
    point_person, point_index      [P]    int32    row of the person, 0-based position in its `point`
    point_values, point_kinds      [P,4]           id x y is_visible
    other_person, other_name       [Q]    int32    every other field of annorect: row of the person, index of the name
    other_values, other_kinds      [Q]
    row_values, row_kinds          [R,3]           vididx frame_sec img_train, a row an entry of annolist
    row_slots                      [R]    int32    slots in annorect, empty ones included

`*_values` are float64, `*_kinds` uint8, both as in `mat5_bulk.Scalars`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.errors import FormatError, KpkitError
from kpkit.formats.mat5 import CELL, CHAR, FIRST_NUMBER, LAST_NUMBER, STRUCT, Fields, Variable, variables
from kpkit.formats.mat5_bulk import EMPTY, NUMBER, OTHER, Scalars
from kpkit.guard import read_bytes

Columns = dict[str, NDArray[Any]]
Cells = dict[str, int]

WANTED = frozenset({"RELEASE", "annolist"})
PERSON_NUMBERS = ("x1", "y1", "x2", "y2", "scale")
POINT_FIELDS = ("id", "x", "y", "is_visible")
ROW_NUMBERS = ("vididx", "frame_sec")
_PERSON = frozenset({*PERSON_NUMBERS, "objpos", "annopoints"})
_ROW = frozenset({*ROW_NUMBERS, "image", "annorect"})
_PLAIN = ("video_list", "version", "kpkit_split")
_RELEASE = frozenset({"annolist", "img_train", "single_person", "act", *_PLAIN})


def flatten(path: str) -> tuple[Columns, dict[str, Any]]:
    """Read a .mat file and walk it; see the module and `walk`. Errors name the file."""
    content = read_bytes(Path(path))
    try:
        return walk(content)
    except KpkitError as error:
        raise error.at(path) from None


def walk(data: bytes) -> tuple[Columns, dict[str, Any]]:
    """The columns of the module's docstring, and what is text:

    variant        "RELEASE" | "annolist"
    names          image names, or None where the file has none
    act            one dict an entry, or None         single_person  lists of 1-based slots, or None
    video_list, version, kpkit_split                  as stored, or None
    other_names    names that `other_name` points to  other_texts    {position: value} where a value is no scalar
    faults         [place, message, expected, got]    unread         variables and fields that were passed over

    Raises FormatError where the bytes are no MATLAB 5 file, are damaged, or hold no MPII labels.
    """
    found: dict[str, Variable | None] = dict(variables(data, WANTED))
    for name in ("RELEASE", "annolist"):
        variable = found.get(name)
        if variable is not None:
            walker = Walker(variable)
            columns, info = walker.release() if name == "RELEASE" else walker.bare()
            info["unread"] = sorted(set(found) - {name, ""}) + info["unread"]
            return columns, info
    raise FormatError(
        "the file holds no MPII labels",
        code="KP-MPII-NOT",
        expected="a variable RELEASE or annolist",
        got="variables " + ", ".join(name for name in found if name) if any(found) else "no variables",
    )


class Walker:
    """Walks one variable, `RELEASE` or `annolist`."""

    def __init__(self, variable: Variable) -> None:
        self.variable = variable
        self.end = len(variable.data)
        self.scalars = Scalars(variable)
        self.faults: list[list[str]] = []
        self.unread: set[str] = set()
        self.slots: list[tuple[int, int, Cells]] = []
        self.row_slots: list[int] = []
        self.other_names: list[str] = []
        self.other_texts: dict[str, Any] = {}

    def release(self) -> tuple[Columns, dict[str, Any]]:
        """The official file."""
        root = self._structs(0)
        if root is None or len(root) != 1 or "annolist" not in root[0]:
            raise FormatError("RELEASE is no struct with an annolist", code="KP-MPII-STRUCT")
        cells = root[0]
        self.unread.update(f"RELEASE.{name}" for name in cells if name not in _RELEASE)
        columns, info = self._annolist(cells["annolist"], "RELEASE")
        rows = len(columns["row_slots"])
        if "img_train" in cells:
            self._train(cells["img_train"], columns, rows)
        if "act" in cells:
            info["act"] = self._per_entry(cells["act"], "act", rows)
        if "single_person" in cells:
            info["single_person"] = self._per_entry(cells["single_person"], "single_person", rows)
        for name in _PLAIN:
            if name in cells:
                info[name] = self.variable.value(cells[name], self.end)
        return columns, info

    def bare(self) -> tuple[Columns, dict[str, Any]]:
        """An annolist without the RELEASE around it."""
        return self._annolist(0, "annolist")

    def _annolist(self, at: int, variant: str) -> tuple[Columns, dict[str, Any]]:
        entries = self._structs(at)
        if entries is None:
            raise FormatError("annolist is no struct array", code="KP-MPII-STRUCT", expected="one struct an image")
        names: list[str | None] = []
        for row, cells in enumerate(entries):
            names.append(self._name(row, cells))
            self._annorect(row, cells.get("annorect", -1))
            self.unread.update(f"annolist.{name}" for name in cells.keys() - _ROW)
        columns = self._persons()
        columns["row_slots"] = np.array(self.row_slots, np.int32)
        columns["row_values"], columns["row_kinds"] = self._table(
            np.array([[cells.get(name, -1) for name in ROW_NUMBERS] + [-1] for cells in entries], np.int64).reshape(
                -1, 3
            )
        )
        info = {
            "variant": variant,
            "names": names if any(name is not None for name in names) else None,
            **dict.fromkeys(("act", "single_person", *_PLAIN)),
            "other_names": self.other_names,
            "other_texts": self.other_texts,
            "faults": self.faults,
            "unread": sorted(self.unread),
        }
        return columns, info

    def _name(self, row: int, cells: Cells) -> str | None:
        if "image" not in cells:
            return None
        inner = self._structs(cells["image"])
        place = f"annolist({row + 1}).image"
        if inner is None or len(inner) != 1 or "name" not in inner[0]:
            self.faults.append([place, "the image has no name", "a struct with the field name", ""])
            return None
        matrix = self.variable.matrix(inner[0]["name"], self.end)
        text = self.variable.text(matrix) if matrix.kind == CHAR else None
        if not isinstance(text, str) or not text:
            self.faults.append([f"{place}.name", "the image has no name", "a row of characters", ""])
            return None
        return text

    def _annorect(self, row: int, at: int) -> None:
        slots = self._structs(at) if at >= 0 else []
        if slots is None:
            self.faults.append([f"annolist({row + 1}).annorect", "annorect is no struct", "a struct array or []", ""])
            slots = []
        self.row_slots.append(len(slots))
        self.slots.extend((row, slot, cells) for slot, cells in enumerate(slots))

    def _persons(self) -> Columns:
        """All slots that are not empty, with their points and other fields."""
        at = np.full((len(self.slots), 7), -1, np.int64)
        views: list[tuple[int, int, Fields]] = []
        positions: list[tuple[int, Fields]] = []
        others: list[tuple[int, str, int]] = []
        filled = np.zeros(len(self.slots), bool)
        for index, (row, slot, cells) in enumerate(self.slots):
            place = f"annolist({row + 1}).annorect({slot + 1})"
            at[index, :5] = [cells.get(name, -1) for name in PERSON_NUMBERS]
            filled[index] = self._objpos(index, cells, positions, place) | self._points(index, cells, views, place)
            if len(cells) > len(_PERSON) or not cells.keys() <= _PERSON:
                others.extend((index, name, cells[name]) for name in cells if name not in _PERSON)
        rows = np.array([index for index, _ in positions], np.int64)
        at[rows, 5:] = self.scalars.columns([view for _, view in positions], ("x", "y"))
        values, kinds = self._table(at)
        columns = self._others(others)
        filled |= (kinds < EMPTY).any(axis=1) | (kinds == OTHER).any(axis=1)
        filled[columns["other_person"][columns["other_kinds"] != EMPTY]] = True
        number = np.cumsum(filled) - 1
        kept = filled[columns["other_person"]]
        if not kept.all():
            self.other_texts = {str(int(kept[: int(k)].sum())): v for k, v in self.other_texts.items()}
            columns = {name: column[kept] for name, column in columns.items()}
        columns["other_person"] = number[columns["other_person"]].astype(np.int32)
        place_of = np.array([(row, slot) for row, slot, _ in self.slots], np.int32).reshape(-1, 2)[filled]
        columns |= {"person_row": place_of[:, 0], "person_slot": place_of[:, 1]}
        columns |= {"person_values": values[filled], "person_kinds": kinds[filled]}
        return columns | self._point_table(views, number)

    def _objpos(self, index: int, cells: Cells, views: list[tuple[int, Fields]], place: str) -> bool:
        """Note the view of a person's position: (slot index, view)."""
        if "objpos" not in cells:
            return False
        matrix = self.variable.matrix(cells["objpos"], self.end)
        if matrix.length == 0:
            return False
        if matrix.kind != STRUCT or matrix.length != 1:
            self.faults.append([f"{place}.objpos", "objpos is no struct of x and y", "one struct or []", ""])
        else:
            views.append((index, self.variable.fields(matrix)))
        return True

    def _points(self, index: int, cells: Cells, views: list[tuple[int, int, Fields]], place: str) -> bool:
        """Note the views of a person's points: (slot index, position of the first, view)."""
        if "annopoints" not in cells:
            return False
        inner = self._structs(cells["annopoints"])
        if inner is None or len(inner) > 1:
            self.faults.append([f"{place}.annopoints", "annopoints is no struct", "one struct or []", ""])
        elif inner and "point" in inner[0]:
            matrix = self.variable.matrix(inner[0]["point"], self.end)
            if matrix.kind == STRUCT:
                views.append((index, 0, self.variable.fields(matrix)))
            elif matrix.kind == CELL:
                found = self.variable.offsets(matrix.body, matrix.end, matrix.length)
                for position, one in enumerate(found):
                    views.append((index, position, self.variable.fields(self._point(one, place, position))))
            elif matrix.length:
                self.faults.append([f"{place}.annopoints.point", "point is no struct", "a struct array or []", ""])
        return bool(inner)

    def _point(self, at: int, place: str, position: int) -> Any:
        matrix = self.variable.matrix(at, self.end)
        if matrix.kind != STRUCT or matrix.length != 1:
            where = f"{place}.annopoints.point({position + 1})"
            raise FormatError(
                "a point is no struct", code="KP-MPII-STRUCT", place=where, expected="id, x, y, is_visible"
            )
        return matrix

    def _point_table(self, views: list[tuple[int, int, Fields]], number: NDArray[np.int64]) -> Columns:
        values, kinds = self._table(self.scalars.columns([view for _, _, view in views], POINT_FIELDS))
        lengths = np.array([view.length for _, _, view in views], np.int64)
        first = np.array([position for _, position, _ in views], np.int64)
        person = number[np.array([index for index, _, _ in views], np.int64)]
        within = np.arange(len(values)) - np.repeat(np.cumsum(lengths) - lengths - first, lengths)
        return {
            "point_person": np.repeat(person, lengths).astype(np.int32),
            "point_index": within.astype(np.int32),
            "point_values": values,
            "point_kinds": kinds,
        }

    def _others(self, others: list[tuple[int, str, int]]) -> Columns:
        names = sorted({name for _, name, _ in others})
        code = {name: number for number, name in enumerate(names)}
        at = np.array([one[2] for one in others], np.int64)
        values, kinds = self.scalars.decode(at)
        self.other_names = names
        self.other_texts = {str(i): self.variable.value(int(at[i]), self.end) for i in np.flatnonzero(kinds == OTHER)}
        return {
            "other_person": np.array([one[0] for one in others], np.int32),
            "other_name": np.array([code[one[1]] for one in others], np.int32),
            "other_values": values,
            "other_kinds": kinds,
        }

    def _train(self, at: int, columns: Columns, rows: int) -> None:
        matrix = self.variable.matrix(at, self.end)
        if matrix.length != rows or not FIRST_NUMBER <= matrix.kind <= LAST_NUMBER:
            raise _mismatch("img_train", rows, matrix.length)
        columns["row_values"][:, 2] = self.variable.numbers(matrix)
        columns["row_kinds"][:, 2] = NUMBER

    def _per_entry(self, at: int, name: str, rows: int) -> list[Any]:
        """A struct or cell array with one element an entry of annolist, as plain data."""
        matrix = self.variable.matrix(at, self.end)
        found = self.variable.value(at, self.end) or []
        # One struct comes as the struct itself; one cell comes as a list already.
        listed = [found] if matrix.kind == STRUCT and matrix.length == 1 else found
        if not isinstance(listed, list) or len(listed) != rows:
            raise _mismatch(name, rows, matrix.length)
        return listed

    def _structs(self, at: int) -> list[Cells] | None:
        """The structs of a struct array, or of a cell of structs; [] where empty; None for anything else."""
        matrix = self.variable.matrix(at, self.end)
        if matrix.length == 0:
            return []
        if matrix.kind == CELL:
            inner = [self._structs(one) for one in self.variable.offsets(matrix.body, matrix.end, matrix.length)]
            # An empty cell among structs is an empty entry: it keeps its place.
            return None if None in inner else [cells for one in inner for cells in (one or [{}])]
        if matrix.kind != STRUCT:
            return None
        view = self.variable.fields(matrix)
        step = len(view.names)
        found = self.variable.offsets(view.start, view.end, view.length * step)
        return [dict(zip(view.names, found[i * step : (i + 1) * step], strict=True)) for i in range(view.length)]

    def _table(self, at: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        values, kinds = self.scalars.decode(at.reshape(-1))
        return values.reshape(at.shape), kinds.reshape(at.shape)


def _mismatch(name: str, rows: int, got: int) -> FormatError:
    return FormatError(
        f"RELEASE.{name} does not fit annolist", code="KP-MPII-COUNT", expected=f"{rows} elements", got=str(got)
    )
