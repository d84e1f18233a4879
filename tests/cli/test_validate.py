"""`kpkit validate` and `kpkit rule` from the outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest

from kpkit.qa.rule_table import rules
from kpkit.resources import schemas_dir
from tests.coco_files import document, person, save
from tests.qa.people import DEFECTS, people, seeded


@pytest.fixture
def wrong(empty_folder: Path) -> Path:
    """Seven wrong counts and one flag that is none."""
    content = people()
    for i in range(7):
        content["annotations"][i]["num_keypoints"] = 3
    content["annotations"][9]["keypoints"][2] = 7
    return save(empty_folder / "labels" / "people.json", content)


def test_sound_labels_are_exit_code_0(kpkit, empty_folder):
    save(empty_folder / "people.json", people())
    ran = kpkit("validate", "people.json")
    assert ran.code == 0
    assert "Nothing found" in ran.out
    assert "60 persons in 30 images" in ran.out


def test_findings_are_grouped_by_rule_capped_and_summed_up(kpkit, wrong):
    ran = kpkit("validate", wrong)
    assert ran.code == 1
    lines = ran.out.splitlines()
    assert lines[2] == "error[KP103] wrong-visibility: a visibility flag is none of 0, 1 and 2"
    assert lines[3].startswith("  --> people.json: annotations[9].keypoints[2] (nose), id 109 in ")
    assert sum(line.startswith("  --> people.json: annotations[") for line in lines) == 1 + 5
    assert "      and 2 more" in lines
    assert "  help: count them anew with --fix" in lines
    assert "  KP101   warning        7   wrong-num-keypoints   --fix" in lines
    assert "Found 1 error, 7 warnings" in lines


def test_all_shows_all(kpkit, wrong):
    ran = kpkit("validate", wrong, "--all")
    assert (
        ran.out.count("num_keypoints is 3, and 17 joints are labelled") == 7 or ran.out.count(".num_keypoints, id") == 7
    )
    assert "more" not in ran.out.split("rule    severity")[0]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ([], 1),
        (["--fail-on", "error"], 1),
        (["--ignore", "KP103", "--fail-on", "error"], 0),
        (["--ignore", "KP103"], 1),
        (["--select", "KP3"], 0),
        (["--select", "KP1", "--ignore", "KP101,KP103"], 0),
    ],
)
def test_the_exit_code_follows_what_was_asked_for(kpkit, wrong, options, code):
    assert kpkit("validate", wrong, *options).code == code


@pytest.mark.parametrize("text", ['ignore = "KP101,KP103"', 'ignore = ["KP101", "KP103"]'])
def test_rules_are_chosen_in_the_settings_of_a_project(kpkit, wrong, empty_folder, text):
    (empty_folder / "kpkit.toml").write_text(f"[validate]\n{text}\n")
    assert kpkit("validate", wrong).code == 0


def test_rules_are_chosen_in_the_environment(kpkit, wrong, monkeypatch):
    monkeypatch.setenv("KPKIT_SELECT", "KP2,KP3")
    assert kpkit("validate", wrong).code == 0
    monkeypatch.setenv("KPKIT_SELECT", "KP2,KP1")
    assert kpkit("validate", wrong).code == 1


def test_a_file_that_cannot_be_read_is_exit_code_2(kpkit, empty_folder):
    (empty_folder / "a.json").write_text('{"images": [], "annotations": [')
    assert kpkit("validate", "a.json").code == 2
    assert kpkit("validate", "nothing.json").code == 2
    ran = kpkit("validate", "a.json", "--select", "KP77")
    assert ran.code == 2
    assert "error[KP-UNKNOWN-RULE]: no rule begins with 'KP77'" in ran.err


def test_json_has_every_finding_with_record_and_joint(kpkit, wrong):
    ran = kpkit("validate", wrong, "--json")
    assert ran.code == 1
    assert ran.json["schema_version"] == 1
    assert ran.json["severities"] == {"error": 1, "warning": 7, "note": 0}
    assert len(ran.json["findings"]) == 8
    first = ran.json["findings"][0]
    assert (first["rule"], first["instance_id"], first["image_id"], first["joint"]) == ("KP103", 109, 5, "nose")


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((schemas_dir() / "json" / "findings.schema.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("options", [[], ["--fix", "-o", "mended.json"], ["--select", "KP3"]])
def test_json_is_as_its_schema_says(kpkit, wrong, schema, options):
    jsonschema.Draft202012Validator(schema).validate(kpkit("validate", wrong, "--json", *options).json)


@pytest.mark.parametrize("defect", DEFECTS, ids=[defect.name for defect in DEFECTS])
def test_every_kind_of_finding_is_as_the_schema_says(kpkit, empty_folder, schema, defect):
    seeded(people(), 3, defect, empty_folder / "a.json")
    document = kpkit("validate", "a.json", "--json").json
    assert document["findings"]
    jsonschema.Draft202012Validator(schema).validate(document)


def test_json_lines_are_one_finding_a_line(kpkit, wrong):
    ran = kpkit("validate", wrong, "--format", "jsonl")
    found = [json.loads(line) for line in ran.out.splitlines()]
    assert [one["rule"] for one in found] == ["KP103"] + ["KP101"] * 7


def test_sarif_has_what_code_scanning_needs(kpkit, wrong):
    ran = kpkit("validate", wrong, "--format", "sarif")
    log: dict[str, Any] = ran.json
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "kpkit"
    assert [rule["id"] for rule in driver["rules"]] == [rule.id for rule in rules()]
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"]
        assert rule["fullDescription"]["text"]
        assert rule["help"]["text"]
        assert rule["defaultConfiguration"]["level"] in {"error", "warning", "note"}
    assert len(run["results"]) == 8
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in {"error", "warning", "note"}
        assert result["message"]["text"]
        (location,) = result["locations"]
        assert location["physicalLocation"]["artifactLocation"]["uri"] == "labels/people.json"
        assert location["physicalLocation"]["region"]["startLine"] >= 1
    prints = [result["partialFingerprints"]["kpkit/v1"] for result in run["results"]]
    assert len(set(prints)) == 8


def test_fingerprints_stay_where_a_record_moves(kpkit, wrong):
    def prints() -> list[str]:
        results = kpkit("validate", wrong, "--format", "sarif").json["runs"][0]["results"]
        return sorted(result["partialFingerprints"]["kpkit/v1"] for result in results)

    before = prints()
    content = json.loads(wrong.read_text())
    content["annotations"].reverse()
    save(wrong, content)
    assert prints() == before


def test_places_in_a_file_of_many_lines_are_its_lines(kpkit, wrong):
    content = json.loads(wrong.read_text())
    text = save(wrong, content, indent=1).read_text().splitlines()
    results = kpkit("validate", wrong, "--format", "sarif").json["runs"][0]["results"]
    region = results[0]["locations"][0]["physicalLocation"]["region"]
    assert text[region["startLine"] - 1][region["startColumn"] - 1] == "{"
    assert '"id": 109' in text[region["startLine"]]


def test_github_gets_one_annotation_a_finding(kpkit, wrong):
    ran = kpkit("validate", wrong, "--format", "github")
    lines = ran.out.splitlines()
    assert len(lines) == 8
    assert lines[0].startswith("::error file=labels/people.json,line=1,col=")
    assert ",title=KP103 wrong-visibility::visibility of 'nose' is not 0, 1 or 2" in lines[0]
    assert all(line.startswith("::warning file=labels/people.json,line=1,col=") for line in lines[1:])


def test_signs_that_steer_github_are_escaped(kpkit, empty_folder):
    save(empty_folder / "a,b.json", document([person(num_keypoints=3)]))
    ran = kpkit("validate", "a,b.json", "--format", "github", "--select", "KP101")
    assert ran.out.startswith("::warning file=a%2Cb.json,line=1")


@pytest.mark.parametrize("format", ["jsonl", "sarif", "github"])
def test_other_commands_do_not_take_the_formats_of_this_one(kpkit, wrong, format):
    assert kpkit("info", wrong, "--format", format).code == 2
    assert kpkit("info", wrong, "--format", "json").code == 0


def test_mending_writes_beside_and_shows_what_is_left(kpkit, wrong):
    before = wrong.read_bytes()
    ran = kpkit("validate", wrong, "--fix", "-o", "mended.json")
    assert ran.code == 1
    assert "mended[KP101] 7 findings" in ran.out
    assert "Wrote mended.json" in ran.out
    assert "Found 1 error\n" in ran.out
    assert wrong.read_bytes() == before
    assert kpkit("validate", "mended.json", "--ignore", "KP103").code == 0


def test_mending_in_place_needs_force(kpkit, wrong):
    before = wrong.read_bytes()
    ran = kpkit("validate", wrong, "--fix")
    assert (ran.code, wrong.read_bytes()) == (2, before)
    assert "--force" in ran.err
    assert kpkit("validate", wrong, "--fix", "--dry-run").code == 1
    assert wrong.read_bytes() == before
    assert kpkit("validate", wrong, "--fix", "--force").code == 1
    assert kpkit("validate", wrong, "--select", "KP101").code == 0


def test_a_dry_run_says_what_would_change(kpkit, wrong):
    ran = kpkit("validate", wrong, "--fix", "--dry-run")
    assert "would mend[KP101] 7 findings" in ran.out
    assert "Wrote" not in ran.out


def test_with_json_what_was_mended_is_in_the_document(kpkit, wrong):
    ran = kpkit("validate", wrong, "--fix", "-o", "mended.json", "--json")
    assert [one["rule"] for one in ran.json["mended"]] == ["KP101"] * 7
    assert [one["rule"] for one in ran.json["findings"]] == ["KP103"]


@pytest.mark.parametrize("options", [["-o", "x.json"], ["--dry-run"], ["--force"]])
def test_options_of_mending_without_it_are_refused(kpkit, wrong, options):
    ran = kpkit("validate", wrong, *options)
    assert ran.code == 2
    assert "--fix" in ran.err


def test_labels_that_do_not_name_their_joints_are_an_error_and_are_never_counted_anew(kpkit, empty_folder):
    content = people()
    del content["categories"][0]["keypoints"], content["categories"][0]["skeleton"]
    save(empty_folder / "a.json", content)
    ran = kpkit("validate", "a.json", "--json")
    assert [(one["rule"], one["severity"]) for one in ran.json["findings"]] == [("KP506", "error")]
    assert "--skeleton" in ran.json["findings"][0]["help"]
    assert kpkit("validate", "a.json", "--fix", "-o", "b.json").code == 1
    assert json.loads((empty_folder / "b.json").read_text()) == content
    assert kpkit("validate", "a.json", "--skeleton", "coco17").code == 0


def test_what_a_reader_remarks_is_passed_on_with_its_own_severity_and_help(kpkit, empty_folder):
    folder = empty_folder / "yolo"
    folder.mkdir()
    (folder / "data.yaml").write_text("kpt_shape: [17, 3]\nnames: {0: person}\ntrain: images\n")
    (folder / "labels").mkdir()
    (folder / "labels" / "a.txt").write_text("0 0.5 0.5 0.2 0.2" + " 0.5 0.5 2" * 17 + "\n")
    ran = kpkit("validate", folder, "--from", "yolo-pose", "--select", "KP199", "--json")
    found = {one["message"].split(":")[0]: one for one in ran.json["findings"]}
    assert found["KP-YOLO-IMAGE-SIZE"]["severity"] == "error"
    assert "--images DIR" in found["KP-YOLO-IMAGE-SIZE"]["help"]


def test_two_runs_print_the_same(kpkit, wrong):
    assert kpkit("validate", wrong, "--json").out == kpkit("validate", wrong, "--json").out


def picture(path: Path, seed: int, width: int = 640, height: int = 480) -> None:
    """A smooth picture of its own for each seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (12, 16, 3), np.uint8)
    cv2.imwrite(str(path), cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC))


