"""Several label files as one: nothing doubled, nothing lost, and every id that had to change is counted."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kpkit
from kpkit.core.report import Collector, Report
from kpkit.errors import RecordError, UsageError
from kpkit.pipelines.merge import merge
from tests.coco_files import category, difference, document, image, load, person, points, save

CROWD = {"size": [480, 640], "counts": [4, 2, 307194]}


def merged(folder: Path, *contents: Any, **options: Any) -> tuple[Any, Report]:
    """The documents saved as 0.json, 1.json, ... and converted together."""
    paths = [save(folder / f"{number}.json", content) for number, content in enumerate(contents)]
    report = kpkit.convert("coco", "coco", *paths, output=folder / "out.json", **options)
    return load(folder / "out.json"), report


def issues(report: Report) -> dict[str, int]:
    return {issue.code: issue.count for issue in report.issues}


FIRST = document([person(1, 1), person(2, 1, iscrowd=1, segmentation=CROWD)], [image(1)])


@pytest.mark.parametrize("low_memory", [False, True])
class TestDistinct:
    def test_files_without_a_common_id_are_put_one_after_the_other(self, low_memory, tmp_path):
        second = document([person(3, 2, note="x"), person(4, 3)], [image(2), image(3)])
        after, report = merged(tmp_path, FIRST, second, low_memory=low_memory)
        assert difference(FIRST["images"] + second["images"], after["images"]) == ""
        assert difference(FIRST["annotations"] + second["annotations"], after["annotations"]) == ""
        assert difference(FIRST["categories"], after["categories"]) == ""
        assert report.issues == []
        assert report.counts["instances"] == 4

    def test_crowds_polygons_and_own_fields_survive_new_ids(self, low_memory, tmp_path):
        second = document([person(2, 1, iscrowd=1, segmentation=CROWD, note=[1, 1.0])], [image(1, file_name="b.jpg")])
        after, _ = merged(tmp_path, FIRST, second, low_memory=low_memory)
        expected = {**second["annotations"][0], "id": 3, "image_id": 2}
        assert difference(expected, after["annotations"][2]) == ""
        assert difference({**second["images"][0], "id": 2}, after["images"][1]) == ""


def test_colliding_ids_of_persons_are_given_anew_and_counted(tmp_path):
    second = document([person(1, 2), person(2, 2), person(9, 2)], [image(2)])
    after, report = merged(tmp_path, FIRST, second)
    assert [row["id"] for row in after["annotations"]] == [1, 2, 10, 11, 9]
    assert issues(report) == {"KP-MERGE-PERSON-ID": 2}


def test_colliding_ids_of_images_are_given_anew_in_their_annotations_too(tmp_path):
    second = document([person(3, 1)], [image(1, file_name="other.jpg")])
    after, report = merged(tmp_path, FIRST, second)
    assert [row["id"] for row in after["images"]] == [1, 2]
    assert after["annotations"][2]["image_id"] == 2
    assert issues(report) == {"KP-MERGE-IMAGE-ID": 1}


def test_one_path_and_size_is_one_image(tmp_path):
    second = document([person(3, 7)], [image(7, file_name=image(1)["file_name"])])
    after, report = merged(tmp_path, FIRST, second)
    assert [row["id"] for row in after["images"]] == [1]
    assert [row["image_id"] for row in after["annotations"]] == [1, 1, 1]
    assert issues(report)["KP-MERGE-IMAGE"] == 1


def test_one_path_of_two_sizes_is_two_images(tmp_path):
    second = document([person(3, 7)], [image(7, file_name=image(1)["file_name"], width=320)])
    after, report = merged(tmp_path, FIRST, second)
    assert [row["width"] for row in after["images"]] == [640, 320]
    assert "KP-MERGE-IMAGE" not in issues(report)


def test_two_images_of_one_file_stay_two(tmp_path):
    """Within one file two ids are two images, whatever they are called."""
    twins = document([person(3, 7), person(4, 8)], [image(7, file_name="same.jpg"), image(8, file_name="same.jpg")])
    after, _ = merged(tmp_path, FIRST, twins)
    assert [row["id"] for row in after["images"]] == [1, 7, 8]
    assert [row["image_id"] for row in after["annotations"]] == [1, 1, 7, 8]


def test_images_without_a_name_are_never_the_same(tmp_path):
    nameless = document([person(3, 7)], [{"id": 7, "width": 640, "height": 480}])
    after, _ = merged(tmp_path, nameless, document([person(4, 8)], [{"id": 8, "width": 640, "height": 480}]))
    assert [row["id"] for row in after["images"]] == [7, 8]


def test_other_fields_of_an_image_that_differ_are_reported(tmp_path):
    second = document([person(3, 1)], [image(1, license=5)])
    after, report = merged(tmp_path, FIRST, second)
    assert after["images"] == FIRST["images"]
    assert issues(report) == {"KP-MERGE-IMAGE": 1, "KP-MERGE-IMAGE-FIELDS": 1}


def test_images_whose_fields_agree_are_not_reported_as_different(tmp_path):
    second = document([person(3, 7)], [image(7, file_name=image(1)["file_name"])])
    _, report = merged(tmp_path, FIRST, second)
    assert "KP-MERGE-IMAGE-FIELDS" not in issues(report)


def test_categories_of_later_files_are_added(tmp_path):
    second = document([person(3, 2, category_id=5)], [image(2)], [category(5, name="dancer"), {"id": 6, "name": "dog"}])
    after, _ = merged(tmp_path, FIRST, second)
    assert [(entry["id"], entry["name"]) for entry in after["categories"]] == [(1, "person"), (5, "dancer"), (6, "dog")]


def test_one_category_id_with_two_names_is_refused(tmp_path):
    with pytest.raises(RecordError) as caught:
        merged(tmp_path, FIRST, document([person(3, 2)], [image(2)], [category(1, name="dancer")]))
    assert caught.value.code == "KP-MERGE-CATEGORY"
    assert caught.value.place == f"{tmp_path / '1.json'}: categories"
    assert (caught.value.expected, caught.value.got) == ("person", "dancer")
    assert not (tmp_path / "out.json").exists()


def test_a_category_with_other_edges_is_reported(tmp_path):
    _, report = merged(tmp_path, FIRST, document([person(3, 2)], [image(2)], [category(skeleton=[[1, 2]])]))
    assert issues(report)["KP-MERGE-TOP"] == 1


def test_different_skeletons_are_refused_by_name(tmp_path):
    other = document([person(3, 2, keypoints=points()[:6])], [image(2)], [category(keypoints=["a", "b"], skeleton=[])])
    with pytest.raises(UsageError) as caught:
        merged(tmp_path, FIRST, other)
    assert caught.value.code == "KP-MERGE-SKELETON"
    assert caught.value.place == str(tmp_path / "1.json")
    assert "coco17" in caught.value.expected
    assert not (tmp_path / "out.json").exists()


def test_top_level_fields_that_differ_are_reported_and_the_first_is_kept(tmp_path):
    second = {**document([person(3, 2)], [image(2)]), "info": {"description": "another"}, "extra": [1]}
    after, report = merged(tmp_path, FIRST, second)
    assert after["info"] == FIRST["info"]
    assert after["extra"] == [1]
    assert issues(report) == {"KP-MERGE-TOP": 1}


def test_result_lists_are_not_merged(tmp_path):
    """Their image ids belong to somebody's ground truth: giving them anew would make them wrong."""
    result = [{"image_id": 1, "category_id": 1, "keypoints": points(), "score": 0.5}]
    with pytest.raises(UsageError) as caught:
        merged(tmp_path, result, result)
    assert caught.value.code == "KP-MERGE-RESULTS"
    assert caught.value.place == str(tmp_path / "0.json")


