"""Writing YOLO-pose folders: `labels/<split>/<image path>.txt`, `data.yaml`, and `image-sizes.csv`.

`image-sizes.csv` (image,width,height,label, and split where the folder cannot say it) is what makes the folder readable
without its images; trainers ignore it.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector
from kpkit.errors import KpkitError, OutputError, RecordError
from kpkit.formats import yolo_yaml
from kpkit.formats.coco_skeleton import categories_of
from kpkit.formats.jsonrows import RowSource
from kpkit.formats.yolo_layout import SIZES_HEADER, SIZES_NAME, SPLIT_COLUMN
from kpkit.formats.yolo_read import COLUMNS, DIMS, GHOSTS, NAMES
from kpkit.formats.yolo_text import Floats, Text, write_rows
from kpkit.formats.yolo_yaml import is_split
from kpkit.guard import contained, sync_file

PERSONS_AT_ONCE = 16_384


@dataclass(frozen=True)
class _Place:
    """Where one image and its labels go: images/<split>/<name>, labels/<split>/<name without ending>.txt."""

    split: str
    image: str
    label: str


def image_place(path: str, split: str) -> str:
    """Where a trainer looks for an image in the written folder, e.g. `images/train/a.jpg`."""
    return _place_of(path, split, f"image {path}").image


def _place_of(path: str, split: str, place: str) -> _Place:
    parts = [part for part in contained(path, place=place).split("/") if part not in ("", ".")]
    if ".." in parts or not parts:
        raise RecordError("the image has no usable name", code="KP-YOLO-IMAGE-NAME", place=place, got=repr(path))
    if len(parts) > 1 and parts[0] == "images":
        del parts[0]
    if not split:
        split = parts[0] if len(parts) > 1 and is_split(parts[0]) else "train"
    elif contained(split, place=place) in (".", "..") or "/" in split or "\\" in split:
        raise RecordError("the split is no folder name", code="KP-YOLO-SPLIT", place=place, got=repr(split))
    if len(parts) > 1 and parts[0] == split:
        del parts[0]
    base = parts[-1]
    parts[-1] = base.rpartition(".")[0] or base
    return _Place(split, "/".join(["images", split, *parts[:-1], base]), "/".join(["labels", split, *parts]) + ".txt")


def write(dataset: Dataset, path: Path, collector: Collector) -> None:
    """Write into the empty folder `path`.

    Raises OutputError where two images would share a label file, RecordError for persons that cannot be written.
    """
    places = _places(dataset, collector)
    labels = list(dict.fromkeys(place.label for place in places))
    target = {label: i for i, label in enumerate(labels)}
    file_of_image = np.array([target[place.label] for place in places], np.int64)
    persons, boxes = _writable(dataset, collector)
    file = file_of_image[dataset.image_index[persons]]
    order = np.argsort(file, kind="stable")
    persons, boxes, file = persons[order], boxes[order], file[order]
    first = np.searchsorted(file, np.arange(len(labels) + 1))
    classes, names, category_ids = _classes(dataset)
    dims = _dims(dataset)
    with _Folders(path) as folders:
        for start, end in _pieces(first):
            rows = slice(int(first[start]), int(first[end]))
            text = _text(dataset, persons[rows], boxes[rows], classes, dims)
            spans = (first[start : end + 1] - first[start]).tolist()
            for i, label in enumerate(labels[start:end]):
                folders.write(label, text.span(spans[i], spans[i + 1]))
    splits = sorted({place.split for place in places}) or ["train"]
    content = yolo_yaml.document(dataset.skeleton, dims, names, splits, category_ids)
    _write_file(path / "data.yaml", yolo_yaml.dump(content))
    _write_file(path / SIZES_NAME, _sizes(dataset, places))


def _places(dataset: Dataset, collector: Collector) -> list[_Place]:
    images = dataset.images
    places: list[_Place] = []
    taken: dict[str, str] = {}
    merged = 0
    for path, split in zip(images.path.tolist(), images.split.tolist(), strict=True):
        place = _place_of(path, split, f"image {path}")
        other = taken.setdefault(place.label, path)
        if other != path:
            raise OutputError(
                "two images would share one label file",
                code="KP-YOLO-COLLISION",
                place=place.label,
                expected="names that differ in more than their ending",
                got=f"{other} and {path}",
                help="rename one of them",
            )
        merged += len(taken) <= len(places)
        places.append(place)
    collector.issue("KP-YOLO-SAME-IMAGE", "images are listed more than once; their persons share a file", count=merged)
    return places


def _writable(dataset: Dataset, collector: Collector) -> tuple[NDArray[np.int64], Floats]:
    """Rows that can be written, and their boxes (pixels); a missing box is the hull of the labelled joints."""
    boxes = dataset.bbox_xywh.copy()
    images, index = dataset.images, dataset.image_index
    unsized = ((images.width <= 0) | (images.height <= 0))[index]
    missing = ~np.isfinite(boxes).all(axis=1)
    joints = (dataset.visibility > 0).any(axis=1)
    if (made := missing & joints).any():
        xy = dataset.xy[made]
        low, high = np.nanmin(xy, axis=1), np.nanmax(xy, axis=1)
        boxes[made] = np.concatenate((low, high - low), axis=1)
        collector.issue(
            "KP-YOLO-BOX-MADE",
            "persons without a box get the hull of their labelled joints",
            count=int(np.count_nonzero(made)),
        )
    for row in np.flatnonzero(unsized).tolist():
        collector.error(_unsized(dataset, row))
    for row in np.flatnonzero(missing & ~joints & ~unsized).tolist():
        collector.error(
            RecordError("a person has neither a box nor a joint", code="KP-YOLO-NO-BOX", place=_person(dataset, row))
        )
    rows = np.flatnonzero(~unsized & (~missing | joints))
    return rows, boxes[rows]


def _unsized(dataset: Dataset, row: int) -> KpkitError:
    return RecordError(
        "the size of the image is not known, and YOLO divides by it",
        code="KP-YOLO-IMAGE-SIZE",
        place=_person(dataset, row),
        expected="width and height of every image with persons",
        help="give the images with --images DIR, or sizes with --image-sizes FILE.csv (image,width,height)",
    )


def _person(dataset: Dataset, row: int) -> str:
    return f"image {dataset.images.path[dataset.image_index[row]]}: instance {dataset.instance_id[row]}"


def _classes(dataset: Dataset) -> tuple[NDArray[np.int64], dict[int, str], list[int | str]]:
    """Class number of each instance, names by class number, and the category ids where class + 1 is not the id."""
    ids: list[Any] = dataset.category_id.tolist()
    own = dataset.meta.get(NAMES)
    if isinstance(own, dict) and all(type(one) is int and str(one - 1) in own for one in set(ids)):
        return np.array(ids, np.int64) - 1, {int(key): str(name) for key, name in own.items()}, []
    known = sorted(set(ids), key=lambda one: (isinstance(one, str), one)) or [1]
    number = {one: i for i, one in enumerate(known)}
    named = _coco_names(dataset)
    names = {i: named.get(one, "person" if len(known) == 1 else f"category_{one}") for i, one in enumerate(known)}
    straight = known == list(range(1, len(known) + 1))
    return np.array([number[one] for one in ids], np.int64), names, [] if straight else known


def _coco_names(dataset: Dataset) -> dict[Any, str]:
    if not isinstance(dataset.source, RowSource) or dataset.source.variant == "results":
        return {}
    try:
        return {one["id"]: str(one["name"]) for one in categories_of(dataset.source.top)}
    except (msgspec.MsgspecError, KeyError, TypeError, AttributeError):
        return dict[Any, str]()


def _dims(dataset: Dataset) -> int:
    """Two numbers a joint only where the source had two and nothing is lost by it."""
    if dataset.meta.get(DIMS) != 2 or (dataset.visibility == 1).any() or dataset.extras.get(GHOSTS) is not None:
        return 3
    at_origin = (np.abs(dataset.xy) < 1e-2).all(axis=2)
    return 3 if at_origin.any() else 2


def _text(dataset: Dataset, rows: NDArray[np.int64], boxes: Floats, classes: NDArray[np.int64], dims: int) -> Text:
    images, index = dataset.images, dataset.image_index[rows]
    size = np.stack((images.width[index], images.height[index]), axis=1).astype(np.float64)
    flags = dataset.visibility[rows]
    points = np.where(flags[..., None] > 0, dataset.xy[rows], 0.0) / size[:, None]
    _put_ghosts(points, dataset, rows)
    centre = (boxes[:, :2] + boxes[:, 2:] / 2) / size
    bare = _bare(dataset, rows)
    box = np.concatenate((centre, boxes[:, 2:] / size), axis=1)
    return write_rows(classes[rows], box, points, flags if dims == 3 else None, bare)


def _bare(dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Persons that had a box only, and still have no joint."""
    column = dataset.extras.get(COLUMNS)
    if column is None:
        return np.zeros(0, np.int64)
    five = np.array([value == 5 for value in column[rows].tolist()], bool)
    return np.flatnonzero(five & ~(dataset.visibility[rows] > 0).any(axis=1))


