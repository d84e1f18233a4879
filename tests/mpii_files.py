"""Small MPII files for tests. scipy writes the .mat files, so that our own writer does not vouch for our reader."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector
from kpkit.formats.base import ReadOptions, WriteOptions
from kpkit.formats.mpii import MpiiFormat
from kpkit.formats.mpii_mat import assemble
from kpkit.formats.mpii_walk import walk

EMPTY = np.empty((0, 0))


def structs(rows: Sequence[dict[str, Any]], names: Sequence[str] | None = None) -> np.ndarray:
    """A 1 x n struct array; fields that a row lacks are []."""
    fields = list(dict.fromkeys(names or [name for row in rows for name in row]))
    found = np.empty((1, len(rows)), dtype=[(name, object) for name in fields])
    for column, row in enumerate(rows):
        for name in fields:
            found[0, column][name] = row.get(name, EMPTY)
    return found


def point(id: Any, x: Any = 10, y: Any = 20, is_visible: Any = 1, **more: Any) -> dict[str, Any]:
    """One annotated joint, 1-based."""
    return {"x": x, "y": y, "id": id, "is_visible": is_visible, **more}


def points(*rows: dict[str, Any]) -> np.ndarray:
    """The annopoints of a person."""
    return structs([{"point": structs(rows)}])


def rect(*joints: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A person with head rectangle, scale and position; `fields` replace or add."""
    row: dict[str, Any] = {"x1": 100, "y1": 50, "x2": 130, "y2": 90}
    row["annopoints"] = points(*(joints or (point(0), point(9, 200, 7, 0))))
    row |= {"scale": 2.5, "objpos": structs([{"x": 150, "y": 140}])}
    return {**row, **fields}


def entry(name: str | None, *rects: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """One entry of annolist."""
    image = {} if name is None else {"image": structs([{"name": name}])}
    return {**image, "annorect": structs(rects) if rects else EMPTY, **fields}


def save(path: Path, *entries: dict[str, Any], bare: bool = False, **release: Any) -> Path:
    """A RELEASE with these entries, or the annolist alone."""
    annolist = structs(entries)
    variable = {"annolist": annolist} if bare else {"RELEASE": structs([{"annolist": annolist, **release}])}
    scipy.io.savemat(path, variable, do_compression=True)
    return path


def person(image: str = "a.jpg", *, labelled: Sequence[int] = range(16), **fields: Any) -> dict[str, Any]:
    """One record of HRNet's json, joint k at (10.5 + k, 20 + 2k)."""
    flags = [int(k in labelled) for k in range(16)]
    joints = [[10.5 + k, 20.0 + 2 * k] if flags[k] else [-1.0, -1.0] for k in range(16)]
    record = {"joints_vis": flags, "joints": joints, "image": image, "scale": 1.25, "center": [50.0, 60.0]}
    return {**record, **fields}


def save_json(path: Path, *persons: Any) -> Path:
    """A file of these records, spelled as Python does."""
    path.write_text(json.dumps(list(persons)), encoding="utf-8")
    return path


def read(path: Path, collector: Collector | None = None, **options: Any) -> Dataset:
    """Read with the format under test."""
    return MpiiFormat().read(path, ReadOptions(**options), collector or Collector())


def read_here(path: Path, collector: Collector | None = None, **options: Any) -> Dataset:
    """Read a .mat in this process, without the child that guards the real reader and takes most of a test's time."""
    columns, info = walk(path.read_bytes())
    return assemble(columns, info, path, ReadOptions(**options), collector or Collector())


def write(dataset: Dataset, path: Path, collector: Collector | None = None) -> Path:
    """Write with the format under test; the name's ending chooses the variant."""
    MpiiFormat().write(dataset, path, WriteOptions(final=path), collector or Collector())
    return path


def issues(collector: Collector) -> dict[str, int]:
    """How often each code was noted."""
    found: dict[str, int] = {}
    for issue in collector.issues:
        found[issue.code] = found.get(issue.code, 0) + issue.count
    return found
