"""The benchmarks run and print their table: on files of a few persons, so no number means anything here."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

import kpkit
from tests import fiftyone_server

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def script(name: str, *arguments: object) -> str:
    command = [sys.executable, str(BENCHMARKS / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "made.json"
    script("make_coco.py", path, "--images", 20, "--persons", 60)
    return path


def lines(out: str) -> list[list[str]]:
    """The cells of the table's rows, without its two lines of heading."""
    rows = [line for line in out.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def test_each_comparison_asked_for_is_a_row_with_times_and_ratios(coco: Path, tmp_path: Path) -> None:
    out = script("convert.py", "--coco", coco, "--pairs", 1, "--work", tmp_path, "--only", "json", "--only", "yolo")
    json_row, yolo_row = lines(out)
    assert json_row[0].startswith("COCO to COCO / json")
    assert yolo_row[0].startswith("COCO to YOLO-pose")
    for row in (json_row, yolo_row):
        assert " s (" in row[1]
        assert " s (" in row[2]
        assert row[3].count("x (") == row[4].count("x (") == 1
        assert row[6] in {"met", "met in CPU time only", "NOT MET"}


def test_the_table_says_on_what_machine_it_was_made(coco: Path, tmp_path: Path) -> None:
    out = script("convert.py", "--coco", coco, "--pairs", 1, "--work", tmp_path, "--only", "memory")
    assert "processor: " in out
    assert f"kpkit {kpkit.__version__}" in out
    assert "MB peak" in lines(out)[0][1]
    assert lines(out)[0][6] == "met"


def test_a_peer_that_is_not_there_is_said_and_nothing_else_is_lost(coco: Path, tmp_path: Path) -> None:
    asked = [option for name in ("hotcoco", "datumaro", "mpii", "low-memory") for option in ("--only", name)]
    given = ("--coco", coco, "--pairs", 1, "--work", tmp_path, "--mpii-size", 4, 6, "--peer-python", "no-such-python")
    rows = lines(script("convert.py", *given, *asked))
    assert [row[2] for row in rows] == [
        "hotcoco: not installed",
        "datumaro: not installed",
        "datumaro: not installed",
        "",
    ]


def test_outputs_are_cleared_away(coco: Path, tmp_path: Path) -> None:
    script("convert.py", "--coco", coco, "--pairs", 1, "--work", tmp_path, "--only", "json")
    assert list(tmp_path.iterdir()) == []


def test_the_made_coco_file_is_clean_and_of_the_size_asked_for(coco: Path) -> None:
    dataset = kpkit.read(coco)
    assert (len(dataset.images), len(dataset)) == (20, 60)
    assert kpkit.convert("coco", "coco", coco, dry_run=True).issues == []


def test_the_made_coco_file_has_the_proportions_of_real_ones(tmp_path: Path) -> None:
    script("make_coco.py", tmp_path / "made.json", "--images", 300, "--persons", 1000)
    persons = json.loads((tmp_path / "made.json").read_text())["annotations"]
    polygons = [len(one["segmentation"][0]) for one in persons if not one["iscrowd"]]
    assert 0 < sum(one["iscrowd"] for one in persons) < 30
    assert 350 < sum(one["num_keypoints"] == 0 for one in persons) < 550
    assert 60 <= min(polygons) <= max(polygons) <= 200
    assert 800 < (tmp_path / "made.json").stat().st_size / len(persons) < 1500


@pytest.mark.parametrize(("name", "file"), [("make_coco.py", "a.json"), ("make_mpii.py", "a.mat")])
def test_a_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path, name: str, file: str) -> None:
    made = []
    for seed in (1, 1, 2):
        script(name, tmp_path / file, "--images", 5, "--persons", 9, "--seed", seed)
        made.append((tmp_path / file).read_bytes())
    assert made[0] == made[1] != made[2]


def test_the_made_mpii_file_is_of_the_size_asked_for(tmp_path: Path) -> None:
    script("make_mpii.py", tmp_path / "made.mat", "--images", 5, "--persons", 9)
    dataset = kpkit.read(tmp_path / "made.mat")
    assert (len(dataset.images), len(dataset)) == (5, 9)
    assert dataset.skeleton.name == "mpii16"


def test_growth_is_measured_at_every_size_with_every_number_of_workers(tmp_path: Path) -> None:
    given = ("--persons", 20, 60, "--workers", 1, 2, "--work", tmp_path, "--plot", tmp_path / "plot.png")
    only = ("--only", "convert-coco-native", "--only", "convert-native-coco")
    rows = lines(script("scale.py", *given, *only))
    assert [(row[0], row[1], row[2]) for row in rows[:8]] == [
        (job, persons, workers)
        for persons in ("20", "60")
        for job in ("convert coco native", "convert native coco")
        for workers in ("1", "2")
    ]
    assert all(row[3].endswith(" s") and row[6].endswith(" MB") for row in rows[:8])
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["20.json", "60.json", "log.txt", "plot.png"]


def test_growth_of_augment_is_measured_on_pictures_that_are_one_file(tmp_path: Path) -> None:
    given = ("--persons", 40, "--workers", 1, "--only", "augment-native", "--work", tmp_path)
    row = lines(script("scale.py", *given))[0]
    assert row[:3] == ["augment native", "40", "1"]
    # Pictures, masks, two tables, their description, and the rows.
    assert int(row[7]) >= 2 * 13 + 3
    assert sorted(one.name for one in tmp_path.iterdir()) == ["log.txt"]


def test_validation_is_measured_beside_json_load_and_rule_by_rule(coco: Path) -> None:
    rows = lines(script("validate.py", "--coco", coco, "--pairs", 1))
    assert rows[0][0] == "kpkit validate FILE / json.load"
    assert "persons/s (60 persons)" in rows[1][1]
    assert any(row[0].startswith("KP302") for row in rows)


def test_the_curve_of_exchanged_persons_is_printed(coco: Path) -> None:
    out = script("swaps.py", coco, "--limbs")
    assert "60 persons, " in out
    assert "| 0.5 | " in out
    assert "| elbow and wrist | " in out
    assert "shoulder to elbow: " in out


@pytest.mark.slow
def test_view_is_measured_against_fiftyones_own_importer(tmp_path: Path) -> None:
    fiftyone_server.mongod()
    out = script("view.py", "--images", 20, "--persons", 60, "--pairs", 1, "--work", tmp_path)
    assert "60 persons in 20 images, 1 pairs, whole processes" in out
    assert [row[0] for row in lines(out)] == [
        "kpkit view, s",
        "FiftyOne's importer, s",
        "times faster (wall)",
        "times faster (CPU)",
    ]
    assert out.rstrip().endswith(("met", "NOT MET"))


@pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="Dask is not installed")
def test_a_cluster_and_the_pool_of_this_machine_write_the_same(tmp_path: Path) -> None:
    out = script("cluster.py", "--persons", 40, "--pairs", 1, "--work", tmp_path)
    assert "outputs: the same bytes each time" in out
    (row,) = lines(out)
    assert row[0] == "heatmaps, 40 persons, 2 workers"
    assert row[4].count("x (") == 1
    assert row[6] in {"met", "NOT MET"}
    assert list(tmp_path.iterdir()) == []
