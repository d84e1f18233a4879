"""Writes MPII's RELEASE struct in the layout of the official file.

Entries of annolist and slots of annorect stand where they stood in the file the labels came from, as long as every
image and person still says where that was; otherwise there is one entry an image, and its persons follow each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector
from kpkit.formats.mat5_write import EMPTY, cell, number, numbers, save, structs, text
from kpkit.formats.mpii_images import OWN_SPLITS, SPLITS
from kpkit.formats.mpii_position import head_corners, one_based, positions

_RECT = ("x1", "y1", "x2", "y2", "annopoints", "scale", "objpos")
_POINT = ("x", "y", "id", "is_visible")
_ENTRY = ("image", "annorect", "frame_sec", "vididx")


@dataclass
class Entry:
    """One entry of annolist: row of its image, and for each slot of annorect the row of its person, or -1."""

    image: int
    slots: list[int]


def write_mat(dataset: Dataset, path: Path, collector: Collector) -> None:
    """Write one file with the variable RELEASE. Crowd regions are left out."""
    entries = _entries(dataset, collector)
    rects = _rects(dataset, collector)
    extras = dataset.images.extras
    annolist = []
    for entry in entries:
        fields = [_extra(extras, name, entry.image) for name in ("mpii.frame_sec", "mpii.vididx")]
        name = structs(("name",), [(text(str(dataset.images.path[entry.image])),)])
        annolist.append((name, _annorect(entry, rects), *(EMPTY if v is None else number(v) for v in fields)))
    release = {"annolist": structs(_ENTRY, annolist)}
    release |= _splits(dataset, entries)
    if "version" in _meta(dataset):
        release["version"] = pack(_meta(dataset)["version"])
    if "mpii.single_person" in dataset.extras:
        alone = dataset.extras["mpii.single_person"]
        listed = [[slot + 1 for slot, row in enumerate(one.slots) if row >= 0 and alone[row]] for one in entries]
        release["single_person"] = cell([numbers(slots, column=True) for slots in listed], column=True)
    if "mpii.act" in extras:
        release["act"] = _acts([_extra(extras, "mpii.act", entry.image) or {} for entry in entries])
    if "video_list" in _meta(dataset):
        videos = _meta(dataset)["video_list"]
        release["video_list"] = pack(videos if isinstance(videos, list) else [videos])
    save(path, "RELEASE", structs(list(release), [list(release.values())]))


def pack(value: Any) -> bytes:
    """Plain data as `mat5.Variable.value` gives it, packed: None, number, text, list, dict."""
    if value is None:
        return EMPTY
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        return structs(list(value), [[pack(one) for one in value.values()]])
    if isinstance(value, list):
        if all(isinstance(one, int | float) for one in value):
            return numbers(value)
        return cell([pack(one) for one in value])
    return number(float(value))


def _meta(dataset: Dataset) -> dict[str, Any]:
    return {name.removeprefix("mpii."): value for name, value in dataset.meta.items() if name.startswith("mpii.")}


def _extra(extras: Any, name: str, row: int) -> Any:
    column = extras.get(name)
    return None if column is None else column[row]


def _entries(dataset: Dataset, collector: Collector) -> list[Entry]:
    kept = np.flatnonzero(~dataset.is_crowd).tolist()
    found = _as_before(dataset, kept)
    if found is not None:
        return found
    if "mpii.rows" in dataset.images.extras:
        collector.note("KP-MPII-RENUMBERED", "entries of annolist are numbered anew", count=len(dataset.images))
    fresh = [Entry(image, []) for image in range(len(dataset.images))]
    for row in kept:
        fresh[dataset.image_index[row]].slots.append(row)
    return fresh


def _as_before(dataset: Dataset, kept: list[int]) -> list[Entry] | None:
    """The entries as the source had them, or None where that is no longer known for all."""
    rows = dataset.images.extras.get("mpii.rows")
    index, slot = (dataset.extras.get(f"mpii.{name}_index") for name in ("annolist", "person"))
    if rows is None or any(value is None for value in rows) or (kept and (index is None or slot is None)):
        return None
    places = {entry: Entry(image, [-1] * slots) for image, listed in enumerate(rows) for entry, slots in listed}
    if sorted(places) != list(range(1, len(places) + 1)) or len(places) != sum(len(listed) for listed in rows):
        return None
    for row in kept:
        entry = None if index is None else places.get(index[row])
        at = 0 if slot is None or slot[row] is None else slot[row]
        if entry is None or entry.image != dataset.image_index[row] or not 0 < at <= len(entry.slots):
            return None
        if entry.slots[at - 1] >= 0:
            return None
        entry.slots[at - 1] = row
    return [places[entry] for entry in sorted(places)]


def _rects(dataset: Dataset, collector: Collector) -> list[dict[str, bytes]]:
    """The packed fields of every person's annorect."""
    rows = np.arange(len(dataset), dtype=np.int64)
    scale, centre = positions(dataset, rows, collector)
    heads, points = head_corners(dataset, rows).tolist(), one_based(dataset, rows).tolist()
    flags = dataset.visibility.tolist()
    unknown, other = (dataset.extras.get(f"mpii.{name}") for name in ("visible_unknown", "other"))
    rects = []
    for row, (head, size, at) in enumerate(zip(heads, scale.tolist(), centre.tolist(), strict=True)):
        rect: dict[str, bytes] = {}
        if head[0] == head[0]:
            rect |= {name: number(value) for name, value in zip(_RECT[:4], head, strict=True)}
        if any(flags[row]):
            rect["annopoints"] = _points(points[row], flags[row], unknown[row] if unknown is not None else None)
        if size == size:
            rect["scale"] = number(size)
        if at[0] == at[0]:
            rect["objpos"] = structs(("x", "y"), [(number(at[0]), number(at[1]))])
        rest = other[row] if other is not None else None
        rect |= {name: pack(value) for name, value in (rest or {}).items()}
        if all(value == EMPTY for value in rect.values()):
            # A slot of nothing but [] is no person.
            rect["annopoints"] = structs(("point",), [(EMPTY,)])
        rects.append(rect)
    return rects


