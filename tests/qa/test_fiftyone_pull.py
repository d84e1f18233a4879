"""Pixels of edited points: what somebody typed, not what dividing and multiplying makes of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kpkit.qa.fiftyone_pull import _rounded

sides = st.integers(1, 20_000).map(float)


@given(st.integers(-200_000, 20_000_000), st.integers(0, 3), sides)
def test_pixels_with_few_decimals_come_back_as_they_were_typed(digits, decimals, side):
    pixel = digits / 10**decimals
    assert _rounded(pixel / side, side) == pixel


@given(st.floats(-2, 3, allow_nan=False), sides)
def test_any_share_becomes_pixels_that_stand_for_it(share, side):
    assert abs(_rounded(share, side) - share * side) <= 1e-9 * side
