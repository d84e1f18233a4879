"""What is written back when something changed: only the fields that changed, in only the rows that changed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kpkit
from kpkit.core import catalog
from kpkit.core.dataset import Dataset
from kpkit.formats.jsonrows import MemoryRows
from tests.coco_files import category, difference, document, image, load, person, points, save


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Five persons in three images, each row with fields of its own and an odd layout."""
    annotations = [
        person(1, 1, note="first"),
        person(2, 2, keypoints=points(shift=0.5), score=0.75),
        person(3, 2, iscrowd=1, segmentation={"size": [480, 640], "counts": [4, 2, 307194]}),
        person(4, 3, keypoints=points(flag=1), num_keypoints=None),
        person(5, 3, keypoints=points()[:3] + [0] * 48, num_keypoints=1, track_id=7),
    ]
    images = [image(id, weather="dry") for id in (1, 2, 3)]
    content = {**document(annotations, images), "own": {"x": [1.0, 1, None, "ü"]}}
    return save(tmp_path / "labels.json", content, indent=1)


def written(dataset: Dataset, folder: Path) -> Any:
    kpkit.write(dataset, folder / "out.json", "coco", force=True)
    return load(folder / "out.json")


def raw_rows(path: Path) -> list[bytes]:
    """The annotations of a file as they stand there."""
    source: Any = kpkit.read(path).source
    return [source.rows.get(i) for i in source.row_of.tolist()]


def moved(dataset: Dataset, row: int, joint: int, xy: tuple[float, float]) -> Dataset:
    points = dataset.xy.copy()
    points[row, joint] = xy
    return dataset.replace(xy=points)


def test_an_unchanged_dataset_is_written_byte_for_byte_row_by_row(rows, tmp_path):
    kpkit.write(kpkit.read(rows), tmp_path / "out.json", "coco")
    assert raw_rows(tmp_path / "out.json") == raw_rows(rows)


def test_one_moved_joint_changes_two_numbers_of_one_row(rows, tmp_path):
    after = written(moved(kpkit.read(rows), 1, 3, (100.5, 200)), tmp_path)
    expected = load(rows)
    expected["annotations"][1]["keypoints"][9:11] = [100.5, 200]
    assert difference(after["annotations"][1]["keypoints"], expected["annotations"][1]["keypoints"]) == ""
    assert difference(expected, after) == ""


def test_rows_beside_a_changed_one_keep_their_bytes(rows, tmp_path):
    written(moved(kpkit.read(rows), 1, 3, (100.5, 200)), tmp_path)
    before, after = raw_rows(rows), raw_rows(tmp_path / "out.json")
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True, True, True]


def test_a_long_file_with_one_change_keeps_all_other_bytes(tmp_path):
    path = save(tmp_path / "labels.json", document([person(id, flags=[1.0, 2]) for id in range(100)]), indent=2)
    written(moved(kpkit.read(path), 50, 0, (1, 1)), tmp_path)
    before, after = raw_rows(path), raw_rows(tmp_path / "out.json")
    assert [i for i in range(100) if before[i] != after[i]] == [50]


def test_a_joint_made_occluded_changes_one_flag(rows, tmp_path):
    dataset = kpkit.read(rows)
    flags = dataset.visibility.copy()
    flags[0, 16] = 1
    after = written(dataset.replace(visibility=flags), tmp_path)
    expected = load(rows)
    expected["annotations"][0]["keypoints"][50] = 1
    assert difference(expected, after) == ""


def test_a_joint_taken_away_is_zeros_and_one_less(rows, tmp_path):
    dataset = kpkit.read(rows)
    flags, xy = dataset.visibility.copy(), dataset.xy.copy()
    flags[0, 0], xy[0, 0] = 0, np.nan
    after = written(dataset.replace(visibility=flags, xy=xy), tmp_path)["annotations"][0]
    assert after["keypoints"][:3] == [0, 0, 0]
    assert after["num_keypoints"] == 16


