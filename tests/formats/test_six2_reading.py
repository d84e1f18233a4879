"""What 6-2 files of people and spreadsheets look like, and how they are told from others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from kpkit import registry, resources
from kpkit.core import catalog
from kpkit.core.dataset import BBOX_KEYPOINTS, Dataset, ImageTable
from kpkit.core.report import Collector
from kpkit.errors import RecordError
from kpkit.formats.base import ReadOptions, WriteOptions
from kpkit.formats.losses import losses
from kpkit.formats.six2 import Six2Format

HEADERS = {
    name: ",".join(
        ["image,width,height,person_id", *(f"{j}_{f}" for j in catalog.skeleton(name).keypoints for f in "xyv")]
    )
    for name in ("six2_knee", "six2_ankle")
}
HEADER = HEADERS["six2_knee"]
COMMAS = "," * 24


def csv_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return path


def read(path: Path, collector: Collector | None = None, **options: Any) -> Dataset:
    return Six2Format().read(path, ReadOptions(**options), collector or Collector())


def write(dataset: Dataset, path: Path, collector: Collector | None = None) -> Path:
    Six2Format().write(dataset, path, WriteOptions(final=path), collector or Collector())
    return path


def persons(n: int, **columns: Any) -> Dataset:
    known = {"images": ImageTable.build(path=["a.jpg"]), "image_index": [0] * n, **columns}
    empty: dict[str, Any] = {"xy": np.full((n, 8, 2), np.nan), "visibility": np.zeros((n, 8))}
    return Dataset.build(skeleton=catalog.skeleton("six2_knee"), **{**empty, **known})


@pytest.mark.parametrize("name", HEADERS)
def test_the_extended_joints_are_told_by_the_header(name: str, tmp_path: Path) -> None:
    dataset = read(csv_file(tmp_path, f"{HEADERS[name]}\na.jpg,,,1{COMMAS}\n"))
    assert dataset.skeleton == catalog.skeleton(name)


def test_a_spreadsheets_bom_line_ends_and_empty_lines_change_nothing(tmp_path: Path) -> None:
    rows = f"a.jpg,640,480,1,10,20,1{',' * 21}"
    plain = read(csv_file(tmp_path, f"{HEADER}\n{rows}\n"))
    spreadsheet = read(csv_file(tmp_path, f"\ufeff{HEADER}\r\n\r\n{rows}\r\n{',' * 27}\r\n"))
    assert spreadsheet.images.path.tolist() == plain.images.path.tolist() == ["a.jpg"]
    np.testing.assert_array_equal(spreadsheet.xy, plain.xy)


def test_flags_that_a_table_library_made_fractional_are_read(tmp_path: Path) -> None:
    dataset = read(csv_file(tmp_path, f"{HEADER}\na.jpg,640.0,480.0,1,10.0,20.0,1.0{',' * 21}\n"))
    assert (dataset.visibility[0, 0], dataset.images.width[0]) == (2, 640)


def test_columns_may_stand_in_any_order_and_sizes_be_left_out(tmp_path: Path) -> None:
    names = HEADER.replace("width,height,", "").split(",")
    cells = {"image": "a.jpg", "person_id": "7", "head_x": "1", "head_y": "2", "head_v": "1"}
    text = ",".join(reversed(names)) + "\n" + ",".join(cells.get(name, "") for name in reversed(names)) + "\n"
    dataset = read(csv_file(tmp_path, text))
    assert dataset.instance_id.tolist() == [7]
    assert dataset.xy[0, 0].tolist() == [1, 2]
    assert dataset.images.width.tolist() == [-1]


def test_person_ids_keep_leading_zeros_and_whole_numbers_are_numbers(tmp_path: Path) -> None:
    rows = "".join(f"a.jpg,,,{one}{COMMAS}\n" for one in ("007", "7", "-3", "1.0", "x"))
    assert read(csv_file(tmp_path, f"{HEADER}\n{rows}")).instance_id.tolist() == ["007", 7, -3, "1.0", "x"]


def test_an_image_without_persons_is_a_row_without_person_id(tmp_path: Path) -> None:
    dataset = read(csv_file(tmp_path, f"{HEADER}\nempty.jpg,640,480,{COMMAS}\na.jpg,,,1{COMMAS}\n"))
    assert dataset.images.path.tolist() == ["empty.jpg", "a.jpg"]
    assert dataset.image_index.tolist() == [1]
    lines = write(dataset, tmp_path / "out.csv").read_text().splitlines()
    assert [one.split(",")[:4] for one in lines[1:]] == [["empty.jpg", "640", "480", ""], ["a.jpg", "", "", "1"]]


def test_extra_columns_come_back_under_their_names(tmp_path: Path) -> None:
    text = f'{HEADER},camera,image.site\na.jpg,,,1{",,,0" * 8},"left, 2",Brno\n'
    dataset = read(csv_file(tmp_path, text))
    assert dataset.extras["six2.camera"].tolist() == ["left, 2"]
    assert dataset.images.extras["six2.site"].tolist() == ["Brno"]
    assert write(dataset, tmp_path / "out.csv").read_text() == text


def test_unknown_fields_of_json_come_back_where_they_were(tmp_path: Path) -> None:
    image = {
        "image": "a.jpg",
        "width": None,
        "height": None,
        "camera": 3,
        "persons": [{"person_id": 1, "pose": ["x", {"y": 1}]}],
    }
    document = {
        "format": "kpkit-six2",
        "version": 1,
        "skeleton": "six2_knee",
        "info": {"team": "blue"},
        "images": [image],
    }
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(document))
    written = json.loads(write(read(path), tmp_path / "out.json").read_text())
    del written["images"][0]["persons"][0]["joints"]
    assert written == document


def test_a_csv_column_that_json_uses_itself_survives_json(tmp_path: Path) -> None:
    from_csv = read(csv_file(tmp_path, f"{HEADER},area,extras\na.jpg,,,1{COMMAS},large,more\n"))
    again = read(write(from_csv, tmp_path / "out.json"))
    assert again.extras["six2.area"].tolist() == ["large"]
    assert again.extras["six2.extras"].tolist() == ["more"]
    assert np.isnan(again.area).all()


def test_sizes_from_elsewhere_fill_only_what_the_file_leaves_open(tmp_path: Path) -> None:
    path = csv_file(tmp_path, f"{HEADER}\na.jpg,,,1{COMMAS}\nb.jpg,10,20,1{COMMAS}\n")
    images = read(path, sizes={"a.jpg": (640, 480), "b.jpg": (1, 1)}).images
    assert list(zip(images.width.tolist(), images.height.tolist(), strict=True)) == [(640, 480), (10, 20)]


def test_whole_numbers_are_written_as_such_and_others_with_the_digits_they_need(tmp_path: Path) -> None:
    xy = np.full((1, 8, 2), np.nan)
    xy[0, 0] = (367.0, 0.1)
    dataset = persons(1, xy=xy, visibility=[[2] + [0] * 7])
    assert "[367,0.1,1]" in write(dataset, tmp_path / "x.json").read_text()
    assert "a.jpg,,,1,367,0.1,1," in write(dataset, tmp_path / "x.csv").read_text()


def test_csv_has_box_columns_only_where_a_box_is_annotated(tmp_path: Path) -> None:
    boxes = [[1.0, 2, 3, 4], [5, 6, 7, 8]]
    made = persons(2, bbox_xywh=boxes, bbox_source=[BBOX_KEYPOINTS] * 2)
    mixed = persons(2, bbox_xywh=boxes, bbox_source=[1, BBOX_KEYPOINTS])
    assert "bbox" not in write(made, tmp_path / "made.csv").read_text()
    rows = write(mixed, tmp_path / "mixed.csv").read_text().splitlines()
    assert [row.split(",")[-4:] for row in rows] == [
        ["bbox_x", "bbox_y", "bbox_w", "bbox_h"],
        ["1", "2", "3", "4"],
        [""] * 4,
    ]


def test_what_csv_cannot_hold_is_counted_and_json_holds_it(tmp_path: Path) -> None:
    images = ImageTable.build(path=["a.jpg"], id=[99], split=["train"])
    dataset = persons(
        1, images=images, area=[5.0], score=[0.5], track_id=[3], is_crowd=[True], head_box=[[1.0, 2, 3, 4]]
    )
    lost = {loss.what for loss in losses(dataset, Six2Format().keeps_for(tmp_path / "x.csv"), "six2")}
    assert lost == {"area", "score", "track_id", "is_crowd", "head_box", "split", "image_id"}
    assert losses(dataset, Six2Format().keeps_for(tmp_path / "x.json"), "six2") == []


def test_what_csv_changes_is_said(tmp_path: Path) -> None:
    dataset = persons(
        1,
        images=ImageTable.build(path=["a.jpg", "a.jpg"]),
        instance_id=np.array(["7"], object),
        extras={"six2.tags": [["x"]]},
        meta={"six2.info": {}},
    )
    collector = Collector()
    write(dataset, tmp_path / "x.csv", collector)
    assert sorted(issue.code for issue in collector.issues) == [
        "KP-SIX2-CSV-EXTRAS",
        "KP-SIX2-CSV-IDS",
        "KP-SIX2-CSV-IMAGES",
        "KP-SIX2-CSV-META",
    ]


@pytest.mark.parametrize(
    "columns",
    [
        {"images": ImageTable.build(path=["a.jpg", "a.jpg"], width=[1, 2], height=[1, 2])},
        {"instance_id": np.array([""], object)},
    ],
)
def test_csv_refuses_rows_that_it_could_not_read_back(columns: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RecordError) as caught:
        write(persons(1, **columns), tmp_path / "x.csv")
    assert ".six2.json" in caught.value.help


def test_ids_beyond_64_bits_survive(tmp_path: Path) -> None:
    dataset = persons(1, instance_id=np.array([2**80], object))
    assert read(write(dataset, tmp_path / "x.json")).instance_id.tolist() == [2**80]


@pytest.mark.parametrize(
    ("name", "content", "variant"),
    [
        ("a.json", '{"images": [%s], "format": "kpkit-six2"}' % ("1," * 9000 + "1"), "6-2 JSON"),
        ("a.txt", '\ufeff {"format" : "kpkit-six2"', "6-2 JSON"),
        ("a.csv", "\ufeff" + HEADER, "6-2 CSV"),
        ("a.csv", HEADERS["six2_ankle"].replace(",", '","'), "6-2 CSV"),
        ("a.json", '{"annotations": [], "images": []}', None),
        ("a.csv", "image,x,y\n", None),
        ("a.json", "", None),
    ],
)
def test_the_content_decides_whose_file_it_is(name: str, content: str, variant: str | None, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert Six2Format().sniff(path) == variant


def test_a_folder_or_a_missing_file_is_not_six2(tmp_path: Path) -> None:
    assert Six2Format().sniff(tmp_path) is None
    assert Six2Format().sniff(tmp_path / "none.json") is None


def test_labels_are_found_at_their_usual_places(tmp_path: Path) -> None:
    (tmp_path / "six2").mkdir()
    mark = '{"format": "kpkit-six2"}'
    for name in ("six2/a.json", "b.six2.json", "other.json"):
        (tmp_path / name).write_text(mark)
    (tmp_path / "six2/c.csv").write_text(HEADER)
    (tmp_path / "six2/notes.csv").write_text("a,b\n")
    found = [path.relative_to(tmp_path).as_posix() for path in Six2Format().discover(tmp_path)]
    assert found == ["b.six2.json", "six2/a.json", "six2/c.csv"]


def test_the_format_is_registered_under_its_name_and_alias() -> None:
    assert registry.load(registry.FORMATS, "6-2") is Six2Format


def test_the_documentations_json_is_read_as_it_says(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "formats" / "six2.md").read_text("utf-8")
    block = text.split("```json\n")[1].split("```")[0]
    jsonschema.validate(json.loads(block), resources.json_schema("six2"))
    path = tmp_path / "labels.json"
    path.write_text(block)
    dataset = read(path)
    assert dataset.images.path.tolist() == ["cam1/0001.jpg", "cam1/0002.jpg"]
    assert dataset.visibility.tolist() == [[2, 1, 0, 0, 0, 0, 0, 0]]
    assert dataset.truncated[0].tolist() == [False] * 6 + [True, False]
