"""Fields of the source that are no canonical columns: which are carried over, which are moved, which are left out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.augment import geometry as geo
from kpkit.augment.spatial import Polygon
from kpkit.core.dataset import Dataset, Source
from kpkit.core.report import Loss
from kpkit.formats.jsonrows import MemoryRows, RowSource
from kpkit.pipelines.augment_masks import IMAGE_FIELDS, PERSON_FIELDS

# Pixels of the source picture, or places in the source file, that no rule here can move.
STUCK = frozenset({"mpii.raw_xy", "mpii.raw_head_box", "mpii.unlabelled_xy", "yolo.unlabelled_xy"})
PLACES = frozenset({"mpii.rows", "mpii.person_index", "mpii.annolist_index"})
# Names of fields in other people's COCO files that hold pixels (COCO-WholeBody, PoseTrack, DensePose, ...).
PIXELS = re.compile(
    r"(?:^|[_.])(?:bbox|box|boxes|kpts?|keypoints?|joints?|points?|polygons?|segmentation|contours?|cent(?:er|re)|"
    r"landmarks?|coords?|xy|ignore_regions|dp)(?:_|$)"
)
# Fields that name a side of the body, by the last part of their names; also inside "attributes".
SIDES = frozenset({"side", "handedness", "laterality", "body_side", "facing"})
SEGMENTATION = "coco.segmentation"
OURS = "augment."


@dataclass
class Fields:
    """Extras of the source's persons and images, by row: what its columns do not hold.

    persons, images  one dict a row    polygons  P lists of [n,2]    rle  row -> run lengths of a crowd or a mask
    bad_polygons     how many polygons have fewer than three corners, or an odd number of numbers
    """

    persons: list[dict[str, Any]]
    images: list[dict[str, Any]]
    polygons: list[list[Polygon]] = field(default_factory=list)
    rle: dict[int, dict[str, Any]] = field(default_factory=dict)
    bad_polygons: int = 0

    def add(self, more: Fields) -> None:
        """Those of other rows, which come behind."""
        self.rle |= {row + len(self.persons): runs for row, runs in more.rle.items()}
        self.persons += more.persons
        self.images += more.images
        self.polygons += more.polygons
        self.bad_polygons += more.bad_polygons


def fields_of(dataset: Dataset) -> Fields:
    """All extras, those of the source's raw rows included ("coco.segmentation", ...)."""
    return split_polygons(*rows_of(dataset))


def rows_of(dataset: Dataset) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The extras of each person and of each image."""
    persons: list[dict[str, Any]] = [{} for _ in range(len(dataset))]
    images: list[dict[str, Any]] = [{} for _ in range(len(dataset.images))]
    if isinstance(dataset.source, RowSource):
        persons, images = dataset.source.fields()
    for rows, extras in ((persons, dataset.extras), (images, dataset.images.extras)):
        for name, column in extras.items():
            for row, value in zip(rows, column, strict=True):
                if value is not None:
                    row[name] = value
    return persons, images


def split_polygons(persons: list[dict[str, Any]], images: list[dict[str, Any]]) -> Fields:
    """The extras, polygons and run lengths taken out of those of persons."""
    found = Fields(persons, images, [[] for _ in persons])
    for i, row in enumerate(persons):
        segmentation = row.get(SEGMENTATION)
        if isinstance(segmentation, dict):
            found.rle[i] = row.pop(SEGMENTATION)
        elif isinstance(segmentation, list) and segmentation:
            good = [np.reshape(np.asarray(p, np.float64), (-1, 2)) for p in segmentation if _is_polygon(p)]
            found.polygons[i] = good
            found.bad_polygons += len(segmentation) - len(good)
            del row[SEGMENTATION]
    return found


def _is_polygon(values: Any) -> bool:
    return (
        isinstance(values, list)
        and len(values) >= 6
        and len(values) % 2 == 0
        and all(isinstance(one, int | float) and not isinstance(one, bool) for one in values)
    )


def is_left_out(name: str, value: Any) -> bool:
    """Whether a field holds pixels of the source picture, or places in its file, and cannot be moved."""
    if name in STUCK or name in PLACES:
        return True
    return (
        name.startswith("coco.")
        and name != SEGMENTATION
        and PIXELS.search(name) is not None
        and isinstance(value, list | dict)
    )


def count_left_out(fields: Fields, counts: Counter[str]) -> None:
    """Add up, by name, what no output of the augmenter holds."""
    for row in (*fields.persons, *fields.images):
        for name, value in row.items():
            if is_left_out(name, value):
                counts[name] += 1


def field_losses(counts: Mapping[str, int], bad_polygons: int) -> list[Loss]:
    """What no output of the augmenter holds, named.

    counts  by name, of all persons and images
    """
    why = "holds pixels of the source picture, which are not moved"
    found = [
        Loss(name, count, "is a place in the source file" if name in PLACES else why)
        for name, count in sorted(counts.items())
    ]
    if bad_polygons:
        found.append(Loss(SEGMENTATION, bad_polygons, "a polygon without three corners"))
    return found


def carried(row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a source row that an output row keeps as they are.

    What an earlier augmentation wrote is left out: it is made anew, as are masks.
    """
    return {
        name: value
        for name, value in row.items()
        if not name.startswith(OURS)
        and name not in IMAGE_FIELDS
        and name not in PERSON_FIELDS
        and not is_left_out(name, value)
    }


