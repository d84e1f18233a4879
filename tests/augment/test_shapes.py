from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco_mask

from kpkit.augment import geometry as geo
from kpkit.augment.shapes import MAX_MASK, clip_polygon, decode_rle, encode_rle, move_mask, move_polygon
from kpkit.core.polygons import polygon_area
from kpkit.errors import RecordError
from tests.augment.strategies import matrices

W, H = 40, 30
FRAME = (-0.5, -0.5, W - 0.5, H - 0.5)


@st.composite
def star_polygons(draw: st.DrawFn) -> np.ndarray:
    """Simple polygons, convex or not, inside the frame, across its border, or outside."""
    count = draw(st.integers(3, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    angles = (np.arange(count) + rng.uniform(-0.4, 0.4, count)) * 2 * np.pi / count
    spokes = np.stack([np.cos(angles), np.sin(angles)], axis=-1) * rng.uniform(2, 30, count)[:, None]
    polygon = rng.uniform((-15, -15), (W + 15, H + 15)) + spokes
    return polygon[::-1] if draw(st.booleans()) else polygon


def _inside(polygon: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Whether points lie inside: an odd number of edges crosses the ray to the right."""
    odd = np.zeros(len(points), bool)
    for (x0, y0), (x1, y1) in zip(np.roll(polygon, 1, axis=0), polygon, strict=True):
        crosses = (y0 > points[:, 1]) != (y1 > points[:, 1])
        with np.errstate(divide="ignore", invalid="ignore"):
            at = x0 + (points[:, 1] - y0) * (x1 - x0) / (y1 - y0)
        odd ^= crosses & (points[:, 0] < at)
    return odd


def _sampled_area(polygon: np.ndarray, low: np.ndarray, high: np.ndarray, steps: int = 200) -> float:
    x, y = (a + (np.arange(steps) + 0.5) * (b - a) / steps for a, b in zip(low, high, strict=True))
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    return float(_inside(polygon, grid).mean() * np.prod(high - low))


@given(star_polygons())
def test_area_is_the_share_of_points_inside(polygon: np.ndarray) -> None:
    low, high = polygon.min(axis=0) - 1, polygon.max(axis=0) + 1
    expected = _sampled_area(polygon, low, high)
    assert polygon_area(polygon) == pytest.approx(expected, abs=0.02 * np.prod(high - low))


@given(star_polygons())
def test_clipped_area_is_the_share_of_points_inside_polygon_and_frame(polygon: np.ndarray) -> None:
    clipped = clip_polygon(polygon, W, H)
    expected = _sampled_area(polygon, np.array(FRAME[:2]), np.array(FRAME[2:]))
    assert polygon_area(clipped) == pytest.approx(expected, abs=0.01 * W * H)


@given(star_polygons())
def test_clipped_polygon_lies_in_the_frame(polygon: np.ndarray) -> None:
    clipped = clip_polygon(polygon, W, H)
    assert len(clipped) == 0 or len(clipped) >= 3
    assert (clipped >= -0.5 - 1e-9).all()
    assert (clipped <= np.array([W, H]) - 0.5 + 1e-9).all()
    assert polygon_area(clipped) <= polygon_area(polygon) + 1e-9


def test_polygon_inside_the_frame_is_not_touched() -> None:
    polygon = np.array([[1.25, 2.5], [30.0, 3.0], [20.0, 25.0]])
    np.testing.assert_array_equal(clip_polygon(polygon, W, H), polygon)


def test_polygon_outside_the_frame_is_empty() -> None:
    assert clip_polygon(np.array([[50.0, 2], [60.0, 3], [55.0, 9]]), W, H).shape == (0, 2)
    assert polygon_area(np.zeros((0, 2))) == 0.0


@given(star_polygons(), matrices())
def test_area_of_a_moved_polygon_grows_by_the_determinant(polygon: np.ndarray, matrix: geo.Matrix) -> None:
    moved = polygon_area(move_polygon(matrix, polygon))
    assert moved == pytest.approx(polygon_area(polygon) * geo.scale_of(matrix), rel=1e-6, abs=1e-6)


masks = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.sampled_from([0, 255]))


@given(masks)
def test_run_lengths_read_back_equal(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(decode_rle(encode_rle(mask), "here"), mask)


# pycocotools calls numpy in a way that numpy 2 warns of.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@given(masks)
def test_run_lengths_are_those_that_pycocotools_reads(mask: np.ndarray) -> None:
    height, width = mask.shape
    theirs = coco_mask.decode(coco_mask.frPyObjects(encode_rle(mask), height, width))
    np.testing.assert_array_equal(theirs * 255, mask)


@given(masks)
def test_compressed_strings_of_pycocotools_are_read(mask: np.ndarray) -> None:
    packed = coco_mask.encode(np.asfortranarray(mask > 0).astype(np.uint8))
    for counts in (packed["counts"], packed["counts"].decode("ascii")):
        found = decode_rle({"size": list(mask.shape), "counts": counts}, "here")
        np.testing.assert_array_equal(found, mask)


def test_long_runs_of_a_compressed_string_are_read() -> None:
    mask = np.zeros((2000, 1500), np.uint8)
    mask[700:1900, 3:1400] = 255
    packed = coco_mask.encode(np.asfortranarray(mask > 0).astype(np.uint8))
    np.testing.assert_array_equal(decode_rle({"size": [2000, 1500], "counts": packed["counts"]}, "here"), mask)


@pytest.mark.parametrize(
    "segmentation",
    [
        {},
        {"size": [2, 2]},
        {"counts": [4]},
        {"size": [2, 2], "counts": [3]},
        {"size": [2, 2], "counts": [5]},
        {"size": [2, 2], "counts": [6, -2]},
        {"size": [2, 2], "counts": [2.0, 2.0]},
        {"size": [2, 2], "counts": ["4"]},
        {"size": [2, 2], "counts": None},
        {"size": [2, 2], "counts": {"a": 1}},
        {"size": [2.0, 2.0], "counts": [4]},
        {"size": [-2, -2], "counts": [4]},
        {"size": [0, 0], "counts": []},
        {"size": [2], "counts": [2]},
        {"size": ["2", "2"], "counts": [4]},
        {"size": [10**9, 10**9], "counts": [10**18]},
        {"size": [MAX_MASK, 2], "counts": [2 * MAX_MASK]},
        {"size": [2, 2], "counts": "\x00"},
        {"size": [2, 2], "counts": "ooooooooooooooooooo"},
        {"size": [2, 2], "counts": "o"},
        {"size": [2, 2], "counts": "é漢"},
        {"size": [2, 2], "counts": ""},
    ],
    ids=str,
)
def test_damaged_run_lengths_are_refused(segmentation: dict[str, Any]) -> None:
    with pytest.raises(RecordError) as caught:
        decode_rle(segmentation, "row 3")
    assert (caught.value.code, caught.value.place) == ("KP-RLE", "row 3")


@given(st.text(max_size=30) | st.binary(max_size=30), st.integers(1, 60), st.integers(1, 60))
def test_any_string_is_a_mask_or_is_refused(counts: str | bytes, height: int, width: int) -> None:
    try:
        mask = decode_rle({"size": [height, width], "counts": counts}, "here")
    except RecordError:
        return
    assert mask.shape == (height, width)


def test_disc_of_a_mask_moves_with_the_points() -> None:
    """The centroid of what is masked is where the matrix takes the disc's centre.

    Nearest pixels leave the edge ragged by up to half a pixel; on the average over many movements nothing is left.
    """
    offs = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        center, radius = rng.uniform((65, 50), (95, 70)), 9.0
        y, x = np.mgrid[:120, :160]
        mask = ((x - center[0]) ** 2 + (y - center[1]) ** 2 < radius**2).astype(np.uint8) * 255
        matrix = geo.compose(
            geo.scale_rotate((80, 60), rng.uniform(0.7, 1.6), rng.uniform(-180, 180)),
            geo.flip_horizontal(160) if rng.uniform() < 0.5 else geo.identity(),
            geo.translate(*rng.uniform(-5, 5, 2)),
        )
        moved = move_mask(matrix, mask, (160, 120))
        rows, columns = np.nonzero(moved)
        offs.append(np.array([columns.mean(), rows.mean()]) - geo.apply_points(matrix, center))
        assert set(np.unique(moved)) <= {0, 255}
        assert len(rows) == pytest.approx(np.pi * radius**2 * geo.scale_of(matrix), rel=0.1)
    assert np.abs(offs).max() < 0.5
    assert np.abs(np.mean(offs, axis=0)).max() < 0.05


@given(masks)
def test_flipped_mask_is_the_mirrored_array(mask: np.ndarray) -> None:
    height, width = mask.shape
    np.testing.assert_array_equal(move_mask(geo.flip_horizontal(width), mask, (width, height)), mask[:, ::-1])
    np.testing.assert_array_equal(move_mask(geo.flip_vertical(height), mask, (width, height)), mask[::-1])
