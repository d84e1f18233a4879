"""Between the columns of a dataset and the labels of single images, before and after augmentation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.augment import geometry as geo
from kpkit.augment.shapes import decode_rle, encode_rle, move_mask
from kpkit.augment.spatial import Labels, Polygon
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.report import Collector
from kpkit.pipelines.augment_task import Output

# Fields whose numbers are pixels of the source picture, and that no rule here can move.
GEOMETRIC = frozenset(
    {"mpii.raw_xy", "mpii.raw_head_box", "mpii.unlabelled_xy", "yolo.unlabelled_xy", "six2.unlabelled_xy"}
    | {"mpii.rows", "mpii.person_index", "mpii.annolist_index", "mpii.visible_unknown"}
)
LATERAL = ("side", "coco.side", "six2.side")


@dataclass
class Fields:
    """Extras of the source's persons and images, by row: what its columns do not hold.

    persons, images  one dict a row    polygons  P lists of [n,2]    rle  row -> run lengths of a crowd or a mask
    """

    persons: list[dict[str, Any]]
    images: list[dict[str, Any]]
    polygons: list[list[Polygon]] = field(default_factory=list)
    rle: dict[int, dict[str, Any]] = field(default_factory=dict)


def fields_of(dataset: Dataset) -> Fields:
    """All extras, those of the source's raw rows included ("coco.segmentation", ...)."""
    persons: list[dict[str, Any]] = [{} for _ in range(len(dataset))]
    images: list[dict[str, Any]] = [{} for _ in range(len(dataset.images))]
    raw = getattr(dataset.source, "fields", None)
    if raw is not None:
        persons, images = raw()
    for rows, extras in ((persons, dataset.extras), (images, dataset.images.extras)):
        for name, column in extras.items():
            for row, value in zip(rows, column, strict=True):
                if value is not None:
                    row[name] = value
    found = Fields(persons, images, [[] for _ in persons])
    for i, row in enumerate(persons):
        segmentation = row.pop("coco.segmentation", None)
        if isinstance(segmentation, dict):
            found.rle[i] = segmentation
        elif isinstance(segmentation, list):
            found.polygons[i] = [np.reshape(np.asarray(p, np.float64), (-1, 2)) for p in segmentation if _is_polygon(p)]
            if not segmentation:
                row["coco.segmentation"] = []
    return found


def _is_polygon(values: Any) -> bool:
    return isinstance(values, list) and len(values) >= 6 and len(values) % 2 == 0


def labels_of(dataset: Dataset, rows: NDArray[np.int64], fields: Fields) -> Labels:
    """The labels of the selected persons."""
    return Labels(
        xy=dataset.xy[rows],
        visibility=dataset.visibility[rows],
        truncated=dataset.truncated[rows],
        bbox_xywh=dataset.bbox_xywh[rows],
        head_box=dataset.head_box[rows],
        area=dataset.area[rows],
        polygons=[fields.polygons[row] for row in rows.tolist()],
        lateral={
            name: values
            for name in LATERAL
            if any(values := [fields.persons[row].get(name) for row in rows.tolist()])
        },
    )


@dataclass(frozen=True)
class Made:
    """One output picture with the rows of the source dataset that it shows."""

    output: Output
    source_image: int
    source_rows: list[int]


