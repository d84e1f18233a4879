"""Occlusion masks that a dataset has already: read, moved with the picture, united with what is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from kpkit.augment import geometry as geo
from kpkit.augment.recipe import Recipe
from kpkit.augment.shapes import decode_rle, encode_rle, move_mask
from kpkit.core.catalog import skeleton
from kpkit.pipelines.augment import AugmentJob, run
from kpkit.pipelines.io import read
from tests.augment_data import (
    HEIGHT,
    LABELS,
    WIDTH,
    dataset,
    encoded,
    joints,
    read_labels,
    read_picture,
    rows,
    write_labels,
)

TURN = Recipe(rotation=(20.0, 20.0), flip=1.0)
COVER = Recipe(occlusion=(0.2, 0.2))
NAMES = skeleton("coco17").keypoints


def half() -> np.ndarray:
    """The left half of the frame."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:, : WIDTH // 2] = 255
    return mask


def save_mask(folder, name, mask):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(mask))


def edit(folder, *, image=None, person=None):
    """Add fields to the first image and the first person."""
    content = read_labels(folder)
    content["images"][0] |= image or {}
    content["annotations"][0] |= person or {}
    write_labels(folder, content)


def augmented(folder, recipe, output="out", **options):
    report = run(AugmentJob(input=folder / LABELS, output=folder / output, recipe=recipe, **options))
    assert report.failures == []
    return folder / output


def mask_of(folder, row):
    return read_picture(folder / row["mask"])[..., 0]


