"""A dataset on another skeleton: the points move to their new places, everything else stays."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from kpkit.core import catalog
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.remap import remap

NAN = np.nan


def persons(skeleton: str, n: int = 3, **columns: Any) -> Dataset:
    """Everybody labelled; joint k of person i at (100 i + k, 200 i + k)."""
    joints = catalog.skeleton(skeleton)
    k = np.arange(len(joints))
    xy = np.stack([np.stack([100 * i + k, 200 * i + k], axis=-1) for i in range(n)]).astype(float)
    flags = np.full((n, len(joints)), 2, np.uint8)
    table = ImageTable.build(path=["a.jpg"], width=[640], height=[480])
    return Dataset.build(skeleton=joints, images=table, image_index=[0] * n, xy=xy, visibility=flags, **columns)


def hide(dataset: Dataset, flag: int, *joints: str, row: int = 0) -> Dataset:
    flags, xy = dataset.visibility.copy(), dataset.xy.copy()
    index = [dataset.skeleton.index(joint) for joint in joints]
    flags[row, index] = flag
    if flag == 0:
        xy[row, index] = NAN
    return dataset.replace(visibility=flags, xy=xy)


def point(dataset: Dataset, joint: str, row: int = 0) -> list[float]:
    return [
        *dataset.xy[row, dataset.skeleton.index(joint)],
        int(dataset.visibility[row, dataset.skeleton.index(joint)]),
    ]


def moved(dataset: Dataset, target: str) -> Dataset:
    return remap(dataset, catalog.mapping(dataset.skeleton, catalog.skeleton(target))).dataset


def test_limbs_are_copied_bit_for_bit():
    before = persons("mpii16")
    after = moved(before, "coco17")
    for joint in ("left_ankle", "right_knee", "left_wrist", "right_shoulder"):
        for row in range(3):
            assert point(after, joint, row) == point(before, joint, row)


def test_what_the_source_does_not_have_is_unlabelled():
    after = moved(persons("mpii16"), "coco17")
    for joint in ("nose", "left_eye", "right_ear"):
        np.testing.assert_array_equal(point(after, joint), [NAN, NAN, 0])


def test_a_derived_joint_is_the_mean_and_as_visible_as_its_least_source():
    before = hide(persons("coco17"), 1, "left_hip")
    left, right = point(before, "left_hip"), point(before, "right_hip")
    assert point(moved(before, "mpii16"), "pelvis") == [(left[0] + right[0]) / 2, (left[1] + right[1]) / 2, 1]


def test_a_derived_joint_needs_all_its_sources():
    after = moved(hide(persons("coco17"), 0, "left_hip"), "mpii16")
    np.testing.assert_array_equal(point(after, "pelvis"), [NAN, NAN, 0])


def test_occluded_stays_occluded():
    assert point(moved(hide(persons("mpii16"), 1, "left_knee"), "coco17"), "left_knee")[2] == 1


def test_everything_but_the_joints_stays():
    before = persons(
        "mpii16",
        bbox_xywh=np.ones((3, 4)),
        area=[1.0, 2, 3],
        head_box=np.full((3, 4), 2.0),
        track_id=[1, "a", None],
        score=[0.5, NAN, 1],
        is_crowd=[True, False, False],
        extras={"mpii.scale": [1, 2, None]},
    )
    after = moved(before, "coco17")
    joints = {"skeleton", "xy", "visibility", "truncated", "provenance"}
    for field in dataclasses.fields(Dataset):
        if field.name in joints:
            continue
        old, new = getattr(before, field.name), getattr(after, field.name)
        if isinstance(old, np.ndarray):
            np.testing.assert_array_equal(new, old, err_msg=field.name)
        else:
            assert new == old or new is old, field.name


def test_the_step_is_on_record_with_what_it_went_through():
    after = moved(persons("mpii16"), "coco17")
    assert after.provenance[-1] == {"step": "remap", "source": "mpii16", "target": "coco17", "via": []}


def test_onto_itself_nothing_is_copied():
    before = persons("coco17")
    result = remap(before, catalog.mapping(before.skeleton, before.skeleton))
    assert result.dataset is before
    assert result.losses == []
    assert [line.kind for line in result.joints] == ["exact"] * 17


def test_lines_count_who_got_each_joint():
    before = hide(persons("coco17"), 0, "left_hip", "nose")
    result = remap(before, catalog.mapping(before.skeleton, catalog.skeleton("mpii16")))
    lines = {line.joint: line for line in result.joints}
    assert (lines["pelvis"].persons_with, lines["pelvis"].persons_without) == (2, 1)
    assert (lines["head_top"].kind, lines["head_top"].persons_with) == ("absent", 0)
    assert lines["left_knee"].kind == "exact"
    assert len(result.joints) == 16


def test_identity_counts_who_has_each_joint():
    before = hide(persons("coco17"), 0, "nose")
    result = remap(before, catalog.mapping(before.skeleton, before.skeleton))
    assert (result.joints[0].persons_with, result.joints[0].persons_without) == (2, 1)
    assert result.joints[1].by_alternative == [3]


@pytest.mark.parametrize(("flag", "count"), [(2, 3), (1, 3), (0, 2)])
def test_labelled_joints_without_a_place_are_lost_by_name(flag, count):
    before = hide(persons("mpii16"), flag, "head_top")
    result = remap(before, catalog.mapping(before.skeleton, catalog.skeleton("coco17")))
    lost = {loss.what: loss.count for loss in result.losses}
    assert lost["joint head_top"] == count
    assert "joint left_knee" not in lost


def test_the_first_person_who_loses_a_joint_is_the_example():
    before = hide(persons("mpii16"), 0, "head_top")
    result = remap(before, catalog.mapping(before.skeleton, catalog.skeleton("coco17")))
    loss = next(loss for loss in result.losses if loss.what == "joint head_top")
    assert loss.example == "instance 2 in a.jpg"


def test_truncated_joints_stay_truncated():
    before = hide(persons("mpii16"), 0, "left_knee")
    truncated = np.zeros((3, 16), bool)
    truncated[0, before.skeleton.index("left_knee")] = True
    after = moved(before.replace(truncated=truncated), "coco17")
    assert after.truncated[0, after.skeleton.index("left_knee")]
    assert after.truncated.sum() == 1
