"""Canonical columns into COCO rows: only the fields whose column changed are exchanged in a raw row.

Integral numbers are written as integers, others as the shortest text that reads back equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import AREA_SOURCES, BBOX_SOURCES, Dataset
from kpkit.formats.coco_numbers import number_list, texts_of_rows
from kpkit.formats.jsonrows import RowSource, iterate
from kpkit.formats.rowdiff import differs, extras_differ

BLOCK = 4096

_encode = msgspec.json.Encoder().encode

# Which columns make which field of an annotation.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "id": ("instance_id",),
    "category_id": ("category_id",),
    "keypoints": ("xy", "visibility"),
    "bbox": ("bbox_xywh",),
    "area": ("area",),
    "iscrowd": ("is_crowd",),
    "score": ("score",),
    "track_id": ("track_id",),
    "kpkit": ("truncated", "head_box", "bbox_source", "area_source"),
}


KPKIT_KEYS = frozenset({"truncated", "head_box", "bbox_source", "area_source", "extras"})
IMAGE_KPKIT_KEYS = frozenset({"split", "extras"})


class _Keypoints(msgspec.Struct, gc=False):
    keypoints: list[float] | None = None


def number(value: float) -> Any:
    """One number, integral ones as int."""
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def annotation_chunks(dataset: Dataset, source: RowSource | None) -> Iterator[bytes | memoryview]:
    """All annotation rows, separated by commas, in pieces: unchanged rows as they were, the others encoded."""
    n = len(dataset)
    changed = np.ones(n, bool) if source is None else source.changed(dataset)
    comma = b""
    for first, last, encode in _segments(changed):
        if encode or source is None:
            for start in range(first, last, BLOCK):
                yield comma + b",".join(encode_rows(dataset, source, np.arange(start, min(last, start + BLOCK))))
                comma = b","
        else:
            yield comma
            yield from source.rows.chunks(source.row_of[first:last])
        comma = b","


def annotation_rows(dataset: Dataset, source: RowSource | None) -> Iterator[bytes]:
    """The annotation rows one by one, as `annotation_chunks` writes them."""
    changed = np.ones(len(dataset), bool) if source is None else source.changed(dataset)
    for first, last, encode in _segments(changed):
        if encode or source is None:
            for start in range(first, last, BLOCK):
                yield from encode_rows(dataset, source, np.arange(start, min(last, start + BLOCK)))
        else:
            yield from iterate(source.rows, source.row_of[first:last], 1024)


def image_chunks(dataset: Dataset, source: RowSource | None) -> Iterator[bytes | memoryview]:
    """All image rows, as `annotation_chunks`."""
    changed = np.ones(len(dataset.images), bool) if source is None else source.images_changed(dataset)
    comma = b""
    for first, last, encode in _segments(changed):
        yield comma
        if encode or source is None:
            yield b",".join([_image(dataset, source, i) for i in range(first, last)])
        else:
            yield from source.image_rows.chunks(source.image_row_of[first:last])
        comma = b","


def _segments(flags: NDArray[np.bool_]) -> Iterator[tuple[int, int, bool]]:
    """(first, end, flag) of runs of equal flags."""
    if not len(flags):
        return
    edges = [0, *(np.flatnonzero(np.diff(flags)) + 1).tolist(), len(flags)]
    for first, end in pairwise(edges):
        yield first, end, bool(flags[first])


def encode_rows(dataset: Dataset, source: RowSource | None, rows: NDArray[np.int64]) -> list[bytes]:
    """The selected instances as JSON objects; fields of the raw row that no column changed stay as they are."""
    keypoints, counts = _keypoints(dataset, source, rows)
    raws = _raw_fields(source, rows)
    stale = {name: _stale(dataset, source, rows, name) for name in FIELDS}
    image_stale = _image_stale(dataset, source, rows)
    encoded: list[bytes] = []
    for i, row in enumerate(rows.tolist()):
        fields: dict[str, Any] = raws[i] if raws is not None else {}
        new = not fields
        if stale["id"][i]:
            fields["id"] = _plain(dataset.instance_id[row])
        if image_stale[i]:
            fields["image_id"] = _plain(dataset.images.id[dataset.image_index[row]])
        if stale["category_id"][i]:
            fields["category_id"] = _plain(dataset.category_id[row])
        if stale["keypoints"][i] and (keypoints is not None) and (new or counts[i] or "keypoints" in fields):
            fields["keypoints"] = msgspec.Raw(keypoints[i])
            if not (source is not None and source.variant == "results"):
                fields["num_keypoints"] = counts[i]
        for name in ("bbox", "area", "iscrowd", "score", "track_id"):
            if stale[name][i]:
                _set(fields, name, _VALUES[name](dataset, row), new)
        if stale["kpkit"][i]:
            _set(fields, "kpkit", _with_foreign(fields, _kpkit(dataset, row), KPKIT_KEYS), new)
        if new:
            _own_fields(fields, dataset.extras, "coco.", row)
        encoded.append(_encode(fields))
    return encoded


def _set(fields: dict[str, Any], name: str, value: Any, new: bool) -> None:
    if value is not None:
        fields[name] = value
    elif not new:
        fields.pop(name, None)


def _raw_fields(source: RowSource | None, rows: NDArray[np.int64]) -> list[dict[str, Any]] | None:
    if source is None:
        return None
    raw_rows = source.row_of[rows]
    decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
    known = iterate(source.rows, raw_rows[raw_rows >= 0])
    return [decode(next(known)) if row >= 0 else {} for row in raw_rows.tolist()]


def _keypoints(
    dataset: Dataset, source: RowSource | None, rows: NDArray[np.int64]
) -> tuple[list[bytes] | None, list[int]]:
    """Encoded [x, y, v, ...] of each row, 0 where unlabelled, and the number of labelled joints."""
    k = len(dataset.skeleton)
    flags = dataset.visibility[rows]
    counts: list[int] = (flags > 0).sum(axis=1).tolist()
    if k == 0:
        return None, counts
    block = np.zeros((len(rows), k, 3))
    block[..., :2] = np.where(flags[..., None] > 0, dataset.xy[rows], 0.0)
    block[..., 2] = flags
    if source is not None and source.skeleton.same_joints(dataset.skeleton):
        if source.variant == "results":
            _restore_scores(block, source, source.row_of[rows])
        elif len(source.ghosts):
            _restore_ghosts(block, source, source.row_of[rows])
    return texts_of_rows(block.reshape(len(rows), 3 * k)), counts


def _restore_ghosts(block: NDArray[np.float64], source: RowSource, raw_rows: NDArray[np.int64]) -> None:
    """Give unlabelled joints the coordinates they had in the raw row, where they still are unlabelled."""
    for i, before in _raw_keypoints(source, raw_rows, np.isin(raw_rows, source.ghosts)):
        unlabelled = (block[i, :, 2] == 0) & (before[:, 2] == 0)
        block[i, unlabelled, :2] = before[unlabelled, :2]


def _restore_scores(block: NDArray[np.float64], source: RowSource, raw_rows: NDArray[np.int64]) -> None:
    """Give joints of detections the scores they had in the raw row."""
    for i, before in _raw_keypoints(source, raw_rows, raw_rows >= 0):
        labelled = block[i, :, 2] > 0
        block[i, labelled, 2] = before[labelled, 2]


def _raw_keypoints(
    source: RowSource, raw_rows: NDArray[np.int64], wanted: NDArray[np.bool_]
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """(position, [K,3] as written) of the wanted rows that have keypoints."""
    decode = msgspec.json.Decoder(_Keypoints).decode
    positions = np.flatnonzero(wanted)
    for i, raw in zip(positions.tolist(), iterate(source.rows, raw_rows[positions]), strict=True):
        if values := decode(raw).keypoints:
            yield i, np.reshape(np.array(values, np.float64), (-1, 3))


def _stale(dataset: Dataset, source: RowSource | None, rows: NDArray[np.int64], field: str) -> list[bool]:
    """Whether the field of the raw row no longer says what the columns say."""
    if source is None:
        return [True] * len(rows)
    raw_rows = source.row_of[rows]
    stale = raw_rows < 0
    other_joints = not source.skeleton.same_joints(dataset.skeleton)
    if field == "kpkit":
        now = {name: column[rows] for name, column in dataset.extras.items()}
        stale |= extras_differ(now, source.extras, raw_rows)
    for column in FIELDS[field]:
        before = source.columns[column]
        if other_joints and column in {"xy", "visibility"}:
            stale[:] = True
        elif other_joints and column == "truncated":
            # Stored by name, so equal flags are no equal content.
            stale |= dataset.truncated[rows].any(axis=1)
            stale |= np.asarray(before[raw_rows] if len(before) else dataset.truncated[rows]).any(axis=1)
        elif len(before):
            stale |= differs(getattr(dataset, column)[rows], before[raw_rows])
    result: list[bool] = stale.tolist()
    return result


def _image_stale(dataset: Dataset, source: RowSource | None, rows: NDArray[np.int64]) -> list[bool]:
    if source is None or not len(source.rows):
        return [True] * len(rows)
    raw_rows = source.row_of[rows]
    now = dataset.images.id[dataset.image_index[rows]]
    stale = (raw_rows < 0) | differs(now, source.image_columns["id"][source.image_of[raw_rows]])
    result: list[bool] = stale.tolist()
    return result


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _floats(values: NDArray[np.float64]) -> msgspec.Raw | None:
    return msgspec.Raw(number_list(values.tolist())) if np.isfinite(values).all() else None


def _scalar(value: Any) -> Any:
    return number(float(value)) if np.isfinite(value) else None


def _kpkit(dataset: Dataset, row: int) -> dict[str, Any] | None:
    """What COCO has no field for, under one key of ours."""
    extra: dict[str, Any] = {}
    if dataset.truncated[row].any():
        extra["truncated"] = [dataset.skeleton.keypoints[k] for k in np.flatnonzero(dataset.truncated[row])]
    if np.isfinite(dataset.head_box[row]).all():
        extra["head_box"] = _floats(dataset.head_box[row])
    if dataset.bbox_source[row] > 1:
        extra["bbox_source"] = BBOX_SOURCES[dataset.bbox_source[row]]
    if dataset.area_source[row] > 1:
        extra["area_source"] = AREA_SOURCES[dataset.area_source[row]]
    # Sorted, so that a row reads the same whichever row named its fields first.
    extras = _foreign_extras(dataset.extras, row)
    if extras:
        extra["extras"] = extras
    return extra or None


def _foreign_extras(extras: Mapping[str, NDArray[Any]], row: int) -> dict[str, Any]:
    """Other formats' fields of a row. COCO's own ("coco.segmentation") stand in the row itself."""
    return {
        name: column[row]
        for name, column in sorted(extras.items())
        if column[row] is not None and not name.startswith("coco.")
    }


def _own_fields(fields: dict[str, Any], extras: Mapping[str, NDArray[Any]], prefix: str, row: int) -> None:
    """COCO's own fields of a row that has no raw form, e.g. of an augmented person."""
    for name, column in extras.items():
        key = name.removeprefix(prefix)
        if key != name and column[row] is not None:
            fields.setdefault(key, column[row])


