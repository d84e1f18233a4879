"""A team's own files, read by a layout."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import kpkit
from kpkit import resources
from kpkit.core.dataset import INSTANCE_COLUMNS, Dataset
from kpkit.core.report import Collector
from kpkit.errors import FormatError, KpkitError, RecordError
from kpkit.formats import layout_definition

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "layouts"

WIDE = """
schema = 1
kind = "csv"
skeleton = "six2_knee"
absent_joints = ["right_shoulder", "left_hip", "right_hip", "torso_center", "left_knee", "right_knee"]
[csv]
shape = "wide"
image = "file"
person = "id"
width = "w"
height = "h"
x = "{joint}.x"
y = "{joint}.y"
flag = "{joint}.f"
"""
WIDE_HEADER = "file,id,w,h,head.x,head.y,head.f,left_shoulder.x,left_shoulder.y,left_shoulder.f"

LONG = """
schema = 1
kind = "csv"
skeleton = "six2_knee"
[csv]
shape = "long"
image = "file"
person = "id"
joint = "joint"
x = "x"
y = "y"
flag = "f"
[flags]
values = { 1 = "visible", 0 = "occluded", none = "unlabelled", out = "truncated" }
"""
LONG_HEADER = "file,id,joint,x,y,f"

JSON = """
schema = 1
kind = "json"
skeleton = "six2_knee"
absent_joints = ["right_shoulder", "left_hip", "right_hip", "torso_center", "left_knee", "right_knee"]
[json]
persons = "people[]"
image = "file"
shape = "by_name"
joints = "points"
x = "x"
y = "y"
flag = "f"
"""

Read = Callable[..., Dataset]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads text (CSV) or a document (JSON) with the text of a layout."""

    def reading(content: object, layout: str, collector: Collector | None = None, **options: Any) -> Dataset:
        path = tmp_path / "labels"
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        (tmp_path / "layout.toml").write_text(layout, encoding="utf-8")
        return kpkit.read(path, layout=tmp_path / "layout.toml", collector=collector, **options)

    return reading


def csv(header: str, *rows: str) -> str:
    return "\n".join([header, *rows]) + "\n"


def joint(dataset: Dataset, name: str, person: int = 0) -> tuple[float, float, int, bool]:
    k = dataset.skeleton.index(name)
    x, y = dataset.xy[person, k].tolist()
    return x, y, int(dataset.visibility[person, k]), bool(dataset.truncated[person, k])


def example(name: str) -> Dataset:
    return kpkit.read(EXAMPLES / name, layout=(EXAMPLES / name).with_suffix(".layout.toml"))


def test_a_csv_and_a_json_of_other_shapes_are_read_to_the_same_dataset() -> None:
    one, other = example("joints_long.csv"), example("frames_nested.json")
    assert one.skeleton == other.skeleton
    for name in ("id", "path", "width", "height", "split"):
        assert getattr(one.images, name).tolist() == getattr(other.images, name).tolist(), name
    for name in INSTANCE_COLUMNS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.extras == other.extras == one.images.extras == other.images.extras == {}


@pytest.mark.parametrize("name", ["joints_long.csv", "frames_nested.json"])
def test_the_examples_hold_what_their_teams_meant(name: str) -> None:
    dataset = example(name)
    assert dataset.images.path.tolist() == ["cam1/0001.jpg", "cam1/0002.jpg", "cam2/0001.jpg"]
    assert dataset.images.width.tolist() == [640, 1280, 800]
    assert dataset.instance_id.tolist() == [1, 2, "007"]
    assert dataset.image_index.tolist() == [0, 0, 2]
    assert joint(dataset, "head") == (200, 72, 2, False)
    assert joint(dataset, "left_shoulder") == (232, 132, 2, False)
    assert joint(dataset, "right_hip") == (176, 252, 1, False)
    assert joint(dataset, "right_knee", 1) == (464, 486, 1, True)
    np.testing.assert_equal(joint(dataset, "left_knee", 1), (np.nan, np.nan, 0, True))
    np.testing.assert_equal(joint(dataset, "right_shoulder", 2), (np.nan, np.nan, 0, False))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.name)
