"""Augmented labels as groups: the source and its copies side by side, with masks of what is covered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kpkit.core.dataset import Dataset
from kpkit.errors import FormatError
from kpkit.qa.fiftyone_fields import copy_slice

ROWS = "augment.parquet"
# The labels stand in the augmented folder or one folder down.
ABOVE = 2


@dataclass
class Groups:
    """What an augmented folder says of its pictures.

    groups  row of an image -> (key of its group, slice); empty where pictures cannot be told apart by copy
    masks   row of an image -> PNG of what is covered
    """

    groups: dict[int, tuple[str, str]] = field(default_factory=dict)
    masks: dict[int, str] = field(default_factory=dict)


def groups_of(dataset: Dataset, labels: Path) -> Groups:
    """Groups and masks of labels that `kpkit augment` wrote; nothing for others.

    Raises FormatError where the rows beside the labels cannot be read.
    """
    file = _rows_near(labels)
    if file is None:
        return Groups()
    row_of = {path: row for row, path in enumerate(dataset.images.path.tolist())}
    found = Groups()
    copies: dict[int, tuple[str, str, int]] = {}
    for one in _read(file):
        row = row_of.get(one["image"])
        if row is None:
            continue
        copies[row] = (one["source_image"], str(one["source_instance_id"]), int(one["copy"]))
        if one["mask"] and (file.parent / one["mask"]).is_file():
            found.masks[row] = str((file.parent / one["mask"]).resolve())
    whole = {(source, copy) for source, _, copy in copies.values()}
    # Crops of several persons share picture and copy; there, a group is a person.
    crops = len(whole) < len(copies)
    grouped = {
        row: (f"{source}\n{person}" if crops else source, copy_slice(copy))
        for row, (source, person, copy) in copies.items()
    }
    if len(set(grouped.values())) == len(dataset.images) == len(grouped):
        found.groups = grouped
    return found


def _rows_near(labels: Path) -> Path | None:
    place = labels.absolute()
    folders = [place, *place.parents[:ABOVE]] if place.is_dir() else list(place.parents[:ABOVE])
    return next((folder / ROWS for folder in folders if (folder / ROWS).is_file()), None)


def _read(file: Path) -> Sequence[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = ["image", "source_image", "source_instance_id", "copy", "mask"]
    try:
        rows: list[dict[str, Any]] = pq.read_table(file, columns=columns).to_pylist()
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise FormatError(
            "the rows of an augmented dataset cannot be read",
            code="KP-VIEW-ROWS",
            place=str(file),
            got=str(error)[:200],
        ) from error
    return rows
