"""Writes 6-2 as JSON, by kpkit's own definition: schemas/json/six2.schema.json."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from kpkit.core.dataset import AREA_ANNOTATED, AREA_SOURCES, BBOX_ANNOTATED, BBOX_SOURCES, Dataset
from kpkit.formats.six2_json import FORMAT, IMAGE_KEYS, PERSON_KEYS, TOP_KEYS, VERSION
from kpkit.formats.six2_rows import PREFIX, flags_of, plain, written_skeleton

Record = dict[str, Any]


def write_json(dataset: Dataset, path: Path) -> None:
    """Write `dataset` as 6-2 JSON, one image a line; raises UsageError where its joints are not 6-2's."""
    skeleton = written_skeleton(dataset)
    top = _with_extras({"format": FORMAT, "version": VERSION, "skeleton": skeleton.name}, _own(dataset.meta), TOP_KEYS)
    with path.open("wb") as stream:
        stream.write(msgspec.json.encode(top)[:-1] + b',"images":[')
        for number, image in enumerate(_images(dataset)):
            stream.write((b",\n" if number else b"\n") + msgspec.json.encode(image))
        stream.write(b"\n]}\n")


def _images(dataset: Dataset) -> Iterator[Record]:
    images, people = dataset.images, _Persons(dataset)
    order = np.argsort(dataset.image_index, kind="stable")
    bounds = np.searchsorted(dataset.image_index[order], np.arange(len(images) + 1))
    named = images.id.tolist() != list(range(1, len(images) + 1))
    for row in range(len(images)):
        width, height = int(images.width[row]), int(images.height[row])
        record: Record = {
            "image": images.path[row],
            "width": width if width >= 0 else None,
            "height": height if height >= 0 else None,
        }
        if named:
            record["image_id"] = _scalar(images.id[row])
        if images.split[row]:
            record["split"] = images.split[row]
        extras = {name: column[row] for name, column in images.extras.items() if column[row] is not None}
        record = _with_extras(record, _own(extras), IMAGE_KEYS)
        record["persons"] = [people.record(n) for n in order[bounds[row] : bounds[row + 1]].tolist()]
        yield record


class _Persons:
    """The columns of a dataset as lists, which are read faster one by one."""

    def __init__(self, dataset: Dataset) -> None:
        self.data = dataset
        self.names = dataset.skeleton.keypoints
        self.xy = dataset.xy.tolist()
        self.flags = flags_of(dataset).tolist()
        self.ids = dataset.instance_id.tolist()

    def record(self, n: int) -> Record:
        joints = zip(self.names, self.xy[n], self.flags[n], strict=True)
        record: Record = {
            "person_id": self.ids[n],
            "joints": {name: [_or_null(x), _or_null(y), flag] for name, (x, y), flag in joints},
        }
        record.update(self._columns(n))
        extras = {name: column[n] for name, column in self.data.extras.items() if column[n] is not None}
        return _with_extras(record, _own(extras), PERSON_KEYS)

    def _columns(self, n: int) -> Iterator[tuple[str, Any]]:
        data = self.data
        if np.isfinite(data.bbox_xywh[n]).all():
            yield "bbox", [plain(value) for value in data.bbox_xywh[n].tolist()]
            if data.bbox_source[n] != BBOX_ANNOTATED:
                yield "bbox_source", BBOX_SOURCES[data.bbox_source[n]]
        if math.isfinite(data.area[n]):
            yield "area", plain(float(data.area[n]))
            if data.area_source[n] != AREA_ANNOTATED:
                yield "area_source", AREA_SOURCES[data.area_source[n]]
        if np.isfinite(data.head_box[n]).all():
            yield "head_box", [plain(value) for value in data.head_box[n].tolist()]
        if data.track_id[n] is not None:
            yield "track_id", data.track_id[n]
        if math.isfinite(data.score[n]):
            yield "score", plain(float(data.score[n]))
        if data.is_crowd[n]:
            yield "is_crowd", True
        if (category := _scalar(data.category_id[n])) != 1:
            yield "category_id", category


def _or_null(value: float) -> int | float | None:
    return None if math.isnan(value) else plain(value)


def _scalar(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _own(extras: Mapping[str, Any]) -> Record:
    """6-2's own extras without the namespace; those of other formats are counted as losses beforehand."""
    return {name.removeprefix(PREFIX): extras[name] for name in sorted(extras) if name.startswith(PREFIX)}


def _with_extras(record: Record, extras: Record, known: frozenset[str]) -> Record:
    """Unknown fields back where they were; one whose name is taken by the definition goes under "extras"."""
    taken = {name: value for name, value in extras.items() if name in known}
    record.update({name: value for name, value in extras.items() if name not in known})
    if taken:
        record["extras"] = taken
    return record
