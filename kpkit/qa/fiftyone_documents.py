"""Labels as the documents FiftyOne stores, made column-wise and inserted in bulk.

FiftyOne's own way makes an object with a dozen checks for every label, then a document of it. Here the documents are
made at once, in the shape that the installed FiftyOne gives to an example of each label, so that another version's
fields are there, too.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset
from kpkit.qa.fiftyone_fields import (
    BOXES,
    EXACT,
    EXACT_VERSION,
    GROUP,
    HEAT,
    HIDDEN,
    MASK,
    OCCLUDED,
    POINTS,
    TAGS_EXTRA,
    words,
)

Document = dict[str, Any]
TRUNCATED_BIT = 4


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Labels and what is shown with them.

    dataset      all sizes of images known (see `sizes`)
    files        [M] absolute paths of the pictures
    sizes        [M,2] float64  width and height; NaN: the image cannot be shown
    person_tags  row of an instance -> tags (findings)      image_tags  row of an image -> tags
    masks        row of an image -> PNG of what is covered     heatmaps  row of an image -> [h,w] uint8
    groups       row of an image -> (key of its group, slice); empty where images stand alone
    """

    dataset: Dataset
    files: Sequence[str]
    sizes: NDArray[np.float64]
    person_tags: Mapping[int, list[str]] = field(default_factory=dict)
    image_tags: Mapping[int, list[str]] = field(default_factory=dict)
    masks: Mapping[int, str] = field(default_factory=dict)
    heatmaps: Mapping[int, NDArray[np.uint8]] = field(default_factory=dict)
    groups: Mapping[int, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Shapes:
    """Example documents of the installed FiftyOne: what every sample and label has beside our values."""

    sample: Document
    point: Document
    box: Document
    heatmap: Callable[[NDArray[np.uint8]], Document]
    has_instances: bool


def shapes(fiftyone: Any, dataset: Any, file: str, slice_name: str = "") -> Shapes:
    """Let FiftyOne store one sample, keep the form of its document, and take the sample out again.

    This also sets the dataset's media type (of the slice, in a dataset of groups).
    """
    sample = fiftyone.Sample(filepath=file, metadata=fiftyone.ImageMetadata(width=1, height=1))
    if slice_name:
        sample[GROUP] = fiftyone.Group().element(slice_name)
    dataset.add_sample(sample)
    collection = dataset._sample_collection  # no public way to store documents in bulk
    document = collection.find_one({"_id": sample._id})
    collection.delete_one({"_id": sample._id})
    labels = {"label": "person", "tags": []}
    return Shapes(
        sample=document,
        point=_bare(fiftyone.Keypoint(points=[], **labels)),
        box=_bare(fiftyone.Detection(bounding_box=[], **labels)),
        heatmap=lambda values: _bare(fiftyone.Heatmap(map=values, range=[0, 255])),
        has_instances=hasattr(fiftyone, "Instance"),
    )


def _bare(label: Any) -> Document:
    document = dict(label.to_mongo().to_dict()) if hasattr(label, "to_mongo") else dict(label.to_dict())
    document.pop("_id", None)
    return document


def documents(shown: Shown, shapes: Shapes) -> Iterator[Document]:
    """One document an image that can be shown, in the order of the images."""
    from bson import ObjectId

    maker = _Maker(shown, shapes, ObjectId)
    group_ids: dict[str, Any] = {}
    for image in np.flatnonzero(np.isfinite(shown.sizes).all(axis=1)).tolist():
        document = maker.sample(image)
        if shown.groups:
            key, slice_name = shown.groups[image]
            group = group_ids.setdefault(key, ObjectId())
            document[GROUP] = {"_id": group, "_cls": "Group", "name": slice_name}
        yield document


def instance_rows(dataset: Dataset) -> list[list[int]]:
    """Rows of the instances of each image, in order."""
    order = np.argsort(dataset.image_index, kind="stable")
    counts = np.bincount(dataset.image_index, minlength=len(dataset.images))
    return [part.tolist() for part in np.split(order, np.cumsum(counts)[:-1])] if len(counts) else []


class _Maker:
    """Columns turned into lists once, and the loop over images and persons."""

    def __init__(self, shown: Shown, shapes: Shapes, new_id: Any) -> None:
        dataset = shown.dataset
        self.shown, self.shapes, self.new_id = shown, shapes, new_id
        self.rows = instance_rows(dataset)
        scale = shown.sizes[dataset.image_index]
        self.points: list[list[list[float]]] = (dataset.xy / scale[:, None, :]).tolist()
        hidden = np.where((dataset.visibility == 1)[..., None], dataset.xy, np.nan)
        self.hidden = (hidden / scale[:, None, :]).tolist()
        self.words: list[list[str]] = words(dataset.visibility, dataset.truncated)
        self.boxes = (dataset.bbox_xywh / np.concatenate([scale, scale], axis=1)).tolist()
        self.has_box = [all(map(math.isfinite, box)) for box in dataset.bbox_xywh.tolist()]
        labelled = np.count_nonzero(dataset.visibility > 0, axis=1)
        occluded = np.count_nonzero(dataset.visibility == 1, axis=1)
        self.labelled: list[int] = labelled.tolist()
        self.any_hidden = [count > 0 for count in occluded.tolist()]
        self.share = (occluded / np.maximum(labelled, 1)).tolist()
        self.crowd: list[bool] = dataset.is_crowd.tolist()
        self.area = [float(value) if np.isfinite(value) else None for value in dataset.area]
        self.ids = dataset.instance_id.tolist()
        self.flags: NDArray[np.uint8] = dataset.visibility + TRUNCATED_BIT * dataset.truncated.astype(np.uint8)
        self.now = datetime.now(UTC).replace(tzinfo=None)
        self.tags = dataset.extras.get(TAGS_EXTRA)
        self.image_tags = dataset.images.extras.get(TAGS_EXTRA)
        self.scores = [float(value) if np.isfinite(value) else None for value in dataset.score]

    def sample(self, image: int) -> Document:
        """The document of one image."""
        images, rows = self.shown.dataset.images, self.rows[image]
        width, height = self.shown.sizes[image].tolist()
        points, hidden, boxes = self._labels(rows)
        document = dict(self.shapes.sample)
        document["_id"] = self.new_id()
        # FiftyOne's `take` and `shuffle` draw by this number.
        document["_rand"] = random.random() * 0.001 + 0.999
        document["filepath"] = self.shown.files[image]
        document["tags"] = [*_known(self.image_tags, image), *self.shown.image_tags.get(image, [])]
        document["metadata"] = {**document["metadata"], "width": int(width), "height": int(height)}
        for name in ("created_at", "last_modified_at"):
            if name in document:
                document[name] = self.now
        document["image_id"] = str(images.id[image])
        if images.split[image]:
            document["split"] = str(images.split[image])
        document["people"] = sum(not self.crowd[row] for row in rows)
        document[OCCLUDED] = {"_cls": "Keypoints", "keypoints": hidden}
        document[POINTS] = {"_cls": "Keypoints", "keypoints": points}
        document[BOXES] = {"_cls": "Detections", "detections": boxes}
        if image in self.shown.masks:
            document[MASK] = {
                "_cls": "Segmentation",
                "_id": self.new_id(),
                "tags": [],
                "mask_path": self.shown.masks[image],
            }
        if image in self.shown.heatmaps:
            heatmap = self.shapes.heatmap(self.shown.heatmaps[image])
            document[HEAT] = {**heatmap, "_id": self.new_id(), "tags": []}
        document[EXACT] = self._exact(image, rows, points, boxes)
        return document

    def _labels(self, rows: list[int]) -> tuple[list[Document], list[Document], list[Document]]:
        points: list[Document] = []
        hidden: list[Document] = []
        boxes: list[Document] = []
        for row in rows:
            common: Document = {"person": str(self.ids[row]), "label": "crowd" if self.crowd[row] else "person"}
            if self.shapes.has_instances:
                common["instance"] = {"_cls": "Instance", "_id": self.new_id()}
            points.append(self._point(row, common))
            if self.any_hidden[row]:
                hidden.append(self._hidden(row, common))
            boxes.append(self._box(row, common) if self.has_box[row] else {})
        return points, hidden, boxes

    def _point(self, row: int, common: Document) -> Document:
        return {
            **self.shapes.point,
            "_id": self.new_id(),
            **common,
            "tags": [*_known(self.tags, row), *self.shown.person_tags.get(row, [])],
            "points": self.points[row],
            "visibility": self.words[row],
            "labelled": self.labelled[row],
            "occluded_share": self.share[row],
        }

    def _hidden(self, row: int, common: Document) -> Document:
        return {**self.shapes.point, "_id": self.new_id(), **common, "label": HIDDEN, "points": self.hidden[row]}

    def _box(self, row: int, common: Document) -> Document:
        box = {**self.shapes.box, "_id": self.new_id(), **common, "bounding_box": self.boxes[row]}
        box["crowd"], box["area"] = self.crowd[row], self.area[row]
        if self.scores[row] is not None:
            box["confidence"] = self.scores[row]
        return box

    def _exact(self, image: int, rows: list[int], points: list[Document], boxes: list[Document]) -> Document:
        """See kpkit.qa.fiftyone_pull; `boxes` loses its place-holders."""
        dataset = self.shown.dataset
        exact = {
            "version": EXACT_VERSION,
            "image": image,
            "path": str(dataset.images.path[image]),
            "size": self.shown.sizes[image].tolist(),
            "rows": rows,
            # As JSON: an id may be a number or a text, and a number may be larger than 64 bits.
            "ids": [json.dumps(self.ids[row]) for row in rows],
            "points": [one["_id"] for one in points],
            "boxes": [one.get("_id") for one in boxes],
            "tags": [_known(self.tags, row) for row in rows],
            "image_tags": _known(self.image_tags, image),
            "findings": [self.shown.person_tags.get(row, []) for row in rows],
            "image_findings": self.shown.image_tags.get(image, []),
            "xy": dataset.xy[rows].astype("<f8").tobytes(),
            "flags": self.flags[rows].tobytes(),
            "bbox": dataset.bbox_xywh[rows].astype("<f8").tobytes(),
        }
        boxes[:] = [one for one in boxes if one]
        return exact


def _known(column: NDArray[Any] | None, row: int) -> list[str]:
    value = column[row] if column is not None else None
    return [str(one) for one in value] if isinstance(value, list) else []