@pytest.mark.parametrize(
    ("column", "value", "field", "stored"),
    [
        ("bbox_xywh", (1, 2.5, 3, 4), "bbox", [1, 2.5, 3, 4]),
        ("area", 12.0, "area", 12),
        ("area", 12.25, "area", 12.25),
        ("is_crowd", True, "iscrowd", 1),
        ("instance_id", 99, "id", 99),
        ("score", 0.5, "score", 0.5),
        ("track_id", 3, "track_id", 3),
    ],
)
def test_a_changed_column_changes_its_field_alone(column, value, field, stored, rows, tmp_path):
    dataset = kpkit.read(rows)
    values = getattr(dataset, column).copy()
    values[0] = value
    expected = load(rows)
    expected["annotations"][0][field] = stored
    assert difference(expected, written(dataset.replace(**{column: values}), tmp_path)) == ""


@pytest.mark.parametrize(("column", "field"), [("bbox_xywh", "bbox"), ("area", "area"), ("score", "score")])
def test_a_value_that_became_unknown_is_left_out(column, field, rows, tmp_path):
    dataset = kpkit.read(rows)
    values = getattr(dataset, column).copy()
    values[1] = np.nan
    sources = {"bbox_source": dataset.bbox_source, "area_source": dataset.area_source}
    expected = load(rows)
    del expected["annotations"][1][field]
    assert difference(expected, written(dataset.replace(**{column: values}, **sources), tmp_path)) == ""


def test_a_changed_image_id_changes_the_image_and_its_annotations(rows, tmp_path):
    dataset = kpkit.read(rows)
    images = dataclasses.replace(dataset.images, id=np.array([1, 20, 3]))
    expected = load(rows)
    expected["images"][1]["id"] = 20
    for row in expected["annotations"][1:3]:
        row["image_id"] = 20
    assert difference(expected, written(dataset.replace(images=images), tmp_path)) == ""


def test_a_text_as_id_changes_one_row_and_no_other(rows, tmp_path):
    dataset = kpkit.read(rows)
    ids = np.array([1, "two", 3, 4, 5], dtype=object)
    written(dataset.replace(instance_id=ids), tmp_path)
    before, after = raw_rows(rows), raw_rows(tmp_path / "out.json")
    assert [i for i in range(5) if before[i] != after[i]] == [1]
    assert json.loads(after[1])["id"] == "two"


def test_a_new_image_size_changes_the_image_alone(rows, tmp_path):
    dataset = kpkit.read(rows)
    images = dataclasses.replace(dataset.images, width=np.array([640, 641, 640], np.int32))
    expected = load(rows)
    expected["images"][1]["width"] = 641
    assert difference(expected, written(dataset.replace(images=images), tmp_path)) == ""


def test_taking_some_persons_keeps_their_rows_and_all_images(rows, tmp_path):
    expected = load(rows)
    expected["annotations"] = [expected["annotations"][i] for i in (1, 3)]
    assert difference(expected, written(kpkit.read(rows).take([1, 3]), tmp_path)) == ""


def test_taking_by_a_mask_is_taking_by_number(rows, tmp_path):
    dataset = kpkit.read(rows)
    expected = load(rows)
    expected["annotations"] = [row for row in expected["annotations"] if row["iscrowd"]]
    assert difference(expected, written(dataset.take(dataset.is_crowd), tmp_path)) == ""


def test_reordering_keeps_every_row(rows, tmp_path):
    expected = load(rows)
    expected["annotations"].reverse()
    assert difference(expected, written(kpkit.read(rows).take([4, 3, 2, 1, 0]), tmp_path)) == ""


def test_taking_nobody_leaves_the_images(rows, tmp_path):
    after = written(kpkit.read(rows).take([]), tmp_path)
    assert difference({**load(rows), "annotations": []}, after) == ""


@pytest.mark.parametrize("low_memory", [False, True])
@pytest.mark.parametrize("order", [[1, 1, 1], [4, 0, 4], [2, 3, 2, 3, 0], [0, 1, 2, 3, 4]])
def test_a_person_taken_several_times_is_written_as_often(rows, tmp_path, order, low_memory):
    expected = load(rows)
    expected["annotations"] = [expected["annotations"][i] for i in order]
    taken = kpkit.read(rows, low_memory=low_memory).take(order)
    assert difference(expected, written(taken, tmp_path)) == ""


def test_taking_twice_is_taking_once(rows, tmp_path):
    expected = load(rows)
    expected["annotations"] = [expected["annotations"][3]]
    assert difference(expected, written(kpkit.read(rows).take([1, 3, 4]).take([1]), tmp_path)) == ""


