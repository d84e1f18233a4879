"""`kpkit.read` and `kpkit.write`: which format a path has, and what happens where that is not clear."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

import kpkit
from kpkit.core import catalog
from kpkit.core.remap import remap
from kpkit.core.report import Collector
from kpkit.errors import FormatError, InputError, OutputError, UsageError
from kpkit.formats.base import Format
from kpkit.pipelines import find
from kpkit.pipelines.io import file_sizes
from tests.coco_files import document, load, person, points, save


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return save(tmp_path / "labels.json", document())


class TestRead:
    def test_the_format_is_told_by_the_content(self, labels, tmp_path):
        dataset = kpkit.read(labels)
        for name, format in (("a.mat", "mpii"), ("a.kpk", "native"), ("a.txt", "coco"), ("a", "six2")):
            target = catalog.skeleton({"mpii": "mpii16", "six2": "six2_knee"}.get(format, "coco17"))
            mapped = remap(dataset, catalog.mapping(dataset.skeleton, target)).dataset
            kpkit.write(mapped, tmp_path / name, format)
            assert find.detect(tmp_path / name)[0].name == format
            assert len(kpkit.read(tmp_path / name)) == 1

    def test_a_name_overrules(self, labels):
        with pytest.raises(FormatError):
            kpkit.read(labels, "six2")

    @pytest.mark.parametrize("alias", ["6-2", "yolo", "kpk", "COCO"])
    def test_aliases_and_capitals_are_the_same_format(self, alias):
        assert find.get_format(alias).name in {"six2", "yolo-pose", "native", "coco"}

    def test_nothing_there_is_said(self, tmp_path):
        with pytest.raises(InputError) as caught:
            kpkit.read(tmp_path / "no.json")
        assert caught.value.place == str(tmp_path / "no.json")

    @pytest.mark.parametrize("content", ["", "hello", "[1, 2]", '{"a": 1}'])
    def test_content_of_no_known_format_lists_the_known_ones(self, tmp_path, content):
        (tmp_path / "x").write_text(content)
        with pytest.raises(FormatError) as caught:
            kpkit.read(tmp_path / "x")
        assert caught.value.code == "KP-FORMAT-UNKNOWN"
        assert "coco" in caught.value.expected

    def test_an_unknown_format_gets_the_nearest(self, labels):
        with pytest.raises(UsageError) as caught:
            kpkit.read(labels, "cocoo")
        assert caught.value.help == "did you mean 'coco'?"

    def test_a_skeleton_is_a_name_or_an_object(self, tmp_path):
        path = save(tmp_path / "labels.json", document(categories=[{"id": 1, "name": "person"}]))
        by_name = kpkit.read(path, skeleton="coco17")
        by_object = kpkit.read(path, skeleton=kpkit.skeleton("coco17"))
        assert by_name.skeleton == by_object.skeleton == kpkit.skeleton("coco17")

    def test_the_garbage_collector_is_on_again_afterwards(self, labels, tmp_path):
        kpkit.read(labels)
        assert gc.isenabled()
        labels.write_text("{")
        with pytest.raises(FormatError):
            kpkit.read(labels, "coco")
        assert gc.isenabled()

    def test_the_garbage_collector_stays_off_where_it_was_off(self, labels):
        gc.disable()
        try:
            kpkit.read(labels)
            assert not gc.isenabled()
        finally:
            gc.enable()

    def test_a_collector_gathers_what_was_noticed(self, tmp_path):
        path = save(tmp_path / "labels.json", document([person(num_keypoints=3)]))
        collector = Collector()
        kpkit.read(path, collector=collector)
        assert [issue.code for issue in collector.issues] == ["KP-COCO-NUM-KEYPOINTS"]

    def test_errors_come_before_warnings_and_equal_ones_are_one(self, tmp_path):
        rows = [person(num_keypoints=3), person(2, image_id=9), person(3, image_id=9)]
        collector = Collector("collect")
        kpkit.read(save(tmp_path / "labels.json", document(rows)), collector=collector)
        assert [(issue.severity, issue.count) for issue in collector.issues] == [("error", 2), ("warning", 1)]


class TestWrite:
    @pytest.mark.parametrize("name", ["a.kpk", "b.kpk"])
    def test_the_ending_says_the_format_where_it_can(self, labels, tmp_path, name):
        report = kpkit.write(kpkit.read(labels), tmp_path / name)
        assert report.target["format"] == "native"

    def test_json_may_be_several_formats_and_must_be_named(self, labels, tmp_path):
        with pytest.raises(UsageError) as caught:
            kpkit.write(kpkit.read(labels), tmp_path / "out.json")
        assert "format='coco'" in caught.value.help
        assert not (tmp_path / "out.json").exists()

    def test_an_output_that_exists_stays(self, labels, tmp_path):
        before = labels.read_bytes()
        with pytest.raises(OutputError):
            kpkit.write(kpkit.read(labels), labels, "coco")
        assert labels.read_bytes() == before
        kpkit.write(kpkit.read(labels).take([]), labels, "coco", force=True)
        assert load(labels)["annotations"] == []

    def test_joints_that_the_format_cannot_hold_are_refused(self, labels, tmp_path):
        with pytest.raises(UsageError) as caught:
            kpkit.write(kpkit.read(labels), tmp_path / "a.mat")
        assert caught.value.code == "KP-SKELETON-TARGET"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.json"]

    def test_the_report_counts_and_names_the_file(self, labels, tmp_path):
        report = kpkit.write(kpkit.read(labels), tmp_path / "b.json", "coco")
        assert report.counts["visible"] == 17
        assert report.files == {"b.json": (tmp_path / "b.json").stat().st_size}

    def test_what_is_read_is_what_was_written(self, labels, tmp_path):
        dataset = kpkit.read(labels)
        kpkit.write(dataset, tmp_path / "b.json", "coco")
        np.testing.assert_array_equal(kpkit.read(tmp_path / "b.json").xy, dataset.xy)


class TestFind:
    def test_every_built_in_format_states_itself(self):
        for one in find.all_formats():
            assert isinstance(one, Format)
            assert one.name
            assert one.title
            assert one.kind in {"file", "folder"}

    @pytest.mark.parametrize(
        "place",
        ["annotations/person_keypoints_val.json", "annotations/my_keypoints_x.json", "person_keypoints_x.json"],
    )
    def test_coco_is_found_at_its_usual_places(self, tmp_path, place):
        save(tmp_path / place, document())
        assert find.get_format("coco").discover(tmp_path) == [tmp_path / place]

    def test_a_file_at_a_usual_place_with_other_content_is_passed_over(self, tmp_path):
        save(tmp_path / "person_keypoints_x.json", [1, 2])
        assert find.get_format("coco").discover(tmp_path) == []

    @pytest.mark.parametrize(
        ("content", "variant"),
        [
            (document(), "COCO ground truth"),
            ([{"image_id": 1, "category_id": 1, "keypoints": points(), "score": 1}], "COCO results"),
            ({"annotations": [], "images": []}, "COCO ground truth"),
            ([{"image": "a.jpg", "joints_vis": [1], "joints": [[1, 2]]}], None),
            ([{"image_id": "a", "keypoint_annotations": {"human1": [1, 2, 3]}}], None),
            ([], None),
            ({"images": "no"}, None),
            ("text", None),
        ],
    )
    def test_coco_is_known_by_its_arrays(self, tmp_path, content, variant):
        assert find.get_format("coco").sniff(save(tmp_path / "x.json", content)) == variant

    def test_looking_at_a_folder_or_nothing_is_no_error(self, tmp_path):
        for one in find.all_formats():
            assert one.sniff(tmp_path / "no") is None
        assert find.get_format("coco").sniff(tmp_path) is None


def test_sizes_of_a_folder_name_the_first_files_and_sum_up_the_rest(tmp_path):
    for number in range(15):
        (tmp_path / f"{number:02}").write_text("x" * number)
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "deep").write_text("12345")
    sizes = file_sizes(tmp_path)
    assert list(sizes)[:2] == ["00", "01"]
    assert sizes["4 more files"] == 12 + 13 + 14 + 5
    assert sum(sizes.values()) == sum(range(15)) + 5
