"""What a COCO file can have wrong: each is refused with file, record and field, and nothing is left behind."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kpkit
from kpkit.cli.main import main
from kpkit.core.report import Collector
from kpkit.errors import InputError, KpkitError
from kpkit.formats.base import ReadOptions
from kpkit.pipelines.find import get_format
from kpkit.pipelines.io import read_with
from tests.coco_files import COCO17, category, document, image, load, person, points, save


class Refusal(NamedTuple):
    """The error as `--json` prints it."""

    exit: int
    code: str
    place: str
    expected: str
    got: str
    message: str
    help: str


@pytest.fixture
def refuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Refusal]:
    """Converts bad content from the command line; the folder must look as before."""

    def run(content: Any, *options: str) -> Refusal:
        path = tmp_path / "labels.json"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        capsys.readouterr()
        output = str(tmp_path / "made" / "out.json")
        code = main(["convert", "coco", "coco", str(path), "-o", output, "--json", *options])
        assert [one.name for one in tmp_path.iterdir()] == ["labels.json"], "something was left behind"
        error = json.loads(capsys.readouterr().out)["error"]
        place = error["place"].replace(str(tmp_path) + "/", "")
        return Refusal(code, error["code"], place, error["expected"], error["got"], error["message"], error["help"])

    return run


def text(content: Any) -> bytes:
    return json.dumps(content).encode()


def broken(old: str, new: str) -> bytes:
    """A valid file in which one piece of text is exchanged."""
    whole = json.dumps(document())
    assert whole.count(old) >= 1
    return whole.replace(old, new, 1).encode()


def with_keypoints(values: list[Any]) -> dict[str, Any]:
    return document([person(), person(id=2, keypoints=values)])


SYNTAX = {
    "cut off in a number": (
        text(document())[:325],
        "KP-JSON-TRUNCATED",
        "labels.json: annotations[0].area",
        "complete",
    ),
    "cut off after the images": (
        text(document()).split(b', "annotations"')[0],
        "KP-JSON-TRUNCATED",
        "labels.json: images",
        "complete",
    ),
    "cut off after a point": (text(document())[:324], "KP-JSON-TRUNCATED", "labels.json: annotations[0].area", ""),
    "text after the end": (text(document()) + b"...", "KP-JSON-SYNTAX", "labels.json: top level", ""),
    "two documents": (text(document()) * 2, "KP-JSON-SYNTAX", "labels.json: top level", ""),
    "NaN": (broken("455.91", "NaN"), "KP-JSON-SYNTAX", "labels.json: annotations[0].area", ""),
    "Infinity": (broken("455.91", "Infinity"), "KP-JSON-SYNTAX", "labels.json: annotations[0].area", ""),
    "-Infinity": (broken("455.91", "-Infinity"), "KP-JSON-SYNTAX", "labels.json: annotations[0].area", ""),
    "not UTF-8": (
        broken("made for a test", "caf\\u0000").replace(b"\\u0000", b"\xe9"),
        "KP-JSON-UTF8",
        "labels.json: info.description",
        "UTF-8",
    ),
    "UTF-16": (json.dumps(document()).encode("utf-16"), "KP-JSON-UTF8", "labels.json: top level", "UTF-8"),
    "empty": (b"", "KP-JSON-EMPTY", "labels.json", "JSON"),
    "blank": (b" \n\t", "KP-JSON-EMPTY", "labels.json", "JSON"),
    "only a byte order mark": (b"\xef\xbb\xbf", "KP-JSON-EMPTY", "labels.json", "JSON"),
    "half a surrogate pair": (
        broken("made for a test", "\\ud83d"),
        "KP-JSON-SYNTAX",
        "labels.json: info.description",
        "",
    ),
    "a million brackets deep": (
        broken("[10.5, 20.0, 42.0, 20.0, 42.0, 36.25]", "[" * 10**6 + "]" * 10**6),
        "KP-JSON-DEPTH",
        "labels.json",
        "levels",
    ),
    "a million brackets": (b"[" * 10**6, "KP-JSON-DEPTH", "labels.json", "levels"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "KP-JSON-UTF8", "labels.json: top level", "UTF-8"),
    "a number": (b"17", "KP-COCO-TYPE", "labels.json", "object"),
    "images twice": (
        text(document()).replace(b'{"info"', b'{"images": [{"id": 5}], "info"'),
        "KP-JSON-KEY-TWICE",
        "labels.json: images",
        "each name once",
    ),
    "annotations twice": (
        text(document()).replace(b'{"info"', b'{"annotations": [], "info"'),
        "KP-JSON-KEY-TWICE",
        "labels.json: annotations",
        "each name once",
    ),
}


@pytest.mark.parametrize("name", SYNTAX)
def test_text_that_is_no_coco_file_is_refused_with_its_place(name, refuse):
    content, code, place, expected = SYNTAX[name]
    error = refuse(content)
    assert (error.exit, error.code) == (2, code)
    assert error.place.startswith(place)
    assert expected in error.expected


def test_a_cut_off_file_says_how_long_it_is(refuse):
    error = refuse(text(document())[:325])
    assert error.got == "325 bytes"
    assert "(line 1, byte 325)" in error.place


def test_nan_comes_with_what_to_write_in_its_place(refuse):
    assert "write null" in refuse(SYNTAX["NaN"][0]).help


A = "labels.json: annotations[1]"
RECORDS = {
    "keypoints short": (
        with_keypoints(points()[:-1]),
        ("KP-COCO-LENGTH", f"{A}.keypoints", "51 numbers", "50 numbers"),
    ),
    "keypoints of another skeleton": (
        with_keypoints(points()[:42]),
        ("KP-COCO-LENGTH", f"{A}.keypoints", "51 numbers", "42 numbers"),
    ),
    "v is 3": (
        with_keypoints([1, 2, 3, *points()[3:]]),
        ("KP-COCO-VISIBILITY", f"{A}.keypoints[2]", "0 unlabelled, 1 occluded or 2 visible", "3"),
    ),
    "v is -1": (
        with_keypoints([*points()[:-1], -1]),
        ("KP-COCO-VISIBILITY", f"{A}.keypoints[50]", "0 unlabelled, 1 occluded or 2 visible", "-1"),
    ),
    "v is 1.5": (
        with_keypoints([1, 2, 1.5, *points()[3:]]),
        ("KP-COCO-VISIBILITY", f"{A}.keypoints[2]", "0 unlabelled, 1 occluded or 2 visible", "1.5"),
    ),
    "a coordinate is text": (
        with_keypoints([*points()[:4], "10", *points()[5:]]),
        ("KP-COCO-TYPE", f"{A}.keypoints[4]", "float", "str"),
    ),
    "a coordinate is null": (
        with_keypoints([*points()[:-1], None]),
        ("KP-COCO-TYPE", f"{A}.keypoints[50]", "float", "null"),
    ),
    "keypoints are an object": (
        document([person(), person(id=2, keypoints={"nose": [1, 2, 2]})]),
        ("KP-COCO-TYPE", f"{A}.keypoints", "array | null", "object"),
    ),
    "unknown image": (
        document([person(), person(id=2, image_id=17)]),
        ("KP-COCO-IMAGE", f"{A}.image_id", "one of the 1 ids in 'images'", "17"),
    ),
    "image id as text": (
        document([person(), person(id=2, image_id="1")]),
        ("KP-COCO-IMAGE", f"{A}.image_id", "one of the 1 ids in 'images'", "1"),
    ),
    "unknown category": (
        document([person(), person(id=2, category_id=9)]),
        ("KP-COCO-CATEGORY", f"{A}.category_id", "one of 1", "9"),
    ),
    "one id for two persons": (
        document([person(), person(area=1)]),
        ("KP-COCO-ID", f"{A}.id", "an id other than that of annotations[0]", "1"),
    ),
    "no id": (
        document([person(), {k: v for k, v in person().items() if k != "id"}]),
        ("KP-COCO-MISSING", A, "a field 'id'", "bbox, category_id"),
    ),
    "no category": (
        document([person(), {k: v for k, v in person(id=2).items() if k != "category_id"}]),
        ("KP-COCO-MISSING", A, "a field 'category_id'", "image_id, bbox, id"),
    ),
    "no image id": (
        document([person(), {k: v for k, v in person(id=2).items() if k != "image_id"}]),
        ("KP-COCO-MISSING", A, "a field 'image_id'", "fields segmentation, num_keypoints"),
    ),
    "id is null": (
        document([person(), person(id=None)]),
        ("KP-COCO-TYPE", f"{A}.id", "int | str", "null"),
    ),
    "id is a fraction": (
        document([person(), person(id=1.5)]),
        ("KP-COCO-TYPE", f"{A}.id", "int | str", "float"),
    ),
    "box of three": (
        document([person(), person(id=2, bbox=[1, 2, 3])]),
        ("KP-COCO-BBOX", f"{A}.bbox", "4 numbers (x, y, width, height)", "3 numbers"),
    ),
    "box of text": (
        document([person(), person(id=2, bbox="1,2,3,4")]),
        ("KP-COCO-TYPE", f"{A}.bbox", "array | null", "str"),
    ),
    "iscrowd is text": (
        document([person(), person(id=2, iscrowd="0")]),
        ("KP-COCO-TYPE", f"{A}.iscrowd", "int", "str"),
    ),
    "area is text": (
        document([person(), person(id=2, area="large")]),
        ("KP-COCO-TYPE", f"{A}.area", "float | null", "str"),
    ),
    "area is beyond all numbers": (
        broken("455.91", "1e400"),
        ("KP-COCO-TYPE", "labels.json: annotations[0].area", "", '{"segmentation'),
    ),
    "a row is a list": (
        document([person(), [1, 2]]),
        ("KP-COCO-TYPE", A, "object", "array"),
    ),
    "a row is null": (document([person(), None]), ("KP-COCO-TYPE", A, "object", "null")),
    "annotations is null": (
        {**document(), "annotations": None},
        ("KP-COCO-TOP", "labels.json", "an object with 'images', 'annotations'", "info, licenses, images"),
    ),
    "annotations is an object": (
        {**document(), "annotations": {}},
        ("KP-COCO-TYPE", "labels.json: annotations", "array", "object"),
    ),
    "no images": (
        {key: value for key, value in document().items() if key != "images"},
        ("KP-COCO-TOP", "labels.json", "an object with 'images', 'annotations'", "info, licenses, annotations"),
    ),
    "one id for two images": (
        document(images=[image(), image(width=641)]),
        ("KP-COCO-IMAGE-ID", "labels.json: images[1]", "the same fields as images[0]", '"width": 641'),
    ),
    "image without id": (
        document(images=[image(), {"file_name": "x.jpg"}]),
        ("KP-COCO-MISSING", "labels.json: images[1]", "a field 'id'", "fields file_name"),
    ),
    "image width is text": (
        document(images=[image(), image(id=2, width="640")]),
        ("KP-COCO-TYPE", "labels.json: images[1].width", "int | null", "str"),
    ),
    "file name leads out": (
        document(images=[image(), image(id=2, file_name="../../x.jpg")]),
        ("KP-PATH-OUTSIDE", "labels.json: images[1].file_name", "a path relative to the image folder", "../../x.jpg"),
    ),
    "file name leads out in the middle": (
        document(images=[image(file_name="a/../../x.jpg")]),
        ("KP-PATH-OUTSIDE", "labels.json: images[0].file_name", "a path relative", "a/../../x.jpg"),
    ),
    "file name leads out with backslashes": (
        document(images=[image(file_name="..\\x.jpg")]),
        ("KP-PATH-OUTSIDE", "labels.json: images[0].file_name", "a path relative", "..\\\\x.jpg"),
    ),
    "file name is absolute": (
        document(images=[image(file_name="/etc/passwd")]),
        ("KP-PATH-OUTSIDE", "labels.json: images[0].file_name", "a path relative", "/etc/passwd"),
    ),
    "file name has a drive": (
        document(images=[image(file_name="C:\\x.jpg")]),
        ("KP-PATH-OUTSIDE", "labels.json: images[0].file_name", "a path relative", "C:"),
    ),
    "file name has a zero byte": (
        document(images=[image(file_name="a\0.jpg")]),
        ("KP-PATH-OUTSIDE", "labels.json: images[0].file_name", "a path relative", "\\x00"),
    ),
    "categories are an object": (
        {**document(), "categories": {"1": "person"}},
        ("KP-COCO-CATEGORY", "labels.json: categories", "a list of objects", ""),
    ),
    "category without id": (
        document(categories=[{"name": "person", "keypoints": list(COCO17.keypoints)}]),
        ("KP-COCO-CATEGORY", "labels.json: categories[0]", "an integer id", ""),
    ),
    "joint name twice": (
        document(categories=[category(keypoints=["nose", *COCO17.keypoints[:16]])]),
        ("KP-COCO-CATEGORY", "labels.json: categories[0].keypoints", "unique names", "nose"),
    ),
    "a joint without a name": (
        document([], categories=[category(keypoints=["nose", ""], skeleton=[])]),
        ("KP-DEFINITION", "labels.json: categories[0]: skeleton 'person': keypoints[1]", "", "''"),
    ),
    "joint names are numbers": (
        document(categories=[category(keypoints=list(range(17)))]),
        ("KP-COCO-CATEGORY", "labels.json: categories[0].keypoints", "a list of strings", ""),
    ),
    "an edge of three": (
        document(categories=[category(skeleton=[[1, 2], [1, 2, 3]])]),
        ("KP-COCO-SKELETON", "labels.json: categories[0].skeleton[1]", "[a, b]", "[1, 2, 3]"),
    ),
    "two kinds of persons": (
        document(categories=[category(), category(id=2, keypoints=["head", "tail"], skeleton=[])]),
        ("KP-COCO-TWO-SKELETONS", "labels.json: categories[1]", "nose, left_eye", "head, tail"),
    ),
    "no joint names": (
        document(categories=[{"id": 1, "name": "person"}]),
        ("KP-COCO-NO-KEYPOINTS", "labels.json: categories", "a category with 'keypoints'", ""),
    ),
    "no categories": (
        {key: value for key, value in document().items() if key != "categories"},
        ("KP-COCO-NO-KEYPOINTS", "labels.json: categories", "a category with 'keypoints'", ""),
    ),
    "truncated names no joint": (
        document([person(), person(id=2, kpkit={"truncated": ["tail"]})]),
        ("KP-COCO-KPKIT", f"{A}.kpkit.truncated", "one of nose", "tail"),
    ),
    "truncated and visible": (
        document([person(), person(id=2, kpkit={"truncated": ["nose"]})]),
        ("KP-COCO-KPKIT", f"{A}.kpkit.truncated", "v = 0 or 1", "nose"),
    ),
    "head box of three": (
        document([person(), person(id=2, kpkit={"head_box": [1, 2, 3]})]),
        ("KP-COCO-KPKIT", f"{A}.kpkit.head_box", "4 numbers", "3 numbers"),
    ),
    "kpkit is text": (
        document([person(), person(id=2, kpkit="yes")]),
        ("KP-COCO-TYPE", f"{A}.kpkit", "object | null", "str"),
    ),
    "result of 50 numbers": (
        [{"image_id": 1, "category_id": 1, "keypoints": points()[:50], "score": 0.5}],
        ("KP-COCO-RESULTS", "labels.json: [0].keypoints", "51 numbers", "50 numbers"),
    ),
    "results of two lengths": (
        [{"image_id": 1, "category_id": 1, "keypoints": points()[:n], "score": 0.5} for n in (51, 48)],
        ("KP-COCO-LENGTH", "labels.json: [1].keypoints", "51 numbers", "48 numbers"),
    ),
    "results without keypoints": (
        [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}],
        ("KP-COCO-RESULTS", "labels.json: [0]", "a field 'keypoints'", "fields image_id, category_id, bbox, score"),
    ),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_bad_record_is_refused_with_file_record_and_field(name, refuse):
    content, (code, place, expected, got) = RECORDS[name]
    error = refuse(content)
    assert (error.exit, error.code) == (2, code)
    assert error.place == place
    assert expected in error.expected
    assert got in error.got


WHOLE_FILE = {"KP-COCO-TOP", "KP-COCO-RESULTS", "KP-COCO-NO-KEYPOINTS"}
IN_ONE_ROW = [name for name, (_, (code, place, *_)) in RECORDS.items() if "[" in place and code not in WHOLE_FILE]
IN_ONE_ROW = [name for name in IN_ONE_ROW if "categories[" not in RECORDS[name][1][1]]


@pytest.mark.parametrize("name", IN_ONE_ROW)
def test_collecting_goes_on_after_a_bad_record(name, tmp_path):
    """`validate` wants every fault; what is wrong about one record never ends in another exception."""
    content, (code, place, _, _) = RECORDS[name]
    path = tmp_path / "labels.json"
    path.write_bytes(content if isinstance(content, bytes) else text(content))
    collector = Collector("collect")
    kpkit.read(path, "coco", collector=collector)
    errors = [issue for issue in collector.issues if issue.severity == "error"]
    assert [issue.code for issue in errors] == [code]
    assert errors[0].places == [f"{tmp_path}/{place}"]


def test_help_for_labels_without_joint_names_is_the_skeleton_option(refuse):
    assert "--skeleton NAME" in refuse(RECORDS["no joint names"][0]).help


def test_a_skeleton_on_the_command_line_reads_labels_without_joint_names(tmp_path):
    path = save(tmp_path / "labels.json", document(categories=[{"id": 1, "name": "person"}]))
    report = kpkit.convert("coco", "coco", path, output=tmp_path / "out.json", skeleton="coco17")
    assert report.counts["labelled"] == 17
    assert load(tmp_path / "out.json")["annotations"] == load(path)["annotations"]


def test_every_missing_id_is_counted_when_errors_are_collected(tmp_path):
    nameless = {key: value for key, value in person().items() if key != "id"}
    path = save(tmp_path / "labels.json", document([person(), nameless, {**nameless, "area": 3}]))
    collector = Collector("collect")
    kpkit.read(path, collector=collector)
    missing = [issue for issue in collector.issues if issue.code == "KP-COCO-MISSING"]
    assert sum(issue.count for issue in missing) == 2
    assert not [issue for issue in collector.issues if issue.code == "KP-COCO-ID"]


def test_a_byte_order_mark_is_no_fault(tmp_path):
    path = tmp_path / "labels.json"
    path.write_bytes(b"\xef\xbb\xbf" + text(document()))
    kpkit.convert("coco", "coco", path, output=tmp_path / "out.json")
    assert load(tmp_path / "out.json") == document()


def test_ids_beyond_64_bits_survive(tmp_path):
    content = document([person(id=2**70, image_id=2**80)], [image(id=2**80)])
    path = save(tmp_path / "labels.json", content)
    kpkit.convert("coco", "coco", path, output=tmp_path / "out.json")
    assert load(tmp_path / "out.json") == content
    dataset = kpkit.read(path)
    assert dataset.instance_id.tolist() == [2**70]
    kpkit.write(dataset.replace(source=None), tmp_path / "anew.json", "coco")
    assert load(tmp_path / "anew.json")["annotations"][0]["id"] == 2**70


def test_ids_that_are_text_survive(tmp_path):
    content = document([person(id="p-1", image_id="i-1"), person(id=2, image_id="i-1")], [image(id="i-1")])
    path = save(tmp_path / "labels.json", content)
    kpkit.convert("coco", "coco", path, output=tmp_path / "out.json")
    assert load(tmp_path / "out.json") == content


def test_of_a_key_given_twice_in_a_row_the_last_counts_as_in_python(tmp_path):
    path = tmp_path / "labels.json"
    path.write_bytes(broken('"area": 455.91', '"area": 1, "area": 455.91'))
    assert kpkit.read(path).area.tolist() == [load(path)["annotations"][0]["area"]] == [455.91]


def test_identical_rows_of_one_annotation_are_merged_and_reported(tmp_path):
    path = save(tmp_path / "labels.json", document([person(), person(), person(id=2)]))
    report = kpkit.convert("coco", "coco", path, output=tmp_path / "out.json")
    assert [(issue.code, issue.count) for issue in report.issues] == [("KP-COCO-ID-TWICE", 1)]
    assert load(tmp_path / "out.json")["annotations"] == [person(), person(id=2)]


def test_identical_rows_of_one_image_are_merged_and_reported(tmp_path):
    path = save(tmp_path / "labels.json", document(images=[image(), image(id=2), image(), image()]))
    report = kpkit.convert("coco", "coco", path, output=tmp_path / "out.json")
    assert [(issue.code, issue.count) for issue in report.issues] == [("KP-COCO-IMAGE-TWICE", 2)]
    assert "2 images in 4 rows, up to 3 times" in report.issues[0].message
    assert load(tmp_path / "out.json")["images"] == [image(), image(id=2)]


def test_a_category_without_joints_beside_the_persons_is_no_fault(tmp_path):
    dog = {"id": 18, "name": "dog"}
    rows = [person(), {"id": 2, "image_id": 1, "category_id": 18, "bbox": [1, 2, 3, 4], "iscrowd": 0}]
    path = save(tmp_path / "labels.json", document(rows, categories=[dog, category()]))
    dataset = kpkit.read(path)
    assert dataset.visibility.sum(axis=1).tolist() == [34, 0]
    kpkit.convert("coco", "coco", path, output=tmp_path / "out.json")
    assert load(tmp_path / "out.json") == load(path)


def test_a_folder_where_a_file_was_expected_is_refused(tmp_path):
    with pytest.raises(InputError) as caught:
        read_with(get_format("coco"), tmp_path, ReadOptions(), Collector())
    assert caught.value.place == str(tmp_path)
    assert "folder" in caught.value.message


def test_a_folder_without_labels_says_what_was_looked_for(tmp_path, capsys):
    assert main(["convert", "coco", "coco", str(tmp_path), "-o", str(tmp_path / "out.json"), "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "KP-INPUT-NONE"
    assert "annotations/person_keypoints_*.json" in error["expected"]
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_is_refused(tmp_path, capsys):
    assert main(["convert", "coco", "coco", "no.json", "-o", str(tmp_path / "out.json"), "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["code"], error["place"]) == ("KP-INPUT-READ", "no.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [*SYNTAX, *RECORDS])
def test_with_low_memory_the_same_files_are_refused(name, refuse):
    content = (SYNTAX.get(name) or RECORDS[name])[0]
    error = refuse(content, "--low-memory")
    assert error.exit == 2
    assert error.place.startswith("labels.json")
    # The scanner looks for objects only, and finds these faults as faults of the text.
    if name in RECORDS and name not in {"a row is null", "annotations is null"}:
        assert (error.code, error.place) == RECORDS[name][1][:2]


VALUE = re.compile(rb'-?\d+(?:\.\d+)?|"[^"]*"')
PIECES = [
    *(b"null", b"true", b"1", b"-1", b'"x"', b"[]", b"{}", b"1.5", b"NaN", b"1e400", b"9" * 30, b"[[1]]", b'{"a":1}'),
    *(b'""', b"-0", b"0.0", b"[null]", b"\xff", b'"\\ud800"', b"3", b"1e5", b"", b"[", b"}", b",", b'"'),
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A file in which one to three values are exchanged for something else, or a piece is cut out."""
    rows = [person(), person(2, kpkit={"head_box": [1, 2, 3, 4], "extras": {"a": 1}}), person(3, score=0.5)]
    whole = text(document(rows, [image(1, kpkit={"split": "val"})]))
    for _ in range(draw(st.integers(1, 3))):
        if draw(st.booleans()):
            found = draw(st.sampled_from(list(VALUE.finditer(whole))))
            whole = whole[: found.start()] + draw(st.sampled_from(PIECES)) + whole[found.end() :]
        else:
            start = draw(st.integers(0, len(whole) - 1))
            whole = whole[:start] + whole[start + draw(st.integers(1, 40)) :]
    return whole


