"""The augmenter end to end: pictures, labels, rows, and what the report says of them."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from kpkit.augment import back
from kpkit.augment.recipe import Recipe, preset
from kpkit.core.catalog import skeleton
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.errors import UsageError
from kpkit.pipelines.augment import AugmentJob, run
from kpkit.pipelines.augment_images import source_images
from kpkit.pipelines.convert import convert
from kpkit.pipelines.io import read
from tests.augment_data import (
    HEIGHT,
    LABELS,
    WIDTH,
    dataset,
    encoded,
    hashes,
    joints,
    read_labels,
    read_picture,
    rows,
    write_labels,
)
from tests.coco_files import category, document, image, person

COCO17 = skeleton("coco17")
WILD = Recipe(rotation=(-180.0, 180.0), scale=(0.6, 1.5), shift=(-0.2, 0.2), crop=(0.6, 1.0), flip=0.5, transpose=0.5)


def augment(folder, recipe, **options):
    report = run(AugmentJob(**{"input": folder / LABELS, "output": folder / "out", "recipe": recipe, **options}))
    assert report.failures == []
    return report


def test_occlusion_alone_moves_nothing_and_paints_only_the_mask(tmp_path):
    dataset(tmp_path)
    augment(tmp_path, Recipe(occlusion=(0.3, 0.3)), image_format="png")
    before, after = read_labels(tmp_path), read_labels(tmp_path / "out")
    for old, new in zip(before["annotations"], after["annotations"], strict=True):
        np.testing.assert_array_equal(joints(new)[:, :2], joints(old)[:, :2])
        assert new["bbox"] == old["bbox"]
    for row in rows(tmp_path / "out"):
        mask = read_picture(tmp_path / "out" / row["mask"])[..., 0] > 0
        old = read_picture(tmp_path / "images" / row["source_image"])
        new = read_picture(tmp_path / "out" / "images" / row["image"])
        np.testing.assert_array_equal(new[~mask], old[~mask])
        assert len(np.unique(new[mask].reshape(-1, 3), axis=0)) == 1
        assert row["asked"] == 0.3
        assert abs(row["own"] - 0.3) < 0.02
        np.testing.assert_array_equal(row["matrix"], [1, 0, 0, 0, 1, 0])


def test_joint_is_occluded_exactly_where_its_pixel_is_covered(tmp_path):
    dataset(tmp_path, images=4, persons=3)
    augment(tmp_path, Recipe(occlusion=(0.2, 0.5), rotation=(-20.0, 20.0)))
    found = {row["instance_id"]: row for row in rows(tmp_path / "out")}
    covered = 0
    for annotation in read_labels(tmp_path / "out")["annotations"]:
        row = found[annotation["id"]]
        mask = read_picture(tmp_path / "out" / row["mask"])[..., 0] > 0
        for name, (x, y, flag) in zip(COCO17.keypoints, joints(annotation), strict=True):
            hidden = flag > 0 and mask[int(np.floor(y + 0.5)), int(np.floor(x + 0.5))]
            covered += hidden
            assert (flag == 1) == hidden
            assert (name in row["occluded_by"]) == hidden
    assert covered > 20


def test_every_joint_maps_back_to_where_it_was_under_the_name_it_had(tmp_path):
    dataset(tmp_path, images=4)
    augment(tmp_path, WILD, copies=3, to="native")
    source = read(tmp_path / LABELS)
    out = read(tmp_path / "out" / "dataset.kpk")
    before = dict(zip(source.instance_id.tolist(), source.xy, strict=True))
    found = rows(tmp_path / "out")
    mirrored = 0
    for row, xy, flags in zip(found, out.xy, out.visibility, strict=True):
        order = COCO17.flip_index if row["mirrored"] else np.arange(17)
        mirrored += row["mirrored"]
        expected = before[row["source_instance_id"]][order]
        labelled = flags > 0
        np.testing.assert_allclose(back(xy, row)[labelled], expected[labelled], rtol=0, atol=1e-6)
        gone = {name: back(np.array(place), row) for name, place in row["left_frame"].items()}
        for name, place in gone.items():
            # Rounded to a thousandth in the row.
            np.testing.assert_allclose(place, expected[COCO17.keypoints.index(name)], atol=2e-3)
        assert labelled.sum() + len(gone) == 17
    assert 0 < mirrored < len(found)


@pytest.mark.parametrize("recipe", [WILD, preset("six2"), Recipe(flip_vertical=1.0), Recipe(input_size=(80, 50))])
def test_a_blob_is_where_its_joint_went(tmp_path, recipe):
    dataset(tmp_path, images=1, persons=1)
    content = read_labels(tmp_path)
    content["images"][0] |= {"width": 200, "height": 160}
    xy = [[60 + 9 * k, 50 + 13 * (k % 5)] for k in range(9)]
    content["annotations"][0]["keypoints"] = [v for x, y in xy for v in (x + 0.25, y - 0.4, 2)] + [0] * 24
    write_labels(tmp_path, content)
    for k, (x, y) in enumerate(xy):
        grid = np.mgrid[:160, :200]
        blob = 255 * np.exp(-((grid[1] - x - 0.25) ** 2 + (grid[0] - y + 0.4) ** 2) / 8)
        (tmp_path / "images" / "000.png").write_bytes(
            encoded(np.repeat(blob[..., None], 3, 2).round().astype(np.uint8))
        )
        augment(tmp_path, recipe, image_format="png", force=True)
        (annotation,) = read_labels(tmp_path / "out")["annotations"]
        (row,) = rows(tmp_path / "out")
        joint = int(COCO17.flip_index[k]) if row["mirrored"] else k
        place = joints(annotation)[joint]
        shown = read_picture(tmp_path / "out" / "images" / row["image"])[..., 0].astype(float)
        height, width = shown.shape
        margin = 12
        if not (margin < place[0] < width - margin and margin < place[1] < height - margin):
            continue
        ys, xs = np.mgrid[:height, :width]
        centroid = np.array([(shown * xs).sum(), (shown * ys).sum()]) / shown.sum()
        np.testing.assert_allclose(centroid, place[:2], atol=0.1)


def test_ids_are_new_and_joints_are_never_fewer(tmp_path):
    dataset(tmp_path)
    report = augment(tmp_path, WILD, copies=4)
    labels = read_labels(tmp_path / "out")
    assert [one["id"] for one in labels["annotations"]] == list(range(1, 25))
    assert {len(one["keypoints"]) for one in labels["annotations"]} == {51}
    assert report.counts["images"] == 12
    assert report.counts["instances"] == 24
    assert report.left_frame == sum(len(row["left_frame"]) for row in rows(tmp_path / "out")) > 0


def test_joint_that_leaves_the_frame_is_unlabelled_and_truncated(tmp_path):
    dataset(tmp_path, images=1, persons=1)
    report = augment(tmp_path, Recipe(shift=(0.4, 0.4)), to="native")
    out = read(tmp_path / "out" / "dataset.kpk")
    (row,) = rows(tmp_path / "out")
    gone = [COCO17.keypoints.index(name) for name in row["left_frame"]]
    assert 0 < len(gone) < 17
    assert report.left_frame == len(gone)
    np.testing.assert_array_equal(np.flatnonzero(out.truncated[0]), sorted(gone))
    assert np.isnan(out.xy[0, gone]).all()
    x, y = np.array(list(row["left_frame"].values())).T
    assert ((x >= WIDTH - 0.5) | (y >= HEIGHT - 0.5)).all()
    box = out.bbox_xywh[0]
    assert box[0] + box[2] <= WIDTH
    assert box[1] + box[3] <= HEIGHT


@pytest.mark.parametrize("drop", [False, True])
def test_person_without_a_joint_left_is_kept_unless_told_otherwise(tmp_path, drop):
    dataset(tmp_path, images=2, persons=1)
    report = augment(tmp_path, Recipe(shift=(1.0, 1.0)), drop_empty=drop)
    assert report.counts["images"] == 2
    assert report.counts["instances"] == (0 if drop else 2)
    assert len(rows(tmp_path / "out")) == (0 if drop else 2)
    assert ("KP-AUGMENT-EMPTY" in {issue.code for issue in report.issues}) == drop


def test_original_is_the_file_itself_where_nothing_has_to_change(tmp_path):
    dataset(tmp_path, images=1, suffix=".jpg")
    augment(tmp_path, WILD, include_original=True)
    out = tmp_path / "out" / "images"
    assert (out / "000__c0.jpg").read_bytes() == (tmp_path / "images" / "000.jpg").read_bytes()
    first = [row for row in rows(tmp_path / "out") if row["copy"] == 0]
    assert [row["matrix"] for row in first] == [[1, 0, 0, 0, 1, 0]] * 2
    old, new = read_labels(tmp_path)["annotations"], read_labels(tmp_path / "out")["annotations"]
    assert [one["keypoints"] for one in new[:2]] == [one["keypoints"] for one in old]


def test_joint_outside_the_frame_stays_as_labelled_where_nothing_moves(tmp_path):
    dataset(tmp_path, images=1, persons=1)
    content = read_labels(tmp_path)
    content["annotations"][0]["keypoints"][:3] = [-7.5, 3.25, 1]
    write_labels(tmp_path, content)
    augment(tmp_path, WILD, include_original=True)
    original = read_labels(tmp_path / "out")["annotations"][0]
    assert original["keypoints"] == content["annotations"][0]["keypoints"]
    assert original["bbox"] == content["annotations"][0]["bbox"]


def test_pictures_in_folders_stay_in_folders_and_equal_names_apart(tmp_path):
    dataset(tmp_path, images=3, persons=1)
    content = read_labels(tmp_path)
    for number, name in enumerate(["a/x.png", "b/x.png", "b/x.jpg"]):
        place = tmp_path / "images" / name
        place.parent.mkdir(exist_ok=True)
        (tmp_path / "images" / f"{number:03d}.png").rename(place)
        content["images"][number]["file_name"] = name
    write_labels(tmp_path, content)
    augment(tmp_path, Recipe(flip=1.0))
    names = [one["file_name"] for one in read_labels(tmp_path / "out")["images"]]
    assert names == ["a/x__c1.jpg", "b/x_jpg__c1.jpg", "b/x_png__c1.jpg"]
    assert all((tmp_path / "out" / "images" / name).is_file() for name in names)


def test_several_rows_of_one_file_are_one_picture(tmp_path):
    dataset(tmp_path, images=2, persons=1)
    content = read_labels(tmp_path)
    content["images"][1]["file_name"] = "./000.png"
    write_labels(tmp_path, content)
    report = augment(tmp_path, Recipe(flip=1.0))
    assert [one["file_name"] for one in read_labels(tmp_path / "out")["images"]] == ["000__c1.jpg"]
    assert [row["source_instance_id"] for row in rows(tmp_path / "out")] == [1, 11]
    assert "KP-IMAGE-SEVERAL" in {issue.code for issue in report.issues}


def test_two_persons_of_one_id_in_one_image_are_told_apart():
    people = Dataset.build(
        skeleton=COCO17,
        images=ImageTable.build(path=["a.png"]),
        image_index=[0, 0, 0],
        instance_id=["x y", "x/y", 7],
        xy=np.arange(102.0).reshape(3, 17, 2),
        visibility=np.full((3, 17), 2),
    )
    (image,) = source_images(people, has_ids=True)
    assert image.persons == [2, 0, 1]
    assert image.names == ["7", "x-y", "x-y~2"]


@pytest.mark.parametrize("name", ["mpii", "six2", "native", "yolo-pose"])
def test_other_formats_are_kept_and_can_be_read_and_augmented_again(tmp_path, name):
    dataset(tmp_path / "coco", images=2, persons=1)
    output = tmp_path / "in" / "x.kpk" if name == "native" else tmp_path / "in"
    images = tmp_path / "coco" / "images"
    convert("coco", name, tmp_path / "coco" / LABELS, output=output, images=images, copy_images=True)
    run_in(tmp_path / "in", tmp_path / "once", WILD)
    assert len(read_folder(tmp_path / "once")) == 2
    run_in(tmp_path / "once", tmp_path / "twice", Recipe(flip=1.0))
    assert len(read_folder(tmp_path / "twice")) == 2


@pytest.mark.parametrize("dry_run", [False, True])
def test_person_whom_the_format_cannot_hold_is_counted_and_the_others_are_written(tmp_path, dry_run):
    dataset(tmp_path, images=2, persons=2)
    content = read_labels(tmp_path)
    # In the upper left corner: everybody else leaves the frame altogether.
    content["annotations"][0] |= {"keypoints": [5, 5, 2] * 17, "bbox": [0, 0, 10, 10]}
    write_labels(tmp_path, content)
    report = augment(tmp_path, Recipe(shift=(0.85, 0.85)), to="yolo-pose", dry_run=dry_run)
    (loss,) = [loss for loss in report.losses if loss.what == "instances"]
    assert loss.count == 3
    if not dry_run:
        assert len(read(tmp_path / "out")) == 1


def run_in(folder, output, recipe):
    report = run(AugmentJob(folder=folder, output=output, recipe=recipe))
    assert report.failures == []
    empty = [one for one in output.rglob("*") if one.is_dir() and not any(one.iterdir())]
    assert empty == []


def read_folder(folder):
    from kpkit.pipelines.find import find_input

    path, _ = find_input(None, "", folder)
    return read(path)


def test_second_run_in_a_yolo_folder_does_not_read_the_output_of_the_first(tmp_path):
    dataset(tmp_path / "coco", images=2, persons=1)
    images = tmp_path / "coco" / "images"
    convert("coco", "yolo-pose", tmp_path / "coco" / LABELS, output=tmp_path / "in", images=images, copy_images=True)
    for force in (False, True):
        report = run(AugmentJob(folder=tmp_path / "in", recipe=Recipe(flip=1.0), force=force))
        assert report.counts["images"] == 2


def test_variant_of_the_input_is_kept(tmp_path):
    dataset(tmp_path / "coco", images=1, persons=1)
    source, images = tmp_path / "coco" / LABELS, tmp_path / "coco" / "images"
    for name, file in (("mpii", "mpii_human_pose_v1_u12_1.mat"), ("six2", "labels.six2.csv")):
        convert("coco", name, source, output=tmp_path / name / file, images=images)
        run(AugmentJob(input=tmp_path / name / file, output=tmp_path / f"{name}-out", images=images, recipe=WILD))
        assert (tmp_path / f"{name}-out" / file).is_file()


def test_output_in_another_format_keeps_the_joints(tmp_path):
    dataset(tmp_path)
    augment(tmp_path, Recipe(flip=1.0), to="yolo-pose")
    out = read(tmp_path / "out")
    assert out.skeleton.same_joints(COCO17)
    assert len(out) == 6


def test_format_that_has_other_joints_is_refused_with_a_way_out(tmp_path):
    dataset(tmp_path)
    with pytest.raises(UsageError) as caught:
        augment(tmp_path, Recipe(), to="six2")
    assert caught.value.code == "KP-SKELETON-TARGET"
    assert "kpkit convert" in caught.value.help


def test_skeleton_without_partners_is_mirrored_only_when_allowed(tmp_path):
    odd = [*(name for name in COCO17.keypoints if name != "left_ankle"), "tail"]
    dataset(tmp_path)
    content = read_labels(tmp_path)
    content["categories"] = [category(keypoints=odd, skeleton=[])]
    write_labels(tmp_path, content)
    with pytest.raises(UsageError) as caught:
        augment(tmp_path, Recipe(flip=1.0))
    assert caught.value.code == "KP-UNPAIRED"
    augment(tmp_path, Recipe(rotation=(5.0, 5.0)))
    augment(tmp_path, Recipe(flip=1.0), allow_unpaired=True, force=True)


def test_recipe_that_changes_nothing_says_so(tmp_path):
    dataset(tmp_path)
    report = augment(tmp_path, Recipe())
    assert "KP-AUGMENT-NOTHING" in {issue.code for issue in report.issues}


def test_dry_run_counts_and_writes_nothing(tmp_path):
    dataset(tmp_path)
    before = hashes(tmp_path)
    dry = augment(tmp_path, WILD, dry_run=True)
    assert hashes(tmp_path) == before
    real = augment(tmp_path, WILD)
    assert (dry.counts, dry.left_frame, dry.covered) == (real.counts, real.left_frame, real.covered)
    assert dry.losses == real.losses


def test_rows_say_what_was_drawn_and_with_what(tmp_path):
    dataset(tmp_path, images=1, persons=1)
    recipe = WILD.with_changes(occlusion=(0.2, 0.4), name="mine")
    report = augment(tmp_path, recipe, seed=5)
    (row,) = rows(tmp_path / "out")
    assert (row["seed"], row["recipe"], row["recipe_hash"]) == (5, "mine", recipe.content_hash())
    assert report.recipe_hash == row["recipe_hash"]
    assert -180 <= row["drawn"]["rotation"] <= 180
    assert 0.2 <= row["asked"] <= 0.4
    assert row["mirrored"] == (row["drawn"]["flip"] != row["drawn"]["transpose"])


def test_report_is_plain_data(tmp_path):
    dataset(tmp_path)
    document = json.loads(json.dumps(augment(tmp_path, WILD).as_dict()))
    assert document["command"] == "augment"
    assert document["counts"]["images"] == 3
    assert document["profile"]["total"] > 0


def test_elastic_pipeline_moves_labels_marks_holes_and_counts_what_it_lost(tmp_path):
    albumentations = pytest.importorskip("albumentations")
    dataset(tmp_path, images=2, persons=1)
    pipeline = albumentations.Compose(
        [
            albumentations.HorizontalFlip(p=1),
            albumentations.CoarseDropout(
                num_holes_range=(2, 2), hole_height_range=(20, 20), hole_width_range=(30, 30), p=1
            ),
        ]
    )
    albumentations.save(pipeline, tmp_path / "mine.json")
    report = augment(tmp_path, Recipe(albumentations=str(tmp_path / "mine.json")))
    assert report.lost == 0
    for row in rows(tmp_path / "out"):
        assert row["mirrored"]
        assert set(row["occluded_by"].values()) == {"pipeline"}
        np.testing.assert_allclose(row["matrix"], [-1, 0, WIDTH - 1, 0, 1, 0], atol=1e-9)
    assert report.covered > 0
    assert cv2.imread(str(tmp_path / "out" / rows(tmp_path / "out")[0]["mask"])) is not None


def test_image_without_persons_is_written(tmp_path):
    dataset(tmp_path, images=2, persons=1)
    content = read_labels(tmp_path)
    write_labels(
        tmp_path, document([person(1, 1)], [image(1, **size(0)), image(2, **size(1))]) | {"info": content["info"]}
    )
    augment(tmp_path, WILD.with_changes(occlusion=(0.3, 0.3)))
    labels = read_labels(tmp_path / "out")
    assert len(labels["images"]) == 2
    assert len(labels["annotations"]) == 1


def size(number):
    return {"file_name": f"{number:03d}.png", "width": WIDTH, "height": HEIGHT}