def test_the_examples_fit_the_schema_of_layouts(path: Path) -> None:
    jsonschema.validate(tomllib.loads(path.read_text("utf-8")), resources.json_schema("layout"))


@pytest.mark.parametrize("layout", [WIDE, LONG, JSON])
def test_layouts_of_every_shape_fit_the_schema(layout: str) -> None:
    jsonschema.validate(tomllib.loads(layout), resources.json_schema("layout"))


@pytest.mark.parametrize(
    ("key", "struct"),
    [
        ("csv", layout_definition.CsvTable),
        ("json", layout_definition.JsonTable),
        ("coordinates", layout_definition.Coordinates),
        ("flags", layout_definition.Flags),
    ],
)
def test_schema_and_reader_know_the_same_keys(key: str, struct: Any) -> None:
    schema = resources.json_schema("layout")
    assert set(schema["$defs"][key]["properties"]) == set(struct.__struct_fields__)
    assert set(schema["properties"]) == set(layout_definition.Layout.__struct_fields__)


def test_wide_rows_are_persons(read: Read) -> None:
    rows = csv(WIDE_HEADER, "a.jpg,1,640,480,10,20,,30,40,", "a.jpg,2,,,,,,1.5,2,", "b.jpg,,8,9,,,,,,")
    dataset = read(rows, WIDE)
    assert dataset.instance_id.tolist() == [1, 2]
    assert dataset.images.path.tolist() == ["a.jpg", "b.jpg"]
    assert dataset.images.width.tolist() == [640, 8]
    assert joint(dataset, "head") == (10, 20, 2, False)
    assert joint(dataset, "left_shoulder", 1) == (1.5, 2, 2, False)
    np.testing.assert_equal(joint(dataset, "head", 1), (np.nan, np.nan, 0, False))


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ("1,2,1", (1, 2, 2, False)),
        ("1,2,0", (1, 2, 1, False)),
        (",,0", (np.nan, np.nan, 0, False)),
        ("1,2,out", (1, 2, 1, True)),
        (",,out", (np.nan, np.nan, 0, True)),
        (",,none", (np.nan, np.nan, 0, False)),
        ("1,2,", (1, 2, 2, False)),
        (",,", (np.nan, np.nan, 0, False)),
    ],
)
def test_a_flag_means_what_the_layout_says(cells: str, expected: Any, read: Read) -> None:
    np.testing.assert_equal(joint(read(csv(LONG_HEADER, f"a.jpg,1,head,{cells}"), LONG), "head"), expected)


def test_a_joint_without_a_flag_takes_the_default(read: Read) -> None:
    rows = csv(LONG_HEADER, "a.jpg,1,head,1,2,", "a.jpg,1,left_hip,,,")
    dataset = read(rows, LONG + 'default = "occluded"\n')
    assert joint(dataset, "head") == (1, 2, 1, False)
    np.testing.assert_equal(joint(dataset, "left_hip"), (np.nan, np.nan, 0, False))


def test_an_unlabelled_joint_with_coordinates_is_reported(read: Read) -> None:
    collector = Collector()
    dataset = read(csv(LONG_HEADER, "a.jpg,1,head,5,6,none", "a.jpg,1,left_hip,0,0,none"), LONG, collector)
    assert dataset.visibility.sum() == 0
    assert [(issue.code, issue.count) for issue in collector.issues] == [("KP-LAYOUT-UNLABELLED", 1)]


def test_rows_of_a_person_need_not_stand_together(read: Read) -> None:
    rows = csv(LONG_HEADER, "a.jpg,1,head,1,1,1", "a.jpg,2,head,2,2,1", "b.jpg,1,head,3,3,1", "a.jpg,1,left_hip,4,4,1")
    dataset = read(rows, LONG)
    assert dataset.instance_id.tolist() == [1, 2, 1]
    assert (joint(dataset, "head")[0], joint(dataset, "left_hip")[0]) == (1, 4)


def test_without_a_person_column_an_image_has_one_person(read: Read) -> None:
    rows = csv("file,joint,x,y,f", "a.jpg,head,1,1,1", "a.jpg,left_hip,2,2,1", "b.jpg,head,3,3,1", "c.jpg,,,,")
    dataset = read(rows, LONG.replace('person = "id"\n', ""))
    assert dataset.images.path[dataset.image_index].tolist() == ["a.jpg", "b.jpg"]
    assert len(dataset.images) == 3