def _points(points: list[list[float]], flags: list[int], unknown: list[int] | None) -> bytes:
    rows = []
    for joint, flag in enumerate(flags):
        if flag:
            seen = EMPTY if flag == 2 and unknown and joint in unknown else number(float(flag - 1))
            rows.append((number(points[joint][0]), number(points[joint][1]), number(float(joint)), seen))
    return structs(("point",), [(structs(_POINT, rows),)])


def _annorect(entry: Entry, rects: list[dict[str, bytes]]) -> bytes:
    if not entry.slots:
        return EMPTY
    filled = [rects[row] if row >= 0 else {} for row in entry.slots]
    names = dict.fromkeys([*_RECT, *(name for rect in filled for name in rect)])
    return structs(list(names), [[rect.get(name, EMPTY) for name in names] for rect in filled])


def _splits(dataset: Dataset, entries: list[Entry]) -> dict[str, bytes]:
    """img_train where any image says its split, and beside it all splits by name where they are more than two."""
    splits = [str(dataset.images.split[entry.image]) for entry in entries]
    if not any(splits):
        return {}
    code = {split: value for value, split in SPLITS.items()}
    fields = {"img_train": numbers([code.get(split, 1.0) for split in splits])}
    if not set(splits) <= set(code):
        fields[OWN_SPLITS] = cell([text(split) for split in splits])
    return fields


def _acts(acts: list[dict[str, Any]]) -> bytes:
    names = dict.fromkeys([*("cat_name", "act_name", "act_id"), *(name for act in acts for name in act)])
    return structs(list(names), [[pack(act.get(name)) for name in names] for act in acts], column=True)