def test_a_change_after_taking_lands_in_the_right_row(rows, tmp_path):
    after = written(moved(kpkit.read(rows).take([4, 3]), 1, 0, (7, 8)), tmp_path)
    expected = load(rows)
    expected["annotations"] = [expected["annotations"][i] for i in (4, 3)]
    expected["annotations"][1]["keypoints"][:2] = [7, 8]
    expected["annotations"][1]["num_keypoints"] = 17
    assert difference(expected, after) == ""


class TestUnlabelledCoordinates:
    """Coordinates on joints with v = 0: CVAT writes them, and they are no joints."""

    @pytest.fixture
    def ghosts(self, tmp_path: Path) -> Path:
        values = points()
        values[3:6] = [33.25, -4, 0]
        return save(tmp_path / "labels.json", document([person(), person(2, keypoints=values, num_keypoints=16)]))

    def test_they_are_no_joints(self, ghosts):
        dataset = kpkit.read(ghosts)
        assert np.isnan(dataset.xy[1, 1]).all()
        assert dataset.visibility[1, 1] == 0

    def test_they_survive_a_change_of_another_joint(self, ghosts, tmp_path):
        after = written(moved(kpkit.read(ghosts), 1, 5, (9, 9)), tmp_path)["annotations"][1]
        assert after["keypoints"][3:6] == [33.25, -4, 0]
        assert after["keypoints"][15:17] == [9, 9]

    def test_they_survive_a_change_of_another_field(self, ghosts, tmp_path):
        dataset = kpkit.read(ghosts)
        after = written(dataset.replace(instance_id=np.array([1, 22])), tmp_path)["annotations"][1]
        assert after["id"] == 22
        assert after["keypoints"][3:6] == [33.25, -4, 0]

    def test_they_give_way_when_the_joint_is_labelled(self, ghosts, tmp_path):
        dataset = kpkit.read(ghosts)
        flags = dataset.visibility.copy()
        flags[1, 1] = 2
        xy = dataset.xy.copy()
        xy[1, 1] = (5, 6)
        after = written(dataset.replace(xy=xy, visibility=flags), tmp_path)["annotations"][1]
        assert after["keypoints"][3:6] == [5, 6, 2]

    def test_they_survive_in_the_right_row_after_taking(self, ghosts, tmp_path):
        dataset = kpkit.read(ghosts).take([1])
        after = written(dataset.replace(instance_id=np.array([22])), tmp_path)["annotations"]
        assert after[0]["keypoints"][3:6] == [33.25, -4, 0]

    def test_on_another_skeleton_they_are_a_loss_and_not_some_other_joint(self, ghosts, tmp_path):
        report = kpkit.convert("coco", "coco", ghosts, output=tmp_path / "out.json", skeleton="posetrack17")
        assert ("coco.unlabelled_coordinates", 1) in [(loss.what, loss.count) for loss in report.losses]
        for row in load(tmp_path / "out.json")["annotations"]:
            for x, y, v in zip(*[iter(row["keypoints"])] * 3, strict=True):
                assert v or (x, y) == (0, 0)


