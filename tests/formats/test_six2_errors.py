"""What is wrong in a 6-2 file is said with its place; what can be gone on with in `validate` is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kpkit.core import catalog
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.report import Collector
from kpkit.errors import FormatError, KpkitError, RecordError, UsageError
from kpkit.formats.base import ReadOptions, WriteOptions
from kpkit.formats.six2 import Six2Format

KNEE = catalog.skeleton("six2_knee").keypoints
HEADER = ",".join(["image,width,height,person_id", *(f"{joint}_{field}" for joint in KNEE for field in "xyv")])


def line(start: str, **cells: str) -> str:
    return ",".join([start, *(cells.get(f"{joint}_{field}", "") for joint in KNEE for field in "xyv")])


def csv_file(tmp_path: Path, *lines: str, header: str = HEADER) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def json_file(tmp_path: Path, **changes: Any) -> Path:
    path = tmp_path / "labels.json"
    document = {"format": "kpkit-six2", "version": 1, "skeleton": "six2_knee", "images": [], **changes}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def with_person(tmp_path: Path, **person: Any) -> Path:
    return json_file(tmp_path, images=[{"image": "a.jpg"}, {"image": "b.jpg", "persons": [{"person_id": 1, **person}]}])


def read(path: Path, collector: Collector | None = None, **options: Any) -> Dataset:
    return Six2Format().read(path, ReadOptions(**options), collector or Collector())


def refused(path: Path, kind: type[KpkitError] = RecordError) -> KpkitError:
    with pytest.raises(kind) as caught:
        read(path)
    return caught.value


@pytest.mark.parametrize(
    ("cells", "column", "words"),
    [
        ({"head_x": "1"}, "head_y", "one coordinate"),
        ({"head_y": "1", "head_v": "1"}, "head_x", "one coordinate"),
        ({"left_hip_v": "1"}, "left_hip_v", "visible and has no coordinates"),
        ({"left_hip_v": "3"}, "left_hip_v", "not a 6-2 flag"),
        ({"left_hip_v": "0.5"}, "left_hip_v", "not a 6-2 flag"),
        ({"head_x": "nan", "head_y": "1"}, "head_x", "not a number"),
        ({"head_x": "1", "head_y": "-Infinity"}, "head_y", "not a number"),
        ({"head_x": "1e999", "head_y": "1"}, "head_x", "not a number"),
        ({"head_x": "1_0", "head_y": "1"}, "head_x", "not a number"),
        ({"head_x": '"1,5"', "head_y": "1"}, "head_x", "not a number"),
    ],
)
def test_a_bad_cell_is_named_by_row_and_column(cells: dict[str, str], column: str, words: str, tmp_path: Path) -> None:
    path = csv_file(tmp_path, line("a.jpg,,,1"), line("a.jpg,,,2", **cells))
    error = refused(path)
    assert error.place == f"{path}: row 3, column {column}"
    assert words in error.message


@pytest.mark.parametrize(
    ("person", "place", "words"),
    [
        ({"joints": {"head": [1, None, 0]}}, "joints.head[1]", "one coordinate"),
        ({"joints": {"head": [None, None, 1]}}, "joints.head[2]", "visible and has no coordinates"),
        ({"joints": {"head": [1, 2, 3]}}, "joints.head", "wrong kind"),
        ({"joints": {"head": [1, 2, True]}}, "joints.head", "wrong kind"),
        ({"joints": {"head": [1, "2", 1]}}, "joints.head", "wrong kind"),
        ({"joints": {"head": [1, 2]}}, "joints.head", "wrong kind"),
        ({"joints": {"head": None}}, "joints.head", "wrong kind"),
        ({"joints": []}, "joints", "wrong kind"),
        ({"joints": {"left_ankle": [1, 2, 1]}}, "joints.left_ankle", "has no joint 'left_ankle'"),
        ({"person_id": None}, "person_id", "wrong kind"),
        ({"person_id": 1.5}, "person_id", "wrong kind"),
        ({"bbox": [1, 2, 3]}, "bbox", "wrong kind"),
        ({"bbox_source": "guessed"}, "bbox_source", "wrong kind"),
        ({"is_crowd": 1}, "is_crowd", "wrong kind"),
        ({"score": "high"}, "score", "wrong kind"),
        ({"extras": [1]}, "extras", "wrong kind"),
    ],
)
def test_a_bad_field_is_named_by_its_path(person: dict[str, Any], place: str, words: str, tmp_path: Path) -> None:
    path = with_person(tmp_path, **person)
    error = refused(path)
    assert error.place == f"{path}: images[1].persons[0].{place}"
    assert words in error.message


@pytest.mark.parametrize(
    ("image", "place"),
    [
        ({"image": "../a.jpg"}, "images[0].image"),
        ({"image": "/a.jpg"}, "images[0].image"),
        ({"image": ""}, "images[0].image"),
        ({"image": "a.jpg", "width": 0}, "images[0].width"),
        ({"image": "a.jpg", "height": 10.5}, "images[0].height"),
        ({"image": "a.jpg", "width": 10**400}, "images[0].width"),
        ({"image": "a.jpg", "persons": {}}, "images[0].persons"),
        ({"image": "a.jpg", "persons": [7]}, "images[0].persons[0]"),
        (7, "images[0]"),
    ],
)
def test_a_bad_image_is_named_by_its_path(image: object, place: str, tmp_path: Path) -> None:
    path = json_file(tmp_path, images=[image])
    assert refused(path).place == f"{path}: {place}"


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"format": "coco"}, ""),
        ({"version": 2}, ": version"),
        ({"skeleton": "six2_toe"}, ": skeleton"),
        ({"images": {}}, ": images"),
    ],
)
def test_a_file_that_is_not_six2_is_refused_as_a_whole(changes: dict[str, Any], place: str, tmp_path: Path) -> None:
    path = json_file(tmp_path, **changes)
    assert refused(path, FormatError).place == f"{path}{place}"


def test_image_ids_are_given_for_all_images_or_for_none(tmp_path: Path) -> None:
    path = json_file(tmp_path, images=[{"image": "a.jpg", "image_id": 4}, {"image": "b.jpg"}])
    assert refused(path).place == f"{path}: images[1]"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"   ",
        b"{",
        b'{"format": "kpkit-six2", "version": NaN}',
        b"\xff\xfe",
        b'{"a": "\xff"}',
        b"[" * 100_000,
        b"[]",
        b'{"a": 1e999}',
        b"image,width\na.jpg,1",
        b'image,"x\n',
        "image;head_x\nbild;1".encode("utf-16"),
    ],
)
def test_broken_files_are_format_errors_that_name_the_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_bytes(content)
    assert refused(path, FormatError).place.startswith(str(path))


def test_a_byte_that_is_not_utf8_is_named_by_line(tmp_path: Path) -> None:
    path = csv_file(tmp_path, line("a.jpg,,,1"))
    path.write_bytes(path.read_bytes() + "ä.jpg".encode("latin-1"))
    error = refused(path, FormatError)
    assert error.place == f"{path}: line 3"
    assert "0xe4" in error.got


def test_semicolons_are_recognised_and_the_layout_is_offered(tmp_path: Path) -> None:
    path = csv_file(tmp_path, header=HEADER.replace(",", ";"))
    assert Six2Format().sniff(path) == "6-2 CSV"
    assert "layout" in refused(path, FormatError).help


def test_a_misspelt_column_is_named_with_its_likely_partner(tmp_path: Path) -> None:
    error = refused(csv_file(tmp_path, header=HEADER.replace("left_hip_x", "lefthip_x")), FormatError)
    assert "'left_hip_x'" in error.message
    assert "'lefthip_x'" in error.help


@pytest.mark.parametrize("extra", ["left_ankle_x", "image"])
def test_a_header_that_can_be_read_two_ways_is_refused(extra: str, tmp_path: Path) -> None:
    assert refused(csv_file(tmp_path, header=f"{HEADER},{extra}"), FormatError).place.endswith("row 1")


def test_a_row_with_too_few_cells_is_refused(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "a.jpg,1,1,1")
    error = refused(path)
    assert (error.place, error.expected, error.got) == (f"{path}: row 2", "28", "4")


def test_rows_of_one_image_must_agree_on_its_size(tmp_path: Path) -> None:
    path = csv_file(tmp_path, line("a.jpg,640,480,1"), line("a.jpg,,,2"), line("a.jpg,640,481,3"))
    error = refused(path)
    assert error.place == f"{path}: row 4, column height"
    assert "480" in error.expected


def test_a_size_left_out_is_taken_from_another_row_of_the_image(tmp_path: Path) -> None:
    images = read(csv_file(tmp_path, line("a.jpg,,,1"), line("a.jpg,640,480,2"))).images
    assert (images.path.tolist(), images.width.tolist(), images.height.tolist()) == (["a.jpg"], [640], [480])


def test_a_row_of_joints_without_a_person_id_is_refused(tmp_path: Path) -> None:
    path = csv_file(tmp_path, line("a.jpg,,,", head_x="1", head_y="2"))
    assert refused(path).place == f"{path}: row 2, column person_id"


def test_a_part_of_a_box_is_refused(tmp_path: Path) -> None:
    path = csv_file(tmp_path, line("a.jpg,,,1") + ",1,2,,4", header=HEADER + ",bbox_x,bbox_y,bbox_w,bbox_h")
    assert refused(path).place == f"{path}: row 2, column bbox_w"


def test_an_image_outside_the_dataset_is_refused(tmp_path: Path) -> None:
    path = csv_file(tmp_path, line("../../a.jpg,,,1"))
    assert refused(path).place == f"{path}: row 2, column image"


def test_collecting_keeps_all_errors_and_everything_that_is_right(tmp_path: Path) -> None:
    bad = line("a.jpg,,,1", head_x="1", left_hip_v="7", right_hip_x="3", right_hip_y="4", right_hip_v="1")
    collector = Collector("collect")
    dataset = read(csv_file(tmp_path, bad, "too,short", line("b.jpg,,,2")), collector)
    assert dataset.instance_id.tolist() == [1, 2]
    assert dataset.visibility[0, dataset.skeleton.index("right_hip")] == 2
    assert dataset.visibility[0].sum() == 2
    places = sorted(place.split(": ")[-1] for issue in collector.issues for place in issue.places)
    assert places == ["row 2, column head_y", "row 2, column left_hip_v", "row 3"]


def test_collecting_goes_on_in_json_too(tmp_path: Path) -> None:
    persons = [{"person_id": None}, {"person_id": 2, "joints": {"head": [1, 2, 9], "left_hip": [3, 4, 1]}, "area": "x"}]
    collector = Collector("collect")
    dataset = read(json_file(tmp_path, images=[{}, {"image": "a.jpg", "persons": persons}]), collector)
    assert dataset.images.path.tolist() == ["a.jpg"]
    assert dataset.instance_id.tolist() == [2]
    assert dataset.visibility.sum() == 2
    assert sum(issue.count for issue in collector.issues if issue.severity == "error") == 4


def test_a_person_id_that_stands_twice_in_an_image_is_kept_and_noted(tmp_path: Path) -> None:
    collector = Collector()
    path = csv_file(tmp_path, line("a.jpg,,,1"), line("b.jpg,,,1"), line("a.jpg,,,1"))
    assert len(read(path, collector)) == 3
    assert [(issue.code, issue.count) for issue in collector.issues] == [("KP-SIX2-PERSON-TWICE", 1)]
    assert collector.issues[0].places == [f"{path}: row 4, column person_id"]


def test_a_field_that_is_nearly_a_known_one_is_noted(tmp_path: Path) -> None:
    collector = Collector()
    dataset = read(with_person(tmp_path, trackid=5, camera="left"), collector)
    assert dataset.extras["six2.trackid"].tolist() == [5]
    assert [issue.help for issue in collector.issues] == ["did you mean 'track_id'?"]


def test_a_layout_is_not_written_by(tmp_path: Path) -> None:
    empty = Dataset.build(
        skeleton=catalog.skeleton("six2_knee"),
        images=ImageTable.build(path=[]),
        image_index=[],
        xy=np.zeros((0, 8, 2)),
        visibility=np.zeros((0, 8)),
    )
    options = WriteOptions(final=tmp_path / "x.csv", layout=tmp_path / "layout.toml")
    with pytest.raises(UsageError, match="does not write"):
        Six2Format().write(empty, tmp_path / "x", options, Collector())
