"""Outlines of those without targets: kept by row in a file, filled into masks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as cocomask

from kpkit.augment.shapes import decode_rle, encode_rle
from kpkit.errors import OutputError, RecordError
from kpkit.pipelines import heatmaps_shapes
from kpkit.pipelines.heatmaps_shapes import Shapes, fill_shape

SHAPES = st.one_of(
    st.none(),
    st.lists(st.lists(st.floats(-9, 99), min_size=6, max_size=6), min_size=1, max_size=2),
    st.fixed_dictionaries({"size": st.just([2, 3]), "counts": st.just([1, 2, 3])}),
)


@given(st.lists(SHAPES, min_size=1, max_size=12), st.data())
def test_shapes_come_back_for_any_rows_in_any_order(kept, data):
    shapes = Shapes(len(kept))
    order = data.draw(st.permutations(range(len(kept))))
    cut = data.draw(st.integers(0, len(kept)))
    for rows in (order[:cut], order[cut:]):
        shapes.put(np.array(rows, np.int64), [kept[row] for row in rows])
    wanted = data.draw(st.lists(st.integers(0, len(kept) - 1)))
    assert shapes.take(np.array(wanted, np.int64)) == [kept[row] for row in wanted]


@given(
    st.lists(st.tuples(st.floats(2, 60), st.floats(2, 40)), min_size=3, max_size=3).filter(
        lambda c: abs((c[1][0] - c[0][0]) * (c[2][1] - c[0][1]) - (c[2][0] - c[0][0]) * (c[1][1] - c[0][1])) > 200
    )
)
def test_filled_polygons_are_those_of_coco_but_for_their_border(corners):
    flat = [value for corner in corners for value in corner]
    ours = np.zeros((48, 64), np.uint8)
    fill_shape(ours, [flat])
    theirs = decode_rle(cocomask.merge(cocomask.frPyObjects([flat], 48, 64)), "pycocotools")
    ring = sum(np.hypot(*np.subtract(a, b)) for a, b in zip(corners, corners[1:] + corners[:1], strict=True))
    assert np.count_nonzero((ours > 0) != (theirs > 0)) <= 2 * ring + 8


def test_run_lengths_fill_what_they_say_beside_what_is_there():
    said = np.zeros((5, 7), np.uint8)
    said[1:3, 2:6] = 255
    mask = np.zeros((5, 7), np.uint8)
    mask[4, 0] = 255
    fill_shape(mask, encode_rle(said))
    said[4, 0] = 255
    np.testing.assert_array_equal(mask, said)


def test_run_lengths_of_another_size_are_refused():
    with pytest.raises(RecordError) as refused:
        fill_shape(np.zeros((5, 7), np.uint8), {"size": [7, 5], "counts": [35]})
    assert refused.value.code == "KP-MASK-SIZE"


@pytest.mark.parametrize("far", [1e7, 1e300, -1e300])
def test_polygons_far_beyond_the_picture_fill_its_part(far):
    mask = np.zeros((8, 8), np.uint8)
    fill_shape(mask, [[3.0, -abs(far), far, -abs(far), far, abs(far), 3.0, abs(far)]])
    assert mask[:, 4:].all() == (far > 0)
    assert mask[:, :3].all() == (far < 0)


@pytest.mark.parametrize("value", [[[1, 2, 3, 4]], [[1, 2, 3, 4, 5]], [["a"] * 6], [[float("nan")] * 6], [], "x", 5])
def test_what_is_no_outline_is_none(value):
    assert heatmaps_shapes._usable(value) is None


def test_no_room_for_temporary_files_is_said_with_their_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(heatmaps_shapes, "HELD", 1)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(OutputError) as error:
        Shapes(2).put(np.array([1]), [[[0.0] * 6]])
    assert str(tmp_path / "gone") in str(error.value)
