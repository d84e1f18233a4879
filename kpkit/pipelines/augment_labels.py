"""Between the columns of a dataset and the labels of single images, before and after augmentation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.augment.spatial import Labels
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.pipelines.augment_fields import (
    SEGMENTATION,
    Fields,
    carried,
    emptied,
    lateral_of,
    move_fields,
    set_lateral,
)
from kpkit.pipelines.augment_task import Output

COLUMNS = ("xy", "visibility", "truncated", "bbox_xywh", "head_box", "area")


def labels_of(dataset: Dataset, rows: NDArray[np.int64], fields: Fields) -> Labels:
    """The labels of the selected persons."""
    return Labels(
        **{name: getattr(dataset, name)[rows] for name in COLUMNS},
        polygons=[fields.polygons[row] for row in rows.tolist()],
        lateral=lateral_of([fields.persons[row] for row in rows.tolist()]),
    )


@dataclass(frozen=True)
class Made:
    """One output picture, the source's row of its image, and the source's rows of the persons it shows."""

    output: Output
    source_image: int
    source_rows: list[int]


@dataclass
class Order:
    """What blocks of one output go on from: how many images and persons there are before, and names of extras."""

    images: int = 0
    persons: int = 0
    image_extras: dict[str, None] = field(default_factory=dict)
    person_extras: dict[str, None] = field(default_factory=dict)


def assemble(dataset: Dataset, made: list[Made], fields: Fields, order: Order, *, drop_empty: bool) -> Dataset:
    """The augmented dataset of a block, in the order of `made`; ids count on from those of the blocks before."""
    kept = [(m, i) for m in made for i in range(len(m.source_rows)) if not (drop_empty and _is_empty(m, i))]
    image_row = {id(m): row for row, m in enumerate(made)}
    rows = np.array([m.source_rows[i] for m, i in kept], np.int64)
    columns = {name: _stack(kept, name, dataset) for name in COLUMNS}
    instance_id = np.arange(1, len(kept) + 1) + order.persons
    for number, (m, i) in zip(instance_id.tolist(), kept, strict=True):
        object.__setattr__(m.output.rows[i], "instance_id", number)
    images = _images(dataset, made, fields, order)
    order.images, order.persons = order.images + len(made), order.persons + len(kept)
    return Dataset.build(
        skeleton=dataset.skeleton,
        images=images,
        image_index=np.array([image_row[id(m)] for m, _ in kept], np.int64),
        instance_id=instance_id,
        category_id=dataset.category_id[rows],
        bbox_source=np.where(np.isfinite(columns["bbox_xywh"]).all(axis=1), dataset.bbox_source[rows], 0),
        area_source=np.where(np.isfinite(columns["area"]), dataset.area_source[rows], 0),
        track_id=dataset.track_id[rows],
        score=dataset.score[rows],
        is_crowd=dataset.is_crowd[rows],
        extras=_extras([_person_fields(m, i, fields) for m, i in kept], order.person_extras),
        meta=dict(dataset.meta),
        provenance=(*dataset.provenance, {"step": "augment"}),
        source=emptied(dataset.source, len(kept), len(made)),
        **columns,
    )


def own_boxes(augmented: Dataset, made: list[Made], had: NDArray[np.bool_]) -> Dataset:
    """The augmented dataset with boxes only for those who had one in the source.

    had  [N] bool, by rows of the source's block
    """
    # Those who were dropped have no id.
    rows = [row for m in made for row, one in zip(m.source_rows, m.output.rows, strict=True) if one.instance_id != 0]
    mine = had[np.array(rows, np.int64)]
    box: NDArray[np.float64] = np.where(mine[:, None], augmented.bbox_xywh, np.nan)
    source = np.where(np.isfinite(box).all(axis=1), augmented.bbox_source, 0)
    return augmented.replace(bbox_xywh=box, bbox_source=source.astype(np.uint8))


def _is_empty(made: Made, person: int) -> bool:
    return not bool((made.output.labels.visibility[person] > 0).any())


def _stack(kept: list[tuple[Made, int]], name: str, dataset: Dataset) -> NDArray[Any]:
    column: NDArray[Any] = getattr(dataset, name)
    if not kept:
        return np.zeros((0, *column.shape[1:]), column.dtype)
    return np.stack([getattr(m.output.labels, name)[i] for m, i in kept]).astype(column.dtype, copy=False)


def _images(dataset: Dataset, made: list[Made], fields: Fields, order: Order) -> ImageTable:
    source = dataset.images
    extras = []
    for m in made:
        row = carried(fields.images[m.source_image])
        row["augment.source_image"] = str(source.path[m.source_image])
        row["augment.copy"] = m.output.copy
        if m.output.mask:
            row["augment.occlusion_mask"] = m.output.mask
        extras.append(row)
    return ImageTable.build(
        id=np.arange(1, len(made) + 1) + order.images,
        path=[m.output.image for m in made],
        width=[m.output.size_wh[0] for m in made],
        height=[m.output.size_wh[1] for m in made],
        split=[str(source.split[m.source_image]) for m in made],
        extras=_extras(extras, order.image_extras),
    )


def _person_fields(made: Made, person: int, fields: Fields) -> dict[str, Any]:
    """Extras of one output person: carried over, moved where a rule knows how, left out where none does."""
    output = made.output
    row = output.rows[person]
    kept = carried(fields.persons[made.source_rows[person]])
    move_fields(kept, np.array(row.matrix).reshape(2, 3), mirrored=row.mirrored)
    set_lateral(kept, output.labels.lateral, person)
    polygons = output.labels.polygons[person] if output.labels.polygons else []
    if polygons:
        kept[SEGMENTATION] = [np.round(p, 2).reshape(-1).tolist() for p in polygons if len(p)]
    elif output.regions and output.regions[person] is not None:
        kept[SEGMENTATION] = output.regions[person]
    if output.own_masks and output.own_masks[person] is not None:
        kept["augment.occlusion_mask"] = output.own_masks[person]
    if row.occluded_by:
        kept["augment.occluded_by"] = row.occluded_by
    return kept


def _extras(rows: list[dict[str, Any]], known: dict[str, None]) -> Mapping[str, list[Any]]:
    """Columns in the order in which rows name them first.

    known  names of the blocks before, to which these are added
    """
    names = dict.fromkeys(name for row in rows for name in row)
    known |= names
    return {name: [row.get(name) for row in rows] for name in known if name in names}