@pytest.fixture
def splits(empty_folder: Path) -> Path:
    """Six pictures in train/ and val/: one of val is one of train, smaller and compressed."""
    names = ["train/0.jpg", "train/1.jpg", "train/2.jpg", "val/0.jpg", "val/1.jpg", "val/2.jpg"]
    for i, name in enumerate(names):
        picture(empty_folder / "images" / name, i)
    other = cv2.resize(cv2.imread(str(empty_folder / "images" / "train/1.jpg")), (500, 375))
    cv2.imwrite(str(empty_folder / "images" / "val/2.jpg"), other, [cv2.IMWRITE_JPEG_QUALITY, 40])
    images = [{"id": i + 1, "file_name": name, "width": 640, "height": 480} for i, name in enumerate(names)]
    images[5].update(width=500, height=375)
    return save(empty_folder / "labels.json", document([], images))


def found(ran: Any) -> list[tuple[str, str]]:
    return [(one["rule"], one["image"]) for one in ran.json["findings"]]


def test_the_same_picture_in_two_splits_is_found(kpkit, splits):
    ran = kpkit("validate", splits, "--select", "KP6", "--json")
    assert found(ran) == [("KP604", "val/2.jpg")]
    assert "train/1.jpg" in ran.json["findings"][0]["message"]


