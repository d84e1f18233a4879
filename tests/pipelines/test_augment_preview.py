"""The sheet of before and after shows the labels where they are."""

from __future__ import annotations

import numpy as np
import pytest

from kpkit.augment.recipe import Recipe
from kpkit.pipelines.augment import AugmentJob, run
from kpkit.pipelines.augment_preview import COLUMNS, IMAGES, TILE
from kpkit.qa.ink import SIDE_COLOURS
from tests.augment_data import LABELS, dataset, encoded, joints, read_labels, read_picture, write_labels

MARGIN, TOP, GAP = 16, 48, 12


def preview(folder, recipe, **options):
    """The sheet's first two tiles, and the labels before and after."""
    job = AugmentJob(
        input=folder / LABELS, output=folder / "out", recipe=recipe, preview=folder / "sheet.png", force=True, **options
    )
    report = run(job)
    assert report.preview == str(folder / "sheet.png")
    sheet = read_picture(folder / "sheet.png")
    tiles = [sheet[TOP : TOP + TILE[1], x : x + TILE[0]] for x in (MARGIN, MARGIN + TILE[0] + GAP)]
    return sheet, tiles


def one_person(folder, size=(320, 240)):
    """One grey picture of the tiles' size, with two joints far apart."""
    dataset(folder, images=1, persons=1)
    content = read_labels(folder)
    grey = np.full((size[1], size[0], 3), 128, np.uint8)
    (folder / "images" / "000.png").write_bytes(encoded(grey))
    content["images"][0] |= {"width": size[0], "height": size[1]}
    xy = {5: (90, 120), 6: (200, 60)}  # left and right shoulder
    flat = [v for k in range(17) for v in ((*xy[k], 2) if k in xy else (0, 0, 0))]
    content["annotations"][0] |= {"keypoints": flat, "bbox": [60, 30, 180, 140]}
    write_labels(folder, content)


def colour_at(tile, x, y):
    return tile[round(y), round(x)].astype(int)


def near(colour, side):
    return np.abs(colour - SIDE_COLOURS[side]).max() < 40


@pytest.mark.parametrize(
    "recipe", [Recipe(rotation=(15.0, 15.0)), Recipe(flip=1.0), Recipe(flip=1.0, rotation=(-20.0, -20.0))]
)
def test_joints_are_drawn_where_they_are_in_the_colour_of_their_side(tmp_path, recipe):
    one_person(tmp_path)
    _, (before, after) = preview(tmp_path, recipe)
    for folder, tile in ((tmp_path, before), (tmp_path / "out", after)):
        found = joints(read_labels(folder)["annotations"][0])
        assert near(colour_at(tile, *found[5, :2]), "left")
        assert near(colour_at(tile, *found[6, :2]), "right")


def test_covered_regions_are_tinted_and_covered_joints_are_hollow(tmp_path):
    one_person(tmp_path)
    _, (before, after) = preview(tmp_path, Recipe(occlusion=(0.9, 0.9), occlusion_fill="constant", occluders=1), seed=3)
    found = joints(read_labels(tmp_path / "out")["annotations"][0])
    assert set(found[[5, 6], 2]) == {1}
    assert not near(colour_at(after, *found[5, :2]), "left")
    inside = after[100:110, 140:150].reshape(-1, 3).astype(int)
    assert (inside[:, [0, 2]] > inside[:, [1]] + 20).all()
    plain = before[100:110, 140:150].reshape(-1, 3)
    assert (plain == 128).all()


def test_joint_that_left_the_frame_is_a_mark_at_its_edge(tmp_path):
    one_person(tmp_path)
    _, (_, after) = preview(tmp_path, Recipe(shift=(-0.3, -0.3)))
    # The right shoulder went to (104, -12); the left one stays at (-6, 48): out on the left.
    strip = after[:12, 96:112].reshape(-1, 3).astype(int)
    assert any(near(one, "right") for one in strip)


def test_a_few_pictures_are_drawn_of_many_and_all_of_few(tmp_path):
    dataset(tmp_path, images=12, persons=1)
    sheet, _ = preview(tmp_path, Recipe(flip=1.0))
    rows = IMAGES * 2 // COLUMNS
    assert sheet.shape[1] == 2 * MARGIN + COLUMNS * TILE[0] + (COLUMNS - 1) * GAP
    assert rows * TILE[1] < sheet.shape[0] < (rows + 1) * TILE[1]
    dataset(tmp_path / "few", images=1)
    sheet, _ = preview(tmp_path / "few", Recipe(flip=1.0))
    assert sheet.shape[1] == 2 * MARGIN + 2 * TILE[0] + GAP


def test_preview_of_a_dry_run_is_that_of_the_real_one(tmp_path):
    dataset(tmp_path, images=10)
    recipe = Recipe(rotation=(-30.0, 30.0), occlusion=(0.3, 0.3))
    dry, _ = preview(tmp_path, recipe, dry_run=True)
    assert not (tmp_path / "out").exists()
    real, _ = preview(tmp_path, recipe)
    np.testing.assert_array_equal(dry, real)


def test_preview_may_stand_in_the_output(tmp_path):
    dataset(tmp_path)
    run(
        AugmentJob(
            input=tmp_path / LABELS,
            output=tmp_path / "out",
            recipe=Recipe(flip=1.0),
            preview=tmp_path / "out" / "p.png",
        )
    )
    assert (tmp_path / "out" / "p.png").is_file()


def test_crops_are_drawn_beside_their_pictures(tmp_path):
    dataset(tmp_path, images=2)
    _, (before, after) = preview(tmp_path, Recipe(mode="topdown", input_size=(64, 48)))
    # A crop is upright in a tile that is wide: bars on both sides of it.
    assert (after[:, :20] == after[0, 0]).all()
    assert not (before[100:140, :20] == before[100, 0]).all()
