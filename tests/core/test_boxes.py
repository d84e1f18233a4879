"""Boxes and areas are made only where nobody annotated them, and every one says how."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kpkit.core import boxes
from kpkit.core.dataset import AREA_SOURCES, BBOX_SOURCES, Dataset, ImageTable
from kpkit.core.skeleton import Skeleton
from kpkit.errors import UsageError

THREE = Skeleton(name="three", keypoints=("a", "b", "c"))
NAN = np.nan
NOWHERE = [NAN, NAN]


def person(*points: Any, size: tuple[int, int] = (-1, -1), **columns: Any) -> Dataset:
    """One person whose labelled joints are `points`, in an image of `size`."""
    xy = [list(point) for point in points] + [NOWHERE] * (3 - len(points))
    flags = [2] * len(points) + [0] * (3 - len(points))
    table = ImageTable.build(path=["a.jpg"], width=[size[0]], height=[size[1]])
    given = {name: [value] for name, value in columns.items()}
    return Dataset.build(skeleton=THREE, images=table, image_index=[0], xy=[xy], visibility=[flags], **given)


def made(dataset: Dataset, rule: str = "auto", pad: float = 0.25, **more: Any) -> tuple[list[float], str]:
    after = boxes.with_boxes(dataset, rule, pad, **more)
    return after.bbox_xywh[0].tolist(), BBOX_SOURCES[after.bbox_source[0]]


class TestHull:
    def test_padding_is_a_share_of_the_size_half_on_each_side(self):
        assert made(person((10, 20), (50, 100))) == ([5, 10, 50, 100], "keypoints")

    def test_without_padding_it_touches_the_outermost_joints(self):
        assert made(person((10, 20), (50, 100), (30, 30)), pad=0) == ([10, 20, 40, 80], "keypoints")

    def test_it_is_clipped_to_a_frame_whose_size_is_known(self):
        assert made(person((1, 20), (99, 70), size=(100, 200)))[0] == [0, 13.75, 100, 62.5]

    def test_it_is_not_clipped_where_the_size_is_unknown(self):
        assert made(person((1, 20), (99, 70)))[0] == [-11.25, 13.75, 122.5, 62.5]

    def test_one_joint_gets_a_box_of_one_pixel(self):
        assert made(person((10, 20)))[0] == [9.5, 19.5, 1, 1]

    def test_joints_on_one_line_get_a_box_of_one_pixel_across(self):
        assert made(person((10, 20), (50, 20)), pad=0)[0] == [10, 19.5, 40, 1]

    def test_a_hull_outside_the_frame_stays_where_it_is(self):
        box, _ = made(person((200, 20), (240, 60), size=(100, 100)))
        assert box == [195, 15, 50, 50]

    def test_nobody_labelled_is_no_box(self):
        box, source = made(person())
        assert np.isnan(box).all()
        assert source == "unknown"

    def test_a_box_around_labelled_joints_contains_them(self):
        rng = np.random.default_rng(0)
        xy = rng.uniform(0, 100, (50, 3, 2))
        low = boxes.hull(xy, 0.25, np.full(50, 100, np.int32), np.full(50, 100, np.int32))
        assert (xy >= low[:, None, :2]).all()
        assert (xy <= (low[:, :2] + low[:, 2:])[:, None]).all()


class TestRules:
    ANNOTATED = (1.0, 2.0, 3.0, 4.0)

    def test_auto_keeps_what_was_annotated(self):
        assert made(person((10, 20), (50, 100), bbox_xywh=self.ANNOTATED)) == ([1, 2, 3, 4], "annotated")

    def test_keypoints_replaces_what_was_annotated(self):
        found = made(person((10, 20), (50, 100), bbox_xywh=self.ANNOTATED), "keypoints")
        assert found == ([5, 10, 50, 100], "keypoints")

    def test_annotated_leaves_out_what_was_made(self):
        dataset = boxes.with_boxes(person((10, 20), (50, 100)), "auto", 0.25)
        box, source = made(dataset, "annotated")
        assert np.isnan(box).all()
        assert source == "unknown"
        assert made(person((10, 20), bbox_xywh=self.ANNOTATED), "annotated")[1] == "annotated"

    def test_none_leaves_out_everything(self):
        box, source = made(person((10, 20), bbox_xywh=self.ANNOTATED), "none")
        assert np.isnan(box).all()
        assert source == "unknown"

    def test_a_scale_makes_a_box_where_there_is_no_joint(self):
        scale = np.array([[5.0, 6, 7, 8]])
        assert made(person(), scale_box=scale) == ([5, 6, 7, 8], "scale")
        assert made(person((10, 20), (50, 100)), scale_box=scale)[1] == "keypoints"

    def test_a_box_known_in_part_is_made_anew(self):
        assert made(person((10, 20), (50, 100), bbox_xywh=(1, NAN, 3, 4)))[1] == "keypoints"

    def test_an_unknown_rule_gets_the_nearest_name(self):
        with pytest.raises(UsageError) as caught:
            made(person(), "keypoint")
        assert "keypoints" in caught.value.help


class TestAreas:
    def area(self, dataset: Dataset, segmentation: float | None = None) -> tuple[float, str]:
        after = boxes.with_areas(dataset, None if segmentation is None else np.array([segmentation]))
        return after.area[0], AREA_SOURCES[after.area_source[0]]

    def test_an_annotated_area_stays(self):
        assert self.area(person((1, 2), area=7.5, bbox_xywh=(0, 0, 10, 10)), 3.0) == (7.5, "annotated")

    def test_a_segmentation_comes_before_the_box(self):
        assert self.area(person((1, 2), bbox_xywh=(0, 0, 10, 10)), 3.0) == (3.0, "segmentation")

    def test_the_box_gives_53_percent(self):
        assert self.area(person((1, 2), bbox_xywh=(0, 0, 10, 20)), NAN) == (pytest.approx(106.0), "0.53 x bbox")

    def test_without_anything_it_stays_unknown(self):
        area, source = self.area(person())
        assert np.isnan(area)
        assert source == "unknown"