@pytest.mark.parametrize(
    ("coordinates", "cells", "expected"),
    [
        ("base = 1", "11,21", (10, 20)),
        ('unit = "fraction"', "0.5,0.25", (320, 120)),
        ('unit = "percent"', "12.5,75", (80, 360)),
        ("missing = [-1]", "-1,-1.0", (np.nan, np.nan)),
        ('missing = ["n/a"]', "n/a,n/a", (np.nan, np.nan)),
        ("missing_points = [[0, 0]]", "0,0", (np.nan, np.nan)),
        ("missing_points = [[0, 0]]", "0,5", (0, 5)),
        ("base = 1\nmissing = [0]", "0,0", (np.nan, np.nan)),
    ],
)
def test_numbers_mean_what_the_layout_says(coordinates: str, cells: str, expected: Any, read: Read) -> None:
    rows = csv(WIDE_HEADER, f"a.jpg,1,640,480,{cells},,,,")
    dataset = read(rows, f"{WIDE}\n[coordinates]\n{coordinates}\n")
    np.testing.assert_equal(joint(dataset, "head")[:2], expected)


@pytest.mark.parametrize(
    ("coordinates", "box"),
    [
        ("", [11, 21, 30, 40]),
        ("base = 1", [10, 20, 30, 40]),
        ('base = 1\nbox = "xyxy"', [10, 20, 19, 19]),
    ],
)
def test_a_box_is_read_in_the_same_terms(coordinates: str, box: list[float], read: Read) -> None:
    layout = WIDE + 'box = ["bx", "by", "bw", "bh"]\n[coordinates]\n' + coordinates
    rows = csv(WIDE_HEADER + ",bx,by,bw,bh", "a.jpg,1,,,1,2,,,,,11,21,30,40", "a.jpg,2,,,1,2,,,,,,,,")
    dataset = read(rows, layout)
    np.testing.assert_equal(dataset.bbox_xywh, [box, [np.nan] * 4])
    assert dataset.bbox_source.tolist() == [1, 0]


def test_parts_of_an_image_need_its_size_which_may_come_from_elsewhere(read: Read, tmp_path: Path) -> None:
    layout = LONG + '[coordinates]\nunit = "percent"\n'
    rows = csv(LONG_HEADER, "a.jpg,1,head,50,50,1")
    with pytest.raises(RecordError, match="size of the image") as caught:
        read(rows, layout)
    assert "--image-sizes" in caught.value.help
    sizes = tmp_path / "sizes.csv"
    sizes.write_text("image,width,height\na.jpg,200,100\n")
    assert joint(read(rows, layout, image_sizes=sizes), "head")[:2] == (100, 50)


@pytest.mark.parametrize(
    ("table", "points"),
    [
        (
            'shape = "by_name"\nx = "x"\ny = "y"\nflag = "f"',
            {"left_shoulder": {"x": 3, "y": 4}, "head": {"x": 1, "y": 2, "f": 0}},
        ),
        ('shape = "by_name"\nx = "[0]"\ny = "[1]"\nflag = "[2]"', {"head": [1, 2, 0], "left_shoulder": [3, 4]}),
        (
            'shape = "named"\njoint = "what"\nx = "at.x"\ny = "at.y"\nflag = "f"',
            [{"what": "left_shoulder", "at": {"x": 3, "y": 4}}, {"what": "head", "at": {"x": 1, "y": 2}, "f": 0}],
        ),
        (
            'shape = "in_order"\norder = ["left_shoulder", "head"]\nx = "[0]"\ny = "[1]"\nflag = "[2]"',
            [[3, 4], [1, 2, 0]],
        ),
        (
            'shape = "flat"\norder = ["head", "left_shoulder"]\nfields = ["y", "x", "ignore", "flag"]',
            [2, 1, 9, 0, 4, 3, 9, None],
        ),
    ],
)
def test_joints_stand_in_any_of_four_shapes(table: str, points: Any, read: Read) -> None:
    lines = [line for line in JSON.splitlines() if line.split(" ")[0] not in {"shape", "x", "y", "flag"}]
    layout = "\n".join([*lines, table, "[flags]", 'values = { 0 = "occluded" }'])
    dataset = read({"people": [{"file": "a.jpg", "points": points}]}, layout)
    assert joint(dataset, "head") == (1, 2, 1, False)
    assert joint(dataset, "left_shoulder") == (3, 4, 2, False)


