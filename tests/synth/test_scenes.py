from __future__ import annotations

import numpy as np
import pytest

from kpkit.errors import UsageError
from kpkit.synth.body import JOINT_NAMES
from kpkit.synth.scenes import MAX_PERSONS, Scene, ScenePerson, make_scene

SCENES = 50


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [make_scene(11, index) for index in range(SCENES)]


@pytest.fixture(scope="module")
def persons(scenes: list[Scene]) -> list[ScenePerson]:
    return [person for scene in scenes for person in scene.persons]


def test_the_same_seed_and_index_make_the_same_bytes() -> None:
    one, two = make_scene(4, 9), make_scene(4, 9)
    assert one.image.tobytes() == two.image.tobytes()
    assert len(one.persons) == len(two.persons)
    for a, b in zip(one.persons, two.persons, strict=True):
        assert a.xy.tobytes() == b.xy.tobytes()
        assert a.visible.tobytes() == b.visible.tobytes()
        assert a.mask.tobytes() == b.mask.tobytes()
        assert (a.head_box.tobytes(), a.body_box.tobytes(), a.area) == (
            b.head_box.tobytes(),
            b.body_box.tobytes(),
            b.area,
        )


def test_a_scene_does_not_depend_on_those_made_before_it() -> None:
    alone = make_scene(5, 3)
    for index in range(3):
        make_scene(5, index)
    assert make_scene(5, 3).image.tobytes() == alone.image.tobytes()


def test_other_seeds_and_other_indices_make_other_scenes() -> None:
    images = {make_scene(seed, index).image.tobytes() for seed in (0, 1) for index in (0, 1)}
    assert len(images) == 4


@pytest.mark.parametrize(("width", "height"), [(640, 480), (320, 240), (201, 333), (64, 48), (32, 32)])
def test_a_scene_has_the_size_asked_for(width: int, height: int) -> None:
    scene = make_scene(1, 2, width, height)
    assert scene.image.shape == (height, width, 3)
    assert scene.image.dtype == np.uint8
    for person in scene.persons:
        assert person.mask.shape == (height, width)


def test_scenes_hold_one_to_five_persons_and_every_number_occurs(scenes: list[Scene]) -> None:
    counts = {len(scene.persons) for scene in scenes}
    assert counts == set(range(1, MAX_PERSONS + 1))


def test_persons_are_ordered_far_to_near(scenes: list[Scene]) -> None:
    for scene in scenes:
        heights = [person.height_px for person in scene.persons]
        assert heights == sorted(heights)


def test_sizes_reach_from_far_to_near(persons: list[ScenePerson]) -> None:
    heights = np.array([person.height_px for person in persons])
    assert heights.min() >= 60
    assert heights.max() <= 420
    assert heights.min() < 110
    assert heights.max() > 350


def test_every_facing_and_many_poses_occur(persons: list[ScenePerson]) -> None:
    assert {person.facing for person in persons} == {"front", "back", "left", "right"}
    assert len({person.pose for person in persons}) >= 8


def test_a_visible_joint_lies_on_its_persons_own_mask(persons: list[ScenePerson]) -> None:
    for person in persons:
        column, row = np.floor(person.xy[person.visible] + 0.5).astype(int).T
        assert person.mask[row, column].all()


def test_a_joint_on_no_pixel_of_its_person_is_not_visible(persons: list[ScenePerson]) -> None:
    hidden = 0
    for person in persons:
        for joint in np.flatnonzero(person.inside):
            x, y = np.floor(person.xy[joint] + 0.5).astype(int)
            if not person.mask[y, x]:
                assert not person.visible[joint]
                hidden += 1
    assert hidden > 20


def test_no_pixel_belongs_to_two_persons_by_more_than_an_edge(scenes: list[Scene]) -> None:
    for scene in scenes:
        together = sum(person.mask.astype(int) for person in scene.persons)
        # A pixel halved by two persons may count for both.
        assert together.max() <= 2
        assert (together > 1).sum() < 0.01 * max((together > 0).sum(), 1) + 60


def test_area_counts_the_masks_pixels(persons: list[ScenePerson]) -> None:
    for person in persons:
        assert person.area == person.mask.sum()


