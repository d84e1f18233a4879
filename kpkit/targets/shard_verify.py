"""Checks shards: checksums, what they say about themselves, the ranges of their values, and targets against labels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.errors import KpkitError
from kpkit.guard import resolve_inside
from kpkit.targets.base import Codec, Points
from kpkit.targets.manifest import Manifest, ShardEntry
from kpkit.targets.manifest_checks import codec_from, layout_from, spatial_rule
from kpkit.targets.occlusion import BLANKED_FROM
from kpkit.targets.shard_arrays import read_stored
from kpkit.targets.shard_layout import KIND, MASKED, MISS, POINTS, REGION, SCHEMA_VERSION, SPATIAL, Array
from kpkit.targets.shard_read import Shard
from kpkit.targets.shard_targets import dense_of, labels_of, points_of
from kpkit.targets.shard_write import sha256_of
from kpkit.targets.weights import spatial_map

BLOCK = 64
# By how much targets may differ from those rendered here, by another kernel or version: stored units of each type.
TOLERANCE = {"float32": 1e-4, "float16": 2e-3, "uint8": 1.0}


@dataclass(frozen=True)
class Finding:
    """Something wrong: where, a stable code, one sentence, and what stood there in place of what."""

    place: str
    code: str
    message: str
    expected: str = ""
    got: str = ""


def verify_shard(folder: Path, manifest: Manifest, entry: ShardEntry) -> list[Finding]:
    """All that is wrong with one shard; an empty list where nothing is."""
    return list(_checks(folder, manifest, entry))


def _checks(folder: Path, manifest: Manifest, entry: ShardEntry) -> Iterator[Finding]:
    try:
        path = resolve_inside(folder, entry.path, place=entry.path)
        if not path.is_file():
            yield Finding(entry.path, "KP-SHARD-MISSING", "the shard is missing")
            return
        size = path.stat().st_size
        if size != entry.bytes:
            yield Finding(entry.path, "KP-SHARD-SIZE", "the file has another size", f"{entry.bytes:,}", f"{size:,}")
        digest = sha256_of(path)
        if digest != entry.sha256:
            message = "the file is not what was written: a bit is flipped, or somebody changed it"
            yield Finding(entry.path, "KP-SHARD-CHECKSUM", message, entry.sha256[:16], digest[:16])
            # What is damaged is not opened: HDF5 may crash on it, or never come back.
            return
        shard = Shard(path, layout_from(manifest), entry.samples)
        yield from _attributes(shard, manifest, entry)
        yield from _labels(shard, entry)
        yield from _spatial(shard, manifest, entry)
        yield from _targets(shard, manifest, entry)
        shard.close()
    except KpkitError as error:
        place = error.place.replace(f"{folder}/", "") or entry.path
        yield Finding(place, error.code, error.message, error.expected, error.got)
    except OSError as error:
        yield Finding(entry.path, "KP-INPUT-READ", "the file cannot be read", got=str(error.strerror or error))


def _attributes(shard: Shard, manifest: Manifest, entry: ShardEntry) -> Iterator[Finding]:
    said = shard.opened.attributes
    wanted: dict[str, Any] = {
        "kind": KIND,
        "schema_version": SCHEMA_VERSION,
        "store": manifest.store,
        "dtype": manifest.dtype,
        "compression": manifest.compression,
        "skeleton_hash": manifest.skeleton_object().content_hash,
        "job_fingerprint": manifest.fingerprint,
        "fingerprint": entry.fingerprint,
    }
    for name, value in wanted.items():
        if said.get(name) != value:
            message = f"the attribute '{name}' is not what the manifest says"
            yield Finding(entry.path, "KP-SHARD-ATTRIBUTE", message, str(value)[:40], str(said.get(name))[:40])
    if _json(said.get("codec")) != manifest.codec:
        message = "the attribute 'codec' is not what the manifest says"
        yield Finding(entry.path, "KP-SHARD-ATTRIBUTE", message, json.dumps(manifest.codec)[:80])


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return None


def _labels(shard: Shard, entry: ShardEntry) -> Iterator[Finding]:
    labels = shard.labels
    visibility, xy, affine = labels["visibility"], labels["keypoints"], labels["affine"]
    unlabelled = _any(np.isnan(xy), keep=2)
    weights = labels["weights"]
    finite = ~_any(~np.isfinite(affine))
    area = np.abs(np.linalg.det(np.where(finite[:, None, None], affine, 0.0)[:, :, :2]))
    checks: list[tuple[str, NDArray[np.bool_], str]] = [
        ("visibility", _any(visibility > 2), "flags other than 0, 1, 2"),
        (
            "keypoints",
            _any((visibility == 0) != unlabelled),
            "a joint is labelled by its flag or its place alone",
        ),
        ("keypoints", _any(np.isinf(xy)), "infinite coordinates"),
        ("weights", _any(~(np.isfinite(weights) & (weights >= 0))), "weights that are no weights"),
        ("weights", _any((visibility == 0) & (weights != 0)), "an unlabelled joint has a weight"),
        ("affine", ~(finite & (area > 0)), "a matrix that cannot be inverted"),
        ("truncated", _any(labels["truncated"] & (visibility == 2)), "a visible joint is outside the picture"),
        ("copy", labels["copy"] < 0, "a copy below 0"),
    ]
    for name, bad, message in checks:
        yield from _finding(entry, name, bad, message)


def _spatial(shard: Shard, manifest: Manifest, entry: ShardEntry) -> Iterator[Finding]:
    """The weights by place are those of their rule."""
    rule = spatial_rule(manifest)
    if rule == "none":
        return
    said, wanted = shard.labels[SPATIAL], spatial_map(rule, tuple(manifest.codec["heatmap_size"]))
    if said.shape != wanted.shape or not np.allclose(said, wanted, atol=1e-6):
        message = f"the weights by place are not those of the rule '{rule}'"
        yield Finding(f"{entry.path}: {SPATIAL}", "KP-SHARD-VALUE", message)


def _any(bad: NDArray[np.bool_], keep: int = 1) -> NDArray[np.bool_]:
    """Whether anything is bad, by the first `keep` axes."""
    found: NDArray[np.bool_] = np.logical_or.reduce(bad.reshape(*bad.shape[:keep], -1), axis=-1)
    return found


def _finding(entry: ShardEntry, name: str, bad: NDArray[np.bool_], message: str) -> Iterator[Finding]:
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        count = int(bad.sum())
        yield Finding(f"{entry.path}: {name}[{first}]", "KP-SHARD-VALUE", message, got=f"{count} samples")


def _targets(shard: Shard, manifest: Manifest, entry: ShardEntry) -> Iterator[Finding]:
    """Every target: finite, in the codec's range, and what its labels say; every chunk of pictures: whole."""
    layout = layout_from(manifest)
    codec = codec_from(manifest, layout)
    stored = [name for name in codec.spec() if name in layout]
    names = [name for name, array in layout.items() if array.per != "shard"]
    bad: dict[tuple[str, str], NDArray[np.bool_]] = {}
    for first in range(0, entry.samples, BLOCK):
        rows = np.arange(first, min(first + BLOCK, entry.samples))
        arrays = read_stored([(shard, rows, rows - first)], len(rows), names, layout)
        for key, wrong in _block(manifest, codec, arrays, rows, stored):
            bad.setdefault(key, np.zeros(entry.samples, bool))[rows] = wrong
    for (name, message), wrong in bad.items():
        yield from _finding(entry, name, wrong, message)


