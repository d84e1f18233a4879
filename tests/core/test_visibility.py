"""Flags only ever go down, in one module, and arguments stay as they were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kpkit.core import visibility

NAN = np.nan


def test_covering_makes_visible_occluded_and_leaves_the_rest():
    flags = np.array([0, 1, 2, 0, 1, 2], np.uint8)
    covered = np.array([True] * 3 + [False] * 3)
    after = visibility.occlude(flags, covered)
    assert after.tolist() == [0, 1, 1, 0, 1, 2]
    assert after.dtype == np.uint8
    assert flags.tolist() == [0, 1, 2, 0, 1, 2]


def test_leaving_the_frame_is_unlabelled_truncated_and_nowhere():
    xy = np.array([[1.0, 2], [3, 4], [NAN, NAN], [5, 6]])
    flags = np.array([2, 1, 0, 2], np.uint8)
    outside = np.array([True, True, True, False])
    after_xy, after, truncated = visibility.leave_frame(xy, flags, np.zeros(4, bool), outside)
    assert after.tolist() == [0, 0, 0, 2]
    assert truncated.tolist() == [True, True, False, False]
    np.testing.assert_array_equal(after_xy, [[NAN, NAN]] * 3 + [[5, 6]])
    assert xy[0, 0] == 1


def test_a_joint_that_was_truncated_before_stays_so():
    _, flags, truncated = visibility.leave_frame(
        np.array([[NAN, NAN], [1, 2]]), np.array([0, 1], np.uint8), np.array([True, True]), np.array([False, False])
    )
    assert truncated.tolist() == [True, True]
    assert flags.tolist() == [0, 1]


def test_a_derived_point_is_as_visible_as_its_least_visible_source():
    flags = np.array([[2, 2], [2, 1], [1, 0]], np.uint8)
    assert visibility.merge(flags, axis=1).tolist() == [2, 1, 0]
    assert visibility.merge(flags, axis=0).tolist() == [1, 0]


def test_unlabelled_coordinates_become_nan_and_the_rest_stay():
    xy = visibility.unlabel(np.array([[7.0, 8], [9, 10]]), np.array([0, 1], np.uint8))
    np.testing.assert_array_equal(xy, [[NAN, NAN], [9, 10]])


def test_counts_are_over_everybody():
    flags = np.array([[0, 1], [2, 2]], np.uint8)
    truncated = np.array([[True, False], [False, False]])
    assert visibility.counts(flags, truncated) == {"visible": 2, "occluded": 1, "unlabelled": 1, "truncated": 1}


@given(
    arrays.arrays(np.uint8, (5, 3), elements=st.integers(0, 2)),
    arrays.arrays(np.bool_, (5, 3)),
    arrays.arrays(np.bool_, (5, 3)),
)
@pytest.mark.parametrize("first", ["occlude", "leave"])
def test_no_flag_ever_goes_up(first, flags, covered, outside):
    xy = visibility.unlabel(np.ones((5, 3, 2)), flags)
    hidden = visibility.occlude(flags, covered) if first == "occlude" else flags
    xy, after, truncated = visibility.leave_frame(xy, hidden, np.zeros((5, 3), bool), outside)
    after = visibility.occlude(after, covered)
    assert (after <= flags).all()
    assert (np.isnan(xy).all(axis=-1) == (after == 0)).all()
    assert not (truncated & (after == 2)).any()