@pytest.mark.parametrize(
    ("paths", "document"),
    [
        (
            'images = "[]"\npersons = "p[]"\nimage = "f"',
            [{"f": "a.jpg", "p": ["P"]}, {"f": "b.jpg", "p": []}, {"f": "c.jpg"}],
        ),
        ('images = "all{}"\npersons = "[]"\nimage = "@key"', {"all": {"a.jpg": ["P"], "b.jpg": [], "c.jpg": None}}),
        (
            'images = "days[].shots[]"\npersons = "p[]"\nimage = "names[1]"',
            {
                "days": [
                    {"shots": [{"names": ["", "a.jpg"], "p": ["P"]}, {"names": ["", "b.jpg"]}]},
                    {"shots": [{"names": ["", "c.jpg"]}]},
                ]
            },
        ),
        (
            'images = "i[]"\npersons = "p[]"\nimage = \'file\\.name\'',
            {"i": [{"file.name": f"{n}.jpg", "p": ["P"] * (n == "a")} for n in "abc"]},
        ),
    ],
)
def test_images_are_found_along_any_path(paths: str, document: Any, read: Read) -> None:
    lines = [line for line in JSON.splitlines() if line.split(" ")[0] not in {"persons", "image"}]
    table = "\n".join(lines).replace("[json]", "[json]\n" + paths)
    person = json.dumps({"points": {"head": {"x": 1, "y": 2}}})
    dataset = read(json.loads(json.dumps(document).replace('"P"', person)), table)
    assert dataset.images.path.tolist() == ["a.jpg", "b.jpg", "c.jpg"]
    assert dataset.image_index.tolist() == [0]
    assert joint(dataset, "head") == (1, 2, 2, False)


def test_persons_may_stand_apart_from_images(read: Read) -> None:
    people = [
        {"file": name, "points": {"head": {"x": n, "y": 0}}} for n, name in enumerate(["a.jpg", "b.jpg", "a.jpg"])
    ]
    dataset = read({"people": people}, JSON)
    assert dataset.images.path.tolist() == ["a.jpg", "b.jpg"]
    assert dataset.image_index.tolist() == [0, 1, 0]
    assert dataset.instance_id.tolist() == [1, 2, 3]


def test_joints_that_the_skeleton_lacks_are_ignored_when_the_layout_says_so(read: Read) -> None:
    rows = csv(LONG_HEADER, "a.jpg,1,nose,1,1,1", "a.jpg,1,head,2,2,1")
    dataset = read(rows, LONG.replace("[csv]", 'ignore_joints = ["nose"]\n[csv]'))
    assert (dataset.visibility > 0).sum() == 1


def test_what_the_layout_does_not_name_is_reported_as_left_out(read: Read) -> None:
    collector = Collector()
    read(csv(LONG_HEADER + ",note", "a.jpg,1,head,1,1,1,x"), LONG, collector)
    people = [{"file": "a.jpg", "points": {}, "age": 3}, {"file": "a.jpg", "points": {}, "age": 4}]
    read({"people": people}, JSON, collector)
    assert [(issue.message, issue.count) for issue in collector.issues] == [
        ("the column 'note' is not in the layout and is left out", 1),
        ("the field 'age' of persons is not in the layout and is left out", 2),
    ]


@pytest.mark.parametrize(
    ("row", "place", "words"),
    [
        ("a.jpg,1,Head,1,2,1", "column joint", "knows no joint 'Head'"),
        ("a.jpg,1,head,1,,1", "column y", "one coordinate"),
        ("a.jpg,1,head,,,1", "column f", "visible and has no coordinates"),
        ("a.jpg,1,head,1,2,7", "column f", "does not know this flag"),
        ('a.jpg,1,head,"1,5",2,1', "column x", "not a number"),
        ("a.jpg,1,head,1,inf,1", "column y", "not a number"),
        ("../a.jpg,1,head,1,2,1", "column file", "outside the dataset"),
        ("a.jpg,,head,1,2,1", "column id", "belongs to no person"),
        ("ok.jpg,1,head,3,4,1", "column joint", "two rows for 'head'"),
    ],
)
def test_a_bad_cell_is_named_by_row_and_column(row: str, place: str, words: str, read: Read, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=words) as caught:
        read(csv(LONG_HEADER, "ok.jpg,1,head,1,2,1", row), LONG)
    assert caught.value.place == f"{tmp_path / 'labels'}: row 3, {place}"


