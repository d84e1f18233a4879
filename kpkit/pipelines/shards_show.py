"""A picture of samples: the crop with its joints, the targets over it, and the weight of each joint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kpkit.augment.images import encode_png
from kpkit.core.skeleton import Skeleton
from kpkit.errors import UsageError
from kpkit.guard import publish
from kpkit.qa.draw import contact_sheet, draw_persons
from kpkit.qa.ink import DARK, PAPER, SIDE_COLOURS, joint_sides
from kpkit.targets.shard_dataset import ShardDataset
from kpkit.targets.shard_layout import COUNT, IMAGE, MASKED, MISS, REGION

Picture = NDArray[np.uint8]
Values = NDArray[np.float32]

GREY = 96
DIM = 0.45
STRIP = 18
GAP = 6
# Cells of less than this share of the peak are not painted.
FAINT = 0.02
FAINT_LIMBS = 0.4


def show(folder: Path, output: Path, *, samples: int = 8, force: bool = False) -> list[int]:
    """Draw samples, evenly spread, into a PNG; returns their numbers.

    Raises UsageError for less than one sample, InputError where there are no shards, OutputError.
    """
    if samples < 1:
        raise UsageError("a sheet needs a sample", code="KP-USAGE", expected="1 or more", got=str(samples))
    with ShardDataset(folder) as shards:
        n = len(shards)
        chosen: list[int] = np.unique(np.linspace(0, max(n - 1, 0), min(samples, n)).round().astype(int)).tolist()
        tiles = [draw_sample(shards, shards[index]) for index in chosen]
        captions = [_caption(shards[index]) for index in chosen]
        height, width = shards.codec.input_size
        if shards.spatial_weights is not None:
            tiles.append(draw_spatial(shards.spatial_weights, (height, width)))
            captions.append("spatial weights: {:.2f} to {:.2f}".format(*_ends(shards.spatial_weights)))
    scale = min(1.0, 320 / height)
    size = (round((2 * width + GAP) * scale), round((height + STRIP) * scale))
    sheet = contact_sheet(tiles, captions, tile_size=size, title=_title(shards), cut_off=True)
    with publish(output, force=force) as temporary:
        temporary.write_bytes(encode_png(sheet))
    return chosen


def _title(shards: ShardDataset) -> str:
    manifest = shards.manifest
    bars = "how many persons have each joint" if shards.whole_images else "weight of each joint"
    return f"{manifest.codec.get('codec')}, {len(shards):,} samples: joints, targets, {bars}"


def _caption(sample: dict[str, Any]) -> str:
    parts = [f"{sample['image_path']} #{sample['instance_id']}"]
    if COUNT in sample:
        masked = int(np.sum(sample[MASKED]))
        parts = [str(sample["image_path"]), _counted(int(sample[COUNT]) - masked)]
        parts += [f"{masked} masked"] if masked else []
    if sample["copy"]:
        parts.append(f"copy {int(sample['copy'])}")
    if sample["flipped"]:
        parts.append("mirrored")
    return ", ".join(parts)


def _counted(persons: int) -> str:
    return "1 person" if persons == 1 else f"{persons} persons"


def draw_sample(shards: ShardDataset, sample: dict[str, Any]) -> Picture:
    """One sample: input and joints, input and targets, and below a bar a joint: its weight.  [h+18, 2w+6, 3] uint8 BGR

    Cells that are covered are hatched one way, those of a whole picture where no targets hold the other way.
    """
    height, width = shards.codec.input_size
    skeleton = shards.skeleton
    crop: Picture = sample[IMAGE] if IMAGE in sample else np.full((height, width, 3), GREY, np.uint8)
    xy, visibility, truncated = (sample[name] for name in ("keypoints", "visibility", "truncated"))
    if not shards.whole_images:
        xy, visibility, truncated = xy[None], visibility[None], truncated[None]
    joints = draw_persons(crop, skeleton, xy, visibility, truncated)
    maps, sides = target_maps(shards, sample), _sides(shards)
    if shards.whole_images:
        # Limbs of many persons would hide the joints.
        maps[len(skeleton) :] *= FAINT_LIMBS
    targets = _overlay(crop, maps, sides)
    if REGION in sample:
        targets = _hatched(targets, sample[REGION])
    if MISS in sample:
        targets = _hatched(targets, 255 - sample[MISS], rising=False)
    tile = np.full((height + STRIP, 2 * width + GAP, 3), PAPER, np.uint8)
    tile[:height, :width] = joints
    tile[:height, width + GAP :] = targets
    # Of a whole picture: how many persons have a target for the joint.
    weights = (sample["weights"] > 0).sum(axis=0).astype(np.float32) if shards.whole_images else sample["weights"]
    _weights(tile[height:], weights, skeleton)
    return tile


def draw_spatial(weights: Values, input_size: tuple[int, int]) -> Picture:
    """The weights by place, in the size of a sample's tile: the lighter, the more a cell counts.

    weights  [H,W]  float32    input_size  (height, width)

    returns  [h+18,2w+6,3]  uint8 BGR
    """
    height, width = input_size
    low, high = _ends(weights)
    grey = np.rint((weights - low) / max(high - low, 1e-9) * 215.0 + 40.0).astype(np.uint8)
    tile = np.full((height + STRIP, 2 * width + GAP, 3), PAPER, np.uint8)
    left = (tile.shape[1] - width) // 2
    tile[:height, left : left + width] = cv2.resize(grey, (width, height), interpolation=cv2.INTER_NEAREST)[..., None]
    return tile


def _ends(weights: Values) -> tuple[float, float]:
    return float(weights.min()), float(weights.max())


def target_maps(shards: ShardDataset, sample: dict[str, Any]) -> Values:
    """The targets as maps of the crop's size, each scaled to a peak of 1.  [C,h,w] float32

    Vectors of limbs are shown by their length, pairs of one-dimensional targets by their product.
    """
    height, width = shards.codec.input_size
    maps: list[Values] = []
    for name, spec in shards.codec.spec().items():
        values = np.asarray(sample[name], np.float32)
        if spec.vectors:
            values = np.hypot(values[0::2], values[1::2])
        if spec.is_map and spec.channels:
            maps += [cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR) for one in values]
    if {"simcc_x", "simcc_y"} <= sample.keys():
        for x, y in zip(sample["simcc_x"], sample["simcc_y"], strict=True):
            across = cv2.resize(np.asarray(x, np.float32)[None], (width, 1), interpolation=cv2.INTER_AREA)
            down = cv2.resize(np.asarray(y, np.float32)[:, None], (1, height), interpolation=cv2.INTER_AREA)
            maps.append((down * across).astype(np.float32))
    stacked = np.stack(maps) if maps else np.zeros((1, height, width), np.float32)
    peaks = stacked.max(axis=(1, 2), keepdims=True)
    return (stacked / np.where(peaks > 0, peaks, 1.0)).astype(np.float32)


def _sides(shards: ShardDataset) -> list[str]:
    """The side of each map: its joint's, or that of both ends of its limb."""
    sides, codec = joint_sides(shards.skeleton), shards.codec
    found: list[str] = []
    for spec in codec.spec().values():
        if spec.channels == "limbs":
            ends = [(sides[a], sides[b]) for a, b in codec.parameters()["limbs"]]
            found += [one if one == other else "centre" for one, other in ends]
        else:
            found += sides
    return found


