"""Against arrays made by the reference implementations (HRNet, mmpose)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kpkit.augment import geometry as geo
from kpkit.augment.spatial import Labels, flip_channels, move
from kpkit.augment.topdown import box_to_center_scale, hrnet_warp, udp_warp
from kpkit.core import catalog

# The references build their matrices in float32 and differ from each other by this much.
MATRIX = 2e-3
PIXELS = 2e-3


@pytest.fixture(scope="module")
def golden(real_data: Path) -> Mapping[str, Any]:
    with np.load(real_data / "golden" / "golden.npz") as arrays:
        return {name: arrays[name] for name in arrays.files if name.split("/")[0] in {"warp", "bbox", "flip"}}


def _warps(golden: Mapping[str, Any], make: Any) -> np.ndarray:
    wh = golden["warp/output_size_wh"].tolist()
    return np.array(
        [
            make(center, scale, float(rot), wh)
            for center, scale, rot in zip(
                golden["warp/center"].astype(float),
                golden["warp/scale_px"].astype(float),
                golden["warp/rot_deg"],
                strict=True,
            )
        ]
    )


@pytest.mark.parametrize(("name", "make"), [("hrnet", hrnet_warp), ("mmpose", hrnet_warp), ("mmpose_udp", udp_warp)])
def test_warp_matrices_agree_with_the_reference(golden: Mapping[str, Any], name: str, make: Any) -> None:
    assert np.abs(_warps(golden, make) - golden[f"warp/{name}"]).max() < MATRIX


@pytest.mark.parametrize(("name", "make"), [("hrnet", hrnet_warp), ("mmpose", hrnet_warp), ("mmpose_udp", udp_warp)])
def test_points_inside_the_crop_land_where_the_reference_puts_them(
    golden: Mapping[str, Any], name: str, make: Any
) -> None:
    width, height = golden["warp/output_size_wh"].tolist()
    x, y = np.meshgrid(np.linspace(0, width - 1, 9), np.linspace(0, height - 1, 9))
    inside = np.stack([x, y], axis=-1).reshape(-1, 2)
    for ours, reference in zip(_warps(golden, make), golden[f"warp/{name}"].astype(float), strict=True):
        source = geo.apply_points(geo.invert(ours), inside)
        assert np.abs(geo.apply_points(reference, source) - inside).max() < PIXELS


def test_box_becomes_the_centre_and_scale_of_the_reference(golden: Mapping[str, Any]) -> None:
    wh = golden["warp/output_size_wh"].tolist()
    center, scale = box_to_center_scale(golden["bbox/xywh"].astype(float), wh)
    assert np.abs(np.concatenate([center, scale], axis=1) - golden["bbox/center_scale_px"]).max() < PIXELS


def test_flipped_joints_are_exactly_those_of_the_reference(golden: Mapping[str, Any]) -> None:
    skeleton = catalog.skeleton("coco17")
    width = int(golden["flip/width"])
    labelled = golden["flip/visible"] > 0
    persons = len(labelled)
    before = Labels(
        xy=np.where(labelled[..., None], golden["flip/joints"], np.nan),
        visibility=np.where(labelled, 2, 0).astype(np.uint8),
        truncated=np.zeros(labelled.shape, bool),
        bbox_xywh=np.full((persons, 4), np.nan),
        head_box=np.full((persons, 4), np.nan),
        area=np.full(persons, np.nan),
    )
    # A frame large enough that no joint leaves it: the reference keeps what is outside.
    after = move(before, geo.flip_horizontal(width), (width, 100_000), skeleton).labels
    expected = golden["flip/visible_out"] > 0
    np.testing.assert_array_equal(after.visibility > 0, expected)
    np.testing.assert_array_equal(after.xy[expected], golden["flip/joints_out"][expected])


def test_flipped_heatmaps_are_exactly_those_of_the_reference(golden: Mapping[str, Any]) -> None:
    flipped = flip_channels(golden["flip/heatmaps"], catalog.skeleton("coco17"))
    np.testing.assert_array_equal(flipped, golden["flip/heatmaps_out"])
