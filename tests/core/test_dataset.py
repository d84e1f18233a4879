"""The canonical dataset refuses what contradicts itself and changes nobody's arrays."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from kpkit.core.dataset import AREA_SOURCES, BBOX_SOURCES, Dataset, ImageTable, known_rows
from kpkit.core.skeleton import Skeleton
from kpkit.core.table import as_column, as_ids
from kpkit.errors import DefinitionError

PAIR = Skeleton(name="pair", keypoints=("left", "right"), flip_pairs=((0, 1),), edges=((0, 1),))
NONE = Skeleton(name="none", keypoints=())
NAN = float("nan")


def images(*paths: str) -> ImageTable:
    return ImageTable.build(path=paths or ("a.jpg", "b.jpg"))


def dataset(**columns: Any) -> Dataset:
    """Three persons in two images; the second has one labelled joint, the third none."""
    given: dict[str, Any] = {
        "skeleton": PAIR,
        "images": images(),
        "image_index": [0, 0, 1],
        "xy": [[[1, 2], [3, 4]], [[5, 6], [NAN, NAN]], [[NAN, NAN], [NAN, NAN]]],
        "visibility": [[2, 1], [2, 0], [0, 0]],
    }
    return Dataset.build(**{**given, **columns})


class TestBuild:
    def test_what_is_not_given_is_unknown(self):
        made = dataset()
        assert made.instance_id.tolist() == [1, 2, 3]
        assert made.category_id.tolist() == [1, 1, 1]
        assert not made.truncated.any()
        assert not made.is_crowd.any()
        for unknown in (made.bbox_xywh, made.area, made.head_box, made.score):
            assert np.isnan(unknown).all()
        assert made.track_id.tolist() == [None] * 3
        assert made.bbox_source.tolist() == made.area_source.tolist() == [0, 0, 0]
        assert (made.images.width == -1).all()
        assert made.images.split.tolist() == ["", ""]
        assert made.images.id.tolist() == [1, 2]

    def test_a_given_box_or_area_counts_as_annotated(self):
        made = dataset(bbox_xywh=[[1, 2, 3, 4], [NAN] * 4, [1, NAN, 3, 4]], area=[NAN, 2, 3])
        assert [BBOX_SOURCES[i] for i in made.bbox_source] == ["annotated", "unknown", "unknown"]
        assert [AREA_SOURCES[i] for i in made.area_source] == ["unknown", "annotated", "annotated"]

    def test_dtypes_are_those_of_the_schema(self):
        made = dataset()
        found = {field.name: getattr(made, field.name) for field in dataclasses.fields(made)}
        dtypes = {name: str(value.dtype) for name, value in found.items() if isinstance(value, np.ndarray)}
        assert dtypes == {
            "image_index": "int64",
            "instance_id": "int64",
            "category_id": "int64",
            "xy": "float64",
            "visibility": "uint8",
            "truncated": "bool",
            "bbox_xywh": "float64",
            "bbox_source": "uint8",
            "area": "float64",
            "area_source": "uint8",
            "head_box": "float64",
            "track_id": "object",
            "score": "float64",
            "is_crowd": "bool",
        }

    def test_coordinates_stay_double(self):
        """float32 would turn 620.7 into 620.7000122."""
        assert dataset(xy=np.array([[[620.7, 2], [3, 4]], [[5, 6], [NAN, NAN]], [[NAN] * 2] * 2])).xy[0, 0, 0] == 620.7

    @pytest.mark.parametrize("skeleton", [PAIR, NONE])
    def test_nobody_is_a_dataset(self, skeleton):
        empty = Dataset.build(skeleton=skeleton, images=images(), image_index=[], xy=[], visibility=[])
        assert len(empty) == 0
        assert empty.counts()["images"] == 2

    def test_persons_without_joints_are_a_dataset(self):
        made = Dataset.build(skeleton=NONE, images=images(), image_index=[0, 1], xy=[], visibility=[])
        assert made.xy.shape == (2, 0, 2)
        assert made.counts()["labelled"] == 0

    def test_nested_lists_stay_one_value_of_their_row(self):
        made = dataset(extras={"mine.list": [[1, 2], None, [3]]})
        assert made.extras["mine.list"].tolist() == [[1, 2], None, [3]]


class TestRefusals:
    @pytest.mark.parametrize(
        ("columns", "code", "words"),
        [
            ({"image_index": [0, 0, 2]}, "KP-INVARIANT", "image_index"),
            ({"image_index": [0, 0, -1]}, "KP-INVARIANT", "image_index"),
            ({"visibility": [[2, 3], [2, 0], [0, 0]]}, "KP-INVARIANT", "not 0, 1 or 2"),
            ({"visibility": [[2, 0], [2, 0], [0, 0]]}, "KP-INVARIANT", "'right'"),
            ({"visibility": [[2, 1], [2, 1], [0, 0]]}, "KP-INVARIANT", "'right'"),
            ({"truncated": [[True, False], [False, False], [False, False]]}, "KP-INVARIANT", "'left' is truncated"),
            ({"area": [1.0, 2.0]}, "KP-COLUMN-LENGTH", "'area'"),
            ({"instance_id": [1, 2]}, "KP-COLUMN-LENGTH", "'instance_id'"),
            ({"extras": {"mine.x": [1]}}, "KP-COLUMN-LENGTH", "'mine.x'"),
            ({"truncated": np.zeros((3, 3), bool)}, "KP-COLUMN-SHAPE", "'truncated'"),
        ],
    )
    def test_what_contradicts_itself_is_named(self, columns, code, words):
        with pytest.raises(DefinitionError) as caught:
            dataset(**columns)
        assert caught.value.code == code
        assert words in caught.value.message

    @pytest.mark.parametrize("value", [np.inf, -np.inf, NAN])
    @pytest.mark.parametrize("axis", [0, 1])
    def test_a_labelled_joint_has_finite_coordinates(self, value, axis):
        xy = dataset().xy.copy()
        xy[0, 0, axis] = value
        with pytest.raises(DefinitionError) as caught:
            dataset().replace(xy=xy)
        assert caught.value.place == "instance row 0"

    def test_the_first_bad_row_is_named_with_what_is_there(self):
        with pytest.raises(DefinitionError) as caught:
            dataset(visibility=[[2, 1], [2, 2], [0, 0]])
        assert caught.value.place == "instance row 1"
        assert caught.value.got == "visibility 2, xy [nan, nan]"

    def test_a_dtype_that_is_not_the_schema_s_is_refused(self):
        with pytest.raises(DefinitionError) as caught:
            dataset().replace(xy=dataset().xy.astype(np.float32))
        assert "float64[3, 2, 2]" in caught.value.expected

    def test_truncated_joints_may_be_unlabelled_or_occluded(self):
        made = dataset(truncated=[[False, True], [False, True], [False, False]])
        assert made.counts()["truncated"] == 2


class TestChanging:
    def test_columns_cannot_be_written_to(self):
        made = dataset()
        for column in (made.xy, made.visibility, made.instance_id, made.images.path, made.images.width):
            with pytest.raises(ValueError, match="read-only"):
                column[0] = column[1]

    def test_the_caller_s_own_arrays_stay_writeable(self):
        flags = np.array([[2, 1], [2, 0], [0, 0]], np.uint8)
        dataset(visibility=flags)
        flags[0, 1] = 2
        assert flags[0, 1] == 2

    def test_replacing_checks_again_and_leaves_the_original(self):
        made = dataset()
        other = made.replace(is_crowd=np.array([True, False, False]))
        assert other.is_crowd.tolist() == [True, False, False]
        assert made.is_crowd.tolist() == [False] * 3
        with pytest.raises(DefinitionError):
            made.replace(is_crowd=np.array([True]))

    def test_replacing_what_needs_no_check_shares_the_columns(self):
        made = dataset()
        other = made.replace(meta={"a": 1})
        assert other.xy is made.xy
        assert made.meta == {}

    def test_steps_are_added_at_the_end(self):
        made = dataset().add_step("one").add_step("two", why=2)
        assert list(made.provenance) == [{"step": "one"}, {"step": "two", "why": 2}]

    def test_taking_selects_rows_in_the_order_asked_for(self):
        made = dataset(extras={"mine.n": [1, 2, 3]}).take([2, 0])
        assert made.instance_id.tolist() == [3, 1]
        assert made.extras["mine.n"].tolist() == [3, 1]
        assert made.image_index.tolist() == [1, 0]
        assert len(made.images) == 2

    def test_taking_by_mask_and_by_number_agree(self):
        made = dataset()
        mask = np.array([True, False, True])
        assert made.take(mask).instance_id.tolist() == made.take([0, 2]).instance_id.tolist() == [1, 3]

    def test_taking_nobody_keeps_the_images(self):
        assert dataset().take([]).counts()["images"] == 2

    def test_images_are_taken_with_all_their_columns(self):
        table = ImageTable.build(
            path=["a", "b"], id=["x", 2], width=[1, 2], split=["t", "v"], extras={"m.e": [5, None]}
        )
        taken = table.take(np.array([1]))
        assert (taken.path[0], taken.id[0], taken.width[0], taken.split[0]) == ("b", 2, 2, "v")
        assert taken.extras["m.e"].tolist() == [None]


class TestCounts:
    def test_joints_are_counted_by_flag(self):
        assert dataset(is_crowd=[True, False, False]).counts() == {
            "images": 2,
            "instances": 3,
            "crowd": 1,
            "labelled": 3,
            "visible": 2,
            "occluded": 1,
            "unlabelled": 3,
            "truncated": 0,
        }

    def test_known_rows_have_no_unknown_number(self):
        assert known_rows(np.array([[1, 2], [1, NAN]])).tolist() == [True, False]
        assert known_rows(np.array([1, NAN])).tolist() == [True, False]
        assert known_rows(np.zeros((0, 4))).tolist() == []


class TestPandas:
    def test_one_row_a_person_one_column_a_number(self):
        frame = dataset(bbox_xywh=[[1, 2, 3, 4], [NAN] * 4, [NAN] * 4]).to_pandas()
        assert frame["left_x"].tolist()[:2] == [1, 5]
        assert frame["right_v"].tolist() == [1, 0, 0]
        assert frame["image"].tolist() == ["a.jpg", "a.jpg", "b.jpg"]
        assert frame["bbox_source"].tolist() == ["annotated", "unknown", "unknown"]
        assert np.isnan(frame["right_x"][1])
        assert frame["left_truncated"].tolist() == [False] * 3


class TestIds:
    @pytest.mark.parametrize(
        ("values", "dtype"),
        [
            ([1, 2], "int64"),
            ([], "int64"),
            (np.array([1, 2], np.int32), "int64"),
            (["a", "b"], "object"),
            ([1, "a"], "object"),
            ([2**70, 1], "object"),
            ([True, 1], "object"),
            (np.array([2**63], np.uint64), "object"),
        ],
    )
    def test_integers_that_fit_are_int64_and_the_rest_are_objects(self, values, dtype):
        ids = as_ids(values)
        assert str(ids.dtype) == dtype
        assert ids.tolist() == list(values)

    def test_a_column_of_lists_is_one_dimensional(self):
        assert as_column([[1, 2], [3, 4]]).shape == (2,)
