"""MPII's persons: points, head rectangle, scale and position, from the columns of `mpii_walk`.

Each function takes the columns and the extras it fills; `extras` maps "mpii.field" to a column [N] of objects:

    mpii.annolist_index, mpii.person_index   1-based entry of annolist and slot of its annorect
    mpii.scale            person scale, relative to 200 pixels      mpii.objpos   [x, y] as stored: 1-based pixels
    mpii.single_person    whether RELEASE.single_person names the slot
    mpii.visible_unknown  ids of the points whose is_visible is empty
    mpii.raw_xy           {id: [x, y]} as stored, and mpii.raw_head_box [x1, y1, x2, y2], only where the shift to
                          0-based pixels and back does not give the same bits
    mpii.other            {name: number, text, or None where empty}, the remaining fields of annorect
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core.report import Collector
from kpkit.errors import RecordError
from kpkit.formats.mat5_bulk import ABSENT, EMPTY, NUMBER, TEXT
from kpkit.formats.mpii_position import box_of, corners_of

Columns = dict[str, NDArray[Any]]

JOINTS = 16
HEAD_JOINTS = (8, 9)
POINT_FIELDS = ("id", "x", "y", "is_visible")
PERSON_FIELDS = ("x1", "y1", "x2", "y2", "scale", "objpos.x", "objpos.y")


def _place(columns: Columns, person: int, path: Path) -> str:
    row, slot = columns["person_row"][person] + 1, columns["person_slot"][person] + 1
    return f"{path}: annolist({row}).annorect({slot})"


def _said(value: float, kind: int) -> str:
    if kind == NUMBER:
        return f"{value:.15g}"
    if kind == TEXT:
        return repr(chr(int(value)))
    return {EMPTY: "nothing ([])", ABSENT: "no such field"}.get(kind, "no single number")


def joints(
    columns: Columns, path: Path, collector: Collector, extras: dict[str, Any]
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Coordinates [N,16,2] 0-based and visibility [N,16]; flags that were empty and inexact values go to the extras."""
    persons = len(columns["person_row"])
    values = columns["point_values"]
    person = columns["point_person"]
    ids, flags, unknown = _check_points(columns, path, collector)
    kept = _first_of_each(np.where(ids >= 0, person * JOINTS + ids, -1), columns, path, collector)
    kept &= ids >= 0
    person, ids, raw = person[kept], ids[kept], values[kept, 1:3]
    xy = np.full((persons, JOINTS, 2), np.nan)
    visibility = np.zeros((persons, JOINTS), np.uint8)
    xy[person, ids] = raw - 1
    visibility[person, ids] = flags[kept]
    unknown = unknown[kept]
    _per_person(extras, "mpii.visible_unknown", persons, person[unknown], ids[unknown].tolist())
    inexact = np.flatnonzero(((raw - 1) + 1 != raw).any(axis=1))
    if len(inexact):
        column = extras["mpii.raw_xy"] = np.empty(persons, object)
        for i in inexact.tolist():
            column[person[i]] = {**(column[person[i]] or {}), str(ids[i]): raw[i].tolist()}
    _note_unknown(collector, ids[unknown], path)
    return xy, visibility


def _check_points(
    columns: Columns, path: Path, collector: Collector
) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.bool_]]:
    """Ids [P] (-1 where the point is wrong), canonical flags [P], and where is_visible was empty [P]."""
    values, kinds = columns["point_values"], columns["point_kinds"]
    number = (kinds[:, :3] == NUMBER) & np.isfinite(values[:, :3])
    number[:, 0] &= np.isin(values[:, 0], np.arange(JOINTS))
    flag = np.where(kinds[:, 3] == TEXT, values[:, 3] - ord("0"), values[:, 3])
    unknown = (kinds[:, 3] == EMPTY) | (kinds[:, 3] == ABSENT)
    said = (kinds[:, 3] <= TEXT) & ((flag == 0) | (flag == 1))
    right = np.concatenate([number, (said | unknown)[:, None]], axis=1)
    expected = (f"a number from 0 to {JOINTS - 1}", "a finite number", "a finite number", "0, 1, '0', '1' or []")
    for point, field in np.argwhere(~right).tolist():
        where = f"annopoints.point({columns['point_index'][point] + 1}).{POINT_FIELDS[field]}"
        collector.error(
            RecordError(
                "a point of a person is wrong",
                code="KP-MPII-POINT",
                place=f"{_place(columns, columns['point_person'][point], path)}.{where}",
                expected=expected[field],
                got=_said(values[point, field], kinds[point, field]),
                help="correct the label",
            )
        )
    whole = right.all(axis=1)
    ids = np.where(whole, values[:, 0], -1).astype(np.int64)
    flags = np.where(unknown | (flag == 1), 2, 1).astype(np.uint8)
    return ids, flags, unknown


