"""`kpkit convert` and `kpkit info`: the words and numbers a user reads, and what lands on the disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kpkit.cli.output import Console
from kpkit.cli.report import print_report
from kpkit.core import catalog
from kpkit.core.report import Issue, JointLine, Loss, Report


@pytest.fixture
def labels(empty_folder: Path) -> Path:
    """Two persons in one image; the second one has only a nose. A field of COCO's own cannot go into 6-2."""
    joints = catalog.skeleton("coco17").keypoints
    whole = [number for index in range(len(joints)) for number in (10 + index, 20 + index, 1 if index == 5 else 2)]
    nose = [30, 40, 2] + [0] * 48
    category = {"id": 1, "name": "person", "keypoints": list(joints), "skeleton": []}
    annotations = [
        {"id": 7, "image_id": 1, "category_id": 1, "keypoints": whole, "num_keypoints": 17, "iscrowd": 0},
        {"id": 8, "image_id": 1, "category_id": 1, "keypoints": nose, "num_keypoints": 1, "iscrowd": 0},
    ]
    for annotation in annotations:
        annotation |= {"bbox": [5, 5, 50, 60], "area": 3000, "segmentation": [[5, 5, 55, 5, 55, 65]]}
    images = [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 80}]
    path = empty_folder / "labels.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [category]}))
    return path


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_report_says_how_many_persons_got_each_joint_and_by_which_rule(kpkit, labels):
    ran = kpkit("convert", "coco", "six2", labels, "-o", "six2.json")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("Converted 2 persons in 1 image")
    assert ["left_knee", "exact", "left_knee", "1", "1"] in rows(ran.out)
    assert ["left_shoulder", "approximate", "~left_shoulder", "1", "1"] in rows(ran.out)
    assert "coco17 -> six2_knee" in ran.out
    assert Path("six2.json").is_file()


def test_losses_are_counted_and_named_even_when_quiet(kpkit, labels):
    ran = kpkit("convert", "coco", "six2", labels, "-o", "six2.json", "--quiet")
    assert ran.code == 0
    assert ran.out.startswith("Lost:")
    assert any(row[:2] == ["coco.segmentation", "2"] for row in rows(ran.out))


def test_quiet_without_loss_says_nothing(kpkit, labels):
    ran = kpkit("convert", "coco", "coco", labels, "-o", "same.json", "--quiet")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_json_report_is_the_report(kpkit, labels):
    document = kpkit("convert", "coco", "six2", labels, "-o", "six2.json", "--json").json
    assert document["schema_version"] == 1
    assert document["command"] == "convert"
    assert document["counts"]["instances"] == 2
    assert not document["lossless"]


def test_report_file_is_the_same_as_json_on_stdout(kpkit, labels):
    ran = kpkit("convert", "coco", "six2", labels, "-o", "six2.json", "--json", "--report", "report.json")
    assert json.loads(Path("report.json").read_text()) == ran.json


def test_dry_run_prints_the_real_numbers_and_writes_nothing(kpkit, labels):
    before = sorted(Path().rglob("*"))
    ran = kpkit("convert", "coco", "six2", labels, "-o", "six2.json", "--dry-run")
    assert ran.code == 0
    assert ran.out.startswith("Would convert 2 persons in 1 image")
    assert ["would", "write", "six2.json"] in rows(ran.out)
    assert sorted(Path().rglob("*")) == before


def test_strict_loss_exits_with_1_and_writes_nothing(kpkit, labels):
    ran = kpkit("convert", "coco", "six2", labels, "-o", "six2.json", "--strict")
    assert ran.code == 1
    assert "error[KP-LOSS]" in ran.err
    assert not Path("six2.json").exists()


def test_existing_output_is_refused_and_untouched_without_force(kpkit, labels):
    Path("six2.json").write_text("mine")
    ran = kpkit("convert", "coco", "six2", labels, "-o", "six2.json")
    assert ran.code == 2
    assert "error[KP-OUTPUT-EXISTS]" in ran.err
    assert Path("six2.json").read_text() == "mine"
    assert kpkit("convert", "coco", "six2", labels, "-o", "six2.json", "--force").code == 0


def test_output_left_out_goes_to_a_folder_that_is_printed(kpkit, labels):
    ran = kpkit("convert", "coco", "six2", labels)
    assert ran.code == 0
    assert "kpkit-out/convert-six2" in ran.out
    assert Path("kpkit-out/convert-six2").is_dir()


def test_mistyped_format_gets_the_nearest_name(kpkit, labels):
    ran = kpkit("convert", "cocco", "six2", labels)
    assert ran.code == 2
    assert "help: did you mean 'coco'?" in ran.err


def test_missing_file_is_named(kpkit):
    ran = kpkit("convert", "coco", "six2", "nowhere.json")
    assert ran.code == 2
    assert "  --> nowhere.json" in ran.err


def test_keep_skeleton_and_skeleton_exclude_each_other(kpkit, labels):
    ran = kpkit("convert", "coco", "coco", labels, "--keep-skeleton", "--skeleton", "mpii16")
    assert (ran.code, "exclude each other" in ran.err) == (2, True)


def test_info_counts_flags_by_joint(kpkit, labels):
    ran = kpkit("info", labels)
    assert ran.code == 0, ran.err
    assert ["nose", "2", "0", "0", "0"] in rows(ran.out)
    assert ["left_shoulder", "0", "1", "1", "0"] in rows(ran.out)


def test_info_json_has_the_same_numbers(kpkit, labels):
    document = kpkit("info", labels, "--json").json
    assert (document["format"], document["counts"]["instances"]) == ("coco", 2)


def test_info_of_nothing_known_says_what_would_have_been(kpkit):
    Path("notes.txt").write_text("hello")
    ran = kpkit("info", "notes.txt")
    assert ran.code == 2
    assert "coco" in ran.err


def report() -> Report:
    return Report(
        command="convert",
        output="out.json",
        source={"format": "mpii", "skeleton": "mpii16"},
        target={"format": "six2", "skeleton": "six2_knee"},
        via=["coco17"],
        counts={"images": 1, "instances": 1500, "visible": 7, "truncated": 2},
        joints=[JointLine("head", "absent", "absent", [], 0, 1500, [])],
        losses=[Loss("truncated", 2, "the format has no flag for it", "instance 4 in a.jpg")],
        issues=[Issue("KP-X", "warning", "strange", 9, ["a.json: annotations[3]", "b"], "look at it")],
        files={"out.json": 1500},
    )


def test_whole_report_reads_like_this(capsys):
    print_report(Console(), report())
    assert capsys.readouterr().out == (
        "Converted 1,500 persons in 1 image\n"
        "  format     mpii -> six2\n"
        "  skeleton   mpii16 -> coco17 -> six2_knee\n"
        "  output     out.json (1.5 kB)\n"
        "\n"
        "  joint   how      from   persons with   without\n"
        "  head    absent                     0     1,500\n"
        "\n"
        "Joints: 7 visible, 2 truncated\n"
        "\n"
        "Lost: 1 kind of values the output cannot hold\n"
        "  what        count   why                             first\n"
        "  truncated       2   the format has no flag for it   instance 4 in a.jpg\n"
        "\n"
        "warning[KP-X]: strange (9 times)\n"
        "  --> a.json: annotations[3]\n"
        "      b\n"
        "      and 7 more\n"
        "  help: look at it\n"
    )


def test_report_without_loss_says_so(capsys):
    lossless = report()
    lossless.losses = []
    print_report(Console(), lossless)
    assert "Nothing is lost.\n" in capsys.readouterr().out
