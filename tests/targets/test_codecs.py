"""What every codec keeps to: shapes, ranges, weights, stored points, mirrors, agreement of the kernels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kpkit.targets import kernels
from kpkit.targets.base import Points
from kpkit.targets.flip import flip_arrays
from tests.targets.strategies import BACKENDS, INPUT, KINDS, SMALL, joints, kind, mirrored

kinds = pytest.mark.parametrize("name", KINDS)
DTYPES = ("float32", "float16", "uint8")


@kinds
@given(made=joints(margin=40.0), dtype=st.sampled_from(DTYPES))
def test_arrays_have_the_shapes_types_and_ranges_that_the_codec_states(name, made, dtype):
    codec = kind(name)
    arrays, weights = codec.encode(*made, dtype=dtype)
    specs = codec.spec()
    assert arrays.keys() == specs.keys()
    for array_name, array in arrays.items():
        spec = specs[array_name]
        assert array.shape == (len(made[0]), *spec.shape)
        assert array.dtype == dtype
        scale, offset = spec.scale_offset(dtype)
        values = array.astype(float) * scale + offset
        assert spec.low - 1e-6 <= values.min()
        assert values.max() <= spec.high * 1.001
    assert weights.dtype == np.float32
    assert weights.shape == made[1].shape


@kinds
@given(made=joints(margin=40.0))
def test_an_unlabelled_joint_has_weight_0_and_contributes_nothing(name, made):
    codec = kind(name)
    arrays, weights = codec.encode(*made)
    assert not weights[made[1] == 0].any()
    if "heatmaps" in arrays:
        assert not arrays["heatmaps"][made[1] == 0].any()
    nothing, none = codec.encode(made[0] * np.nan, made[1] * 0, made[2])
    assert not none.any()
    assert not any(array.any() for array in nothing.values())


@kinds
@given(made=joints(margin=40.0), dtype=st.sampled_from(DTYPES))
def test_stored_points_render_to_the_bits_of_encode(name, made, dtype):
    codec = kind(name)
    points = codec.prepare(*made)
    assert points.mu.dtype == points.sigma.dtype == points.weights.dtype == np.float32
    assert points.mu.shape == (*made[1].shape, 2)
    stored = Points(points.mu.copy(), points.sigma.copy(), points.weights.copy())
    arrays, _ = codec.encode(*made, dtype=dtype)
    for array_name, array in codec.render(stored, dtype).items():
        assert array.tobytes() == arrays[array_name].tobytes()


@kinds
@given(made=joints())
def test_visible_and_occluded_joints_give_the_same(name, made):
    xy, visibility, boxes = made
    codec = kind(name)
    one, one_weights = codec.encode(xy, visibility, boxes)
    other, other_weights = codec.encode(xy, np.minimum(visibility, 1), boxes)
    np.testing.assert_array_equal(one_weights, other_weights)
    for array_name, array in one.items():
        np.testing.assert_array_equal(array, other[array_name])


@kinds
@given(made=joints(persons=(2, 5), margin=40.0))
def test_a_person_does_not_depend_on_the_batch(name, made):
    codec = kind(name)
    arrays, weights = codec.encode(*made)
    alone, alone_weights = codec.encode(*(array[1:2] for array in made))
    np.testing.assert_array_equal(weights[1:2], alone_weights)
    for array_name, array in arrays.items():
        np.testing.assert_array_equal(array[1:2], alone[array_name])


@kinds
@given(made=joints(margin=40.0), dtype=st.sampled_from(DTYPES))
def test_the_flipped_arrays_are_those_of_the_flipped_person_where_the_codec_says_so(name, made, dtype):
    xy, visibility, boxes = made
    codec = kind(name)
    if not codec.flips_channels:
        return
    arrays, weights = codec.encode(xy, visibility, boxes, dtype)
    other, other_weights = codec.encode(*mirrored(xy, visibility, INPUT[1]), boxes, dtype)
    np.testing.assert_array_equal(weights[:, SMALL.flip_index], other_weights)
    for array_name, array in flip_arrays(codec, arrays).items():
        np.testing.assert_array_equal(array, other[array_name])


EXACT = {"udp", "udp adaptive", "udp combined", "bottomup", "bottomup box"}


@kinds
def test_a_codec_that_does_not_say_so_really_is_not_exact_under_a_mirror(name):
    codec = kind(name)
    assert codec.flips_channels == (name in EXACT)
    if codec.flips_channels:
        return
    xy = np.random.default_rng(3).uniform(0, 1, (50, len(SMALL), 2)) * (INPUT[1] - 1, INPUT[0] - 1)
    # The references' trunc differs only beyond the far edge.
    xy += (0, 0) if "mmpose" not in name else (-3.0, -3.0)
    visibility = np.full(xy.shape[:2], 2, np.uint8)
    boxes = np.full((50, 2), 100.0)
    arrays, _ = codec.encode(xy, visibility, boxes)
    other, _ = codec.encode(*mirrored(xy, visibility, INPUT[1]), boxes)
    codec.flips_channels = True
    flipped = flip_arrays(codec, arrays)
    assert any(np.abs(flipped[array_name] - other[array_name]).max() > 1e-3 for array_name in arrays)


@pytest.mark.skipif(len(BACKENDS) < 2, reason="numba is not installed")
@kinds
@given(made=joints(persons=(1, 6), margin=40.0), dtype=st.sampled_from(DTYPES), several=st.booleans())
def test_compiled_and_numpy_kernels_agree(name, made, dtype, several):
    codec = kind(name)
    starts = np.array([0, len(made[0]) // 2, len(made[0]) // 2, len(made[0])]) if several else None
    assume(not several or name.split()[0] in {"bottomup", "paf", "msra", "udp"})
    with kernels.use("numpy"):
        slow, _ = codec.encode(*made, dtype=dtype, starts=starts if "combined" not in name else None)
    with kernels.use("numba"):
        fast, _ = codec.encode(*made, dtype=dtype, starts=starts if "combined" not in name else None)
    for array_name, array in slow.items():
        other = fast[array_name]
        if dtype == "float32":
            # Values of megvii go to 331.
            assert np.abs(array - other).max() <= 1e-6 * max(1.0, codec.spec()[array_name].high)
        else:
            bits = "int16" if dtype == "float16" else "uint8"
            assert np.abs(array.view(bits).astype(int) - other.view(bits).astype(int)).max() <= 1
