from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpkit.errors import UsageError
from kpkit.targets.bottomup import miss_mask
from kpkit.targets.make import make_codec
from tests.targets.strategies import SMALL, joints, kind

SIZE = (256, 256)


@given(made=joints(persons=(2, 5), margin=30.0), dtype=st.sampled_from(["float32", "float16", "uint8"]))
def test_an_images_heatmaps_are_the_largest_of_its_persons(made, dtype):
    codec = kind("bottomup")
    alone, _ = codec.encode(*made, dtype=dtype)
    together, weights = codec.encode(*made, dtype=dtype, starts=np.array([0, 1, len(made[0])]))
    assert weights.shape == made[1].shape
    np.testing.assert_array_equal(together["heatmaps"][0], alone["heatmaps"][0])
    np.testing.assert_array_equal(together["heatmaps"][1], alone["heatmaps"][1:].max(axis=0))


@given(made=joints(persons=(2, 5), margin=30.0))
def test_where_limbs_of_several_persons_meet_their_mean_stands(made):
    codec = kind("bottomup")
    alone = codec.encode(*made)[0]["pafs"]
    together = codec.encode(*made, starts=np.array([0, len(made[0])]))[0]["pafs"][0]
    fields = alone.reshape(len(alone), -1, 2, *alone.shape[2:])
    count = np.maximum((fields != 0).any(axis=2).sum(axis=0), 1)[:, None]
    np.testing.assert_allclose(together, (fields.sum(axis=0) / count).reshape(together.shape), atol=1e-6)


@given(made=joints(persons=(1, 4)))
def test_fields_are_unit_vectors_near_their_limbs(made):
    codec = kind("bottomup")
    fields = codec.encode(*made)[0]["pafs"]
    lengths = np.hypot(fields[:, 0::2], fields[:, 1::2])
    assert np.all((lengths == 0) | (np.abs(lengths - 1) < 1e-6))
    for limb, (a, b) in enumerate(codec.limbs):
        missing = (made[1][:, [a, b]] == 0).any(axis=1)
        assert not lengths[missing, limb].any()


def test_an_image_without_persons_is_empty():
    codec = kind("bottomup")
    nobody = np.zeros((0, len(SMALL), 2)), np.zeros((0, len(SMALL)), np.uint8)
    arrays, _ = codec.encode(*nobody, starts=np.array([0, 0, 0]))
    assert arrays["heatmaps"].shape[0] == 2
    assert not any(array.any() for array in arrays.values())


def crowd(seed, n):
    """n persons that stand apart, each star-shaped around its head."""
    rng = np.random.default_rng(seed)
    places = rng.permutation(9)[:n]
    heads = np.stack([places % 3, places // 3], axis=-1) * 80.0 + 48.0
    turn = rng.uniform(0, 2 * np.pi, n)[:, None] + np.arange(4) * (np.pi / 2) + rng.uniform(-0.2, 0.2, (n, 4))
    ends = heads[:, None] + 28.0 * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    return np.concatenate([heads[:, None], ends], axis=1)


@given(seed=st.integers(0, 2**32), n=st.integers(1, 9))
def test_persons_who_stand_apart_are_put_together_again(seed, n):
    codec = make_codec("bottomup", SMALL, SIZE)
    xy = crowd(seed, n)
    visibility = np.full(xy.shape[:2], 2, np.uint8)
    arrays, _ = codec.encode(xy, visibility, starts=np.array([0, n]))
    ((found, scores),) = codec.decode_persons(arrays)
    assert found.shape == xy.shape
    assert (scores > 0.5).all()
    for person in xy:
        assert np.abs(found - person).max(axis=(1, 2)).min() < 0.5


def test_a_joint_that_nobody_labelled_is_not_found():
    codec = make_codec("bottomup", SMALL, SIZE)
    xy = crowd(1, 3)
    visibility = np.full(xy.shape[:2], 2, np.uint8)
    xy[1, 2], visibility[1, 2] = np.nan, 0
    arrays, _ = codec.encode(xy, visibility, starts=np.array([0, 3]))
    ((found, scores),) = codec.decode_persons(arrays)
    assert found.shape == xy.shape
    assert (scores == 0).sum() == 1
    assert not found[scores == 0].any()


def test_persons_are_not_put_together_without_limbs():
    codec = make_codec("bottomup", SMALL, SIZE, limbs=[])
    assert set(codec.spec()) == {"heatmaps"}
    with pytest.raises(UsageError, match="has none"):
        codec.decode_persons({"heatmaps": np.zeros((1, 5, 64, 64), np.float32)})


@pytest.mark.parametrize("starts", [[0, 2], [1, 3], [0, 2, 1, 3], []])
def test_starts_that_do_not_divide_the_persons_are_refused(starts):
    codec = kind("bottomup")
    xy, visibility = np.zeros((3, len(SMALL), 2)), np.full((3, len(SMALL)), 2, np.uint8)
    with pytest.raises(UsageError) as refused:
        codec.encode(xy, visibility, starts=np.array(starts, np.int64))
    assert refused.value.code == "KP-TARGET-STARTS"


def test_a_limb_whose_mirror_is_no_limb_makes_mirrored_arrays_inexact():
    assert make_codec("bottomup", SMALL, SIZE).flips_channels
    assert not make_codec("bottomup", SMALL, SIZE, limbs=[[0, 1]]).flips_channels


def test_what_is_missed_are_crowds_and_boxes_of_persons_without_keypoints():
    region = np.zeros((64, 48), np.uint8)
    region[:8, :8] = 255
    boxes = np.array([[16.0, 32.0, 8.0, 4.0], [np.nan, 0, 1, 1]])
    mask = miss_mask([region], boxes, (64, 48), (16, 12))
    expected = np.full((16, 12), 255, np.uint8)
    expected[:2, :2] = 0
    expected[8, 4:6] = 0
    np.testing.assert_array_equal(mask, expected)


def test_a_cell_missed_in_part_has_its_share():
    boxes = np.array([[0.0, 0.0, 2.0, 4.0]])
    assert miss_mask([], boxes, (64, 48), (16, 12))[0, 0] == 255 - 128