@pytest.mark.parametrize(
    ("person", "place", "words"),
    [
        ({"points": {"head": {"x": 1}}}, "people[1].points.head.y", "one coordinate"),
        ({"points": {"head": {"x": 1, "y": "a"}}}, "people[1].points.head.y", "not a number"),
        ({"points": {"head": {"x": 1, "y": True}}}, "people[1].points.head.y", "not a number"),
        ({"points": {"head": {"x": 1, "y": 2, "f": 3}}}, "people[1].points.head.f", "does not know this flag"),
        ({"points": {"head": 5}}, "people[1].points.head", "no object"),
        ({"points": {"nose": {"x": 1, "y": 2}}}, "people[1].points.nose", "knows no joint"),
        ({"points": []}, "people[1].points", "not joints"),
        ({"file": None}, "people[1].file", "no name"),
        ({"file": "/etc/a.jpg"}, "people[1].file", "outside"),
    ],
)
def test_a_bad_field_is_named_by_its_path(person: Any, place: str, words: str, read: Read, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=words) as caught:
        read({"people": [{"file": "a.jpg"}, {"file": "a.jpg", **person}]}, JSON)
    assert caught.value.place == f"{tmp_path / 'labels'}: {place}"


def test_a_flat_list_of_the_wrong_length_is_refused(read: Read) -> None:
    lines = [line for line in JSON.splitlines() if line.split(" ")[0] not in {"shape", "x", "y", "flag"}]
    layout = "\n".join([*lines, 'shape = "flat"', 'order = ["head", "left_shoulder"]', 'fields = ["x", "y"]'])
    with pytest.raises(RecordError) as caught:
        read({"people": [{"file": "a.jpg", "points": [1, 2, 3]}]}, layout)
    assert (caught.value.expected, caught.value.got) == ("4 (2 joints)", "3")


def test_collecting_keeps_what_is_right(read: Read) -> None:
    collector = Collector("collect")
    rows = csv(LONG_HEADER, "a.jpg,1,head,1,2,9", "a.jpg,1,left_hip,3,4,1", "a.jpg,1,ear,1,1,1", "/x,1,head,1,1,1")
    dataset = read(rows, LONG, collector)
    assert joint(dataset, "left_hip") == (3, 4, 2, False)
    assert len(dataset) == 1
    assert sum(issue.count for issue in collector.issues if issue.severity == "error") == 3


def test_a_column_that_the_layout_names_must_be_there(read: Read) -> None:
    with pytest.raises(FormatError, match="no column 'f'") as caught:
        read(csv("file,id,joint,x,y,F", "a.jpg,1,head,1,2,1"), LONG)
    assert caught.value.place.endswith("row 1")


def test_a_path_that_leads_nowhere_is_refused_and_an_empty_list_is_not(read: Read) -> None:
    assert len(read({"people": []}, JSON)) == 0
    with pytest.raises(FormatError, match="people"):
        read({"persons": []}, JSON)