def test_a_result_list_is_not_merged_with_ground_truth(tmp_path):
    result = [{"image_id": 1, "category_id": 1, "keypoints": points(), "score": 0.5}]
    with pytest.raises(UsageError, match="result"):
        merged(tmp_path, FIRST, result)


def test_reading_the_merged_file_is_the_union(tmp_path):
    second = document([person(1, 1, keypoints=points(flag=1)), person(2, 5)], [image(1), image(5)])
    merged(tmp_path, FIRST, second)
    union = kpkit.read(tmp_path / "out.json")
    parts = [kpkit.read(tmp_path / f"{number}.json") for number in (0, 1)]
    for name in ("xy", "visibility", "bbox_xywh", "area", "is_crowd"):
        np.testing.assert_array_equal(getattr(union, name), np.concatenate([getattr(part, name) for part in parts]))
    paths = [path for part in parts for path in part.images.path[part.image_index]]
    assert union.images.path[union.image_index].tolist() == paths


def test_three_files_and_a_change_after_merging(tmp_path):
    files = [document([person(1, 1, n=n)], [image(1, file_name=f"{n}.jpg")]) for n in range(3)]
    datasets = [kpkit.read(save(tmp_path / f"{n}.json", one)) for n, one in enumerate(files)]
    one = merge(datasets, ["0", "1", "2"], Collector())
    area = one.area.copy()
    area[2] = 5
    kpkit.write(one.replace(area=area).take([2, 0]), tmp_path / "out.json", "coco")
    after = load(tmp_path / "out.json")
    assert [(row["n"], row["id"], row["image_id"], row["area"]) for row in after["annotations"]] == [
        (2, 3, 3, 5),
        (0, 1, 1, 455.91),
    ]
    assert [(row["id"], row["file_name"]) for row in after["images"]] == [(1, "0.jpg"), (2, "1.jpg"), (3, "2.jpg")]


