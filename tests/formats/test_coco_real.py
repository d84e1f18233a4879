"""Files that others made: each is written back with not one value changed, or refused with words that help.

What is odd about each file is said in the test that reads it.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import kpkit
from kpkit.core.report import Report
from kpkit.errors import FormatError, RecordError, UsageError
from tests.coco_files import difference, load

UNCHANGED = [
    "coco/cocomini_person_keypoints_val2017.json",
    "coco/custom_nonstandard_val201701.json",
    "coco/cvat_coco_keypoints_export_day4_excerpt.json",
    "coco/cvat_export_ZERO_annotations.json",
    "coco/from_label_studio_test.json",
    "coco/litehrnet_result_keypoints.json",
    "coco/mmpose_test_coco.json",
    "coco_wholebody/example_gt.json",
    "coco_wholebody/example_pred.json",
    "crowdpose/crowdpose_val.json",
    "posetrack18/003418_mpii_test.json",
    "posetrack18/009473_mpii_test.json",
    "posetrack18/012834_mpii_test.json",
    "posetrack18/test_posetrack18_val.json",
    "jhmdb/test_jhmdb_sub1.json",
    "aic/mmpose_test_aic_cocostyle.json",
]
SUBSET = "coco/val2017_subset_2213_manhph.json"
GROUND_TRUTH = [name for name in UNCHANGED if "result" not in name and "pred" not in name]


def converted(source: Path, output: Path, **options: object) -> Report:
    return kpkit.convert("coco", "coco", source, output=output, **options)


def counted(report: Report) -> dict[str, int]:
    return {issue.code: issue.count for issue in report.issues}


@pytest.mark.parametrize("name", UNCHANGED)
def test_coco_to_coco_changes_no_value_no_type_and_no_order_of_keys(name, real_data, tmp_path):
    report = converted(real_data / "data" / name, tmp_path / "out.json")
    assert difference(load(real_data / "data" / name), load(tmp_path / "out.json")) == ""
    assert report.lossless


@pytest.mark.parametrize("name", [*UNCHANGED, SUBSET])
def test_coco_to_native_to_coco_is_coco_to_coco(name, real_data, tmp_path):
    converted(real_data / "data" / name, tmp_path / "straight.json")
    kpkit.convert("coco", "native", real_data / "data" / name, output=tmp_path / "labels.kpk")
    kpkit.convert("native", "coco", tmp_path / "labels.kpk", output=tmp_path / "back.json")
    assert difference(load(tmp_path / "straight.json"), load(tmp_path / "back.json")) == ""


@pytest.mark.parametrize("name", GROUND_TRUTH)
def test_every_row_written_anew_says_the_same(name, real_data, tmp_path):
    """Without the raw rows to splice, the canonical columns alone give the same canonical columns."""
    dataset = kpkit.read(real_data / "data" / name, "coco")
    kpkit.write(dataset.replace(source=None), tmp_path / "anew.json", "coco")
    again = kpkit.read(tmp_path / "anew.json", "coco")
    for field in dataclasses.fields(dataset):
        before, after = getattr(dataset, field.name), getattr(again, field.name)
        if isinstance(before, np.ndarray):
            np.testing.assert_array_equal(before, after, err_msg=field.name)
    for column in ("id", "path", "width", "height", "split"):
        np.testing.assert_array_equal(getattr(dataset.images, column), getattr(again.images, column))
    assert again.skeleton.same_joints(dataset.skeleton)


def test_images_listed_up_to_14_times_are_merged_and_nothing_else_changes(real_data, tmp_path):
    report = converted(real_data / "data" / SUBSET, tmp_path / "out.json")
    before, after = load(real_data / "data" / SUBSET), load(tmp_path / "out.json")
    assert difference(list({row["id"]: row for row in before["images"]}.values()), after["images"]) == ""
    assert difference({**before, "images": []}, {**after, "images": []}) == ""
    assert counted(report)["KP-COCO-IMAGE-TWICE"] == 2213 - 538
    assert "538 images in 2213 rows" in report.issues[0].message
    assert report.counts["images"] == 538
    assert report.counts["crowd"] == 49


def test_crowdpose_counts_of_joints_that_are_wrong_are_reported_and_kept(real_data, tmp_path):
    source = real_data / "data" / "crowdpose/crowdpose_val.json"
    report = converted(source, tmp_path / "out.json")
    assert counted(report)["KP-COCO-NUM-KEYPOINTS"] == 7543
    assert counted(report)["KP-SKELETON-EDGE"] == 3
    assert report.source["skeleton"] == "crowdpose14"


def test_edges_out_of_range_are_reported_and_written_back(real_data, tmp_path):
    """This file counts edges from 0 and copies COCO's edges onto joints of its own."""
    source = real_data / "data" / "coco/custom_nonstandard_val201701.json"
    report = converted(source, tmp_path / "out.json")
    assert counted(report)["KP-SKELETON-EDGE"] == 3
    assert load(tmp_path / "out.json")["categories"] == load(source)["categories"]