def _put_ghosts(points: Floats, dataset: Dataset, rows: NDArray[np.int64]) -> None:
    """Write back what the source said about joints that are still unlabelled."""
    column = dataset.extras.get(GHOSTS)
    if column is None:
        return
    for place, row in enumerate(rows.tolist()):
        for joint, x, y in column[row] or ():
            if 0 <= int(joint) < points.shape[1] and dataset.visibility[row, int(joint)] == 0:
                points[place, int(joint)] = x, y


def _pieces(first: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Runs of files with a bounded number of persons; `first` is the first person of each file."""
    start, files = 0, len(first) - 1
    while start < files:
        end = int(np.searchsorted(first, first[start] + PERSONS_AT_ONCE, side="right")) - 1
        end = min(max(end, start + 1), files)
        yield start, end
        start = end


def _sizes(dataset: Dataset, places: Sequence[_Place]) -> bytes:
    images = dataset.images
    known = (images.width > 0) & (images.height > 0)
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    splits = images.split.tolist()
    told = all(split == place.split for split, place in zip(splits, places, strict=True))
    table.writerow(SIZES_HEADER if told else [*SIZES_HEADER, SPLIT_COLUMN])
    rows: Iterable[tuple[str, int, int, bool, str, _Place]] = zip(
        images.path.tolist(), images.width.tolist(), images.height.tolist(), known.tolist(), splits, places, strict=True
    )
    # By label file, as images are read: a folder that was read is written as it was.
    table.writerows(
        (path, w if ok else "", h if ok else "", place.label, *(() if told else (split,)))
        for path, w, h, ok, split, place in sorted(rows, key=lambda row: row[-1].label)
    )
    return text.getvalue().encode(errors="surrogateescape")


def _write_file(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    sync_file(path)


class _Folders:
    """Writes many small files; folders are made and opened once, and files are named relative to them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._open: dict[str, int | None] = {}

    def __enter__(self) -> _Folders:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._open.values():
            if descriptor is not None:
                os.close(descriptor)

    def write(self, name: str, data: bytes | memoryview) -> None:
        folder, _, base = name.rpartition("/")
        if folder not in self._open:
            self._open[folder] = self._enter(folder)
        descriptor = self._open[folder]
        target = base if descriptor is not None else str(self._root / name)
        file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=descriptor)
        try:
            while len(data):
                data = data[os.write(file, data) :]
        finally:
            os.close(file)

    def _enter(self, folder: str) -> int | None:
        path = self._root / folder
        path.mkdir(parents=True, exist_ok=True)
        # Descriptors are few (1,024 is a usual limit), and not every system opens files relative to one.
        if os.open not in os.supports_dir_fd or len(self._open) >= 64:
            return None
        return os.open(path, os.O_RDONLY)
