"""What may be wrong with pictures and labels: one bad picture is one failure, a bad request stops at once."""

from __future__ import annotations

import base64
import struct
import zlib

import cv2
import numpy as np
import pytest

from kpkit.augment.recipe import Recipe
from kpkit.errors import InputError, OutputError, UsageError
from kpkit.pipelines.augment import AugmentJob, run
from tests.augment_data import (
    HEIGHT,
    LABELS,
    WIDTH,
    dataset,
    encoded,
    hashes,
    picture,
    read_labels,
    read_picture,
    write_labels,
)

RECIPE = Recipe(flip=1.0)
# 16 x 16 pixels, four channels of ink, as a printer's file has them.
CMYK = base64.b64decode(
    "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwANCQoLCggNCwoLDg4NDxMgFRMSEhMnHB4XIC4pMTAuKS0sMzpKPjM2RjcsLUBXQUZMTlJT"
    "UjI+WmFaUGBKUVJP/8AAFAgAEAAQBEMRAE0RAFkRAEsRAP/EABYAAQEBAAAAAAAAAAAAAAAAAAAIB//EABQQAQAAAAAAAAAAAAAA"
    "AAAAAAD/2gAOBEMATQBZAEsAAD8AzBpzTmnKdExCYhTop0TEP//Z"
)


def augment(folder, **options):
    job = {"input": folder / LABELS, "output": folder / "out", "recipe": RECIPE, **options}
    return run(AugmentJob(**job))


def replace_first(folder, data, **image):
    """Put other bytes in the place of the first picture."""
    (folder / "images" / "000.png").write_bytes(data)
    content = read_labels(folder)
    content["images"][0] |= image
    write_labels(folder, content)