def test_cvat_coordinates_on_unlabelled_joints_are_counted_and_are_no_joints(real_data):
    """CVAT keeps what the annotator had placed before switching the joint off."""
    dataset = kpkit.read(real_data / "data" / "coco/cvat_coco_keypoints_export_day4_excerpt.json")
    raw = load(real_data / "data" / "coco/cvat_coco_keypoints_export_day4_excerpt.json")
    triplets = np.array([row["keypoints"] for row in raw["annotations"]], float).reshape(-1, 17, 3)
    ghosts = (triplets[..., 2] == 0) & (triplets[..., :2] != 0).any(-1)
    assert ghosts.sum() == 24
    assert np.isnan(dataset.xy[ghosts]).all()


def test_an_export_without_annotations_is_a_warning(real_data, tmp_path):
    """350 images and 17 categories named after joints, none with keypoints."""
    report = converted(real_data / "data" / "coco/cvat_export_ZERO_annotations.json", tmp_path / "out.json")
    assert [issue.severity for issue in report.issues] == ["warning"]
    assert "export without labels" in report.issues[0].message
    assert report.counts["images"] == 350


def test_joint_names_of_label_studio_are_coco17_and_stay_as_written(real_data, tmp_path):
    source = real_data / "data" / "coco/from_label_studio_test.json"
    report = converted(source, tmp_path / "out.json")
    assert report.source["skeleton"] == "coco17"
    assert load(tmp_path / "out.json")["categories"][0]["keypoints"][1] == "Left Eye"


def test_labels_that_name_no_joints_ask_for_a_skeleton(real_data, tmp_path):
    """Halpe: 408 numbers a person, and a category whose list of joints is empty."""
    with pytest.raises(UsageError) as caught:
        converted(real_data / "data" / "halpe/test_halpe.json", tmp_path / "out.json")
    assert caught.value.code == "KP-COCO-NO-KEYPOINTS"
    assert "--skeleton" in caught.value.help
    assert not (tmp_path / "out.json").exists()


def test_a_skeleton_with_too_few_joints_is_refused_with_both_numbers(real_data, tmp_path):
    with pytest.raises(RecordError) as caught:
        converted(real_data / "data" / "halpe/test_halpe.json", tmp_path / "out.json", skeleton="halpe26")
    assert caught.value.place.endswith("test_halpe.json: annotations[0].keypoints")
    assert caught.value.expected.startswith("78 numbers")
    assert caught.value.got == "408 numbers"


def test_a_skeleton_of_ones_own_reads_labels_that_name_none(real_data, tmp_path):
    names = [f"joint_{k}" for k in range(136)]
    skeleton = tmp_path / "halpe136.toml"
    skeleton.write_text(f'schema = 1\nname = "halpe136"\nkeypoints = {names}\n', encoding="utf-8")
    source = real_data / "data" / "halpe/test_halpe.json"
    report = converted(source, tmp_path / "out.json", skeleton=str(skeleton))
    before, after = load(source), load(tmp_path / "out.json")
    assert difference(before["annotations"], after["annotations"]) == ""
    assert report.source["skeleton"] == "halpe136"
    assert report.counts["instances"] == 14


def test_a_file_that_is_cut_off_by_dots_is_refused_with_its_place(real_data, tmp_path):
    """AlphaPose's sample is no JSON: it leaves values out and ends in dots."""
    with pytest.raises(FormatError) as caught:
        converted(real_data / "data" / "alphapose/alpha-pose-results-sample.json", tmp_path / "out.json")
    assert caught.value.code == "KP-JSON-SYNTAX"
    assert "line 164, byte 5027" in caught.value.place


def test_original_ai_challenger_labels_are_not_taken_for_results(real_data):
    """They are a list of records with an image_id, too; their third value is not COCO's."""
    with pytest.raises(FormatError):
        kpkit.read(real_data / "data" / "aic/keypoint_annotations_example.json")