class TestAnotherSkeleton:
    def test_points_and_category_change_and_the_rest_stays(self, rows, tmp_path):
        kpkit.convert("coco", "coco", rows, output=tmp_path / "out.json", skeleton="mpii16", bbox="annotated")
        before, after = load(rows), load(tmp_path / "out.json")
        assert after["categories"][0]["keypoints"] == list(catalog.skeleton("mpii16").keypoints)
        assert after["categories"][0]["supercategory"] == "person"
        for old, new in zip(before["annotations"], after["annotations"], strict=True):
            assert len(new["keypoints"]) == 48
            assert new["num_keypoints"] == sum(v > 0 for v in new["keypoints"][2::3])
            same = [key for key in old if key not in {"keypoints", "num_keypoints"}]
            assert difference({key: old[key] for key in same}, {key: new[key] for key in same}) == ""
        assert difference(before["images"], after["images"]) == ""
        assert difference(before["own"], after["own"]) == ""

    def test_and_back_by_number_of_joints_is_never_taken_for_the_same(self, rows, tmp_path):
        """posetrack17 has as many joints as COCO; they are others."""
        kpkit.convert("coco", "coco", rows, output=tmp_path / "out.json", skeleton="posetrack17")
        dataset, again = kpkit.read(rows), kpkit.read(tmp_path / "out.json")
        assert again.skeleton.name == "posetrack17"
        for joint in ("nose", "left_shoulder", "right_ankle"):
            np.testing.assert_array_equal(
                again.xy[:, again.skeleton.index(joint)], dataset.xy[:, dataset.skeleton.index(joint)]
            )

    def test_a_truncated_joint_is_named_after_the_new_skeleton(self, tmp_path):
        """Same number of joints, same flags, other names."""
        values = points()
        values[2] = 1
        row = person(keypoints=values, kpkit={"truncated": ["nose"]})
        path = save(tmp_path / "labels.json", document([row]))
        dataset = kpkit.read(path)
        other = dataclasses.replace(dataset.skeleton, keypoints=("tip", *dataset.skeleton.keypoints[1:]))
        after = written(dataset.replace(skeleton=other), tmp_path)
        assert after["annotations"][0]["kpkit"]["truncated"] == ["tip"]
        assert after["categories"][0]["keypoints"][0] == "tip"


class TestOwnKey:
    """What COCO has no field for stands under `kpkit`."""

    def test_truncated_head_box_and_sources_survive_without_a_source(self, tmp_path):
        dataset = kpkit.read(save(tmp_path / "labels.json", document([person(), person(2)])))
        truncated = np.zeros((2, 17), bool)
        truncated[1, [3, 5]] = True
        flags = np.where(truncated, 1, dataset.visibility).astype(np.uint8)
        head = np.array([[np.nan] * 4, [1, 2, 3.5, 4]])
        made = dataset.replace(
            source=None,
            truncated=truncated,
            visibility=flags,
            head_box=head,
            bbox_source=np.array([1, 2], np.uint8),
            area_source=np.array([3, 1], np.uint8),
            extras={"mpii.scale": np.array([None, 1.5], object)},
        )
        after = written(made, tmp_path)
        assert after["annotations"][0]["kpkit"] == {"area_source": "0.53 x bbox"}
        assert after["annotations"][1]["kpkit"] == {
            "truncated": ["left_ear", "left_shoulder"],
            "head_box": [1, 2, 3.5, 4],
            "bbox_source": "keypoints",
            "extras": {"mpii.scale": 1.5},
        }
        again = kpkit.read(tmp_path / "out.json")
        for name in ("truncated", "visibility", "head_box", "bbox_source", "area_source"):
            np.testing.assert_array_equal(getattr(again, name), getattr(made, name), err_msg=name)
        assert again.extras["mpii.scale"].tolist() == [None, 1.5]

    def test_a_box_nobody_knows_stays_unknown_beside_other_keys(self, tmp_path):
        row = {key: value for key, value in person(kpkit={"head_box": [1, 2, 3, 4]}).items() if key != "bbox"}
        dataset = kpkit.read(save(tmp_path / "labels.json", document([row])))
        assert dataset.bbox_source.tolist() == [0]

    def test_a_field_added_to_a_dataset_is_written(self, rows, tmp_path):
        dataset = kpkit.read(rows)
        added = dataset.replace(extras={"mine.mood": np.array([None, "gay", None, None, None], object)})
        expected = load(rows)
        expected["annotations"][1]["kpkit"] = {"extras": {"mine.mood": "gay"}}
        assert difference(expected, written(added, tmp_path)) == ""

    def test_a_field_taken_from_a_dataset_is_gone(self, tmp_path):
        path = save(tmp_path / "labels.json", document([person(kpkit={"extras": {"mine.mood": "gay"}})]))
        after = written(kpkit.read(path).replace(extras={}), tmp_path)
        assert "kpkit" not in after["annotations"][0]

    def test_an_image_field_added_or_taken_is_written_or_gone(self, tmp_path):
        images = [image(1, kpkit={"split": "val", "extras": {"mine.hour": 12}}), image(2)]
        path = save(tmp_path / "labels.json", document(images=images))
        dataset = kpkit.read(path)
        assert dataset.images.split.tolist() == ["val", ""]
        table = dataclasses.replace(dataset.images, extras={"mine.day": np.array([None, 3], object)})
        after = written(dataset.replace(images=table), tmp_path)["images"]
        assert after[0]["kpkit"] == {"split": "val"}
        assert after[1]["kpkit"] == {"extras": {"mine.day": 3}}

    def test_unchanged_rows_with_our_key_keep_their_bytes(self, tmp_path):
        row = person(kpkit={"extras": {"mine.mood": "gay"}, "head_box": [1, 2, 3, 4]})
        path = save(tmp_path / "labels.json", document([row], [image(kpkit={"split": "val"})]), indent=3)
        kpkit.write(kpkit.read(path), tmp_path / "out.json", "coco")
        assert raw_rows(tmp_path / "out.json") == raw_rows(path)
        assert load(tmp_path / "out.json") == load(path)

    def test_what_a_later_version_puts_there_is_kept(self, tmp_path):
        row, picture = person(kpkit={"later": 1, "head_box": [1, 2, 3, 4]}), image(kpkit={"later": 2})
        dataset = kpkit.read(save(tmp_path / "labels.json", document([row], [picture])))
        table = dataclasses.replace(dataset.images, split=np.array(["val"], object))
        after = written(dataset.replace(images=table, head_box=np.full((1, 4), np.nan)), tmp_path)
        assert after["annotations"][0]["kpkit"] == {"later": 1}
        assert after["images"][0]["kpkit"] == {"later": 2, "split": "val"}

    def test_fields_of_the_whole_dataset_survive(self, tmp_path):
        dataset = kpkit.read(save(tmp_path / "labels.json", document()))
        written(dataset.replace(source=None, meta={"mpii.note": [1, "two"]}), tmp_path)
        assert kpkit.read(tmp_path / "out.json").meta == {"mpii.note": [1, "two"]}

    def test_a_top_level_key_of_that_name_from_somebody_else_is_kept(self, tmp_path):
        content = {**document(), "kpkit": "a word of mine"}
        path = save(tmp_path / "labels.json", content)
        assert written(kpkit.read(path), tmp_path) == content


