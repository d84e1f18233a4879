"""What the augmenter carries over, moves, and leaves out of the fields that are no canonical columns."""

from __future__ import annotations

import numpy as np
import pytest

from kpkit.augment import geometry as geo
from kpkit.augment.recipe import Recipe
from kpkit.augment.shapes import decode_rle, encode_rle, move_mask
from kpkit.pipelines.augment import AugmentJob, run
from kpkit.pipelines.convert import convert
from kpkit.pipelines.io import read
from tests.augment_data import HEIGHT, LABELS, WIDTH, dataset, read_labels, read_picture, rows, write_labels
from tests.coco_files import category

MIRROR = Recipe(flip=1.0)


def augment(folder, recipe=MIRROR, **options):
    report = run(AugmentJob(**{"input": folder / LABELS, "output": folder / "out", "recipe": recipe, **options}))
    assert report.failures == []
    return report


def with_fields(folder, *, top=None, image=None, person=None):
    """One person in one image, with more fields."""
    dataset(folder, images=1, persons=1)
    content = read_labels(folder) | (top or {})
    content["images"][0] |= image or {}
    content["annotations"][0] |= person or {}
    write_labels(folder, content)
    return content


def lost(report):
    return {loss.what: loss.count for loss in report.losses}


def test_top_level_of_coco_is_carried_over_in_its_order(tmp_path):
    top = {"categories": [category(3), category(1)], "mine": {"a": [1, 2]}}
    content = with_fields(tmp_path, top=top, person={"category_id": 3})
    report = augment(tmp_path)
    out = read_labels(tmp_path / "out")
    assert list(out) == list(content)
    for key in ("info", "licenses", "categories", "mine"):
        assert out[key] == content[key]
    assert out["annotations"][0]["category_id"] == 3
    assert lost(report) == {}


def test_top_level_that_another_format_cannot_hold_is_counted(tmp_path):
    with_fields(tmp_path)
    report = augment(tmp_path, to="yolo-pose")
    assert {"coco.info": 1, "coco.licenses": 1}.items() <= lost(report).items()


def test_native_labels_keep_the_top_level_for_coco(tmp_path):
    content = with_fields(tmp_path)
    augment(tmp_path, to="native")
    convert("native", "coco", tmp_path / "out" / "dataset.kpk", output=tmp_path / "again")
    assert read_labels(tmp_path / "again")["info"] == content["info"]


def test_unknown_fields_without_pixels_are_carried_over(tmp_path):
    person = {"attributes": {"pose": "standing"}, "keypoint_quality": 3, "caption": ["a", "b"]}
    with_fields(tmp_path, image={"coco_url": "http://x", "vid_id": 5}, person=person)
    report = augment(tmp_path, copies=2)
    out = read_labels(tmp_path / "out")
    for one in out["annotations"]:
        assert {name: one[name] for name in person} == person
    for one in out["images"]:
        assert (one["license"], one["coco_url"], one["vid_id"]) == (4, "http://x", 5)
    assert lost(report) == {}


def test_unknown_fields_with_pixels_are_left_out_and_named(tmp_path):
    person = {
        "face_kpts": [1.0, 2, 2] * 68,
        "lefthand_box": [1, 2, 3, 4],
        "face_valid": True,
        "dp_x": [1.0],
        "bbox_head": [5, 6, 7, 8],
    }
    with_fields(tmp_path, person=person, image={"ignore_regions_x": [[1, 2, 3]]})
    report = augment(tmp_path)
    (one,) = read_labels(tmp_path / "out")["annotations"]
    assert one["face_valid"] is True
    assert set(person) & set(one) == {"face_valid"}
    gone = ["bbox_head", "dp_x", "face_kpts", "image.ignore_regions_x", "lefthand_box"]
    assert lost(report) == {f"coco.{name}": 1 for name in gone}


def test_coordinates_of_unlabelled_joints_are_left_out_and_named(tmp_path):
    content = with_fields(tmp_path)
    content["annotations"][0]["keypoints"][:3] = [30, 30, 0]
    write_labels(tmp_path, content)
    report = augment(tmp_path)
    assert lost(report) == {"coco.unlabelled_coordinates": 1}
    (one,) = read_labels(tmp_path / "out")["annotations"]
    assert one["keypoints"][:3] == [0, 0, 0]


@pytest.mark.parametrize("field", ["side", "handedness"])
def test_fields_that_name_a_side_swap_in_a_mirror(tmp_path, field):
    with_fields(tmp_path, person={field: "left", "attributes": {field: "Right", "pose": "left"}})
    augment(tmp_path)
    (one,) = read_labels(tmp_path / "out")["annotations"]
    assert one[field] == "right"
    assert one["attributes"] == {field: "Left", "pose": "left"}