def _first_of_each(keys: NDArray[np.int64], columns: Columns, path: Path, collector: Collector) -> NDArray[np.bool_]:
    """True for the first point of each person and joint; every further one is an error. Keys below 0 do not count."""
    kept = np.zeros(len(keys), bool)
    kept[np.unique(keys, return_index=True)[1]] = True
    for point in np.flatnonzero(~kept & (keys >= 0)).tolist():
        collector.error(
            RecordError(
                "the person has this joint twice",
                code="KP-MPII-TWICE",
                place=f"{_place(columns, columns['point_person'][point], path)}"
                f".annopoints.point({columns['point_index'][point] + 1}).id",
                expected="each id once",
                got=_said(columns["point_values"][point, 0], NUMBER),
                help="remove one of the two points",
            )
        )
    return kept


def _note_unknown(collector: Collector, ids: NDArray[np.int64], path: Path) -> None:
    usual = np.isin(ids, HEAD_JOINTS)
    text = "is_visible is empty; read as visible"
    collector.issue("KP-MPII-VISIBLE-EMPTY", text, place=str(path), count=int(usual.sum()), severity="note")
    collector.issue(
        "KP-MPII-VISIBLE-EMPTY", text + " (on other joints than upper neck and head top)", count=int((~usual).sum())
    )


def persons(columns: Columns, path: Path, collector: Collector, extras: dict[str, Any]) -> NDArray[np.float64]:
    """head_box [N,4] 0-based x y w h; scale and objpos as stored go to the extras."""
    values, kinds = columns["person_values"], columns["person_kinds"]
    given = (kinds == NUMBER) & np.isfinite(values)
    missing = (kinds == EMPTY) | (kinds == ABSENT)
    wrong = ~given & ~missing
    # A rectangle or a position is there as a whole or not at all.
    for part in (slice(0, 4), slice(5, 7)):
        wrong[:, part] |= missing[:, part] & ~missing[:, part].all(axis=1, keepdims=True)
    for person, field in np.argwhere(wrong).tolist():
        collector.error(
            RecordError(
                "a field of a person is wrong",
                code="KP-MPII-PERSON",
                place=f"{_place(columns, person, path)}.{PERSON_FIELDS[field]}",
                expected="a finite number",
                got=_said(values[person, field], kinds[person, field]),
                help="correct the label",
            )
        )
    corners = np.where(given[:, :4].all(axis=1, keepdims=True), values[:, :4], np.nan)
    box = box_of(corners)
    again = corners_of(box)
    inexact = np.flatnonzero((again != corners).any(axis=1) & np.isfinite(corners[:, 0]))
    _per_row(extras, "mpii.raw_head_box", len(values), inexact, corners)
    scale = np.flatnonzero(given[:, 4])
    _per_row(extras, "mpii.scale", len(values), scale, values[:, 4])
    _per_row(extras, "mpii.objpos", len(values), np.flatnonzero(given[:, 5:].all(axis=1)), values[:, 5:])
    return box


def identity(columns: Columns, info: dict[str, Any], path: Path, collector: Collector, extras: dict[str, Any]) -> None:
    """Where each person stands in the file, and whether it counts as a single person."""
    extras["mpii.annolist_index"] = (columns["person_row"] + 1).astype(object)
    extras["mpii.person_index"] = (columns["person_slot"] + 1).astype(object)
    if info["single_person"] is None:
        return
    alone = {
        (row, int(slot) - 1)
        for row, slots in enumerate(info["single_person"])
        for slot in (slots if isinstance(slots, list) else [slots])
        if isinstance(slot, int | float) and slot == int(slot)
    }
    here = list(zip(columns["person_row"].tolist(), columns["person_slot"].tolist(), strict=True))
    extras["mpii.single_person"] = np.array([one in alone for one in here], object)
    collector.issue(
        "KP-MPII-SINGLE",
        "single_person names a slot that holds no person; it is dropped",
        place=str(path),
        count=len(alone - set(here)),
    )


def others(columns: Columns, info: dict[str, Any], extras: dict[str, Any]) -> None:
    """Fields of annorect beyond the usual ones (part_occ1, head_r11, ...), as a dict a person."""
    if not len(columns["other_person"]):
        return
    names, texts = info["other_names"], info["other_texts"]
    column = extras["mpii.other"] = np.empty(len(columns["person_row"]), object)
    rows = zip(*(columns[f"other_{name}"].tolist() for name in ("person", "name", "values", "kinds")), strict=True)
    for position, (person, name, value, kind) in enumerate(rows):
        if column[person] is None:
            column[person] = {}
        if kind == NUMBER:
            column[person][names[name]] = value
        else:
            column[person][names[name]] = chr(int(value)) if kind == TEXT else texts.get(str(position))


def _per_person(extras: dict[str, Any], name: str, persons: int, person: NDArray[Any], values: list[Any]) -> None:
    """An extras column of lists: all `values` of a person, in order; None where there is none."""
    if not values:
        return
    column = extras[name] = np.empty(persons, object)
    for index, value in zip(person.tolist(), values, strict=True):
        if column[index] is None:
            column[index] = []
        column[index].append(value)


def _per_row(extras: dict[str, Any], name: str, persons: int, rows: NDArray[Any], values: NDArray[np.float64]) -> None:
    """An extras column that has the value at `rows` and None elsewhere."""
    if not len(rows):
        return
    column = extras[name] = np.empty(persons, object)
    for row, value in zip(rows.tolist(), values[rows].tolist(), strict=True):
        column[row] = value
