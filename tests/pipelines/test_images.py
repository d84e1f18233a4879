"""Image files beside labels: sizes from headers and tables, and copies or links in an output."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import kpkit
from kpkit.core.report import Report
from kpkit.errors import FormatError, InputError, KpkitError, RecordError, UsageError
from kpkit.pipelines.images import ImageSizes, header_size, read_size_table
from tests.coco_files import document, image, load, person, save


def picture(path: Path, width: int = 6, height: int = 4) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))
    return path


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def codes(report: Report) -> dict[str, int]:
    return {issue.code: issue.count for issue in report.issues}


def without_sizes(*names: str) -> dict[str, Any]:
    return document(
        [person(n, n) for n in range(1, len(names) + 1)],
        [{"id": n, "file_name": name} for n, name in enumerate(names, start=1)],
    )


def convert(labels: Path, output: Path, **options: Any) -> Report:
    return kpkit.convert("coco", "coco", labels, output=output, **options)


class TestSizes:
    def test_headers_give_the_sizes_that_labels_lack(self, tmp_path):
        picture(tmp_path / "images" / "a.png", 6, 4)
        picture(tmp_path / "images" / "sub" / "b.jpg", 8, 2)
        labels = save(tmp_path / "labels.json", without_sizes("a.png", "sub/b.jpg"))
        report = convert(labels, tmp_path / "out.json", images=tmp_path / "images")
        after = load(tmp_path / "out.json")
        assert [(row["width"], row["height"]) for row in after["images"]] == [(6, 4), (8, 2)]
        assert codes(report) == {}

    def test_headers_never_overrule_the_labels(self, tmp_path):
        picture(tmp_path / "images" / "a.png", 6, 4)
        content = document(images=[image(1, file_name="a.png")])
        convert(save(tmp_path / "labels.json", content), tmp_path / "out.json", images=tmp_path / "images")
        assert load(tmp_path / "out.json") == content

    def test_labels_with_sizes_open_no_image(self, tmp_path):
        (tmp_path / "images").mkdir()
        (tmp_path / "images" / "a.png").write_bytes(b"not an image")
        labels = save(tmp_path / "labels.json", document(images=[image(1, file_name="a.png")]))
        convert(labels, tmp_path / "out.json", images=tmp_path / "images")

    def test_half_a_size_is_none(self, tmp_path):
        picture(tmp_path / "images" / "a.png", 6, 4)
        labels = save(tmp_path / "labels.json", document(images=[{"id": 1, "file_name": "a.png", "width": 99}]))
        convert(labels, tmp_path / "out.json", images=tmp_path / "images")
        assert load(tmp_path / "out.json")["images"] == [{"id": 1, "file_name": "a.png", "width": 6, "height": 4}]

    def test_a_folder_below_the_named_one_is_searched_by_name(self, tmp_path):
        picture(tmp_path / "images" / "val2017" / "a.png", 6, 4)
        labels = save(tmp_path / "labels.json", without_sizes("a.png"))
        convert(labels, tmp_path / "out.json", images=tmp_path / "images")
        assert load(tmp_path / "out.json")["images"][0]["width"] == 6

    def test_a_name_that_stands_for_two_files_is_no_size(self, tmp_path):
        picture(tmp_path / "images" / "x" / "a.png", 6, 4)
        picture(tmp_path / "images" / "y" / "a.png", 60, 40)
        labels = save(tmp_path / "labels.json", without_sizes("a.png"))
        report = convert(labels, tmp_path / "out.json", images=tmp_path / "images")
        assert codes(report) == {"KP-SIZE-UNKNOWN": 1}
        assert load(tmp_path / "out.json") == load(labels)

    def test_a_size_that_stays_unknown_is_left_out_and_counted(self, tmp_path):
        labels = save(tmp_path / "labels.json", without_sizes("a.png", "b.png"))
        report = convert(labels, tmp_path / "out.json")
        assert codes(report) == {"KP-SIZE-UNKNOWN": 2}
        assert report.issues[0].places == ["a.png", "b.png"]
        assert load(tmp_path / "out.json") == load(labels)

    def test_a_picture_that_is_none_is_named(self, tmp_path):
        (tmp_path / "images").mkdir()
        (tmp_path / "images" / "a.png").write_bytes(b"not an image")
        labels = save(tmp_path / "labels.json", without_sizes("a.png"))
        with pytest.raises(RecordError) as caught:
            convert(labels, tmp_path / "out.json", images=tmp_path / "images")
        assert caught.value.place == str(tmp_path / "images" / "a.png")
        assert not (tmp_path / "out.json").exists()

    def test_a_folder_that_is_not_there_is_refused(self, tmp_path):
        labels = save(tmp_path / "labels.json", document())
        with pytest.raises(InputError) as caught:
            convert(labels, tmp_path / "out.json", images=tmp_path / "no")
        assert caught.value.place == str(tmp_path / "no")

    def test_sizes_of_real_photographs_are_those_of_their_labels(self, real_data):
        labels = load(real_data / "data/coco/mmpose_test_coco.json")
        sizes = ImageSizes(real_data / "data/images/coco")
        assert len(sizes) == 4
        for row in labels["images"]:
            assert sizes[row["file_name"]] == (row["width"], row["height"])

    def test_the_mapping_knows_table_and_folder_together(self, tmp_path):
        picture(tmp_path / "images" / "a.png", 6, 4)
        table = tmp_path / "sizes.csv"
        table.write_text("b.png,5,7\n")
        sizes = ImageSizes(tmp_path / "images", table)
        assert dict(sizes) == {"b.png": (5, 7), "a.png": (6, 4)}
        assert "c.png" not in sizes
        with pytest.raises(KeyError):
            sizes["c.png"]


class TestSizeTable:
    @pytest.mark.parametrize(
        "text",
        [
            "a.jpg,640,480\nb/c.jpg,1,2\n",
            "image,width,height\na.jpg,640,480\nb/c.jpg,1,2\n",
            "\ufeffimage,width,height\r\na.jpg, 640 ,480,more\r\n\r\nb\\c.jpg,1,2",
            'a.jpg,640,480\n"b/c.jpg",1,2\na.jpg,640,480\n',
        ],
    )
    def test_rows_are_image_width_height(self, tmp_path, text):
        path = tmp_path / "sizes.csv"
        path.write_text(text, encoding="utf-8")
        assert read_size_table(path) == {"a.jpg": (640, 480), "b/c.jpg": (1, 2)}

    @pytest.mark.parametrize(
        ("text", "row"),
        [
            ("a.jpg,640\n", 1),
            ("a.jpg,640,480\nb.jpg,x,2\n", 2),
            ("a.jpg,640.5,480\n", 1),
            ("image,width,height\na.jpg,0,480\n", 2),
            ("a.jpg,640,-480\n", 1),
            ("a.jpg,x,480\n", 1),
            (",640,480\n", 1),
            ("a.jpg,²,480\n", 1),
            ("a.jpg,9999999999,480\n", 1),
            ("a.jpg,640,480\na.jpg,480,640\n", 2),
        ],
    )
    def test_a_bad_row_is_named(self, tmp_path, text, row):
        path = tmp_path / "sizes.csv"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(RecordError) as caught:
            read_size_table(path)
        assert caught.value.place == f"{path}: row {row}"
        assert caught.value.code == "KP-SIZES"

    @pytest.mark.parametrize("content", [b"a.jpg,1,2\n\xff,1,2", b'"' + b"a" * 200_000 + b'",1,2'])
    def test_a_file_that_is_no_table_is_refused(self, tmp_path, content):
        path = tmp_path / "sizes.csv"
        path.write_bytes(content)
        with pytest.raises(FormatError) as caught:
            read_size_table(path)
        assert caught.value.place.startswith(str(path))

    def test_a_missing_table_is_named(self, tmp_path):
        with pytest.raises(InputError) as caught:
            read_size_table(tmp_path / "no.csv")
        assert caught.value.place == str(tmp_path / "no.csv")

    def test_a_table_comes_before_the_headers(self, tmp_path):
        picture(tmp_path / "images" / "a.png", 6, 4)
        (tmp_path / "sizes.csv").write_text("a.png,60,40\n")
        labels = save(tmp_path / "labels.json", without_sizes("a.png"))
        convert(labels, tmp_path / "out.json", images=tmp_path / "images", image_sizes=tmp_path / "sizes.csv")
        assert load(tmp_path / "out.json")["images"][0]["width"] == 60

    def test_header_size_is_width_then_height(self, tmp_path):
        assert header_size(picture(tmp_path / "a.jpg", 30, 20)) == (30, 20)


class TestPlacing:
    @pytest.fixture
    def labels(self, tmp_path: Path) -> Path:
        picture(tmp_path / "images" / "a.png", 6, 4)
        picture(tmp_path / "images" / "sub" / "b.png", 8, 2)
        return save(tmp_path / "labels.json", without_sizes("a.png", "sub/b.png"))

    def test_copies_stand_where_the_labels_say(self, labels, tmp_path):
        convert(labels, tmp_path / "out", images=tmp_path / "images", copy_images=True)
        assert tree(tmp_path / "out") == [
            "annotations/person_keypoints_default.json",
            "images/a.png",
            "images/sub/b.png",
        ]
        assert not (tmp_path / "out" / "images" / "a.png").is_symlink()
        assert (tmp_path / "out/images/a.png").read_bytes() == (tmp_path / "images/a.png").read_bytes()

    def test_links_are_relative_and_lead_to_the_images(self, labels, tmp_path):
        convert(labels, tmp_path / "deep" / "out", images=tmp_path / "images", link_images=True)
        link = tmp_path / "deep" / "out" / "images" / "sub" / "b.png"
        assert not Path(os.readlink(link)).is_absolute()
        assert link.resolve() == (tmp_path / "images" / "sub" / "b.png").resolve()
        assert link.read_bytes() == (tmp_path / "images/sub/b.png").read_bytes()

    def test_a_missing_image_is_reported_and_the_labels_are_written(self, labels, tmp_path):
        (tmp_path / "images" / "a.png").unlink()
        report = convert(labels, tmp_path / "out", images=tmp_path / "images", copy_images=True)
        assert codes(report)["KP-IMAGE-MISSING"] == 1
        assert "image a.png" in next(one for one in report.issues if one.code == "KP-IMAGE-MISSING").places
        assert len(load(tmp_path / "out/annotations/person_keypoints_default.json")["annotations"]) == 2

    @pytest.mark.parametrize("how", ["copy_images", "link_images"])
    @pytest.mark.parametrize("by", ["path", "name"])
    def test_a_link_that_leads_out_of_the_folder_is_refused(self, tmp_path, how, by):
        secret = tmp_path / "secret.png"
        picture(secret)
        place = tmp_path / "images" / ("a.png" if by == "path" else "sub/a.png")
        place.parent.mkdir(parents=True)
        place.symlink_to(secret)
        labels = save(tmp_path / "labels.json", document(images=[image(1, file_name="a.png")]))
        with pytest.raises(RecordError) as caught:
            convert(labels, tmp_path / "out", images=tmp_path / "images", **{how: True})
        assert caught.value.code == "KP-PATH-OUTSIDE"
        assert caught.value.place == "image a.png"
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("how", ["copy_images", "link_images"])
    def test_one_file_of_two_images_is_placed_once(self, labels, tmp_path, how):
        content = document([], [image(1, file_name="a.png"), image(2, file_name="./a.png")])
        convert(save(labels, content), tmp_path / "out", images=tmp_path / "images", **{how: True})
        assert "images/a.png" in tree(tmp_path / "out")

    def test_images_cannot_stand_beside_a_single_file(self, labels, tmp_path):
        with pytest.raises(UsageError) as caught:
            convert(labels, tmp_path / "out.json", images=tmp_path / "images", copy_images=True)
        assert caught.value.code == "KP-IMAGES-FOLDER"
        assert not (tmp_path / "out.json").exists()

    def test_where_the_images_are_must_be_known(self, labels, tmp_path):
        with pytest.raises(UsageError) as caught:
            convert(labels, tmp_path / "out", copy_images=True)
        assert "--images" in caught.value.help
        assert not (tmp_path / "out").exists()

    def test_copies_and_links_exclude_each_other(self, labels, tmp_path):
        with pytest.raises(UsageError, match="exclude each other"):
            convert(labels, tmp_path / "out", images=tmp_path / "images", copy_images=True, link_images=True)

    def test_backslashes_in_names_are_slashes_on_the_disk_and_stay_in_the_file(self, labels, tmp_path):
        save(labels, without_sizes("sub\\b.png"))
        convert(labels, tmp_path / "out", images=tmp_path / "images", copy_images=True)
        assert "images/sub/b.png" in tree(tmp_path / "out")
        written = load(tmp_path / "out/annotations/person_keypoints_default.json")
        assert written["images"][0]["file_name"] == "sub\\b.png"
        assert written["images"][0]["width"] == 8
        assert kpkit.read(labels).images.path.tolist() == ["sub/b.png"]

    @pytest.mark.parametrize("inside", ["labels", "images"])
    def test_an_output_is_never_made_over_its_own_input(self, tmp_path, inside):
        """--force on a folder that holds the input would delete it."""
        data = tmp_path / "data"
        picture(data / "images" / "a.png")
        place = data if inside == "labels" else tmp_path
        labels = save(place / "labels.json", document(images=[image(1, file_name="a.png")]))
        before = tree(tmp_path)
        with pytest.raises(KpkitError) as caught:
            convert(labels, data, images=data / "images", copy_images=True, force=True)
        assert caught.value.code == "KP-OUTPUT-INPUT"
        assert tree(tmp_path) == before

    def test_a_single_file_may_be_replaced_by_its_conversion(self, tmp_path):
        labels = save(tmp_path / "labels.json", document())
        convert(labels, labels, force=True, skeleton="mpii16")
        assert len(load(labels)["annotations"][0]["keypoints"]) == 48