def test_sides_stay_without_a_mirror(tmp_path):
    with_fields(tmp_path, person={"side": "left"})
    augment(tmp_path, Recipe(rotation=(180.0, 180.0)))
    assert read_labels(tmp_path / "out")["annotations"][0]["side"] == "left"


def test_polygons_boxes_and_areas_move_with_the_picture(tmp_path):
    with_fields(
        tmp_path, person={"segmentation": [[20, 10, 40, 10, 40, 30, 20, 30]], "area": 400, "bbox": [20, 10, 20, 20]}
    )
    augment(tmp_path, MIRROR)
    (one,) = read_labels(tmp_path / "out")["annotations"]
    assert one["segmentation"] == [[75, 10, 55, 10, 55, 30, 75, 30]]
    assert one["bbox"] == [55, 10, 20, 20]
    assert one["area"] == 400


def test_crowd_moves_and_gets_no_occluder(tmp_path):
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[5:30, 60:90] = 255
    crowd = {
        "iscrowd": 1,
        "segmentation": encode_rle(mask),
        "keypoints": [0] * 51,
        "bbox": [60, 5, 30, 25],
        "area": 750,
    }
    with_fields(tmp_path, person=crowd)
    augment(tmp_path, Recipe(flip=1.0, occlusion=(0.5, 0.5)))
    (one,) = read_labels(tmp_path / "out")["annotations"]
    moved = move_mask(geo.flip_horizontal(WIDTH), mask, (WIDTH, HEIGHT))
    np.testing.assert_array_equal(decode_rle(one["segmentation"], "x"), moved)
    assert one["iscrowd"] == 1
    (row,) = rows(tmp_path / "out")
    assert (row["mask"], row["asked"], row["occluders"]) == ("", 0.0, [])
    old, new = read_picture(tmp_path / "images" / "000.png"), read_picture(tmp_path / "out" / "images" / row["image"])
    assert np.abs(old[:, ::-1].astype(int) - new).mean() < 4


def test_broken_crowd_fails_its_image_alone(tmp_path):
    dataset(tmp_path, images=2, persons=1)
    content = read_labels(tmp_path)
    content["annotations"][0] |= {"iscrowd": 1, "segmentation": {"size": [HEIGHT, WIDTH], "counts": [5]}}
    write_labels(tmp_path, content)
    report = run(AugmentJob(input=tmp_path / LABELS, output=tmp_path / "out", recipe=MIRROR))
    assert [(one.key, one.code) for one in report.failures] == [("000.png", "KP-RLE")]


def test_scale_and_position_of_mpii_follow_the_picture(tmp_path):
    dataset(tmp_path / "coco", images=1, persons=1)
    content = read_labels(tmp_path / "coco")
    content["annotations"][0]["kpkit"] = {"extras": {"mpii.scale": 0.5, "mpii.objpos": [31, 41], "mpii.rows": [[1, 1]]}}
    write_labels(tmp_path / "coco", content)
    report = augment(tmp_path / "coco", Recipe(scale=(2.0, 2.0), flip=1.0))
    (row,) = rows(tmp_path / "coco" / "out")
    extras = read(tmp_path / "coco" / "out" / LABELS).extras
    assert extras["mpii.scale"].tolist() == [pytest.approx(1.0)]
    (place,) = geo.apply_points(np.reshape(row["matrix"], (2, 3)), np.array([[30.0, 40.0]])) + 1
    np.testing.assert_allclose(extras["mpii.objpos"][0], place)
    assert lost(report) == {"mpii.rows": 1}


def test_boxes_that_were_made_for_occluders_do_not_enter_labels_without_boxes(tmp_path):
    dataset(tmp_path / "coco", images=1, persons=1)
    convert("coco", "native", tmp_path / "coco" / LABELS, output=tmp_path / "a.kpk", bbox="none")
    recipe = Recipe(occlusion=(0.3, 0.3))
    images = tmp_path / "coco" / "images"
    report = run(AugmentJob(input=tmp_path / "a.kpk", output=tmp_path / "out", images=images, recipe=recipe))
    assert report.failures == []
    assert abs(rows(tmp_path / "out")[0]["own"] - 0.3) < 0.02
    assert np.isnan(read(tmp_path / "out" / "dataset.kpk").bbox_xywh).all()


def test_split_of_an_image_is_kept(tmp_path):
    with_fields(tmp_path, image={"kpkit": {"split": "val"}})
    augment(tmp_path)
    assert read(tmp_path / "out" / LABELS).images.split.tolist() == ["val"]