@pytest.mark.parametrize(
    ("old", "new", "key", "words"),
    [
        ("kind =", "kin =", "kin", "did you mean 'kind'"),
        ('shape = "long"', 'shape = "tall"', "csv.shape", ""),
        ('image = "file"', "", "csv.image", "does not say"),
        ('flag = "f"', 'flags = "f"', "csv.flags", "did you mean 'flag'"),
        ('flag = "f"', "flag = 3", "csv.flag", ""),
        ('"visible"', '"visibel"', "flags.values[...]", "did you mean 'visible'"),
        ('"six2_knee"', '"six2_knees"', "skeleton", "did you mean 'six2_knee'"),
        ("schema = 1", "schema = 2", "schema", ""),
        ('x = "x"', 'x = "{joint}_x"', "csv.x", "long shape"),
        ('joint = "joint"', "", "csv.joint", "long shape"),
        ("[csv]", '[joints]\nhaed = "heat"\n[csv]', "joints", "did you mean 'head'"),
        ("[csv]", '[joints]\na = "head"\nb = "head"\n[csv]', "joints", "two names"),
        ("[csv]", 'absent_joints = ["nose"]\n[csv]', "absent_joints", "no joint 'nose'"),
        ("[csv]", '[coordinates]\nbase = 1\nunit = "percent"\n[csv]', "coordinates.base", "pixels"),
        ('x = "x"', 'x = "x"\ndecimal = ","', "csv.delimiter", "told from the numbers"),
        ('kind = "csv"', 'kind = "json"', "kind", "table"),
    ],
)
def test_a_wrong_layout_is_refused_with_its_key(
    old: str, new: str, key: str, words: str, read: Read, tmp_path: Path
) -> None:
    assert old in LONG
    with pytest.raises(KpkitError) as caught:
        read(csv(LONG_HEADER), LONG.replace(old, new, 1))
    error = caught.value
    assert type(error) is kpkit.DefinitionError
    assert error.place == f"{tmp_path / 'layout.toml'}: {key}"
    assert words in error.message + error.help


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('persons = "people[]"', 'persons = "people"', "json.persons"),
        ('image = "file"', 'image = "files[]"', "json.image"),
        ('image = "file"', 'image = "files[x]"', "json.image"),
        ('shape = "by_name"', 'shape = "named"', "json.joint"),
        ('shape = "by_name"', 'shape = "in_order"', "json.order"),
        ('shape = "by_name"', 'shape = "by_name"\norder = ["head"]', "json.order"),
        ('shape = "by_name"', 'shape = "in_order"\norder = ["head"]', "json.order"),
        ('shape = "by_name"', 'shape = "in_order"\norder = ["head", "head", "left_shoulder"]', "json.order"),
        ('shape = "by_name"', 'shape = "in_order"\norder = ["head", "left_shoulder", "nose"]', "json.order"),
    ],
)
def test_a_wrong_layout_of_json_is_refused_with_its_key(
    old: str, new: str, key: str, read: Read, tmp_path: Path
) -> None:
    assert old in JSON
    with pytest.raises(kpkit.DefinitionError) as caught:
        read({"people": []}, JSON.replace(old, new, 1))
    assert caught.value.place == f"{tmp_path / 'layout.toml'}: {key}"


def test_a_layout_may_bring_its_own_skeleton(read: Read, tmp_path: Path) -> None:
    (tmp_path / "two.toml").write_text('schema = 1\nname = "two"\nkeypoints = ["top", "bottom"]\nsigma_note = "none"\n')
    dataset = read(csv(LONG_HEADER, "a.jpg,1,bottom,1,2,1"), LONG.replace("six2_knee", "two.toml"))
    assert joint(dataset, "bottom") == (1, 2, 2, False)


def test_labels_read_by_a_layout_come_back_equal_from_our_own_files(tmp_path: Path) -> None:
    dataset = example("joints_long.csv")
    for name in ("x.six2.json", "x.csv"):
        kpkit.write(dataset, tmp_path / name)
        again = kpkit.read(tmp_path / name)
        np.testing.assert_array_equal(again.xy, dataset.xy)
        np.testing.assert_array_equal(again.truncated, dataset.truncated)
        assert again.instance_id.tolist() == dataset.instance_id.tolist()


def toml_blocks() -> list[str]:
    text = (ROOT / "docs" / "formats" / "layouts.md").read_text("utf-8")
    return [block.split("```")[0] for block in text.split("```toml\n")[1:]]


@pytest.mark.parametrize("number", range(4))
def test_the_layouts_of_the_documentation_are_layouts(number: int, tmp_path: Path) -> None:
    blocks = toml_blocks()
    assert len(blocks) == 4
    (tmp_path / "layout.toml").write_text(blocks[number], encoding="utf-8")
    layout_definition.load_layout(tmp_path / "layout.toml")
    jsonschema.validate(tomllib.loads(blocks[number]), resources.json_schema("layout"))