class TestResults:
    """Result lists hold a score where ground truth holds a flag."""

    @pytest.fixture
    def results(self, tmp_path: Path) -> Path:
        values = [n if i % 3 < 2 else 0.1 + i / 100 for i, n in enumerate(points())]
        rows = [
            {"image_id": 7, "category_id": 1, "keypoints": values, "score": 0.25, "center": [1.0, 2]},
            {"image_id": 9, "category_id": 1, "keypoints": values, "score": 1, "bbox": [1, 2, 3, 4]},
        ]
        return save(tmp_path / "results.json", rows)

    def test_they_come_back_unchanged(self, results, tmp_path):
        assert difference(load(results), written(kpkit.read(results), tmp_path)) == ""

    def test_every_joint_is_visible_and_every_person_has_a_score(self, results):
        dataset = kpkit.read(results)
        assert (dataset.visibility == 2).all()
        assert dataset.score.tolist() == [0.25, 1]
        assert dataset.images.id.tolist() == [7, 9]

    def test_a_moved_joint_keeps_its_score(self, results, tmp_path):
        expected = load(results)
        expected[1]["keypoints"][3:5] = [5.5, 6]
        assert difference(expected, written(moved(kpkit.read(results), 1, 1, (5.5, 6)), tmp_path)) == ""

    def test_taking_some_keeps_the_list_a_list(self, results, tmp_path):
        assert difference(load(results)[1:], written(kpkit.read(results).take([1]), tmp_path)) == ""

    def test_a_detection_without_keypoints_has_no_joints(self, results, tmp_path):
        rows = load(results)
        del rows[1]["keypoints"]
        dataset = kpkit.read(save(results, rows))
        assert dataset.visibility.sum(axis=1).tolist() == [34, 0]
        assert difference(rows, written(dataset, tmp_path)) == ""

    def test_scores_of_joints_are_a_loss_where_they_do_not_fit(self, results, tmp_path):
        report = kpkit.convert("coco", "six2", results, output=tmp_path / "out.json", dry_run=True)
        assert ("coco.keypoint_scores", 2) in [(loss.what, loss.count) for loss in report.losses]

    def test_an_empty_list_is_an_empty_dataset(self, tmp_path):
        dataset = kpkit.read(save(tmp_path / "results.json", []), "coco")
        assert len(dataset) == 0
        assert written(dataset, tmp_path) == []


