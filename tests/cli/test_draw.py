from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.augment_data import dataset, read_labels, write_labels
from tests.wholebody import write_wholebody

# COCO's 17 joints of somebody who stands upright and faces the camera, 48 pixels high.
UPRIGHT = (
    *((18, 8), (19, 7), (17, 7), (20, 8), (16, 8)),
    *((23, 16), (13, 16), (25, 24), (11, 24), (26, 31), (10, 31)),
    *((21, 32), (15, 32), (21, 42), (15, 42), (21, 52), (15, 52)),
)


@pytest.fixture
def labels(empty_folder: Path) -> Path:
    return dataset(empty_folder, images=3, persons=2)


def picture(path: Path) -> np.ndarray:
    found = cv2.imread(str(path))
    assert found is not None, path
    return found


@pytest.mark.usefixtures("labels")
def test_every_image_becomes_a_picture_of_its_size_with_ink_on_it(kpkit, empty_folder):
    ran = kpkit("draw", "-o", "out", "--image-format", "png")
    assert ran.code == 0, ran.err
    assert sorted(one.name for one in (empty_folder / "out").iterdir()) == ["000.png", "001.png", "002.png"]
    drawn, plain = picture(empty_folder / "out" / "000.png"), picture(empty_folder / "images" / "000.png")
    assert drawn.shape == plain.shape
    assert (drawn != plain).any()


@pytest.mark.usefixtures("labels")
def test_a_sheet_is_one_picture(kpkit, empty_folder):
    ran = kpkit("draw", "-o", "sheet.png", "--ids")
    assert ran.code == 0, ran.err
    assert "Drew 3 images of 3" in ran.out
    assert picture(empty_folder / "sheet.png").shape[1] > 200


@pytest.mark.usefixtures("labels")
def test_the_same_seed_is_the_same_sample(kpkit, empty_folder):
    for name in ("a.png", "b.png"):
        assert kpkit("draw", "-o", name, "--sample", "2", "--seed", "5").code == 0
    assert (empty_folder / "a.png").read_bytes() == (empty_folder / "b.png").read_bytes()


def test_a_broken_and_a_missing_picture_are_failed_items_and_the_others_are_drawn(kpkit, empty_folder, labels):
    (empty_folder / "images" / "000.png").write_bytes(b"no picture")
    (empty_folder / "images" / "001.png").unlink()
    ran = kpkit("draw", "-o", "out")
    assert ran.code == 3
    assert "000.png" in ran.out + ran.err
    assert "001.png" in ran.out + ran.err
    assert [one.stem for one in (empty_folder / "out").iterdir()] == ["002"]


@pytest.mark.usefixtures("labels")
def test_an_output_that_exists_is_kept(kpkit, empty_folder):
    (empty_folder / "sheet.png").write_bytes(b"precious")
    ran = kpkit("draw", "-o", "sheet.png")
    assert ran.code == 2
    assert "KP-OUTPUT-EXISTS" in ran.err
    assert (empty_folder / "sheet.png").read_bytes() == b"precious"


@pytest.mark.usefixtures("labels")
def test_without_pictures_labels_are_drawn_on_plain_canvases_where_that_is_asked_for(kpkit, empty_folder):
    for one in (empty_folder / "images").iterdir():
        one.unlink()
    refused = kpkit("draw", "-o", "sheet.png")
    assert refused.code == 2
    assert "--no-images" in refused.err
    assert kpkit("draw", "-o", "sheet.png", "--no-images").code == 0


