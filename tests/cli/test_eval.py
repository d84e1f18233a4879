"""`kpkit eval`: what it prints, its JSON and CSV, and its errors."""

from __future__ import annotations

import json

import pytest

TRUTH = "data/coco_wholebody/example_gt.json"
FOUND = "data/coco_wholebody/example_pred.json"
MPII, HG = "data/mpii/gt_valid_plus_tompson.mat", "data/mpii/preds/bearpaw-hg_s2_b1.mat"


def test_coco_results_give_the_ten_numbers_and_nothing_of_pycocotools_own_output(kpkit_process, real_data):
    ran = kpkit_process("eval", str(real_data / TRUTH), str(real_data / FOUND))
    assert ran.code == 0
    assert ran.err == ""
    lines = ran.out.splitlines()
    numbers = lines[[line.split()[:1] == ["AP"] for line in lines].index(True) + 1].split()
    assert numbers[:3] == ["0.853922", "1.000000", "0.935231"]
    assert numbers[5] == "0.895833"
    for noise in ("DONE", "Running per image", "Average Precision", "index created"):
        assert noise not in ran.out


def test_hotcoco_prints_nothing_of_its_own_either(kpkit_process, real_data):
    pytest.importorskip("hotcoco", reason="the engine hotcoco is not installed")
    paths = str(real_data / TRUTH), str(real_data / FOUND)
    faster = kpkit_process("eval", *paths, "--engine", "hotcoco")
    usual = kpkit_process("eval", *paths)
    assert faster.out == usual.out.replace("by pycocotools", "by hotcoco")
    assert faster.err == ""


def test_mpii_predictions_give_pckh_by_kind_of_joint(kpkit, real_data):
    ran = kpkit("eval", real_data / MPII, real_data / HG)
    assert ran.code == 0
    table = {tuple(line.split()[:-1]): line.split()[-1] for line in ran.out.splitlines() if line.startswith("  ")}
    assert table["shoulder", "5,888"] == "94.57"
    assert table["mean", "of", "14", "joints"] == "86.76"
    assert table["mean", "by", "labelled"] == "87.30"
    assert "left_knee" not in ran.out


def test_per_joint_shows_every_joint_and_its_errors(kpkit, real_data):
    ran = kpkit("eval", real_data / MPII, real_data / HG, "--per-joint")
    assert ran.out.count("  left_knee ") == 2


def test_json_holds_every_number(kpkit, real_data, tmp_path):
    ran = kpkit("eval", real_data / TRUTH, real_data / FOUND, "--metric", "all", "--json", "--csv", "n.csv")
    assert ran.json["schema_version"] == 1
    assert ran.json["oks"]["values"]["AP"] == 0.853921820753504
    assert len(ran.json["pck"][0]["joints"]) == 17
    assert ran.json["pckh"] is None
    assert "head boxes" in ran.json["left_out"]["pckh"]
    assert len((tmp_path / "n.csv").read_text().splitlines()) > 100


def test_thresholds_may_be_repeated(kpkit, real_data):
    ran = kpkit("eval", real_data / MPII, real_data / HG, "--threshold", "0.1", "--threshold", "0.5", "--json")
    assert [table["threshold"] for table in ran.json["pckh"]] == [0.1, 0.5]
    assert ran.json["pckh"][0]["mean"] < ran.json["pckh"][1]["mean"] == pytest.approx(0.8676, abs=5e-5)


def test_wrong_input_is_an_error_that_says_what_to_do(kpkit, real_data, tmp_path):
    truth, found = real_data / TRUTH, real_data / FOUND
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps([{"image_id": 785, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1}]))
    for arguments, said in (
        ((truth, "nothing.json"), "there is no such file"),
        (("nothing.mat", found), "there is no such file"),
        ((truth, real_data / MPII), "no array 'preds'"),
        ((truth, real_data / HG), "expected: 26 persons x 17 joints"),
        ((truth, found, "--metric", "pckh"), "--metric pck"),
        ((truth, found, "--metric", "ap"), "'ap' is not one of"),
        ((truth, found, "--sigmas", "1,2"), "expected: 17 for coco17"),
        ((truth, boxes), "error["),
        ((truth,), "missing argument"),
    ):
        ran = kpkit("eval", *arguments)
        assert ran.code == 2, arguments
        assert said in ran.err, ran.err