def test_a_picture_that_is_not_there_is_damaged_or_of_another_size_is_found(kpkit, splits):
    images = splits.parent / "images"
    (images / "train/0.jpg").unlink()
    (images / "train/2.jpg").write_bytes(b"no picture")
    picture(images / "val/0.jpg", 3, width=480, height=640)
    ran = kpkit("validate", splits, "--select", "KP6", "--ignore", "KP604", "--json")
    assert found(ran) == [("KP601", "train/0.jpg"), ("KP602", "train/2.jpg"), ("KP603", "val/0.jpg")]
    assert "EXIF" in ran.json["findings"][2]["message"]


def test_a_folder_that_is_named_is_believed_and_what_it_lacks_is_found(kpkit, splits, empty_folder):
    (empty_folder / "elsewhere").mkdir()
    ran = kpkit("validate", splits, "--images", "elsewhere", "--select", "KP6", "--json")
    assert [one["rule"] for one in ran.json["findings"]] == ["KP601"] * 6
    assert kpkit("validate", splits, "--images", "nowhere").code == 2


def test_without_pictures_nothing_is_said_about_them_but_that(kpkit, wrong):
    ran = kpkit("validate", wrong)
    assert "not checked[KP601, KP602, KP603, KP604]" in ran.out
    assert "--images DIR" in ran.out


def test_rule_explains_one_by_its_id_its_name_or_a_readers_code(kpkit):
    ran = kpkit("rule", "KP101")
    assert ran.code == 0
    assert ran.out.startswith("KP101 wrong-num-keypoints\nwarning: `num_keypoints` is not")
    assert "help: count them anew with --fix" in ran.out
    assert kpkit("rule", "wrong-num-keypoints").out == kpkit("rule", "kp-coco-num-keypoints").out == ran.out


def test_rule_lists_all(kpkit):
    ran = kpkit("rule")
    listed = [line.split()[0] for line in ran.out.splitlines()[1:]]
    assert listed == [rule.id for rule in rules()]
    assert [one["id"] for one in kpkit("rule", "--json").json["rules"]] == listed


def test_an_unknown_rule_gets_the_nearest_one(kpkit):
    ran = kpkit("rule", "KP1001")
    assert ran.code == 2
    assert "did you mean 'KP101'?" in ran.err