finite = st.floats(-1e9, 1e9, allow_nan=False)
numbers = st.one_of(st.integers(-(10**6), 10**6), finite)
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), finite, st.text(max_size=8)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
KNOWN = {
    *("id", "image_id", "category_id", "keypoints", "num_keypoints", "bbox", "area", "iscrowd", "track_id", "score"),
    *("file_name", "width", "height", "images", "annotations", "categories", "kpkit", "name", "skeleton"),
}
unknown = st.dictionaries(st.text(max_size=6).filter(lambda key: key not in KNOWN), anything, max_size=3)


@st.composite
def shuffled(draw: st.DrawFn, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields and some that nobody knows, in any order."""
    return dict(draw(st.permutations([*fields.items(), *draw(unknown).items()])))


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A COCO file of two joints with fields of its own at every level."""
    joints = {"id": 1, "name": "person", "keypoints": ["a", "b"], "skeleton": [[1, 2]]}
    ids = draw(st.lists(st.integers(-(2**65), 2**65) | st.text(max_size=3), min_size=1, max_size=3, unique=True))
    images = [
        draw(shuffled({"id": id, "file_name": f"{n}.jpg", "width": draw(st.integers(1, 9999)), "height": 20}))
        for n, id in enumerate(ids)
    ]
    rows = []
    for number in range(draw(st.integers(0, 4))):
        flags = [draw(st.sampled_from([0, 1, 2])) for _ in range(2)]
        xyv = [value for flag in flags for value in (draw(numbers), draw(numbers), flag)]
        fields = {"id": number, "image_id": draw(st.sampled_from(ids)), "category_id": 1, "keypoints": xyv}
        optional = {
            "bbox": st.lists(numbers, min_size=4, max_size=4),
            "area": numbers | st.none(),
            "iscrowd": st.sampled_from([0, 1, False, True]),
            "num_keypoints": st.integers(0, 5),
            "score": numbers | st.none(),
            "track_id": st.integers() | st.text(max_size=3),
        }
        chosen = draw(st.sets(st.sampled_from(sorted(optional))))
        fields |= {name: draw(optional[name]) for name in sorted(chosen)}
        rows.append(draw(shuffled(fields)))
    top = {"images": images, "annotations": rows, "categories": [draw(shuffled(joints))]}
    return draw(shuffled(top))


LAYOUTS = [{}, {"indent": 1}, {"separators": (",", ":")}, {"ensure_ascii": False}]


class TestAnyFile:
    @given(documents(), st.sampled_from(LAYOUTS), st.booleans())
    def test_reading_and_writing_changes_nothing(self, tmp_path_factory, content, layout, low_memory):
        folder = tmp_path_factory.mktemp("any")
        path = save(folder / "labels.json", content, **layout)
        before = load(path)
        assert difference(before, written(kpkit.read(path, "coco", low_memory=low_memory), folder)) == ""

    @given(documents(), st.data())
    def test_writing_every_row_anew_keeps_every_column(self, tmp_path_factory, content, data):
        folder = tmp_path_factory.mktemp("any")
        dataset = kpkit.read(save(folder / "labels.json", content), "coco")
        written(dataset.replace(source=None), folder)
        again = kpkit.read(folder / "out.json", "coco")
        for field in dataclasses.fields(Dataset):
            value = getattr(dataset, field.name)
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(getattr(again, field.name), value, err_msg=field.name)

    @settings(max_examples=30)
    @given(documents(), st.data())
    def test_a_selection_with_one_change_is_that_selection_with_that_change(self, tmp_path_factory, content, data):
        folder = tmp_path_factory.mktemp("any")
        path = save(folder / "labels.json", content)
        dataset = kpkit.read(path, "coco")
        n = len(dataset)
        order = data.draw(st.permutations(range(n)).flatmap(lambda p: st.integers(0, n).map(lambda k: list(p)[:k])))
        dataset = dataset.take(order)
        expected = load(path)
        expected["annotations"] = [expected["annotations"][i] for i in order]
        if order:
            row = data.draw(st.integers(0, len(order) - 1))
            crowd = dataset.is_crowd.copy()
            crowd[row] = not crowd[row]
            dataset = dataset.replace(is_crowd=crowd)
            expected["annotations"][row]["iscrowd"] = int(crowd[row])
        assert difference(expected, written(dataset, folder)) == ""


def test_rows_in_memory_are_given_back_singly_and_in_runs():
    buffer = b"[" + b", ".join(b'{"n":%d}' % n for n in range(30)) + b"]"
    rows = MemoryRows(buffer, msgspec.json.decode(buffer, type=list[msgspec.Raw]))
    index = np.array([3, *range(10, 25), 2, 1, 0])
    assert json.loads(b"[" + b"".join(rows.chunks(index)) + b"]") == [{"n": n} for n in index.tolist()]
    assert rows.get(29) == b'{"n":29}'
    assert b"".join(rows.chunks(np.zeros(0, np.int64))) == b""


def test_a_category_of_another_dataset_is_written_without_a_source(tmp_path):
    dataset = kpkit.read(
        save(tmp_path / "labels.json", document(categories=[category(id=3)], annotations=[person(category_id=3)]))
    )
    after = written(dataset.replace(source=None), tmp_path)
    assert [entry["id"] for entry in after["categories"]] == [3]
    assert after["categories"][0]["keypoints"] == category()["keypoints"]


class TestSkeletonsOfOnesOwn:
    """COCO has no field for flip pairs and OKS sigmas; names say them for known skeletons only."""

    @pytest.fixture
    def own(self, tmp_path: Path) -> Dataset:
        joints = [category(keypoints=["Nose Tip", "port", "starboard"], skeleton=[[1, 2], [0, 9]], color="red")]
        path = save(tmp_path / "own.json", document([person(keypoints=points()[:9], num_keypoints=3)], None, joints))
        dataset = kpkit.read(path)
        skeleton = dataclasses.replace(dataset.skeleton, flip_pairs=((1, 2),), sigmas=(0.1, 0.2, 0.3))
        return dataset.replace(skeleton=skeleton)

    @pytest.mark.parametrize("anew", [False, True])
    def test_pairs_and_sigmas_survive(self, own, tmp_path, anew):
        written(own.replace(source=None) if anew else own, tmp_path)
        again = kpkit.read(tmp_path / "out.json").skeleton
        assert again == own.skeleton

    def test_the_rest_of_the_category_stays_as_written(self, own, tmp_path):
        (entry,) = written(own, tmp_path)["categories"]
        (before,) = load(tmp_path / "own.json")["categories"]
        kpkit_key = entry.pop("kpkit")
        assert difference(before, entry) == ""
        assert kpkit_key == {"flip_pairs": [["port", "starboard"]], "sigmas": [0.1, 0.2, 0.3]}

    def test_reading_them_and_writing_changes_nothing(self, own, tmp_path):
        after = written(own, tmp_path)
        assert difference(after, written(kpkit.read(tmp_path / "out.json"), tmp_path)) == ""

    def test_other_sigmas_for_a_known_skeleton_survive(self, rows, tmp_path):
        dataset = kpkit.read(rows)
        written(dataset.replace(skeleton=dataset.skeleton.with_sigmas([0.5] * 17, "mine")), tmp_path)
        assert kpkit.read(tmp_path / "out.json").skeleton.sigmas == (0.5,) * 17

    def test_known_skeletons_need_no_key_of_ours(self, rows, tmp_path):
        dataset = kpkit.read(rows)
        assert "kpkit" not in written(dataset.replace(source=None), tmp_path)["categories"][0]

    @pytest.mark.parametrize(
        "own",
        [
            {"flip_pairs": [["port", "nobody"]]},
            {"flip_pairs": "port"},
            {"flip_pairs": [["port"]]},
            {"sigmas": [1, 2]},
            {"sigmas": ["a"]},
        ],
    )
    def test_what_contradicts_the_category_is_refused_with_its_place(self, tmp_path, own):
        joints = [category(keypoints=["nose", "port", "starboard"], skeleton=[], kpkit=own)]
        path = save(tmp_path / "own.json", document([], None, joints))
        with pytest.raises(kpkit.KpkitError) as caught:
            kpkit.read(path)
        assert caught.value.place.startswith(f"{path}: categories[0]")
