"""The scripts in examples/ run and say what is true."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import kpkit

TOP = Path(__file__).resolve().parents[1]
FIFTYONE = TOP / "examples" / "fiftyone_session.py"
SCRIPTS = sorted(set((TOP / "examples").glob("*.py")) - {FIFTYONE})


def run(script: Path, folder: Path, *, warnings: str = "error") -> str:
    done = subprocess.run(
        [sys.executable, "-W", warnings, str(script)],
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


def test_quickstart_makes_the_files_it_speaks_of(tmp_path):
    out = run(TOP / "examples" / "quickstart.py", tmp_path)
    people = kpkit.read(tmp_path / "people.six2.json")
    assert people.xy[0, people.skeleton.keypoints.index("head")].tolist() == [320.0, 80.0]
    assert people.visibility[0, people.skeleton.keypoints.index("left_knee")] == 1
    assert "COCO: 7 joints, 0 losses" in out
    assert "street/0001.jpg   320.0    80.0            1" in out