def _block(
    manifest: Manifest, codec: Codec, arrays: dict[str, Array], rows: NDArray[np.int64], stored: list[str]
) -> Iterator[tuple[tuple[str, str], NDArray[np.bool_]]]:
    rule = manifest.job.get("occluded_target", "ignore")
    points = points_of(codec, labels_of(arrays), rule)
    differs = ~np.isclose(points.weights, arrays["weights"], atol=1e-6)
    yield ("weights", "weights are not those of the labels"), _by_sample(points, _any(differs))
    if manifest.store == "params":
        for name, made in zip(POINTS, (points.mu, points.sigma), strict=True):
            near = np.isclose(made, arrays[name], atol=1e-3, equal_nan=True)
            yield (name, "parameters are not those of the labels"), _by_sample(points, _any(~near))
        points = Points(arrays["mu"], arrays["sigma"], arrays["weights"], points.starts)
    if MISS in arrays:
        yield from _missed(arrays, points, rule, bool(manifest.job.get("regions")))
    expected = dense_of(codec, points, arrays.get(REGION), rule, manifest.dtype) if stored else {}
    for name in stored:
        spec, values = codec.spec()[name], arrays[name].reshape(len(rows), -1).astype(np.float32)
        if manifest.dtype != "uint8":
            low, high = spec.low - 1e-3 * abs(spec.low), spec.high * 1.001
            yield (name, "values outside the codec's range"), _any(~((values >= low) & (values <= high)))
        limit = TOLERANCE[manifest.dtype] * (max(1.0, spec.high) if manifest.dtype != "uint8" else 1.0)
        apart = np.abs(values - expected[name].reshape(len(rows), -1).astype(np.float32))
        yield (name, "targets are not those of the labels"), _any(~(apart <= limit))


def _missed(
    arrays: dict[str, Array], points: Points, rule: str, regions: bool
) -> Iterator[tuple[tuple[str, str], NDArray[np.bool_]]]:
    """Whether targets hold where nothing says otherwise, and do not where something covers them.

    regions  pictures may have regions where nobody is labelled
    """
    whole = ~_by_sample(points, arrays[MASKED])
    hidden = arrays[REGION] >= BLANKED_FROM if REGION in arrays and rule == "ignore" else np.zeros((), bool)
    free = whole[:, None, None] & ~hidden & (arrays[MISS] != 255)
    yield (MISS, "cells are masked on a picture where nobody is"), _any(free & (not regions))
    yield (MISS, "covered cells are not masked"), _any(hidden & (arrays[MISS] != 0))


def _by_sample(points: Points, bad: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which samples hold a bad row of the points.  [n] bool"""
    if points.starts is None:
        return bad
    sums = np.concatenate([[0], np.cumsum(bad)])
    found: NDArray[np.bool_] = sums[points.starts[1:]] > sums[points.starts[:-1]]
    return found