def assemble(dataset: Dataset, made: list[Made], fields: Fields, collector: Collector, *, drop_empty: bool) -> Dataset:
    """The augmented dataset, in the order of `made`; ids count from 1 in that order."""
    kept = [(m, i) for m in made for i in range(len(m.source_rows)) if not (drop_empty and _is_empty(m, i))]
    image_row = {id(m): row for row, m in enumerate(made)}
    rows = np.array([m.source_rows[i] for m, i in kept], np.int64)
    columns = {
        name: _stack(kept, name, dataset) for name in ("xy", "visibility", "truncated", "bbox_xywh", "head_box", "area")
    }
    instance_id = np.arange(1, len(kept) + 1)
    for number, (m, i) in zip(instance_id.tolist(), kept, strict=True):
        object.__setattr__(m.output.rows[i], "instance_id", number)
    extras = _extras([_person_fields(m, i, fields) for m, i in kept])
    dropped = sum(len(m.source_rows) for m in made) - len(kept)
    collector.note("KP-AUGMENT-EMPTY", "persons without a labelled joint were dropped (--drop-empty)", count=dropped)
    return Dataset.build(
        skeleton=dataset.skeleton,
        images=_images(dataset, made, fields),
        image_index=np.array([image_row[id(m)] for m, _ in kept], np.int64),
        instance_id=instance_id,
        category_id=dataset.category_id[rows],
        bbox_source=np.where(np.isfinite(columns["bbox_xywh"]).all(axis=1), dataset.bbox_source[rows], 0),
        area_source=np.where(np.isfinite(columns["area"]), dataset.area_source[rows], 0),
        track_id=dataset.track_id[rows],
        score=dataset.score[rows],
        is_crowd=dataset.is_crowd[rows],
        extras=extras,
        meta=dict(dataset.meta),
        provenance=(*dataset.provenance, {"step": "augment"}),
        **columns,
    )


def _is_empty(made: Made, person: int) -> bool:
    return not bool((made.output.labels.visibility[person] > 0).any())


def _stack(kept: list[tuple[Made, int]], name: str, dataset: Dataset) -> NDArray[Any]:
    column: NDArray[Any] = getattr(dataset, name)
    if not kept:
        return np.zeros((0, *column.shape[1:]), column.dtype)
    return np.stack([getattr(m.output.labels, name)[i] for m, i in kept]).astype(column.dtype, copy=False)


def _images(dataset: Dataset, made: list[Made], fields: Fields) -> ImageTable:
    source = dataset.images
    extras = []
    for m in made:
        row = {name: value for name, value in fields.images[m.source_image].items() if name not in GEOMETRIC}
        row["augment.source_image"] = str(source.path[m.source_image])
        if m.output.rows:
            row["augment.copy"] = m.output.rows[0].copy
        if m.output.mask:
            row["augment.occlusion_mask"] = m.output.mask
        extras.append(row)
    return ImageTable.build(
        path=[m.output.image for m in made],
        width=[m.output.size_wh[0] for m in made],
        height=[m.output.size_wh[1] for m in made],
        split=[str(source.split[m.source_image]) for m in made],
        extras=_extras(extras),
    )


def _person_fields(made: Made, person: int, fields: Fields) -> dict[str, Any]:
    """Extras of one output person: carried over, moved where a rule knows how, dropped where none does."""
    source = made.source_rows[person]
    row, labels = made.output.rows[person], made.output.labels
    matrix = np.array(row.matrix).reshape(2, 3)
    kept = {name: value for name, value in fields.persons[source].items() if name not in GEOMETRIC}
    if "mpii.scale" in kept:
        kept["mpii.scale"] = float(kept["mpii.scale"]) * float(np.sqrt(geo.scale_of(matrix)))
    if kept.get("mpii.objpos") is not None:
        # Counted from 1 in the file.
        moved = geo.apply_points(matrix, np.asarray(kept["mpii.objpos"], np.float64) - 1.0) + 1.0
        kept["mpii.objpos"] = moved.tolist()
    for name, values in labels.lateral.items():
        if values[person] is not None:
            kept[name] = values[person]
    if labels.polygons and labels.polygons[person]:
        kept["coco.segmentation"] = [np.round(p, 2).reshape(-1).tolist() for p in labels.polygons[person] if len(p)]
    elif source in fields.rle:
        mask = decode_rle(fields.rle[source], f"instance row {source}: segmentation")
        kept["coco.segmentation"] = encode_rle(move_mask(matrix, mask, made.output.size_wh))
    if row.occluded_by:
        kept["augment.occluded_by"] = row.occluded_by
    return kept


def _extras(rows: list[dict[str, Any]]) -> Mapping[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}
