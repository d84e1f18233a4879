"""The scripts in examples/ run and say what is true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import kpkit

TOP = Path(__file__).resolve().parents[1]
FIFTYONE = TOP / "examples" / "fiftyone_session.py"
TRAINING = TOP / "examples" / "train_simplebaseline.py"
SCRIPTS = sorted(set((TOP / "examples").glob("*.py")) - {FIFTYONE, TRAINING})


def run(script: Path, folder: Path, *arguments: str, warnings: str = "error") -> str:
    done = subprocess.run(
        [sys.executable, "-W", warnings, str(script), *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(TOP)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_example_runs_twice_in_the_same_folder(script, tmp_path):
    assert run(script, tmp_path) == run(script, tmp_path)


@pytest.mark.usefixtures("fiftyone_uri")
def test_session_with_fiftyone_brings_back_the_edit_and_the_tag_alone(tmp_path):
    # FiftyOne's own deprecations are no errors of ours.
    out = run(FIFTYONE, tmp_path, warnings="ignore").splitlines()
    assert out[0].startswith("FiftyOne has 6 pictures of ")
    assert out[-3:] == [
        "scene_0000.jpg: person 1: left_wrist moved: [585.0625, 220.75] -> [300.5, 200.25]",
        "scene_0000.jpg: person 1: left_wrist flag: 2 -> 1",
        "scene_0000.jpg: person 1: tags [] -> ['kpkit:ok']",
    ]


def test_training_on_shards_learns_and_draws_its_loss(tmp_path):
    pytest.importorskip("torch", reason="PyTorch is not installed (extra torch)")
    out = run(TRAINING, tmp_path, "--scenes", "6", "--epochs", "10", "--workers", "0", "--plot", "loss.png")
    found = {name: float(score) for name, score in re.findall(r"PCK@0.2 on (.+?): (\d\.\d+)", out)}
    assert found.keys() == {"training crops", "held-out scenes"}
    first, last = re.findall(r"loss (\d\.\d+)", out)[:1] + re.findall(r"loss (\d\.\d+)", out)[-1:]
    assert float(last) < 0.5 * float(first)
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_training_for_minutes_finds_the_joints_it_was_shown_and_many_it_was_not(tmp_path):
    pytest.importorskip("torch", reason="PyTorch is not installed (extra torch)")
    out = run(TRAINING, tmp_path)
    rows = re.findall(r"PCK@0.2 on .+?: (\d\.\d+) \(mean pose: (\d\.\d+)\)", out)
    (seen, _), (unseen, chance) = ((float(score), float(guess)) for score, guess in rows)
    assert seen >= 0.9
    assert unseen >= chance + 0.15


def test_quickstart_makes_the_files_it_speaks_of(tmp_path):
    out = run(TOP / "examples" / "quickstart.py", tmp_path)
    people = kpkit.read(tmp_path / "people.six2.json")
    assert people.xy[0, people.skeleton.keypoints.index("head")].tolist() == [320.0, 80.0]
    assert people.visibility[0, people.skeleton.keypoints.index("left_knee")] == 1
    assert "COCO: 7 joints, 0 losses" in out
    assert "street/0001.jpg   320.0    80.0            1" in out