def move_fields(row: dict[str, Any], matrix: NDArray[np.float64], *, mirrored: bool) -> None:
    """Bring MPII's scale and position after the picture, in place."""
    if row.get("mpii.scale") is not None:
        row["mpii.scale"] = float(row["mpii.scale"]) * float(np.sqrt(geo.scale_of(matrix)))
    if row.get("mpii.objpos") is not None:
        # Counted from 1 in the file.
        moved = geo.apply_points(matrix, np.asarray(row["mpii.objpos"], np.float64) - 1.0) + 1.0
        row["mpii.objpos"] = moved.tolist()
    if mirrored and row.get("mpii.visible_unknown"):
        # Ids of joints; pelvis, thorax, neck and head have no side.
        row["mpii.visible_unknown"] = [joint for joint in row["mpii.visible_unknown"] if 6 <= joint <= 9] or None


def lateral_of(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """The fields of persons that name a side: name -> values; "coco.attributes/side" for one inside a dict."""
    names = {name for row in rows for name in row if name.rsplit(".", 1)[-1].lower() in SIDES}
    names |= {
        f"{name}/{key}"
        for row in rows
        for name, value in row.items()
        if name.endswith(".attributes") and isinstance(value, dict)
        for key in value
        if str(key).lower() in SIDES
    }
    return {name: [_lateral(row, name) for row in rows] for name in sorted(names)}


def _lateral(row: dict[str, Any], name: str) -> Any:
    outer, _, inner = name.partition("/")
    value = row.get(outer)
    return value.get(inner) if inner and isinstance(value, dict) else value


def set_lateral(row: dict[str, Any], lateral: Mapping[str, list[Any]], person: int) -> None:
    """Put the moved sides back where `lateral_of` took them from."""
    for name, values in lateral.items():
        if values[person] is None:
            continue
        outer, _, inner = name.partition("/")
        row[outer] = {**row[outer], inner: values[person]} if inner else values[person]


def emptied(source: Source | None, persons: int, images: int) -> Source | None:
    """The source without its rows: what it says about the file as a whole (COCO's info, licenses, categories) stays."""
    if not isinstance(source, RowSource) or source.variant == "results":
        return None
    none: NDArray[np.int64] = np.zeros(0, np.int64)
    return replace(
        source,
        rows=MemoryRows(b"", ()),
        image_rows=MemoryRows(b"", ()),
        row_of=np.full(persons, -1, np.int64),
        image_row_of=np.full(images, -1, np.int64),
        columns={name: column[:0] for name, column in source.columns.items()},
        image_columns={name: column[:0] for name, column in source.image_columns.items()},
        image_of=none,
        ghosts=none,
        extras={},
        image_extras={},
    )
