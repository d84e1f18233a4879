"""Reading YOLO-pose folders.

Coordinates are divided by width and height of the image and by nothing else: `x_pixels = x * W`, as COCO's coordinates
are written into such files by the field's exporters, so that both formats agree on where a joint is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.report import Collector
from kpkit.core.skeleton import Skeleton
from kpkit.errors import FormatError, InputError, KpkitError, RecordError
from kpkit.formats.base import ReadOptions, Size
from kpkit.formats.yolo_layout import Entry, find, is_image, locate, read_sizes
from kpkit.formats.yolo_sizes import SizeBook
from kpkit.formats.yolo_skeleton import skeleton_of
from kpkit.formats.yolo_text import BOX_COLUMNS, Floats, Rows, first_width, read_rows
from kpkit.formats.yolo_yaml import DataYaml

# Six decimals of centre and size may put a box's edge this far outside the image.
ROUNDING = 1.000001e-6

COLUMNS = "yolo.columns"
GHOSTS = "yolo.unlabelled_xy"
NAMES = "yolo.names"
DIMS = "yolo.kpt_dims"
DEFAULT_NAMES = {0: "person"}
MAX_CLASSES = 10_000
# Times the side of an image a coordinate must still be a number.
HUGE = 1e290


@dataclass(frozen=True)
class _Points:
    """Joints of all rows: xy [N,K,2] float64, divided by the image size; flags [N,K] float64, as in the file."""

    xy: Floats
    flags: Floats


def read(path: Path, options: ReadOptions, collector: Collector) -> Dataset:
    """Read a YOLO-pose folder, or the folder that a `data.yaml` describes."""
    root, data = locate(path, collector)
    try:
        skeleton = skeleton_of(data, options, str(path), collector)
    except KpkitError as error:
        where = str(data.file or path)
        raise (error if error.place.startswith(where) else error.at(where)) from None
    entries = find(root, data)
    base = "" if root == Path() else f"{root}/"
    labels = [base + entry.label for entry in entries if entry.label]
    if not (labels or (entries and data.file)) and not (data.file and read_sizes(root) == {}):
        raise FormatError(
            "there are no label files",
            code="KP-YOLO-EMPTY",
            place=str(root),
            expected="labels/<split>/*.txt, or *.txt beside the images",
            help="name the dataset's folder, or its data.yaml",
        )
    dims = data.dims if data.file else _dims_of(labels, skeleton)
    rows = read_rows(labels, len(skeleton), dims, collector)
    rows = _checked(rows, labels, dims, collector)
    position = np.flatnonzero([entry.label != "" for entry in entries])
    images, sized = _images(root, entries, options.sizes, collector)
    rows, image = _with_sizes(rows, position[rows.file], images, sized, entries, root, collector)
    return _dataset(rows, image, images, skeleton, dims, data, root, collector, labels)


def _dims_of(labels: Sequence[str], skeleton: Skeleton) -> int:
    """Numbers a joint, told from the first full row where no `data.yaml` says it."""
    return 2 if first_width(labels) == BOX_COLUMNS + 2 * len(skeleton) and len(skeleton) else 3


def _checked(rows: Rows, labels: Sequence[str], dims: int, collector: Collector) -> Rows:
    """Rows whose numbers can be meant; the others go to the collector."""
    values, full = rows.values, rows.columns > BOX_COLUMNS
    classes = values[:, 0]
    with np.errstate(invalid="ignore"):
        tests = [
            (~_finite(rows), "KP-YOLO-NUMBER", "a number is not finite or absurdly large", "finite numbers"),
            (~np.isin(classes, np.arange(MAX_CLASSES)), "KP-YOLO-CLASS", "not a class number", "0, 1, ..."),
            ((values[:, 3:5] < 0).any(axis=1), "KP-YOLO-BOX", "the box has a negative size", "w and h of at least 0"),
        ]
        if dims == 3:
            flags = values[:, BOX_COLUMNS + 2 :: 3]
            wrong = full & ~np.all(np.isin(flags, (0, 1, 2)), axis=1)
            tests.append((wrong, "KP-YOLO-VISIBILITY", "a visibility flag is not 0, 1 or 2", "0, 1 or 2"))
    bad = np.zeros(len(classes), bool)
    for wrong, code, message, expected in tests:
        for row in np.flatnonzero(wrong & ~bad).tolist():
            place, got = _line(rows, row, labels), _excerpt(values[row], code)
            collector.error(RecordError(message, code=code, place=place, expected=expected, got=got))
        bad |= wrong
    return rows.take(~bad) if bad.any() else rows


def _line(rows: Rows, row: int, labels: Sequence[str]) -> str:
    return f"{labels[rows.file[row]]}: line {rows.line[row]}"


def _finite(rows: Rows) -> NDArray[np.bool_]:
    beyond = np.arange(rows.values.shape[1]) >= rows.columns[:, None]
    finite: NDArray[np.bool_] = np.all((np.abs(rows.values) < HUGE) | beyond, axis=1)
    return finite


def _excerpt(values: Floats, code: str) -> str:
    if code == "KP-YOLO-VISIBILITY":
        flags = values[BOX_COLUMNS + 2 :: 3]
        joint = int(np.flatnonzero(~np.isin(flags, (0, 1, 2)))[0])
        return f"{flags[joint]:g} (joint {joint}, column {BOX_COLUMNS + 3 * joint + 3})"
    return " ".join(f"{value:g}" for value in values[:8].tolist()) + (" ..." if len(values) > 8 else "")


def _images(
    root: Path, entries: Sequence[Entry], sizes: Mapping[str, Size], collector: Collector
) -> tuple[ImageTable, NDArray[np.bool_]]:
    """The image table, and which of its images have a known size."""
    noted, book = read_sizes(root) or {}, SizeBook(sizes)
    paths: list[str] = []
    known: list[Size] = []
    splits: list[str] = []
    guessed = 0
    for entry in entries:
        path, size, split = entry.image, (-1, -1), entry.split
        if entry.label in noted:
            note = noted[entry.label]
            path, size = (entry.image if entry.found else note.path), note.size
            split = entry.split if note.split is None else note.split
        if given := book.find(path):
            size = given[1]
        if not entry.found and entry.label not in noted:
            name = given[0].rpartition("/")[2] if given else ""
            folder, slash, _ = path.rpartition("/")
            path = f"{folder}{slash}{name}" if is_image(name) else path
            guessed += not is_image(name)
        paths.append(path)
        known.append(size)
        splits.append(split)
    table = np.array(known, np.int64).reshape(-1, 2)
    fits = np.all((table > 0) & (table < 2**31), axis=1)
    width, height = np.where(fits[:, None], table, -1).T
    if guessed:
        collector.note("KP-YOLO-IMAGE-NAME", "images are not here; their names are taken to end in .jpg", count=guessed)
    if empty := sum(not entry.label for entry in entries):
        collector.note("KP-YOLO-BACKGROUND", "images without a label file are images without persons", count=empty)
    return ImageTable.build(path=paths, width=width, height=height, split=splits), fits


def _with_sizes(
    rows: Rows,
    image: NDArray[np.int64],
    images: ImageTable,
    sized: NDArray[np.bool_],
    entries: Sequence[Entry],
    root: Path,
    collector: Collector,
) -> tuple[Rows, NDArray[np.int64]]:
    """Rows of images with a known size; the error names what the command line can do about the others."""
    keep = sized[image]
    if keep.all():
        return rows, image
    unknown = np.unique(image[~keep])
    folder = root / "images" if (root / "images").is_dir() else "DIR"
    collector.error(
        InputError(
            "the size of an image is not known, and labels are divided by it",
            code="KP-YOLO-IMAGE-SIZE",
            place=str(root / entries[unknown[0]].label),
            expected="width and height of every image with persons",
            got=f"none for {len(unknown)} of {len(images)} images",
            help=f"give the images with --images {folder}, or sizes with --image-sizes FILE.csv (image,width,height)",
        )
    )
    return rows.take(keep), image[keep]


def _dataset(
    rows: Rows,
    image: NDArray[np.int64],
    images: ImageTable,
    skeleton: Skeleton,
    dims: int,
    data: DataYaml,
    root: Path,
    collector: Collector,
    labels: Sequence[str],
) -> Dataset:
    size = np.stack((images.width, images.height), axis=1)[image].astype(np.float64)
    points = _points(rows, len(skeleton), dims)
    visibility = points.flags.astype(np.uint8)
    _count_boxes(rows, labels, collector)
    extras: dict[str, Any] = {}
    if (rows.columns == BOX_COLUMNS).any() and len(skeleton):
        extras[COLUMNS] = [5 if columns == BOX_COLUMNS else None for columns in rows.columns.tolist()]
    if ghosts := _ghosts(points, visibility, rows, labels, collector):
        extras[GHOSTS] = [ghosts.get(row) for row in range(len(visibility))]
    if dims == 2:
        count = int(np.count_nonzero(visibility == 0))
        collector.note("KP-YOLO-NO-FLAGS", "joints have no flags; those at (0, 0) are taken as unlabelled", count=count)
    box = rows.values[:, 1:5]
    corner = np.concatenate((box[:, :2] - box[:, 2:] / 2, box[:, 2:]), axis=1)
    return Dataset.build(
        skeleton=skeleton,
        images=images,
        image_index=image,
        category_id=_categories(rows.values[:, 0].astype(np.int64), data, collector),
        xy=np.where(visibility[..., None] > 0, points.xy * size[:, None], np.nan),
        visibility=visibility,
        bbox_xywh=corner * np.tile(size, 2),
        extras=extras,
        meta=_meta(data, dims),
        image_root=str(root),
    )


def _points(rows: Rows, k: int, dims: int) -> _Points:
    values = rows.values[:, BOX_COLUMNS:].reshape(len(rows.values), k, dims)
    values = np.where((rows.columns == BOX_COLUMNS)[:, None, None], 0.0, values)
    if dims == 2:
        return _Points(values, np.where((values != 0).any(axis=2), 2.0, 0.0))
    return _Points(values[..., :2], values[..., 2])


def _count_boxes(rows: Rows, labels: Sequence[str], collector: Collector) -> None:
    """Boxes that leave the image are kept: cutting them would change labels that nobody asked to change."""
    box = rows.values[:, 1:5]
    beyond = np.maximum(box[:, 2:] / 2 - box[:, :2], box[:, :2] + box[:, 2:] / 2 - 1).max(axis=1, initial=-1.0)
    where = [_line(rows, row, labels) for row in np.flatnonzero(beyond > ROUNDING)[: collector.places_kept]]
    slightly = int(np.count_nonzero((beyond > 0) & (beyond <= ROUNDING)))
    if slightly:
        collector.note("KP-YOLO-BOX-ROUNDED", "boxes leave the image by the last decimal; kept", count=slightly)
    collector.issue(
        "KP-YOLO-BOX-OUTSIDE",
        "boxes reach out of the image; kept",
        count=int(np.count_nonzero(beyond > ROUNDING)),
        places=where,
    )


def _ghosts(
    points: _Points, visibility: NDArray[np.uint8], rows: Rows, labels: Sequence[str], collector: Collector
) -> dict[int, list[list[float]]]:
    """Coordinates of unlabelled joints, by row: [joint, x, y] as in the file."""
    found = np.argwhere((visibility == 0) & (points.xy != 0).any(axis=2)).tolist()
    ghosts: dict[int, list[list[float]]] = {}
    for row, joint in found:
        ghosts.setdefault(row, []).append([joint, *points.xy[row, joint].tolist()])
    places = [f"{_line(rows, row, labels)}, joint {joint}" for row, joint in found[: collector.places_kept]]
    collector.issue(
        "KP-YOLO-GHOST",
        "unlabelled joints (flag 0) have coordinates; they are kept aside and written back to YOLO only",
        count=len(found),
        places=places,
    )
    return ghosts


def _categories(classes: NDArray[np.int64], data: DataYaml, collector: Collector) -> Any:
    """Category ids: class c is category c + 1, as in the field's exporters, unless our own section says otherwise."""
    unknown = ~np.isin(classes, list(data.names)) if data.names else np.zeros(len(classes), bool)
    collector.issue(
        "KP-YOLO-CLASS-NAME",
        "class numbers are missing in 'names' of data.yaml",
        count=int(np.count_nonzero(unknown)),
        place=str(data.file or ""),
    )
    ids = data.kpkit.get("category_ids")
    if not isinstance(ids, list) or not all(type(one) in (int, str) for one in ids):
        return classes + 1
    return [ids[number] if number < len(ids) else number + 1 for number in classes.tolist()]


def _meta(data: DataYaml, dims: int) -> dict[str, Any]:
    meta: dict[str, Any] = {}
    if data.names and data.names != DEFAULT_NAMES:
        meta[NAMES] = {str(number): name for number, name in data.names.items()}
    if dims == 2:
        meta[DIMS] = 2
    return meta