def _overlay(crop: Picture, maps: Values, sides: list[str]) -> Picture:
    """Targets in the hue of their joint's side over a dimmed crop; where several are, the stronger one."""
    dimmed = crop.astype(np.float32) * DIM
    strongest = maps.max(axis=0)
    which = maps.argmax(axis=0)
    colours = np.array([SIDE_COLOURS[sides[c] if c < len(sides) else "centre"] for c in range(len(maps))], np.float32)
    share = np.where(strongest > FAINT, strongest, 0.0)[..., None]
    mixed: Picture = np.rint(dimmed * (1 - share) + colours[which] * share).astype(np.uint8)
    return mixed


def _hatched(picture: Picture, region: Picture, *, rising: bool = True) -> Picture:
    """The picture with diagonal lines where targets are blanked; falling ones where none hold."""
    height, width = picture.shape[:2]
    hidden = cv2.resize(region, (width, height), interpolation=cv2.INTER_NEAREST) >= 128
    rows, columns = np.indices((height, width))
    lines = hidden & ((rows + columns if rising else rows - columns) % 8 < 2)
    hatched = picture.copy()
    hatched[lines] = PAPER
    return hatched


def _weights(strip: Picture, weights: Values, skeleton: Skeleton) -> None:
    """A bar a joint, as high as its weight; a line at the bottom where it is 0."""
    height, width = strip.shape[:2]
    most = max(1.0, float(weights.max(initial=0.0)))
    room = width / max(1, len(weights))
    for k, side in enumerate(joint_sides(skeleton)):
        left, right = round(k * room) + 1, max(round(k * room) + 2, round((k + 1) * room) - 1)
        tall = round((height - 4) * float(weights[k]) / most)
        cv2.rectangle(strip, (left, height - 2), (right, height - 2), DARK, 1)
        if tall:
            cv2.rectangle(strip, (left, height - 2 - tall), (right, height - 2), SIDE_COLOURS[side], -1)
