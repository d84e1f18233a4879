"""Top-down crops: one a person, cut and named as HRNet's loader does it."""

from __future__ import annotations

import numpy as np
import pytest

from kpkit.augment import back
from kpkit.augment import geometry as geo
from kpkit.augment.recipe import Recipe, preset
from kpkit.augment.topdown import box_to_center_scale, hrnet_warp, udp_warp
from kpkit.pipelines.augment import AugmentJob, run
from kpkit.pipelines.io import read
from tests.augment_data import LABELS, dataset, joints, read_labels, read_picture, rows, write_labels

SIZE = (64, 48)
PLAIN = Recipe(mode="topdown", input_size=SIZE)


def augment(folder, recipe, **options):
    report = run(AugmentJob(**{"input": folder / LABELS, "output": folder / "out", "recipe": recipe, **options}))
    assert report.failures == []
    return report


@pytest.mark.parametrize(("warp", "reference"), [("hrnet", hrnet_warp), ("udp", udp_warp)])
@pytest.mark.parametrize("padding", [1.0, 1.25])
def test_crop_is_that_of_the_reference(tmp_path, warp, reference, padding):
    dataset(tmp_path)
    augment(tmp_path, PLAIN.with_changes(warp=warp, padding=padding), to="native")
    out, source = read(tmp_path / "out" / "dataset.kpk"), read(tmp_path / LABELS)
    found = rows(tmp_path / "out")
    assert [row["source_instance_id"] for row in found] == source.instance_id.tolist()
    for person, row in enumerate(found):
        center, scale = box_to_center_scale(source.bbox_xywh[person], SIZE[::-1], padding)
        matrix = reference(center.tolist(), scale.tolist(), 0.0, SIZE[::-1])
        np.testing.assert_allclose(np.reshape(row["matrix"], (2, 3)), matrix, rtol=0, atol=1e-12)
        inside = out.visibility[person] > 0
        expected = geo.apply_points(matrix, source.xy[person])
        np.testing.assert_allclose(out.xy[person, inside], expected[inside], rtol=0, atol=1e-9)


def test_every_person_has_a_picture_of_the_asked_size_that_shows_nobody_else(tmp_path):
    dataset(tmp_path, images=2, persons=3)
    augment(tmp_path, PLAIN, copies=2)
    labels = read_labels(tmp_path / "out")
    assert len(labels["images"]) == len(labels["annotations"]) == 12
    assert [one["image_id"] for one in labels["annotations"]] == [one["id"] for one in labels["images"]]
    for one in labels["images"]:
        assert (one["height"], one["width"]) == SIZE
        assert read_picture(tmp_path / "out" / "images" / one["file_name"]).shape[:2] == SIZE
    assert labels["images"][0]["file_name"] == "000__p1__c1.jpg"
    assert {len(one["keypoints"]) for one in labels["annotations"]} == {51}


def test_random_crops_map_back_to_the_source(tmp_path):
    dataset(tmp_path, images=3, persons=3)
    recipe = preset("hrnet").with_changes(shift=[-0.1, 0.1], half_body=1.0, input_size=list(SIZE))
    augment(tmp_path, recipe, copies=2, to="native")
    source, out = read(tmp_path / LABELS), read(tmp_path / "out" / "dataset.kpk")
    before = dict(zip(source.instance_id.tolist(), source.xy, strict=True))
    found = rows(tmp_path / "out")
    for row, xy, flags in zip(found, out.xy, out.visibility, strict=True):
        order = source.skeleton.flip_index if row["mirrored"] else np.arange(17)
        labelled = flags > 0
        expected = before[row["source_instance_id"]][order]
        np.testing.assert_allclose(back(xy, row)[labelled], expected[labelled], rtol=0, atol=1e-6)
    assert {row["mirrored"] for row in found} == {True, False}
    assert all(row["drawn"]["half_body"] for row in found)


def test_occlusion_covers_the_asked_share_of_the_box_in_the_crop(tmp_path):
    dataset(tmp_path)
    augment(tmp_path, PLAIN.with_changes(occlusion=0.3))
    for row in rows(tmp_path / "out"):
        assert abs(row["own"] - 0.3) < 0.02
        assert row["neighbour"] == 0


def test_original_is_the_plain_crop(tmp_path):
    dataset(tmp_path, images=1, persons=1)
    augment(tmp_path, preset("hrnet").with_changes(input_size=list(SIZE), occlusion=0.4), include_original=True)
    plain, _ = rows(tmp_path / "out")
    augment(tmp_path, PLAIN, output=tmp_path / "plain")
    (expected,) = rows(tmp_path / "plain")
    assert (plain["copy"], plain["matrix"]) == (0, expected["matrix"])
    assert plain["mask"] == ""


def test_crowds_and_persons_without_a_box_have_no_crop_and_are_counted(tmp_path):
    dataset(tmp_path, images=1, persons=3)
    content = read_labels(tmp_path)
    content["annotations"][0]["iscrowd"] = 1
    content["annotations"][1] |= {"keypoints": [0] * 51, "num_keypoints": 0}
    del content["annotations"][1]["bbox"]
    write_labels(tmp_path, content)
    report = augment(tmp_path, PLAIN)
    assert [row["source_instance_id"] for row in rows(tmp_path / "out")] == [3]
    assert [(loss.what, loss.count) for loss in report.losses] == [("instances", 2)]


def test_crops_without_a_joint_can_be_left_out(tmp_path):
    dataset(tmp_path, images=1, persons=2)
    content = read_labels(tmp_path)
    content["annotations"][0] |= {"keypoints": [0] * 51, "num_keypoints": 0}
    write_labels(tmp_path, content)
    augment(tmp_path, PLAIN)
    assert len(read_labels(tmp_path / "out")["images"]) == 2
    report = augment(tmp_path, PLAIN, drop_empty=True, force=True)
    assert len(read_labels(tmp_path / "out")["images"]) == 1
    assert ("KP-AUGMENT-EMPTY", 1) in {(issue.code, issue.count) for issue in report.issues}
    assert joints(read_labels(tmp_path / "out")["annotations"][0])[:, 2].any()
