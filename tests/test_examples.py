"""The scripts in examples/ run and say what is true."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import kpkit

TOP = Path(__file__).resolve().parents[1]
SCRIPTS = sorted((TOP / "examples").glob("*.py"))


def run(script: Path, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
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


def test_quickstart_makes_the_files_it_speaks_of(tmp_path):
    out = run(TOP / "examples" / "quickstart.py", tmp_path)
    people = kpkit.read(tmp_path / "people.six2.json")
    assert people.xy[0, people.skeleton.keypoints.index("head")].tolist() == [320.0, 80.0]
    assert people.visibility[0, people.skeleton.keypoints.index("left_knee")] == 1
    assert "COCO: 7 joints, 0 losses" in out
    assert "street/0001.jpg   320.0    80.0            1" in out
