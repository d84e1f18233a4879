"""Parts are neighbouring images with all their persons, and make up the dataset."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kpkit.core.dataset import Dataset
from kpkit.core.partition import cut, rows_by_range, split
from kpkit.testing.strategies import datasets

counts = st.lists(st.integers(0, 9), max_size=30).map(lambda one: np.array(one, np.int64))


@given(counts, st.integers(1, 12))
def test_ranges_follow_each_other_and_hold_no_more_than_asked(persons: np.ndarray, size: int) -> None:
    ranges = cut(persons, size)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == len(persons)
    assert all(one[1] == two[0] for one, two in itertools.pairwise(ranges))
    for first, end in ranges:
        assert end - first <= size
        assert persons[first:end].sum() <= size or end - first == 1


@given(counts, st.integers(1, 12))
def test_a_range_ends_only_where_the_next_image_does_not_fit(persons: np.ndarray, size: int) -> None:
    for first, end in cut(persons, size)[:-1]:
        assert end - first == size or persons[first : end + 1].sum() > size


def test_a_crowded_image_is_a_part_of_its_own() -> None:
    assert cut(np.array([1, 50, 1, 1]), 10) == [(0, 1), (1, 2), (2, 4)]


def test_no_image_is_one_part() -> None:
    assert cut(np.zeros(0, np.int64), 5) == [(0, 0)]


def test_rows_outside_every_range_are_in_no_part() -> None:
    found = list(rows_by_range(np.array([1, -1, 0, 1]), [(0, 1), (1, 2)]))
    assert [rows.tolist() for rows in found] == [[2], [0, 3]]


@given(datasets(), st.integers(1, 5))
def test_every_person_and_image_stands_in_one_part(dataset: Dataset, size: int) -> None:
    parts = list(split(dataset, size))
    assert sorted(row for part in parts for row in part.rows.tolist()) == list(range(len(dataset)))
    paths = [path for part in parts for path in part.dataset.images.path.tolist()]
    assert paths == dataset.images.path.tolist()
    for part in parts:
        assert part.dataset.instance_id.tolist() == dataset.instance_id[part.rows].tolist()
        assert (part.dataset.image_index + part.first_image).tolist() == dataset.image_index[part.rows].tolist()