def truncated_jpeg():
    data = encoded(picture(0), ".jpg")
    return data[: len(data) // 2]


def bomb():
    """The header of a PNG of 3.6 thousand million pixels, and nothing of them."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(header)) + chunk + struct.pack(">I", zlib.crc32(chunk))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (truncated_jpeg(), "KP-IMAGE-TRUNCATED"),
        (b"this is a text\n", "KP-IMAGE-HEADER"),
        (b"", "KP-IMAGE-HEADER"),
        (bomb(), "KP-IMAGE-BOMB"),
        (encoded(picture(0, 50, 40)), "KP-IMAGE-SIZE"),
    ],
    ids=["truncated", "text", "empty", "bomb", "other size"],
)
def test_one_bad_picture_is_one_failure_and_the_others_are_written(tmp_path, data, code, workers):
    dataset(tmp_path)
    replace_first(tmp_path, data)
    report = augment(tmp_path, workers=workers, include_original=True)
    assert [(one.key, one.code) for one in report.failures] == [("000.png", code)]
    assert "000.png" in report.failures[0].message
    labels = read_labels(tmp_path / "out")
    names = ["001__c0.jpg", "001__c1.jpg", "002__c0.jpg", "002__c1.jpg"]
    assert [one["file_name"] for one in labels["images"]] == names
    assert len(labels["annotations"]) == 8
    written = hashes(tmp_path / "out")
    assert sorted(name for name in written if name.startswith("images/")) == [f"images/{name}" for name in names]


def test_missing_picture_is_one_failure(tmp_path):
    dataset(tmp_path)
    (tmp_path / "images" / "001.png").unlink()
    assert [(one.key, one.code) for one in augment(tmp_path).failures] == [("001.png", "KP-INPUT-READ")]


def test_a_failure_leaves_the_outputs_of_images_with_similar_names(tmp_path):
    dataset(tmp_path)
    content = read_labels(tmp_path)
    for old, new in (("000.png", "a.png"), ("001.png", "ab.png"), ("002.png", "a__c1.png")):
        (tmp_path / "images" / old).rename(tmp_path / "images" / new)
        next(one for one in content["images"] if one["file_name"] == old)["file_name"] = new
    write_labels(tmp_path, content)
    (tmp_path / "images" / "a.png").write_bytes(b"")
    assert [one.key for one in augment(tmp_path).failures] == ["a.png"]
    written = {name for name in hashes(tmp_path / "out") if name.startswith("images/")}
    assert written == {"images/ab__c1.jpg", "images/a__c1__c1.jpg"}


def test_when_every_picture_fails_there_still_is_a_report_and_an_empty_output(tmp_path):
    dataset(tmp_path)
    for file in (tmp_path / "images").iterdir():
        file.write_bytes(truncated_jpeg())
    report = augment(tmp_path, preview=tmp_path / "sheet.png")
    assert [one.key for one in report.failures] == ["000.png", "001.png", "002.png"]
    assert report.counts["images"] == report.counts["instances"] == 0
    assert read_labels(tmp_path / "out")["images"] == []
    assert report.preview == ""


def test_labels_without_images_are_refused(tmp_path):
    dataset(tmp_path)
    write_labels(tmp_path, read_labels(tmp_path) | {"images": [], "annotations": []})
    with pytest.raises(UsageError) as caught:
        augment(tmp_path)
    assert caught.value.code == "KP-AUGMENT-EMPTY"


def test_labels_without_any_picture_file_are_refused_with_the_folders_looked_in(tmp_path):
    dataset(tmp_path)
    for file in (tmp_path / "images").iterdir():
        file.unlink()
    with pytest.raises(UsageError) as caught:
        augment(tmp_path)
    assert caught.value.code == "KP-IMAGES-WHERE"
    assert "--images" in caught.value.help


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a/../../secret.png", "C:\\secret.png"])
def test_picture_outside_the_dataset_is_refused_before_anything_is_written(tmp_path, name):
    dataset(tmp_path / "data")
    (tmp_path / "secret.png").write_bytes(encoded(picture(5)))
    content = read_labels(tmp_path / "data")
    content["images"][2]["file_name"] = name
    write_labels(tmp_path / "data", content)
    with pytest.raises(InputError) as caught:
        augment(tmp_path / "data")
    assert caught.value.code == "KP-PATH-OUTSIDE"
    assert not (tmp_path / "data" / "out").exists()


def test_picture_that_is_a_link_to_the_outside_is_refused(tmp_path):
    dataset(tmp_path / "data")
    (tmp_path / "secret.png").write_bytes(encoded(picture(5)))
    (tmp_path / "data" / "images" / "001.png").unlink()
    (tmp_path / "data" / "images" / "001.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(InputError) as caught:
        augment(tmp_path / "data")
    assert caught.value.code == "KP-PATH-OUTSIDE"
    assert not (tmp_path / "data" / "out").exists()


def test_sixteen_bits_become_eight_and_are_noted(tmp_path):
    dataset(tmp_path)
    deep = picture(0).astype(np.uint16) * 256
    replace_first(tmp_path, cv2.imencode(".png", deep)[1].tobytes())
    report = augment(tmp_path, recipe=Recipe(), include_original=True, image_format="png")
    assert [(one.code, one.places) for one in report.issues if one.code == "KP-IMAGE-16-BIT"] == [
        ("KP-IMAGE-16-BIT", ["000.png"])
    ]
    for copy in ("c0", "c1"):
        np.testing.assert_array_equal(read_picture(tmp_path / "out" / "images" / f"000__{copy}.png"), picture(0))


def test_greyscale_has_three_equal_channels(tmp_path):
    dataset(tmp_path)
    grey = picture(0)[..., 0]
    replace_first(tmp_path, encoded(grey))
    assert augment(tmp_path, image_format="png").failures == []
    out = read_picture(tmp_path / "out" / "images" / "000__c1.png")
    np.testing.assert_array_equal(out, np.repeat(grey[:, ::-1, None], 3, axis=2))


def test_inks_become_colours(tmp_path):
    dataset(tmp_path)
    content = read_labels(tmp_path)
    replace_first(tmp_path, CMYK, width=16, height=16)
    assert augment(tmp_path, image_format="png").failures == []
    assert content["images"][0]["file_name"] == "000.png"
    out = read_picture(tmp_path / "out" / "images" / "000__c1.png").astype(int)
    # Left half of the file: cyan ink alone; right half: yellow ink alone; mirrored here.
    assert np.abs(out[:, 10:].mean(axis=(0, 1)) - (255, 255, 0)).max() < 40
    assert np.abs(out[:, :6].mean(axis=(0, 1)) - (0, 255, 255)).max() < 40


def exif_jpeg(image, orientation):
    """A JPEG with an EXIF orientation."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    exif = b"Exif\0\0" + tiff
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


TURNED = {"exif": "apply", "note": "KP-IMAGE-EXIF-APPLIED"}
STORED = {"exif": "ignore", "note": "KP-IMAGE-EXIF-IGNORED"}


@pytest.mark.parametrize("exif", ["auto", "explicit"])
@pytest.mark.parametrize("means", [TURNED, STORED], ids=["labels of the turned picture", "labels of the stored one"])
def test_exif_turn_is_applied_or_ignored_as_the_labels_mean_it(tmp_path, means, exif):
    dataset(tmp_path)
    upright = picture(0) if means is TURNED else cv2.rotate(picture(0), cv2.ROTATE_90_CLOCKWISE)
    # Orientation 6: to be turned clockwise, so that the stored picture lies on its side.
    stored = cv2.rotate(upright, cv2.ROTATE_90_COUNTERCLOCKWISE)
    replace_first(tmp_path, exif_jpeg(stored, 6))
    rule = "auto" if exif == "auto" else means["exif"]
    report = augment(tmp_path, recipe=Recipe(), exif=rule, image_format="png")
    assert report.failures == []
    assert means["note"] in {one.code for one in report.issues}
    out = read_picture(tmp_path / "out" / "images" / "000__c1.png").astype(int)
    assert out.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(out - picture(0)).mean() < 3


@pytest.mark.parametrize(("exif", "means"), [("apply", STORED), ("ignore", TURNED)])
def test_wrong_exif_rule_is_a_failure_that_names_the_sizes(tmp_path, exif, means):
    dataset(tmp_path)
    upright = picture(0) if means is TURNED else cv2.rotate(picture(0), cv2.ROTATE_90_CLOCKWISE)
    replace_first(tmp_path, exif_jpeg(cv2.rotate(upright, cv2.ROTATE_90_COUNTERCLOCKWISE), 6))
    (failure,) = augment(tmp_path, exif=exif).failures
    assert failure.code == "KP-IMAGE-SIZE"
    assert f"{WIDTH} x {HEIGHT}" in failure.message


def test_a_limit_of_pixels_can_be_set(tmp_path):
    dataset(tmp_path)
    report = augment(tmp_path, max_pixels=WIDTH * HEIGHT - 1)
    assert {one.code for one in report.failures} == {"KP-IMAGE-BOMB"}


def test_broken_patch_picture_fails_only_itself(tmp_path):
    dataset(tmp_path, images=2)
    (tmp_path / "images" / "001.png").write_bytes(b"")
    report = augment(tmp_path, recipe=Recipe(occlusion=(0.3, 0.3), occlusion_fill="patch"))
    assert [one.key for one in report.failures] == ["001.png"]


def test_output_that_exists_stays_unless_forced(tmp_path):
    dataset(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError) as caught:
        augment(tmp_path)
    assert caught.value.code == "KP-OUTPUT-EXISTS"
    assert (tmp_path / "out" / "mine.txt").exists()
    augment(tmp_path, force=True)
    assert not (tmp_path / "out" / "mine.txt").exists()


def test_preview_that_exists_stays_unless_forced(tmp_path):
    dataset(tmp_path)
    (tmp_path / "sheet.png").write_text("mine")
    with pytest.raises(OutputError):
        augment(tmp_path, preview=tmp_path / "sheet.png")
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "sheet.png").read_text() == "mine"


@pytest.mark.parametrize("output", ["", "images", "annotations"])
def test_output_folder_that_holds_an_input_is_refused_even_when_forced(tmp_path, output):
    labels = dataset(tmp_path / "data")
    before = hashes(tmp_path)
    with pytest.raises(UsageError) as caught:
        augment(tmp_path / "data", output=tmp_path / "data" / output, force=True)
    assert caught.value.code == "KP-OUTPUT-INPUT"
    assert labels.exists()
    assert hashes(tmp_path) == before


def test_name_of_a_file_as_output_is_refused(tmp_path):
    dataset(tmp_path)
    with pytest.raises(UsageError) as caught:
        augment(tmp_path, output=tmp_path / "labels.json")
    assert caught.value.code == "KP-OUTPUT-FOLDER"


def test_nothing_to_make_is_refused(tmp_path):
    dataset(tmp_path)
    with pytest.raises(UsageError):
        augment(tmp_path, copies=0)


@pytest.mark.faults
def test_a_full_disk_ends_the_work_and_leaves_nothing(tmp_path):
    import resource

    dataset(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OutputError):
            augment(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not (tmp_path / "out").exists()