_VALUES: Mapping[str, Any] = {
    "bbox": lambda dataset, row: _floats(dataset.bbox_xywh[row]),
    "area": lambda dataset, row: _scalar(dataset.area[row]),
    "iscrowd": lambda dataset, row: int(dataset.is_crowd[row]),
    "score": lambda dataset, row: _scalar(dataset.score[row]),
    "track_id": lambda dataset, row: _plain(dataset.track_id[row]),
}


def _with_foreign(
    fields: Mapping[str, Any], made: dict[str, Any] | None, ours: frozenset[str]
) -> dict[str, Any] | None:
    """What goes under the key `kpkit`: ours made anew, and what another version of kpkit had put there."""
    before = msgspec.json.decode(fields["kpkit"], type=dict[str, msgspec.Raw] | None) if "kpkit" in fields else None
    foreign = {key: value for key, value in (before or {}).items() if key not in ours}
    return {**foreign, **(made or {})} or None


def _image(dataset: Dataset, source: RowSource | None, i: int) -> bytes:
    images = dataset.images
    raw_row = -1 if source is None else int(source.image_row_of[i])
    fields: dict[str, Any] = {}
    if source is not None and raw_row >= 0:
        fields = msgspec.json.decode(source.image_rows.get(raw_row), type=dict[str, msgspec.Raw])
    before = source.image_columns if source is not None and raw_row >= 0 else None
    for name, column in (("id", "id"), ("file_name", "path"), ("width", "width"), ("height", "height")):
        value = _plain(getattr(images, column)[i])
        if before is not None and _plain(before[column][raw_row]) == value:
            continue
        if value == -1 and column in {"width", "height"}:
            fields.pop(name, None)
        else:
            fields[name] = value
    kpkit: dict[str, Any] = {"split": images.split[i]} if images.split[i] else {}
    extras = _foreign_extras(images.extras, i)
    if extras:
        kpkit["extras"] = extras
    _set(fields, "kpkit", _with_foreign(fields, kpkit, IMAGE_KPKIT_KEYS), not fields)
    if raw_row < 0:
        _own_fields(fields, images.extras, "coco.image.", i)
    return _encode(fields)


__all__ = ["annotation_chunks", "annotation_rows", "encode_rows", "image_chunks"]
