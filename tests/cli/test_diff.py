"""`kpkit diff`: exit codes, the summary, the list and the JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

LABELS = "data/coco/cocomini_person_keypoints_val2017.json"


@pytest.fixture
def pair(real_data, tmp_path: Path) -> tuple[Path, Path]:
    """A real COCO file and a copy in which one joint moved by 5 px and one person is gone."""
    before = real_data / LABELS
    labels = json.loads(before.read_text())
    labels["annotations"][0]["keypoints"][0] += 3
    labels["annotations"][0]["keypoints"][1] += 4
    del labels["annotations"][7]
    after = tmp_path / "after.json"
    after.write_text(json.dumps(labels))
    return before, after


def test_equal_labels_are_said_to_be_equal_and_the_exit_code_is_0(kpkit, pair):
    ran = kpkit("diff", pair[0], pair[0])
    assert ran.code == 0
    assert ran.out.endswith("\nEqual.\n")
    assert "118 persons matched by id" in ran.out


def test_a_moved_joint_and_a_person_who_is_gone_are_named_and_the_exit_code_is_1(kpkit, pair):
    labels = json.loads(pair[0].read_text())["annotations"]
    ran = kpkit("diff", *pair)
    assert ran.code == 1
    assert "2 changes" in ran.out
    assert f"person {labels[7]['id']}" in ran.out
    x, y = labels[0]["keypoints"][:2]
    assert f"5.00 px: ({x}, {y}) -> ({x + 3}, {y + 4})" in ran.out


def test_the_tolerance_takes_in_what_moved_less(kpkit, pair):
    assert kpkit("diff", *pair, "--tolerance", "5", "--json").json["counts"] == {"person gone": 1}
    assert kpkit("diff", *pair, "--tolerance", "4.9", "--json").json["counts"] == {"person gone": 1, "moved": 1}


def test_json_lists_every_change_with_its_values(kpkit, pair):
    labels = json.loads(pair[0].read_text())
    found = kpkit("diff", *pair, "--json").json
    assert found["schema_version"] == 1
    assert found["equal"] is False
    assert found["matched"] == {"images": 79, "persons": 117, "by": "id", "images_of_other_path": 0}
    names = {image["id"]: image["file_name"] for image in labels["images"]}
    first, gone = labels["annotations"][0], labels["annotations"][7]
    x, y = first["keypoints"][:2]
    assert found["changes"] == [
        {"kind": "person gone", "image": names[gone["image_id"]], "person": gone["id"]},
        {
            "kind": "moved",
            "image": names[first["image_id"]],
            "person": first["id"],
            "joint": "nose",
            "before": [x, y],
            "after": [x + 3, y + 4],
            "distance": 5.0,
        },
    ]


def test_labels_of_another_format_are_matched_by_place_where_it_has_no_ids(kpkit, pair):
    kpkit("convert", "coco", "native", pair[0], "-o", "same.kpk")
    kpkit("convert", "coco", "yolo-pose", pair[0], "-o", "yolo")
    assert kpkit("diff", pair[0], "same.kpk").code == 0
    assert "118 persons matched by id" in kpkit("diff", pair[0], "same.kpk").out
    ran = kpkit("diff", pair[0], "yolo", "--tolerance", "0.01", "--json")
    assert ran.json["matched"]["by"] == "position"
    # YOLO-pose holds no areas and no crowds.
    assert ran.json["counts"] == {"area": 118, "crowd": 1}


def test_the_list_shows_the_first_of_each_kind_unless_all_are_asked_for(kpkit, pair):
    kpkit("convert", "coco", "yolo-pose", pair[0], "-o", "yolo")
    some = kpkit("diff", pair[0], "yolo").out
    every = kpkit("diff", pair[0], "yolo", "--all").out
    assert "--all lists them" in some
    assert "--all lists them" not in every
    assert len(every.splitlines()) > 850 > len(some.splitlines())
    assert "  moved" in some[some.index("person 200887") :]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nothing.json", "nothing.json"), "there is no such file"),
        ((".", "."), "no labels in this folder"),
        (("A", "A", "--tolerance", "-1"), "the tolerance must be"),
        (("A", "A", "--match", "name"), "'name' is not one of"),
        (("A", "A", "--from-b", "cocoo"), "there is no format 'cocoo'"),
        (("A",), "missing argument"),
    ],
)
def test_what_cannot_be_compared_is_an_error_that_says_why(kpkit, pair, arguments, said):
    ran = kpkit("diff", *(pair[0] if one == "A" else one for one in arguments))
    assert ran.code == 2
    assert said in ran.err
