"""What CONTRIBUTING.md says about adding a format is done to a copy of kpkit, step by step, and works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[1]
STEP = re.compile(r"^`([\w/.]+)`\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# The contract itself is tried with many examples elsewhere.
FEW_EXAMPLES = """
from hypothesis import settings

settings.register_profile("few", derandomize=True, max_examples=8)
settings.load_profile("few")
"""


@pytest.fixture(scope="module")
def steps() -> dict[str, str]:
    section = (TOP / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Add a format\n")[1].split("\n## ")[0]
    return dict(STEP.findall(section))


@pytest.fixture(scope="module")
def copy(steps: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """kpkit with the three steps taken."""
    top = tmp_path_factory.mktemp("worked") / "kpkit"
    for folder in ("kpkit", "schemas"):
        shutil.copytree(TOP / folder, top / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in steps.items():
        if name == "kpkit/registry.py":
            text = _with_line(top / name, text)
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text, encoding="utf-8")
    (top / "conftest.py").write_text(FEW_EXAMPLES)
    return top


def _with_line(registry: Path, line: str) -> str:
    """The registry with one more line, below the last format's."""
    source = registry.read_text(encoding="utf-8")
    last = re.search(r'^ +"native": .*\n', source, re.MULTILINE)
    assert last is not None
    return source[: last.end()] + line + source[last.end() :]


def run(copy: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
    )


def test_the_steps_are_a_file_a_line_and_a_test(steps):
    assert list(steps) == ["kpkit/formats/points.py", "kpkit/registry.py", "tests/formats/test_points.py"]
    assert steps["kpkit/registry.py"].count("\n") == 1


def test_the_new_format_is_listed(copy):
    done = run(copy, "-m", "kpkit", "formats")
    assert "points: COCO's 17 joints by name" in " ".join(done.stdout.split())


def test_the_new_format_keeps_the_contract(copy):
    done = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert done.returncode == 0, done.stdout[-3000:]
    assert "passed" in done.stdout


@pytest.mark.slow
def test_the_new_file_follows_the_rules_of_the_house(copy, steps):
    tools = {"ruff": ("check", "--config", str(TOP / "pyproject.toml")), "mypy": ("--strict", "--no-incremental")}
    for tool, options in tools.items():
        done = run(copy, "-m", tool, *options, "kpkit/formats/points.py")
        assert done.returncode == 0, done.stdout
