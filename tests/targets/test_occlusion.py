from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpkit.core import catalog
from kpkit.errors import UsageError
from kpkit.targets.make import make_codec
from kpkit.targets.occlusion import blank, cell_shares, cover_joints

CODECS = ("msra", "unbiased", "udp", "megvii", "simcc", "paf", "bottomup")
COCO = catalog.skeleton("coco17")


def codec(name: str = "msra"):
    return make_codec(name, COCO, (64, 48))


def person(seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    xy = np.random.default_rng(seed).uniform((4, 4), (44, 60), (2, 17, 2))
    return xy, np.full((2, 17), 2, np.uint8)


@pytest.mark.parametrize("name", CODECS)
def test_an_ignored_joint_leaves_the_arrays_of_a_person_without_it(name):
    made = codec(name)
    xy, visibility = person()
    covered = np.zeros((2, 17), bool)
    covered[0, [0, 5, 11]] = True
    points = cover_joints(made.prepare(xy, visibility), covered, "ignore")
    without = made.prepare(np.where(covered[..., None], np.nan, xy), np.where(covered, 0, visibility).astype(np.uint8))
    assert (points.weights[covered] == 0).all()
    np.testing.assert_array_equal(points.weights, without.weights)
    for array, other in zip(made.render(points).values(), made.render(without).values(), strict=True):
        np.testing.assert_array_equal(array, other)


def test_an_absent_joint_has_an_empty_map_and_its_weight():
    xy, visibility = person()
    covered = np.zeros((2, 17), bool)
    covered[1, 7] = True
    points = cover_joints(codec().prepare(xy, visibility), covered, "absent")
    assert points.weights[1, 7] == 1
    heatmaps = codec().render(points)["heatmaps"]
    assert not heatmaps[1, 7].any()
    assert heatmaps[0, 7].any()


def test_a_kept_joint_is_as_if_nothing_covered_it():
    xy, visibility = person()
    points = codec().prepare(xy, visibility)
    assert cover_joints(points, np.ones((2, 17), bool), "keep") is points
    arrays = codec().render(points)
    region = np.full((2, 16, 12), 255, np.uint8)
    before = arrays["heatmaps"].copy()
    np.testing.assert_array_equal(blank(codec(), arrays, region, "keep")["heatmaps"], before)


def test_a_mode_that_does_not_exist_is_refused_with_the_nearest():
    with pytest.raises(UsageError) as refused:
        cover_joints(codec().prepare(*person()), np.zeros((2, 17), bool), "ignored")  # type: ignore[arg-type]
    assert "ignore" in refused.value.help


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("name", CODECS)
def test_maps_are_0_where_half_a_cell_or_more_is_covered_and_as_before_elsewhere(name, dtype):
    made = codec(name)
    arrays = made.render(made.prepare(*person()), dtype)
    before = {key: array.copy() for key, array in arrays.items()}
    h, w = made.heatmap_size
    region = np.random.default_rng(1).choice([0, 127, 128, 255], (2, h, w)).astype(np.uint8)
    blank(made, arrays, region, "ignore", dtype)
    for key, spec in made.spec().items():
        if not spec.is_map:
            np.testing.assert_array_equal(arrays[key], before[key])
            continue
        scale, offset = spec.scale_offset(dtype)
        hidden = np.broadcast_to((region >= 128)[:, None], arrays[key].shape)
        assert np.abs(arrays[key][hidden].astype(np.float64) * scale + offset).max() <= scale / 2 + 1e-9
        np.testing.assert_array_equal(arrays[key][~hidden], before[key][~hidden])


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 24), st.integers(1, 24), st.integers(0, 1000))
def test_shares_are_those_of_exact_fractions(rows, columns, h, w, seed):
    mask = (np.random.default_rng(seed).random((h, w)) < 0.5).astype(np.uint8) * 255
    shares = cell_shares(mask, (rows, columns))
    for i in range(rows):
        for j in range(columns):
            top, bottom = Fraction(i * h, rows), Fraction((i + 1) * h, rows)
            left, right = Fraction(j * w, columns), Fraction((j + 1) * w, columns)
            covered = Fraction(0)
            for y, x in np.argwhere(mask).tolist():
                tall = max(Fraction(0), min(bottom, Fraction(y + 1)) - max(top, Fraction(y)))
                wide = max(Fraction(0), min(right, Fraction(x + 1)) - max(left, Fraction(x)))
                covered += tall * wide
            share = covered / ((bottom - top) * (right - left)) * 255
            assert shares[i, j] == int(share + Fraction(1, 2))
