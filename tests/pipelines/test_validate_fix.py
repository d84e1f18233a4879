"""What --fix mends, and that nothing else moves."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpkit.errors import OutputError, UsageError
from kpkit.formats.coco_patch import Patch, patched
from kpkit.pipelines import fix
from kpkit.pipelines.io import read, write
from tests.coco_files import difference, document, image, load, person, save
from tests.qa.people import people, validated


def mend(path: Path, output: Path, **options: Any) -> fix.Fixes:
    found = validated(path, **options)
    fixes = fix.plan(found)
    fix.write(found, fixes, output, force=False)
    return fixes


def rules(path: Path) -> set[str]:
    return set(validated(path).counts)


def differing(before: Any, after: Any) -> list[tuple[int, str]]:
    """(row, field) of the annotations that differ."""
    rows = zip(before["annotations"], after["annotations"], strict=True)
    return [(i, key) for i, (a, b) in enumerate(rows) for key in {**a, **b} if difference(a.get(key), b.get(key))]


@pytest.fixture
def broken() -> dict[str, Any]:
    """Sound labels with one of everything that is mended."""
    content = people()
    rows = content["annotations"]
    rows[3]["num_keypoints"] = 5
    rows[5]["area"] = 0
    del rows[7]["area"]
    rows[7]["segmentation"] = [[10, 10, 110, 10, 110, 60, 10, 60]]
    del rows[9]["bbox"]
    rows[11]["bbox"][2] = 640 - rows[11]["bbox"][0] + 3e-4
    rows[13]["keypoints"][0] = 640.0003
    rows[13]["bbox"] = [300, rows[13]["bbox"][1], 340, rows[13]["bbox"][3]]
    return content


@pytest.mark.parametrize(
    "layout", [{}, {"indent": 2}, {"separators": (",", ":")}], ids=["plain", "indented", "compact"]
)
def test_what_is_mechanical_is_mended_and_nothing_else_changes(broken, tmp_path, layout):
    path = save(tmp_path / "a.json", broken, **layout)
    mended = {"KP101", "KP203", "KP204", "KP206"}
    before = rules(path)
    assert mended <= before
    fixes = mend(path, tmp_path / "b.json")
    assert {change.rule for change in fixes.changes} == mended
    assert rules(tmp_path / "b.json") == before - mended
    after = load(tmp_path / "b.json")
    assert differing(broken, after) == [
        (3, "num_keypoints"),
        (5, "area"),
        (7, "area"),
        (9, "bbox"),
        (11, "bbox"),
        (13, "keypoints"),
    ]
    assert after["annotations"][3]["num_keypoints"] == 17
    box = broken["annotations"][5]["bbox"]
    assert after["annotations"][5]["area"] == pytest.approx(0.53 * box[2] * box[3], abs=1e-3)
    assert after["annotations"][7]["area"] == 5000
    assert after["annotations"][13]["keypoints"][:3] == [640, *broken["annotations"][13]["keypoints"][1:3]]


def test_every_other_byte_stays(broken, tmp_path):
    path = save(tmp_path / "a.json", broken, indent=1)
    mend(path, tmp_path / "b.json", select=["KP101"])
    before, after = path.read_bytes(), (tmp_path / "b.json").read_bytes()
    assert before.replace(b'"num_keypoints": 5,', b'"num_keypoints": 17,') == after


def test_records_that_repeat_others_are_removed_and_the_first_stays(tmp_path):
    content = people()
    content["annotations"].insert(4, copy.deepcopy(content["annotations"][3]))
    content["annotations"].append({**copy.deepcopy(content["annotations"][20]), "id": 999})
    content["images"].append(content["images"][2])
    path = save(tmp_path / "a.json", content)
    assert {"KP107", "KP108", "KP302"} <= rules(path)
    mend(path, tmp_path / "b.json")
    assert load(tmp_path / "b.json") == people()
    assert rules(tmp_path / "b.json") == set()


def test_a_person_that_is_nearly_the_same_is_left_to_a_person(tmp_path):
    content = people()
    twin = {**copy.deepcopy(content["annotations"][20]), "id": 999}
    twin["keypoints"][0] += 0.5
    content["annotations"].append(twin)
    fixes = mend(save(tmp_path / "a.json", content), tmp_path / "b.json")
    assert fixes.left == {"KP302": 1}
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_two_different_images_of_one_id_are_not_removed(tmp_path):
    content = people()
    content["images"].append({**content["images"][0], "file_name": "other.jpg"})
    fixes = mend(save(tmp_path / "a.json", content), tmp_path / "b.json")
    assert not fixes.patch
    assert load(tmp_path / "b.json") == content


def test_a_box_cannot_be_made_of_nothing(tmp_path):
    row = person(keypoints=[0] * 51, num_keypoints=0)
    del row["bbox"]
    fixes = mend(save(tmp_path / "a.json", document([row])), tmp_path / "b.json")
    assert fixes.left == {"KP204": 1}


def test_a_clipped_box_is_not_found_again(tmp_path):
    row = person(bbox=[0.1, 0.2, 639.9 + 1e-4, 479.8 + 1e-5])
    path = save(tmp_path / "a.json", document([row]))
    mend(path, tmp_path / "b.json")
    assert "KP206" in rules(path)
    assert "KP206" not in rules(tmp_path / "b.json")


def test_a_mark_at_the_begin_of_the_file_stays(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(document([person(num_keypoints=3)])).encode())
    mend(path, tmp_path / "b.json")
    assert (tmp_path / "b.json").read_bytes() == path.read_bytes().replace(
        b'"num_keypoints": 3', b'"num_keypoints": 17'
    )


def test_a_file_with_nan_is_not_mended(tmp_path):
    path = save(tmp_path / "a.json", document([person(area=float("nan"), num_keypoints=3)]))
    with pytest.raises(UsageError) as error:
        fix.plan(validated(path))
    assert error.value.code == "KP-FIX-NAN"
    assert "annotations[0].area" in error.value.place


def test_other_formats_are_not_mended_and_the_way_is_said(tmp_path):
    write(read(save(tmp_path / "a.json", document())), tmp_path / "a.kpk")
    with pytest.raises(UsageError) as error:
        fix.plan(validated(tmp_path / "a.kpk"))
    assert error.value.code == "KP-FIX-FORMAT"
    assert "kpkit convert native coco" in error.value.help


def test_an_output_that_exists_is_not_touched(tmp_path):
    path = save(tmp_path / "a.json", document([person(num_keypoints=3)]))
    (tmp_path / "b.json").write_text("mine")
    with pytest.raises(OutputError):
        mend(path, tmp_path / "b.json")
    assert (tmp_path / "b.json").read_text() == "mine"


@given(
    dropped=st.sets(st.integers(0, 7)),
    images=st.sets(st.integers(0, 3)),
    changed=st.dictionaries(st.integers(0, 7), st.sampled_from(["area", "bbox", "new", "keypoints"])),
    layout=st.sampled_from([{}, {"indent": 3}, {"separators": (",", ":")}]),
)
def test_a_patch_is_what_editing_the_document_would_give(tmp_path_factory, dropped, images, changed, layout):
    content = document([person(i + 1) for i in range(8)], [image(i + 1) for i in range(4)])
    content["annotations"] = [{**row, "image_id": 1} for row in content["annotations"]]
    path = save(tmp_path_factory.mktemp("patch") / "a.json", content, **layout)
    source = read(path).source
    patch = Patch(drop=dropped, drop_images=images)
    for row, name in changed.items():
        if name == "keypoints":
            patch.numbers[row] = {4: b"9.5", 50: b"1"}
            content["annotations"][row]["keypoints"][4], content["annotations"][row]["keypoints"][50] = 9.5, 1
        else:
            patch.fields[row] = {name: b"[1,2]"}
            content["annotations"][row][name] = [1, 2]
    for name, rows in (("annotations", dropped), ("images", images)):
        content[name] = [one for i, one in enumerate(content[name]) if i not in rows]
    assert difference(content, json.loads(b"".join(patched(source, patch)))) == ""


def test_crowdpose_is_mended_and_differs_in_what_was_mended_alone(real_data: Path, tmp_path):
    path = real_data / "data" / "crowdpose" / "crowdpose_val.json"
    fixes = mend(path, tmp_path / "b.json", select=["KP1", "KP2"])
    assert len(fixes.changes) == 7543 + 8421
    assert not rules(tmp_path / "b.json") & {"KP101", "KP203"}
    before, after = load(path), load(tmp_path / "b.json")
    for content in (before, after):
        for row in content["annotations"]:
            del row["num_keypoints"]
            row.pop("area", None)
    assert difference(before, after) == ""