def test_text_ids_and_integers_merge(tmp_path):
    second = document([person("a", "i"), person(1, "i")], [image("i")])
    after, _ = merged(tmp_path, FIRST, second)
    assert [row["id"] for row in after["annotations"]] == [1, 2, "a", 3]
    assert [row["image_id"] for row in after["annotations"]] == [1, 1, "i", "i"]


def test_extras_under_our_key_merge_by_name(tmp_path):
    first = document([person(1, 1, kpkit={"extras": {"mine.a": 1}})], [image(1)])
    second = document([person(2, 2, kpkit={"extras": {"mine.b": [2]}})], [image(2, kpkit={"split": "val"})])
    after, _ = merged(tmp_path, first, second)
    assert difference(first["annotations"] + second["annotations"], after["annotations"]) == ""
    assert difference(first["images"] + second["images"], after["images"]) == ""


def test_one_dataset_is_itself(tmp_path):
    dataset = kpkit.read(save(tmp_path / "0.json", FIRST))
    assert merge([dataset], ["0"], Collector()) is dataset


def test_datasets_without_raw_rows_merge_by_their_columns(tmp_path):
    dataset = kpkit.read(save(tmp_path / "0.json", FIRST)).replace(source=None)
    other = dataset.replace(images=dataclasses.replace(dataset.images, path=np.array(["b.jpg"], object)))
    one = merge([dataset, other], ["0", "1"], Collector())
    assert one.source is None
    assert one.instance_id.tolist() == [1, 2, 3, 4]
    assert one.images.path[one.image_index].tolist() == [image(1)["file_name"]] * 2 + ["b.jpg"] * 2
    assert one.provenance[-1] == {"step": "merge", "inputs": 2}


def test_images_of_different_folders_have_no_common_folder(tmp_path):
    dataset = kpkit.read(save(tmp_path / "0.json", FIRST)).replace(image_root="a")
    assert merge([dataset, dataset.replace(image_root="b")], ["0", "1"], Collector()).image_root is None
    assert merge([dataset, dataset], ["0", "1"], Collector()).image_root == "a"


def test_the_same_file_given_twice_doubles_its_persons_and_says_so(tmp_path):
    after, report = merged(tmp_path, FIRST, FIRST)
    assert len(after["annotations"]) == 4
    assert len(after["images"]) == 1
    assert issues(report) == {"KP-MERGE-IMAGE": 1, "KP-MERGE-PERSON-ID": 2}


def test_raw_rows_survive_beside_an_input_without_any(tmp_path):
    with_rows = kpkit.read(save(tmp_path / "0.json", document([person(1, 1, note="kept")], [image(1, hour=12)])))
    without = kpkit.read(save(tmp_path / "1.json", document([person(2, 2)], [image(2)]))).replace(source=None)
    for datasets, row in (([with_rows, without], 0), ([without, with_rows], 1)):
        kpkit.write(merge(datasets, ["0", "1"], Collector()), tmp_path / "out.json", "coco", force=True)
        after = load(tmp_path / "out.json")
        assert difference(person(1, 1, note="kept"), after["annotations"][row]) == ""
        assert after["images"][row]["hour"] == 12
        assert after["annotations"][1 - row]["keypoints"] == points()


def test_raw_rows_of_other_joints_are_left_out_and_that_is_said(tmp_path):
    dataset = kpkit.read(save(tmp_path / "0.json", FIRST))
    renamed = dataclasses.replace(dataset.skeleton, keypoints=("tip", *dataset.skeleton.keypoints[1:]))
    other = kpkit.read(save(tmp_path / "1.json", document([person(3, 2)], [image(2)])))
    collector = Collector()
    one = merge(
        [dataset.replace(skeleton=renamed), other.replace(skeleton=renamed, source=None)], ["0", "1"], collector
    )
    assert collector.issues == []
    assert one.source is not None
    third = kpkit.read(
        save(tmp_path / "2.json", document([person(4, 3)], [image(3)], [category(keypoints=list(renamed.keypoints))]))
    )
    merge([dataset.replace(skeleton=renamed), third], ["0", "2"], collector)
    assert [(issue.code, issue.places) for issue in collector.issues] == [("KP-MERGE-ROWS", ["2"])]
