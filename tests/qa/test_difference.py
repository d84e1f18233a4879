"""What `kpkit.pipelines.diff.compare` finds: nothing between equal datasets, and exactly what was changed otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kpkit.core import catalog
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.errors import UsageError
from kpkit.pipelines.diff import compare
from kpkit.qa.changes import Difference
from kpkit.testing.strategies import datasets

COCO = catalog.skeleton("coco17")
ONE_PLACE = st.sampled_from(["auto", "id", "position"])


def crowd_of_people(persons: int = 12, images: int = 3, seed: int = 0) -> Dataset:
    """Persons of 17 labelled joints, far from each other, all flags and columns in use."""
    rng = np.random.default_rng(seed)
    corner = 300.0 * np.arange(persons)[:, None] + rng.uniform(0, 20, (persons, 2))
    xy = corner[:, None] + rng.uniform(0, 100, (persons, 17, 2))
    visibility = rng.integers(0, 3, (persons, 17)).astype(np.uint8)
    visibility[:, :5] = 2
    xy[visibility == 0] = np.nan
    return Dataset.build(
        skeleton=COCO,
        images=ImageTable.build(path=[f"{i}.jpg" for i in range(images)], width=[640] * images, height=[480] * images),
        image_index=np.arange(persons) % images,
        xy=xy,
        visibility=visibility,
        instance_id=np.arange(persons) + 100,
        bbox_xywh=np.hstack([corner, np.full((persons, 2), 100.0)]),
        area=np.full(persons, 5300.0),
        score=rng.uniform(0, 1, persons),
    )


def kinds(found: Difference) -> list[tuple[str, object, str]]:
    return sorted((change.kind, change.person, change.joint) for change in found.changes())


@given(datasets(), ONE_PLACE)
def test_a_dataset_does_not_differ_from_itself(dataset, by):
    found = compare(dataset, dataset, by=by)
    assert found.equal, list(found.changes())
    assert found.counts() == {}


@given(datasets(), ONE_PLACE, st.randoms(use_true_random=False))
def test_the_order_of_persons_is_no_change(dataset, by, random):
    order = list(range(len(dataset)))
    random.shuffle(order)
    # Persons of the same joints and box cannot be told apart by their place.
    distinct = {(xy.tobytes(), box.tobytes()) for xy, box in zip(dataset.xy, dataset.bbox_xywh, strict=True)}
    assume(by != "position" or len(distinct) == len(dataset))
    found = compare(dataset, dataset.take(order), by=by)
    assert found.equal, list(found.changes())


JOINT_CHANGES = ("moved", "flag", "added", "gone", "truncated")
PERSON_CHANGES = ("bbox", "area", "score", "category", "crowd", "track", "head box", "person gone", "image")
seeded = st.dictionaries(
    st.integers(0, 11),
    st.dictionaries(st.integers(0, 16), st.sampled_from(JOINT_CHANGES), max_size=4).map(lambda d: ("joints", d))
    | st.sampled_from(PERSON_CHANGES).map(lambda kind: ("person", kind)),
    max_size=6,
)


def change_joint(data: dict, row: int, joint: int, kind: str) -> bool:
    """Make one change of a joint; False where its state does not allow it."""
    flags, xy, out = data["visibility"], data["xy"], data["truncated"]
    labelled = flags[row, joint] > 0
    if kind == "moved" and labelled:
        xy[row, joint] += (3.0, 4.0)
    elif kind == "flag" and labelled:
        flags[row, joint] = 3 - flags[row, joint]
    elif kind == "gone" and labelled:
        flags[row, joint], xy[row, joint] = 0, np.nan
    elif kind == "added" and not labelled:
        flags[row, joint], xy[row, joint] = 2, (5.0, 5.0)
    elif kind == "truncated" and not labelled:
        out[row, joint] = True
    else:
        return False
    return True


def change_person(data: dict, row: int, kind: str) -> None:
    column, value = {
        "bbox": ("bbox_xywh", [1.0, 2.0, 3.0, 4.0]),
        "area": ("area", np.nan),
        "score": ("score", 2.0),
        "category": ("category_id", 77),
        "crowd": ("is_crowd", True),
        "track": ("track_id", "t"),
        "head box": ("head_box", [0.0, 0.0, 5.0, 5.0]),
        "image": ("image_index", (data["image_index"][row] + 1) % 3),
    }[kind]
    data[column][row] = value


@given(seeded)
def test_seeded_changes_are_exactly_what_is_reported(changes):
    before = crowd_of_people()
    columns = ("visibility", "xy", "truncated", "bbox_xywh", "area", "score", "category_id", "is_crowd", "track_id")
    data = {name: np.array(getattr(before, name)) for name in (*columns, "head_box", "image_index")}
    expected, gone = [], []
    for row, (what, change) in changes.items():
        person = 100 + row
        if what == "joints":
            for joint, kind in change.items():
                if change_joint(data, row, joint, kind):
                    expected.append((kind, person, COCO.keypoints[joint]))
        elif change == "person gone":
            gone.append(row)
            expected.append((change, person, ""))
        else:
            change_person(data, row, change)
            expected.append((change, person, ""))
    after = before.replace(**data).take(np.setdiff1d(np.arange(12), gone))
    found = compare(before, after)
    assert kinds(found) == sorted(expected)
    assert sum(found.counts().values()) == len(found) == len(expected)
    backwards = {("person added" if kind == "person gone" else kind, who, joint) for kind, who, joint in expected}
    swap = {"added": "gone", "gone": "added"}
    assert set(kinds(compare(after, before))) == {(swap.get(kind, kind), who, j) for kind, who, j in backwards}


@given(st.floats(0.001, 50), st.floats(0, 2 * np.pi))
def test_the_distance_a_joint_moved_is_reported_and_held_against_the_tolerance(far, angle):
    before = crowd_of_people()
    xy = np.array(before.xy)
    xy[4, 2] += far * np.array([np.cos(angle), np.sin(angle)])
    after = before.replace(xy=xy)
    for by in ("id", "position"):
        (change,) = compare(before, after, by=by).changes()
        assert (change.kind, change.person, change.joint) == ("moved", 104, "right_eye")
        assert change.distance == pytest.approx(far, abs=1e-9)
        assert change.before == before.xy[4, 2].tolist()
        assert change.after == xy[4, 2].tolist()
        assert compare(before, after, by=by, tolerance=far * 1.001).equal
        assert not compare(before, after, by=by, tolerance=far * 0.999).equal


def test_persons_of_other_ids_are_matched_by_their_place_in_the_image():
    before = crowd_of_people()
    xy = np.array(before.xy)
    xy[3, 0] += 1.5
    renumbered = before.replace(xy=xy, instance_id=np.arange(12)[::-1] + 900).take(np.arange(12)[::-1])
    (change,) = compare(before, renumbered).changes()
    assert (change.kind, change.person, change.joint) == ("moved", 103, "nose")


def test_numbers_given_in_file_order_are_not_taken_for_ids():
    before = crowd_of_people().replace(instance_id=np.arange(12))
    other_order = before.take(np.arange(12)[::-1]).replace(instance_id=np.arange(12))
    assert compare(before, other_order).equal


def test_a_duplicated_person_that_was_removed_is_the_only_change():
    data = crowd_of_people()
    twice = data.take([*range(12), 5]).replace(instance_id=np.array([*range(100, 112), 999]))
    assert kinds(compare(twice, data)) == [("person gone", 999, "")]
    same_id = data.take([*range(12), 5])
    assert kinds(compare(same_id, data)) == [("person gone", 105, "")]


def test_images_are_matched_by_path_then_name_then_id():
    a = crowd_of_people()
    table = a.images
    elsewhere = replace(table, path=np.array(["../x/" + path for path in table.path], object))
    found = compare(a, a.replace(images=elsewhere))
    assert found.equal
    assert found.matched.renamed == 3
    nameless = replace(table, path=np.array([""] * 3, object))
    assert compare(a, a.replace(images=nameless)).equal


def test_images_added_gone_and_of_another_size_or_split():
    a = crowd_of_people(persons=0)
    table = ImageTable.build(
        path=["1.jpg", "2.jpg", "new.jpg"], id=[2, 3, 9], width=[640, 641, 1], height=[480] * 3, split=["", "val", ""]
    )
    found = [(change.kind, change.image) for change in compare(a, a.replace(images=table)).changes()]
    assert found == [("image added", "new.jpg"), ("image gone", "0.jpg"), ("size", "2.jpg"), ("split", "2.jpg")]


def test_joints_of_two_skeletons_are_compared_by_name():
    a = crowd_of_people()
    names = (*COCO.keypoints[1:], "tail")
    other = replace(COCO, name="other", keypoints=names, flip_pairs=(), edges=(), sigmas=None)
    shifted = [*range(1, 17), 0]
    flags = np.array(a.visibility[:, shifted])
    flags[:, 16] = 0
    xy = np.where(flags[..., None] > 0, a.xy[:, shifted], np.nan)
    xy[2, 0] += 7.0
    b = a.replace(skeleton=other, xy=xy, visibility=flags, truncated=np.array(a.truncated))
    assert kinds(compare(a, b).__class__(**{**vars(compare(a, b)), "skeleton": ()})) == [("moved", 102, "left_eye")]
    assert [(one.kind, one.joint) for one in compare(a, b).skeleton] == [
        ("joint gone", "nose"),
        ("joint added", "tail"),
    ]


def test_other_limbs_pairs_and_sigmas_are_changes_of_the_skeleton():
    a = crowd_of_people()
    other = replace(COCO, flip_pairs=COCO.flip_pairs[1:], edges=COCO.edges[1:], sigmas=None)
    assert list(compare(a, a.replace(skeleton=other)).counts()) == ["flip pairs", "edges", "sigmas"]


def test_a_distance_that_float64_cannot_hold_is_the_largest_number():
    a = crowd_of_people(persons=1, images=1)
    near, far = np.array(a.xy), np.array(a.xy)
    near[0, 0], far[0, 0] = -1.7e308, 1.7e308
    (change,) = compare(a.replace(xy=near), a.replace(xy=far)).changes()
    assert change.distance == np.finfo(float).max


@pytest.mark.parametrize("tolerance", [-1.0, float("nan"), float("inf")])
def test_a_tolerance_that_is_no_length_is_refused(tolerance):
    with pytest.raises(UsageError, match="tolerance"):
        compare(crowd_of_people(), crowd_of_people(), tolerance=tolerance)