@given(damaged())
def test_a_damaged_file_is_read_or_refused_with_its_place_and_never_anything_else(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("damaged")
    path = folder / "labels.json"
    path.write_bytes(content)
    written, places = [], [str(path)]
    for low_memory in (False, True):
        output = folder / f"{low_memory}.json"
        try:
            kpkit.convert("coco", "coco", path, output=output, low_memory=low_memory)
            written.append(output.read_bytes())
        except KpkitError as error:
            places.append(error.place)
            written.append(b"")
    assert written[0] == written[1]
    assert all(place.startswith(str(path)) for place in places)
    with contextlib.suppress(KpkitError):
        kpkit.read(path, "coco", collector=Collector("collect"))


@pytest.mark.parametrize("low_memory", [False, True])
@pytest.mark.parametrize("after", [1, 1023, 1024, 1025, 1500])
@pytest.mark.parametrize("junk", [b"0", b'"x"', b"null"])
def test_something_else_between_two_rows_is_refused_wherever_it_stands(tmp_path, low_memory, after, junk):
    """Rows are read in blocks: between two blocks one must look, too."""
    rows = [text(person(n)) for n in range(1600)]
    rows.insert(after, junk)
    path = tmp_path / "labels.json"
    path.write_bytes(text(document([])).replace(b'"annotations": []', b'"annotations": [' + b", ".join(rows) + b"]"))
    with pytest.raises(InputError) as caught:
        kpkit.convert("coco", "coco", path, output=tmp_path / "out.json", low_memory=low_memory)
    assert caught.value.place.startswith(str(path))
    assert not (tmp_path / "out.json").exists()


def test_a_file_that_shrinks_between_reading_and_writing_is_refused(tmp_path):
    path = save(tmp_path / "labels.json", document([person(n) for n in range(100)]))
    dataset = kpkit.read(path, low_memory=True)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match="became shorter"):
        kpkit.write(dataset, tmp_path / "out.json", "coco")
    assert not (tmp_path / "out.json").exists()
