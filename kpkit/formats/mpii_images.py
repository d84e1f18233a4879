"""MPII's images: entries of annolist that name the same image are one image."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import ImageTable
from kpkit.core.report import Collector
from kpkit.errors import RecordError
from kpkit.formats.base import Size
from kpkit.formats.mat5_bulk import ABSENT, EMPTY, NUMBER
from kpkit.guard import contained

PROBED = 20
SPLITS = {0.0: "test", 1.0: "train"}
OWN_SPLITS = "kpkit_split"  # a field of RELEASE that only kpkit writes: names of splits beyond these two


def image_root(path: Path, images: Sequence[str]) -> str | None:
    """The folder `images` beside the labels or beside their folder, if one of the first images is there."""
    for folder in (path.parent / "images", path.parent.parent / "images"):
        # Not Path.is_file, which raises for a name that no file system takes.
        if any(os.path.isfile(folder / one) for one in images[:PROBED]):
            return str(folder)
    return None


def unique_images(
    names: Sequence[str | None], places: str, collector: Collector, *, base: int = 1
) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    """Paths of the images in order of appearance, the image of each name [R] and the first row of each image [M].

    `places` is a template with `{}` for the row, counted from `base`. A name that leads outside the dataset is a
    RecordError.
    """
    index: dict[str, int] = {}
    first: list[int] = []
    of_row = np.empty(len(names), np.int64)
    checked: dict[str, str] = {}
    for row, name in enumerate(names):
        if name is None or name not in checked:
            path = _path(row + base, name, places, collector)
            if name is not None:
                checked[name] = path
        else:
            path = checked[name]
        if path not in index:
            index[path] = len(index)
            first.append(row)
        of_row[row] = index[path]
    return list(index), of_row, np.array(first, np.int64)


def _path(number: int, name: str | None, places: str, collector: Collector) -> str:
    stand_in = f"unnamed-{number}"
    if name is None:  # the fault is known to the collector already
        return stand_in
    try:
        if not name:
            raise RecordError("the image has no name", code="KP-MPII-NAME", place=places.format(number))
        return contained(name, place=places.format(number))
    except RecordError as error:
        collector.error(error)
        return stand_in


def image_table(
    names: Sequence[str | None],
    columns: Mapping[str, NDArray[Any]],
    info: Mapping[str, Any],
    sizes: Mapping[str, Size],
    path: Path,
    collector: Collector,
) -> tuple[ImageTable, NDArray[np.int64]]:
    """The images of a .mat file, and the image of each entry of annolist [R].

    extras  mpii.rows       [[entry, slots], ...]: 1-based entries of the image, slots of annorect with the empty ones
            mpii.vididx, mpii.frame_sec   numbers    mpii.act   dict of act_name, cat_name, act_id
    """
    paths, of_row, first = unique_images(names, f"{path}: annolist({{}}).image.name", collector)
    fields = {
        "split": _named_splits(info[OWN_SPLITS], len(names)) or _splits(columns, path, collector),
        "mpii.vididx": _numbers(columns, 0, "vididx", path, collector),
        "mpii.frame_sec": _numbers(columns, 1, "frame_sec", path, collector),
        "mpii.act": info["act"],
    }
    _check_agreement(fields, of_row, first, path, collector)
    picked = {name: [values[row] for row in first] for name, values in fields.items() if values is not None}
    rows: list[list[list[int]]] = [[] for _ in paths]
    for row, slots in enumerate(columns["row_slots"].tolist()):
        rows[of_row[row]].append([row + 1, slots])
    people = np.bincount(columns["person_row"], minlength=len(names))
    empty = int((columns["row_slots"] - people).sum())
    collector.note(
        "KP-MPII-EMPTY-SLOT", "slots of annorect that hold nothing; no persons", place=str(path), count=empty
    )
    known = [sizes.get(one, (-1, -1)) for one in paths]
    table = ImageTable.build(
        path=paths,
        width=[size[0] for size in known],
        height=[size[1] for size in known],
        split=picked.pop("split"),
        extras={
            "mpii.rows": rows,
            **{name: values for name, values in picked.items() if any(value is not None for value in values)},
        },
    )
    return table, of_row


def _named_splits(stored: Any, rows: int) -> list[str]:
    """The splits by name, [] where there are none that fit. MATLAB's empty text is ""."""
    if not isinstance(stored, list) or len(stored) != rows:
        return []
    return [one if isinstance(one, str) else "" for one in stored]


def _splits(columns: Mapping[str, NDArray[Any]], path: Path, collector: Collector) -> list[str]:
    found = []
    values, kinds = columns["row_values"][:, 2].tolist(), columns["row_kinds"][:, 2].tolist()
    for row, (value, kind) in enumerate(zip(values, kinds, strict=True)):
        if kind == NUMBER and value not in SPLITS:
            place = f"{path}: img_train({row + 1})"
            collector.error(
                RecordError(
                    "img_train is wrong", code="KP-MPII-SPLIT", place=place, expected="0 or 1", got=f"{value:.15g}"
                )
            )
        found.append(SPLITS.get(value, "") if kind == NUMBER else "")
    return found


def _numbers(
    columns: Mapping[str, NDArray[Any]], column: int, name: str, path: Path, collector: Collector
) -> list[float | int | None]:
    found: list[float | int | None] = []
    values, kinds = columns["row_values"][:, column].tolist(), columns["row_kinds"][:, column].tolist()
    for row, (value, kind) in enumerate(zip(values, kinds, strict=True)):
        if kind not in (NUMBER, EMPTY, ABSENT) or (kind == NUMBER and not np.isfinite(value)):
            place = f"{path}: annolist({row + 1}).{name}"
            collector.error(
                RecordError(f"{name} is wrong", code="KP-MPII-FIELD", place=place, expected="a finite number or []")
            )
            kind = ABSENT
        found.append((int(value) if value == int(value) else value) if kind == NUMBER else None)
    return found


def _check_agreement(
    fields: Mapping[str, Sequence[Any] | None],
    of_row: NDArray[np.int64],
    first: NDArray[np.int64],
    path: Path,
    collector: Collector,
) -> None:
    repeated = np.flatnonzero(first[of_row] != np.arange(len(of_row)))
    for name, values in fields.items():
        if values is None:
            continue
        wrong = [row for row in repeated.tolist() if values[row] != values[first[of_row[row]]]]
        collector.issue(
            "KP-MPII-ROWS-DISAGREE",
            f"entries of one image disagree on {name}; the first one counts",
            count=len(wrong),
            places=[f"{path}: annolist({row + 1})" for row in wrong[: collector.places_kept]],
        )
