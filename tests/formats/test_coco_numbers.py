"""Keypoints are read and written in bulk: the same numbers and texts as one by one, or none at all."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpkit.formats.coco_numbers import number_list, rows_of_numbers, texts_of_rows

WIDTH = 6
integers = st.lists(st.integers(0, 99_999), min_size=WIDTH, max_size=WIDTH)
numbers = st.lists(
    st.one_of(st.integers(-(10**9), 10**9), st.floats(allow_nan=False, allow_infinity=False), st.just(-0.0)),
    min_size=WIDTH,
    max_size=WIDTH,
)
rows = st.lists(st.one_of(integers, numbers, st.just([0] * WIDTH), st.just([]), st.none()), max_size=8)
separators = st.sampled_from([(",", ":"), (", ", ": "), (",\n  ", ": ")])


@given(rows, separators)
def test_numbers_are_those_of_a_json_decoder(rows: list[list[float] | None], style: tuple[str, str]) -> None:
    texts = [json.dumps(row, separators=style).encode() for row in rows]
    expected = np.array([row or [0.0] * WIDTH for row in rows], np.float64).reshape(-1, WIDTH)
    found = rows_of_numbers(texts, WIDTH)
    assert found is not None
    assert found.tobytes() == expected.tobytes()


def test_a_row_that_is_left_out_counts_as_zeros() -> None:
    found = rows_of_numbers([b"", b"[1,2]"], 2)
    assert found is not None
    assert found.tolist() == [[0, 0], [1, 2]]


@pytest.mark.parametrize(
    "odd",
    [
        b"[1,2,3]",
        b"[1]",
        b"[[1,2]]",
        b"[[1],[2]]",
        b'"1,2"',
        b'["1","2"]',
        b"[1,null]",
        b"[1,true]",
        b'{"a":1,"b":2}',
        b"7",
        b"[1,1e400]",
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_anything_but_rows_of_numbers_is_left_to_the_careful_reader(odd: bytes, place: int) -> None:
    texts = [b"[1,2]", b"[3,4]"]
    texts.insert(place, odd)
    assert rows_of_numbers(texts, 2) is None


def test_rows_whose_lengths_only_even_out_are_refused() -> None:
    assert rows_of_numbers([b"[1]", b"[2,3,4]"], 2) is None


@given(st.lists(st.one_of(integers, numbers, st.just([0.0] * WIDTH)), max_size=8))
def test_texts_are_those_of_single_rows_and_read_back_equal(rows: list[list[float]]) -> None:
    values = np.array(rows, np.float64).reshape(-1, WIDTH)
    texts = texts_of_rows(values)
    assert texts == [number_list(row) for row in values.tolist()]
    assert [json.loads(text) for text in texts] == values.tolist()


def test_integral_numbers_have_no_point_and_others_are_shortest() -> None:
    values = np.array([[1.0, 2.0], [0.1, 3.0], [0.0, 0.0], [-7.0, 10.0], [2.0**60, 0.5]])
    assert texts_of_rows(values) == [b"[1,2]", b"[0.1,3]", b"[0,0]", b"[-7,10]", b"[1.152921504606847e18,0.5]"]
