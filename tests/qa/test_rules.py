"""Rules on labels made for them: what they find, and what they leave alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpkit.core import catalog
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.skeleton import Skeleton
from kpkit.pipelines.findings import Places
from kpkit.qa.rule_table import rules, selected
from kpkit.qa.rules import Found, Result, View
from kpkit.qa.rules_boxes import far_from_box, no_area, no_box, outside, overshoot
from kpkit.qa.rules_limbs import drift, limb_lengths
from kpkit.qa.rules_persons import duplicates, one_spot
from kpkit.qa.rules_sides import facing, single_limb, whole_person
from kpkit.qa.rules_skeleton import lopsided_edges, lopsided_sigmas
from kpkit.testing import datasets
from kpkit.testing.restrict import EVERYTHING
from tests.qa.people import BODY, NAMES

COCO = catalog.skeleton("coco17")
SHAPE = np.array([BODY[name] for name in NAMES]) * (120, 300) + (100, 50)


def made(
    *persons: np.ndarray, width: int = 640, height: int = 480, image: list[int] | None = None, **columns
) -> Dataset:
    """Persons with all joints (NaN: unlabelled) in one image, or in the images given."""
    xy = np.stack(persons)
    index = image or [0] * len(persons)
    count = max(index) + 1
    table = ImageTable.build(
        path=columns.pop("path", [f"{i}.jpg" for i in range(count)]), width=[width] * count, height=[height] * count
    )
    flags = np.where(np.isnan(xy[..., 0]), 0, 2)
    return Dataset.build(
        skeleton=columns.pop("skeleton", COCO), images=table, image_index=index, xy=xy, visibility=flags, **columns
    )


def told(result: Result) -> list[tuple[int, int]]:
    """(row, joint) of every finding."""
    assert not isinstance(result, str)
    return sorted(
        (int(found.instance[i]), -1 if found.joint is None else int(found.joint[i]))
        for found in result
        for i in range(len(found))
        if found.instance is not None
    )


def moved(joint: str, x: float, y: float) -> np.ndarray:
    xy = SHAPE.copy()
    xy[NAMES.index(joint)] = x, y
    return xy


def exchanged(xy: np.ndarray) -> np.ndarray:
    return xy[COCO.flip_index]


def turned(xy: np.ndarray, angle_deg: float, scale: float = 1.0) -> np.ndarray:
    a = np.deg2rad(angle_deg)
    return (xy - 200) @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]) * scale + 200


@given(angle=st.floats(-180, 180), scale=st.floats(0.3, 5))
def test_a_person_is_judged_alike_whichever_way_the_picture_is_turned(angle, scale):
    dataset = made(turned(SHAPE, angle, scale), turned(exchanged(SHAPE), angle, scale))
    assert told(whole_person(View(dataset))) == [(1, -1)]


def test_a_mirrored_picture_with_exchanged_names_is_right():
    mirrored = SHAPE * (-1, 1) + (640, 0)
    assert told(whole_person(View(made(exchanged(mirrored))))) == []
    assert told(whole_person(View(made(mirrored)))) == [(0, -1)]


@pytest.mark.parametrize("joint", ["nose", "left_eye", "right_shoulder"])
def test_without_a_face_nothing_tells_front_from_back(joint):
    xy = exchanged(SHAPE)
    xy[NAMES.index(joint)] = np.nan
    reason = whole_person(View(made(xy)))
    assert isinstance(reason, str)
    assert "nothing tells" in reason


def test_a_head_that_looks_back_over_the_shoulder_is_no_mistake():
    xy = exchanged(SHAPE)
    face = [NAMES.index(name) for name in ("nose", "left_eye", "right_eye", "left_ear", "right_ear")]
    xy[face] = SHAPE[face]
    assert told(whole_person(View(made(xy)))) == []


def test_small_eyes_say_less_than_large_ones():
    large, small = facing(View(made(exchanged(SHAPE)))), facing(View(made(exchanged(SHAPE * 0.08))))
    assert large.swapped[0] > 0.95
    assert small.swapped[0] < large.swapped[0]


@pytest.mark.parametrize(
    ("parts", "joint"),
    [(("wrist",), "left_wrist"), (("elbow", "wrist"), "left_elbow"), (("hip",), "left_hip"), (("eye",), "left_eye")],
)
def test_a_pair_that_fits_better_the_other_way_round_is_named(parts, joint):
    xy = SHAPE.copy()
    for part in parts:
        a, b = NAMES.index(f"left_{part}"), NAMES.index(f"right_{part}")
        xy[[a, b]] = xy[[b, a]]
    assert told(single_limb(View(made(xy)))) == [(0, NAMES.index(joint))]


def test_folded_arms_are_no_exchanged_wrists():
    xy = SHAPE.copy()
    left, right = NAMES.index("left_wrist"), NAMES.index("right_wrist")
    xy[left], xy[right] = SHAPE[NAMES.index("right_elbow")] + (30, 0), SHAPE[NAMES.index("left_elbow")] - (30, 0)
    shoulders = abs(SHAPE[5, 0] - SHAPE[6, 0])
    assert shoulders > 40
    assert told(single_limb(View(made(xy)))) == []


def test_joints_outside_their_image_are_found_and_those_on_its_border_are_not():
    dataset = made(moved("left_wrist", 640, 480), moved("left_wrist", 640.5, 100), moved("nose", 0, -2))
    assert told(outside(View(dataset))) == [(1, NAMES.index("left_wrist")), (2, 0)]


def test_without_sizes_the_frame_is_not_checked_and_that_is_said():
    dataset = made(SHAPE, width=-1, height=-1)
    assert "size" in outside(View(dataset))


def test_roundings_over_the_border_are_told_from_joints_outside():
    dataset = made(moved("left_wrist", 640 + 3e-4, 100), bbox_xywh=[[0, 0, 640 + 1e-4, 300]])
    assert told(outside(View(dataset))) == []
    assert told(overshoot(View(dataset))) == [(0, -1), (0, NAMES.index("left_wrist"))]


def test_a_joint_a_little_outside_its_box_is_usual():
    box = [[100, 50, 120, 300]]
    assert told(far_from_box(View(made(moved("left_wrist", 290, 100), bbox_xywh=box)))) == []
    assert told(far_from_box(View(made(moved("left_wrist", 300, 100), bbox_xywh=box)))) == [(0, 9)]


def test_areas_and_boxes_are_asked_for_only_where_the_format_has_them():
    view = View(made(SHAPE), format="six2")
    assert told(no_area(view)) == told(no_box(view)) == []
    view = View(made(SHAPE), format="coco")
    assert told(no_area(view)) == told(no_box(view)) == [(0, -1)]


def test_crowd_regions_are_left_alone():
    view = View(made(moved("nose", -50, -50), is_crowd=[True]), format="coco")
    assert told(outside(view)) == told(no_area(view)) == told(no_box(view)) == []


def test_three_joints_on_a_spot_are_two_findings():
    xy = SHAPE.copy()
    xy[[7, 9, 11]] = 150, 150
    assert told(one_spot(View(made(xy)))) == [(0, 9), (0, 11)]


def test_a_person_is_found_twice_within_what_annotators_differ_by_and_only_in_one_image():
    rng = np.random.default_rng(0)
    again = SHAPE + rng.normal(0, 1.5, SHAPE.shape)
    other = SHAPE + np.array([40, 0])
    area = [18000.0] * 3
    assert told(duplicates(View(made(SHAPE, again, other, area=area)))) == [(1, -1)]
    assert told(duplicates(View(made(SHAPE, again, other, area=area, image=[0, 1, 0])))) == []


@given(seed=st.integers(0, 2**31))
def test_duplicates_are_those_that_comparing_everybody_with_everybody_finds(seed):
    from kpkit.core.oks import oks
    from kpkit.qa.rules_persons import SAME, SHARED

    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 14))
    persons = [SHAPE + rng.normal(0, 3, SHAPE.shape) + rng.integers(0, 3, 2) * 12.0 for _ in range(count)]
    for xy in persons:
        xy[rng.random(17) < 0.3] = np.nan
    images = rng.integers(0, 3, count).tolist()
    dataset = made(*persons, image=[*images[:-1], 2], area=[9000.0] * count)
    expected = set()
    sigmas = np.array(COCO.sigmas)
    for one in range(count):
        for two in range(one + 1, count):
            a, b = dataset.visibility[one] > 0, dataset.visibility[two] > 0
            if dataset.image_index[one] != dataset.image_index[two] or (a & b).sum() < SHARED:
                continue
            there = oks(dataset.xy[one], a, np.array(9000.0), dataset.xy[two], sigmas)
            back = oks(dataset.xy[two], b, np.array(9000.0), dataset.xy[one], sigmas)
            if min(there, back) >= SAME:
                expected.add((two, -1))
    assert set(told(duplicates(View(dataset)))) == expected


def test_a_limb_that_is_too_long_for_the_person_is_found_in_any_size():
    rng = np.random.default_rng(1)
    persons = [SHAPE * rng.uniform(0.5, 3) + rng.normal(0, 1, SHAPE.shape) for _ in range(60)]
    wrist, elbow = NAMES.index("left_wrist"), NAMES.index("left_elbow")
    persons[30][wrist] = persons[30][elbow] + 4 * (persons[30][wrist] - persons[30][elbow])
    assert told(limb_lengths(View(made(*persons)))) == [(30, wrist)]


def test_a_dataset_of_few_persons_has_no_usual_limb():
    assert "fewer than 50" in limb_lengths(View(made(*[SHAPE] * 49)))


def sequence(frames: int, **jumps: tuple[int, float]) -> Dataset:
    """One person that walks 9 px a frame; joint=(frame, px) moves that joint aside from that frame on."""
    persons = []
    for frame in range(frames):
        xy = SHAPE + np.array([9.0 * frame, 0])
        for joint, (start, px) in jumps.items():
            if frame >= start:
                xy[NAMES.index(joint)] += (0, px)
        persons.append(xy)
    paths = [f"clip/{frame}.jpg" for frame in range(8, 8 + frames)]
    return made(*persons, image=list(range(frames)), path=paths, track_id=[3] * frames, width=2000)


def test_a_joint_that_drifts_against_its_neighbours_is_found_in_its_frame():
    assert told(drift(View(sequence(5)))) == []
    assert told(drift(View(sequence(5, left_wrist=(3, 5.5))))) == [(3, NAMES.index("left_wrist"))]
    assert told(drift(View(sequence(5, left_wrist=(3, 4.5))))) == []


@pytest.mark.parametrize("joint", ["left_elbow", "left_hip", "right_ankle", "nose"])
def test_only_the_joint_that_jumps_is_blamed(joint):
    assert told(drift(View(sequence(4, **{joint: (2, 20)})))) == [(2, NAMES.index(joint))]


def test_frames_are_taken_in_the_order_of_their_numbers():
    result = drift(View(sequence(5, left_wrist=(2, 20))))
    assert isinstance(result, list)
    # Frame 10 follows frame 9, though its name sorts before it.
    assert result[0].numbers["before"].tolist() == ["clip/9.jpg"]


def test_tracks_are_not_chained_across_folders_or_persons():
    dataset = made(SHAPE, SHAPE + 50, image=[0, 1], path=["a/1.jpg", "b/1.jpg"], track_id=[1, 1])
    assert drift(View(dataset)) == "no track has two frames"
    dataset = made(SHAPE, SHAPE + 50, image=[0, 1], path=["a/1.jpg", "a/2.jpg"], track_id=[1, 2])
    assert drift(View(dataset)) == "no track has two frames"


def test_edges_without_their_mirror_image_are_found():
    skeleton = Skeleton(name="x", keypoints=("a", "left_b", "right_b"), flip_pairs=((1, 2),), edges=((0, 1),))
    (found,) = lopsided_edges(View(made(SHAPE[:3], skeleton=skeleton)))
    assert isinstance(found, Found)
    assert len(found) == 1
    whole = Skeleton(name="x", keypoints=("a", "left_b", "right_b"), flip_pairs=((1, 2),), edges=((0, 1), (0, 2)))
    (found,) = lopsided_edges(View(made(SHAPE[:3], skeleton=whole)))
    assert len(found) == 0


def test_sigmas_in_another_skeletons_order_are_found():
    wrong = np.roll(np.array(COCO.sigmas), 1).tolist()
    (found,) = lopsided_sigmas(View(made(SHAPE, skeleton=COCO.with_sigmas(wrong))))
    assert len(found) > 0
    (found,) = lopsided_sigmas(View(made(SHAPE)))
    assert len(found) == 0


@pytest.mark.parametrize("name", catalog.skeleton_names())
def test_every_rule_works_on_every_skeleton_and_on_nothing(name):
    skeleton = catalog.skeleton(name)
    for count in (0, 2):
        xy = np.random.default_rng(2).uniform(0, 400, (count, len(skeleton), 2))
        images = ImageTable.build(path=["a.jpg"], width=[640], height=[480])
        dataset = Dataset.build(
            skeleton=skeleton, images=images, image_index=[0] * count, xy=xy, visibility=np.full(xy.shape[:2], 2)
        )
        for rule in rules():
            if rule.check is not None and not rule.pictures:
                result = rule.check(View(dataset))
                assert isinstance(result, str) or all(isinstance(one, Found) for one in result)


@given(dataset=datasets(EVERYTHING))
def test_no_dataset_is_too_strange_for_a_rule_or_for_naming_its_places(dataset):
    places = Places(dataset, Path("labels.kpk"))
    view = View(dataset, format="coco")
    for rule in rules():
        result = rule.look(view) if not rule.pictures else []
        for found in result if not isinstance(result, str) else []:
            findings = list(places.from_rule(rule, found))
            assert len(findings) == len(found)
            assert all(one.place and 0 <= one.confidence <= 1 for one in findings)
            assert "{" not in "".join(one.message for one in findings if "{" not in "".join(dataset.skeleton.keypoints))


def test_ids_are_unique_and_every_rule_says_what_why_and_what_to_do():
    every = rules()
    assert len({rule.id for rule in every}) == len({rule.name for rule in every}) == len(every)
    codes = [code for rule in every for code in rule.codes]
    assert len(codes) == len(set(codes))
    for rule in every:
        assert rule.check is not None or rule.codes or rule.id == "KP199"
        assert len(rule.explanation) > 60
        assert not rule.reason.endswith(".")


def test_a_selection_takes_ids_beginnings_and_names():
    assert [rule.id for rule in selected(["KP101,kp301"], [])] == ["KP101", "KP301"]
    assert [rule.id for rule in selected(["KP1"], ["KP10", "KP199"])] == ["KP110", "KP111", "KP112", "KP113", "KP114"]
    assert [rule.id for rule in selected(["duplicate-person"], [])] == ["KP302"]
    assert selected([], []) == rules()