def test_findings_draw_only_what_validate_complains_about(kpkit, empty_folder, labels):
    content = read_labels(empty_folder)
    for row in content["annotations"]:  # joints of grown-ups, on no border: nothing to complain about
        row["keypoints"] = [value for x, y in UPRIGHT for value in (x + 30 * (row["id"] % 2), y, 2)]
        row["num_keypoints"], row["bbox"] = 17, [min(xs := row["keypoints"][0::3]) - 2, 4, max(xs) - min(xs) + 4, 52]
    for row in content["images"]:  # wide enough to be drawn as they are
        row["width"], row["height"] = 200, 120
        cv2.imwrite(str(empty_folder / "images" / row["file_name"]), np.full((120, 200, 3), 128, np.uint8))
    write_labels(empty_folder, content)
    none = kpkit("draw", "-o", "none", "--findings")
    assert "Drew 0 images" in none.out + none.err
    assert not (empty_folder / "none").exists() or not list((empty_folder / "none").iterdir())
    content["annotations"][2]["num_keypoints"] = 3
    write_labels(empty_folder, content)
    ran = kpkit("draw", "-o", "out", "--findings", "--image-format", "png")
    assert ran.code == 0, ran.err
    assert "Drew 1 image of 3" in ran.out
    assert "KP101 1" in ran.out
    assert [one.name for one in (empty_folder / "out").iterdir()] == ["001.png"]
    flagged, other = (columns_of(row) for row in content["annotations"][2:4])
    # The two stand 30 pixels apart: what only the other one's ink would reach stays as it was.
    inked = inked_columns(empty_folder, "out")
    assert inked <= flagged
    assert inked
    assert kpkit("draw", "-o", "all", "--image", "001.png", "--image-format", "png").code == 0
    assert inked_columns(empty_folder, "all") & (other - flagged)


def columns_of(row: dict[str, Any]) -> set[int]:
    """The columns of a picture that a person's box and the width of its lines reach."""
    x, _, width, _ = row["bbox"]
    return set(range(int(x) - 3, int(x + width) + 5))


def inked_columns(folder: Path, drawn: str) -> set[int]:
    """Where ink lies over the picture; words stand below it."""
    plain, shown = picture(folder / "images" / "001.png"), picture(folder / drawn / "001.png")
    assert shown.shape[1] == plain.shape[1]
    changed = shown[: plain.shape[0]] != plain
    return set(np.flatnonzero(changed.any(axis=(0, 2))).tolist())


@pytest.mark.parametrize("arguments", [(), ("--findings",)])
def test_where_nobody_is_labelled_no_sheet_is_written_and_it_is_said(kpkit, empty_folder, labels, arguments):
    content = read_labels(empty_folder)
    write_labels(empty_folder, {**content, "annotations": []})
    ran = kpkit("draw", "-o", "sheet.png", *arguments)
    assert ran.code == 0
    assert "Drew 0 images of 3" in ran.out
    assert ("without persons left out" in ran.out + ran.err) is not bool(arguments)
    assert not (empty_folder / "sheet.png").exists()


def test_one_person_fills_a_sheet_of_one_tile(kpkit, empty_folder):
    dataset(empty_folder, images=1, persons=1)
    assert kpkit("draw", "-o", "sheet.png", "--tile", "240x320").code == 0
    sheet = picture(empty_folder / "sheet.png")
    assert 320 < sheet.shape[1] < 2 * 320
    assert sheet[16:256, 16:336].std() > 20


def test_the_hand_of_a_133_joint_skeleton_is_more_than_one_blot(kpkit, empty_folder, real_data):
    write_wholebody(real_data, empty_folder / "wholebody.json")
    ran = kpkit(
        "draw", "wholebody.json", "-o", "out", "--no-images", "--image-format", "png", "--no-masks", "--no-boxes"
    )
    assert ran.code == 0, ran.err
    found = {str(one["file_name"]).partition(".")[0]: one["id"] for one in read(empty_folder)["images"]}
    assert {one.stem for one in (empty_folder / "out").iterdir()} == set(found)
    largest = max(read(empty_folder)["annotations"], key=lambda row: row["area"])
    name = next(name for name, id in found.items() if id == largest["image_id"])
    drawn = picture(empty_folder / "out" / f"{name}.png").astype(int)
    x, y, wide, tall = (int(value) for value in largest["bbox"])
    crop = drawn[max(y, 0) : y + tall, max(x, 0) : x + wide]
    coloured = (crop.max(axis=2) - crop.min(axis=2)) > 60
    # 133 joints as thick as those of 17 would cover a good part of the person.
    assert 0.005 < coloured.mean() < 0.25


def read(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "wholebody.json").read_text())
    return content


@pytest.mark.usefixtures("labels")
def test_an_image_that_is_not_there_is_named(kpkit):
    ran = kpkit("draw", "-o", "out", "--image", "nothing.png")
    assert ran.code == 2
    assert "nothing.png" in ran.err