@pytest.mark.parametrize("where", ["masks", "images/masks"])
@pytest.mark.parametrize("value", [1, 255])
def test_mask_of_an_image_covers_joints_where_the_picture_went(tmp_path, where, value):
    dataset(tmp_path, images=1, persons=1)
    save_mask(tmp_path, f"{where}/a.png", half() // 255 * np.uint8(value))
    edit(tmp_path, image={"occlusion_mask": "masks/a.png"})
    out = augmented(tmp_path, TURN)
    (row,) = rows(out)
    moved = move_mask(np.reshape(row["matrix"], (2, 3)), half(), (WIDTH, HEIGHT))
    np.testing.assert_array_equal(mask_of(out, row), moved)
    (annotation,) = read_labels(out)["annotations"]
    found = joints(annotation)
    inside = found[:, 2] > 0
    pixel = np.floor(found[:, :2] + 0.5).astype(int)
    hidden = np.zeros(17, bool)
    hidden[inside] = moved[pixel[inside, 1], pixel[inside, 0]] > 0
    assert 0 < hidden.sum() < inside.sum()
    np.testing.assert_array_equal(found[inside, 2] == 1, hidden[inside])
    assert row["occluded_by"] == {NAMES[k]: "dataset" for k in np.flatnonzero(hidden)}


def test_mask_of_an_image_as_run_lengths_is_read(tmp_path):
    dataset(tmp_path, images=1, persons=1)
    edit(tmp_path, image={"occlusion_mask": encode_rle(half())})
    out = augmented(tmp_path, Recipe())
    np.testing.assert_array_equal(mask_of(out, rows(out)[0]), half())


def test_mask_of_the_dataset_and_occluders_are_united(tmp_path):
    dataset(tmp_path, images=1, persons=1)
    (alone,) = rows(out := augmented(tmp_path, COVER, "without"))
    drawn = mask_of(out, alone)
    edit(tmp_path, image={"occlusion_mask": encode_rle(half())})
    (row,) = rows(out := augmented(tmp_path, COVER))
    np.testing.assert_array_equal(mask_of(out, row), half() | drawn)
    assert {"own", "dataset"} <= set(row["occluded_by"].values())
    assert row["own"] == alone["own"]


def test_mask_of_one_person_hides_nothing_of_another_and_is_carried_on(tmp_path):
    dataset(tmp_path, images=1, persons=2)
    edit(tmp_path, person={"occlusion_mask": encode_rle(half())})
    out = augmented(tmp_path, TURN)
    first, second = rows(out)
    assert set(first["occluded_by"].values()) == {"dataset"}
    assert second["occluded_by"] == {}
    one, other = read_labels(out)["annotations"]
    moved = move_mask(np.reshape(first["matrix"], (2, 3)), half(), (WIDTH, HEIGHT))
    np.testing.assert_array_equal(decode_rle(one["kpkit"]["extras"]["augment.occlusion_mask"], "x"), moved)
    assert "augment.occlusion_mask" not in other.get("kpkit", {}).get("extras", {})
    assert "occlusion_mask" not in one


def test_an_augmented_dataset_can_be_augmented_again_and_its_masks_are_united(tmp_path):
    dataset(tmp_path, images=2, persons=1)
    once = augmented(tmp_path, COVER)
    report = run(
        AugmentJob(input=once / LABELS, output=tmp_path / "twice", recipe=Recipe(flip=1.0, occlusion=(0.2, 0.2)))
    )
    assert report.failures == []
    for before, after in zip(rows(once), rows(tmp_path / "twice"), strict=True):
        assert after["source_image"] == before["image"]
        old = move_mask(geo.flip_horizontal(WIDTH), mask_of(once, before), (WIDTH, HEIGHT))
        new = mask_of(tmp_path / "twice", after)
        assert (new[old > 0] > 0).all()
        assert (new > 0).sum() > (old > 0).sum()
        hidden = {other(name) for name in before["occluded_by"]}
        assert hidden <= set(after["occluded_by"])
    labels = read(tmp_path / "twice" / LABELS)
    assert labels.extras["augment.occluded_by"].tolist() == [row["occluded_by"] for row in rows(tmp_path / "twice")]


def other(name: str) -> str:
    pair = {"left": "right", "right": "left"}
    side, _, rest = name.partition("_")
    return f"{pair[side]}_{rest}" if side in pair else name


def test_native_labels_keep_masks_from_one_augmentation_to_the_next(tmp_path):
    dataset(tmp_path, images=1, persons=1)
    edit(tmp_path, person={"occlusion_mask": encode_rle(half())})
    augmented(tmp_path, COVER, to="native")
    again = run(AugmentJob(input=tmp_path / "out" / "dataset.kpk", output=tmp_path / "again", recipe=Recipe()))
    assert again.failures == []
    before, after = rows(tmp_path / "out"), rows(tmp_path / "again")
    np.testing.assert_array_equal(mask_of(tmp_path / "again", after[0]), mask_of(tmp_path / "out", before[0]))
    (kept,) = read(tmp_path / "again" / "dataset.kpk").extras["augment.occlusion_mask"]
    np.testing.assert_array_equal(decode_rle(kept, "x"), half())


@pytest.mark.parametrize(
    ("mask", "code"),
    [
        ("gone.png", "KP-INPUT-READ"),
        ("small.png", "KP-IMAGE-SIZE"),
        ("text.png", "KP-IMAGE-HEADER"),
        ({"size": [3, 3], "counts": [9]}, "KP-MASK-SIZE"),
        ({"size": [HEIGHT, WIDTH], "counts": [7]}, "KP-RLE"),
    ],
)
def test_mask_that_cannot_be_used_fails_its_image_alone(tmp_path, mask, code):
    dataset(tmp_path, images=2, persons=1)
    save_mask(tmp_path, "small.png", np.zeros((4, 4), np.uint8))
    (tmp_path / "text.png").write_text("no picture")
    edit(tmp_path, image={"occlusion_mask": mask})
    report = run(AugmentJob(input=tmp_path / LABELS, output=tmp_path / "out", recipe=COVER))
    assert [(one.key, one.code) for one in report.failures] == [("000.png", code)]
    assert [one["file_name"] for one in read_labels(tmp_path / "out")["images"]] == ["001__c1.jpg"]


def test_mask_outside_the_dataset_is_refused(tmp_path):
    dataset(tmp_path, images=1, persons=1)
    edit(tmp_path, image={"occlusion_mask": "../../mask.png"})
    with pytest.raises(Exception, match="outside the dataset") as caught:
        run(AugmentJob(input=tmp_path / LABELS, output=tmp_path / "out", recipe=COVER))
    assert caught.value.code == "KP-PATH-OUTSIDE"
    assert not (tmp_path / "out").exists()


def test_original_keeps_its_mask(tmp_path):
    dataset(tmp_path, images=1, persons=1)
    edit(tmp_path, image={"occlusion_mask": encode_rle(half())})
    out = augmented(tmp_path, TURN, include_original=True)
    np.testing.assert_array_equal(mask_of(out, rows(out)[0]), half())
