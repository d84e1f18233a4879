"""Puts batches together: labels and targets from several shards, in the order that was asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.errors import FormatError
from kpkit.targets.base import Codec, Points
from kpkit.targets.manifest import Manifest
from kpkit.targets.occlusion import OccludedTarget
from kpkit.targets.options import LARGEST
from kpkit.targets.shard_layout import COUNT, FIRST, POINTS, REGION, Array, Layout
from kpkit.targets.shard_read import Shard
from kpkit.targets.shard_targets import dense_of, starts_of

# Widths below have a square that is no number above 0 in float32.
SMALLEST = 1e-6
# A shard, rows in it, and the places of these rows in the batch.
Group = tuple[Shard, NDArray[np.int64], NDArray[np.int64]]


def stored_names(manifest: Manifest, layout: Layout, codec: Callable[[], Codec]) -> list[str]:
    """What a sample has: what is stored and, in a store of parameters, what is rendered from them."""
    names = [name for name, array in layout.items() if array.per != "shard"]
    if manifest.store == "params":
        names += [name for name in codec().spec() if name not in layout]
    return names


def read_stored(groups: Iterable[Group], n: int, names: Iterable[str], layout: Layout) -> dict[str, Array]:
    """What is stored, as it is stored: name -> [n, *shape]; of whole pictures' persons [m, *shape], in that order."""
    groups = list(groups)
    found: dict[str, Array] = {}
    persons, starts = _persons(groups, n) if COUNT in layout else ([], np.zeros(n + 1, np.int64))
    for name in names:
        array = layout[name]
        if name == FIRST:
            # Rows of the arrays beside it, not of the file's.
            found[name] = starts[:-1]
            continue
        whole = array.per == "person"
        out = np.empty(array.stored_shape(n, int(starts[-1])), array.dtype)
        for shard, rows, places in persons if whole else groups:
            if array.dense:
                shard.read_into(name, rows.tolist(), out, places.tolist())
            else:
                out[places] = shard.labels[name][rows]
        found[name] = out
    return found


def _persons(groups: list[Group], n: int) -> tuple[list[Group], NDArray[np.int64]]:
    """The same for the persons of samples: their rows in each shard, and their places; and where samples begin."""
    count = np.zeros(n, np.int64)
    for shard, rows, places in groups:
        count[places] = shard.labels[COUNT][rows]
    starts = starts_of(count)
    return [
        (shard, _spans(shard.labels[FIRST][rows], count[places]), _spans(starts[places], count[places]))
        for shard, rows, places in groups
    ], starts


def _spans(first: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.int64]:
    """first[0], first[0] + 1, ... (count[0] of them), first[1], ..."""
    starts = starts_of(count)
    return np.repeat(first - starts[:-1], count) + np.arange(starts[-1])


def render_points(
    arrays: dict[str, Array], codec: Codec, rule: OccludedTarget, dtype: Any, wanted: set[str]
) -> dict[str, Array]:
    """Targets of a store of parameters. Raises FormatError for numbers that nothing can be rendered from."""
    mu, sigma = (arrays[name] for name in POINTS)
    placed = ~np.isnan(mu).any(axis=-1) & ~np.isnan(sigma)
    good = (np.abs(mu) <= LARGEST).all(axis=-1) & (sigma >= SMALLEST) & (sigma <= LARGEST)
    if (placed & ~good).any():
        i, k = (int(place) for place in np.argwhere(placed & ~good)[0])
        raise FormatError(
            "a target's place or width is damaged",
            code="KP-SHARD-DAMAGED",
            got=f"mu {mu[i, k].tolist()}, sigma {float(sigma[i, k])} of joint {k}",
            help="check the folder with: kpkit shards verify",
        )
    starts = starts_of(arrays[COUNT]) if COUNT in arrays else None
    dense = dense_of(codec, Points(mu, sigma, arrays["weights"], starts), arrays.get(REGION), rule, dtype)
    return {name: array for name, array in dense.items() if name in wanted}


def to_values(stored: Array, scale: float, offset: float, dtype: np.dtype[Any]) -> Array:
    """Values of stored targets: stored * scale + offset.  [n, ...]"""
    if dtype == np.float32:
        out = np.empty(stored.shape, np.float32)
        for sample, place in zip(stored, out, strict=True):
            put_float32(sample, place, scale, offset)
        return out
    values: Array = stored.astype(dtype)
    if (scale, offset) != (1.0, 0.0):
        values *= dtype.type(scale)
        values += dtype.type(offset)
    return values


def put_float32(stored: Array, out: NDArray[np.float32], scale: float, offset: float) -> None:
    """The same for one sample, into `out`."""
    convert = _half() if stored.dtype == np.float16 else None
    if convert is not None:
        flat = (-1, stored.shape[-1]) if stored.ndim else (1, 1)
        convert(stored.view(np.int16).reshape(flat), out.reshape(flat))
    else:
        out[...] = stored
    if scale != 1.0:
        out *= np.float32(scale)
    if offset != 0.0:
        out += np.float32(offset)


def _half() -> Callable[[Array, Array], Any] | None:
    """OpenCV's conversion of float16, several times numpy's speed; None where it has none."""
    import cv2

    return getattr(cv2, "convertFp16", None)


def decode_ids(column: Array, encoding: str) -> list[Any]:
    """Ids and paths as the labels had them: int, str, or a mixture of both."""
    if encoding == "int":
        return [int(value) for value in column.tolist()]
    texts = [value.decode("utf-8", "surrogateescape") for value in column.tolist()]
    return texts if encoding == "utf-8" else [json.loads(text) for text in texts]