def test_joints_outside_the_frame_are_neither_inside_nor_visible(persons: list[ScenePerson]) -> None:
    for person in persons:
        height, width = person.mask.shape
        x, y = person.xy.T
        inside = (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)
        np.testing.assert_array_equal(inside, person.inside)
        assert not (person.visible & ~person.inside).any()


def test_the_frame_cuts_off_about_one_person_in_five(persons: list[ScenePerson]) -> None:
    share = np.mean([not person.inside.all() for person in persons])
    assert 0.08 < share < 0.35


def test_a_body_hides_joints_of_its_own(persons: list[ScenePerson]) -> None:
    own = 0
    for person in persons:
        pixel = np.floor(person.xy + 0.5).astype(int)
        for joint in np.flatnonzero(person.inside & ~person.visible):
            own += bool(person.mask[pixel[joint, 1], pixel[joint, 0]])
    assert own > len(persons) * 0.5


def test_profiles_hide_the_far_shoulder_more_often_than_the_near_one(persons: list[ScenePerson]) -> None:
    left, right = JOINT_NAMES.index("left_shoulder"), JOINT_NAMES.index("right_shoulder")
    near, far = [], []
    for person in persons:
        if person.facing in ("left", "right") and person.inside.all():
            near.append(person.visible[left if person.facing == "left" else right])
            far.append(person.visible[right if person.facing == "left" else left])
    assert len(near) > 10
    assert np.mean(near) > np.mean(far) + 0.3


def test_front_and_back_views_tell_left_from_right(persons: list[ScenePerson]) -> None:
    left, right = JOINT_NAMES.index("left_shoulder"), JOINT_NAMES.index("right_shoulder")
    seen = {"front": [], "back": []}
    for person in persons:
        if person.facing in seen:
            seen[person.facing].append(person.xy[left, 0] > person.xy[right, 0])
    assert np.mean(seen["front"]) > 0.97
    assert np.mean(seen["back"]) < 0.03


def test_the_body_box_holds_the_mask_and_every_joint(persons: list[ScenePerson]) -> None:
    for person in persons:
        x, y, w, h = person.body_box
        assert (person.xy >= (x, y)).all()
        assert (person.xy <= (x + w, y + h)).all()
        rows, columns = np.nonzero(person.mask)
        if len(rows):
            assert x - 0.6 <= columns.min()
            assert columns.max() <= x + w + 0.6
            assert y - 0.6 <= rows.min()
            assert rows.max() <= y + h + 0.6


def test_the_head_box_spans_neck_to_head_top(persons: list[ScenePerson]) -> None:
    neck, top = JOINT_NAMES.index("upper_neck"), JOINT_NAMES.index("head_top")
    for person in persons:
        x, y, w, h = person.head_box
        middle = person.xy[[neck, top]].mean(axis=0)
        np.testing.assert_allclose(middle, (x + w / 2, y + h / 2), atol=0.03 * person.height_px)
        assert 0.08 < np.hypot(w, h) / person.height_px < 0.33


def test_the_picture_shows_the_person_where_the_mask_says() -> None:
    # The same scene on another floor would differ everywhere; so compare the person's pixels with a ring around them.
    scene = make_scene(11, 0)
    person = max(scene.persons, key=lambda p: p.area)
    rows, columns = np.nonzero(person.mask)
    inner = scene.image[person.mask].astype(float).mean(axis=0)
    box = scene.image[rows.min() : rows.max(), columns.min() : columns.max()]
    outside = ~person.mask[rows.min() : rows.max(), columns.min() : columns.max()]
    assert np.abs(inner - box[outside].astype(float).mean(axis=0)).max() > 10


@pytest.mark.parametrize(("seed", "index", "width", "height"), [(-1, 0, 64, 48), (0, -1, 64, 48), (0, 0, 31, 48)])
def test_a_scene_that_cannot_be_is_refused(seed: int, index: int, width: int, height: int) -> None:
    with pytest.raises(UsageError):
        make_scene(seed, index, width, height)


def test_a_hundred_small_scenes_need_no_luck() -> None:
    for index in range(100):
        for person in make_scene(2, index, 96, 64).persons:
            assert np.isfinite(person.xy).all()
            assert (person.body_box[2:] > 0).all()
