"""Formats of other packages, installed as pip installs them: found, used, tested, and refused where they must be."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kpkit.pipelines.io import write
from kpkit.testing.samples import sample

TOP = Path(__file__).resolve().parents[1]
TINY = TOP / "examples" / "third_party_format"
BROKEN = TOP / "tests" / "plugins" / "kpkit_broken"
DUPLICATE = TOP / "tests" / "plugins" / "kpkit_duplicate"
STRICT = TOP / "tests" / "plugins" / "kpkit_strict"

PAGE = (TOP / "docs" / "plugins.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# The contract itself is tried with many examples elsewhere.
FEW_EXAMPLES = """
from hypothesis import settings

settings.register_profile("few", derandomize=True, max_examples=8)
settings.load_profile("few")
"""

needs_pip = pytest.mark.skipif(importlib.util.find_spec("pip") is None, reason="pip is not installed here")
pytestmark = needs_pip


def install(package: Path, target: Path) -> Path:
    """Installs from a copy of the source, without an index and without a network."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    subprocess.run(
        [*pip, "--no-deps", "--no-build-isolation", "--target", str(target), str(package)],
        check=True,
        capture_output=True,
        env={**os.environ, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INPUT": "1"},
    )
    return target


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sites")
    every = {"tiny": TINY, "broken": BROKEN, "duplicate": DUPLICATE, "strict": STRICT}
    return {name: install(package, folder / name) for name, package in every.items()}


def run(site: Path, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(site), str(TOP)])
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path, "NO_COLOR": "1"},
    )


def kpkit(site: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = run(site, "-m", "kpkit", *arguments, cwd=cwd)
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def coco_file(tmp_path: Path) -> Path:
    write(sample(), tmp_path / "people.json", "coco")
    return tmp_path / "people.json"


def listed(site: Path, cwd: Path) -> dict[str, dict[str, str]]:
    done = kpkit(site, "formats", "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return {one["name"]: one for one in json.loads(done.stdout)["formats"]}


def test_an_installed_format_is_listed_with_its_package(sites, tmp_path):
    found = listed(sites["tiny"], tmp_path)["tiny"]
    assert found["package"] == "kpkit-tiny"
    assert found["title"] == "tiny: one JSON line a person, COCO's 17 joints"


def test_labels_go_into_a_third_party_format_and_come_back(sites, tmp_path, coco_file):
    there = kpkit(sites["tiny"], "convert", "coco", "tiny", str(coco_file), "-o", "people.tiny", cwd=tmp_path)
    assert there.returncode == 0, there.stderr
    assert (tmp_path / "people.tiny").read_bytes().startswith(b'{"format":"tiny","persons":5}\n')
    back = kpkit(sites["tiny"], "convert", "tiny", "coco", "people.tiny", "-o", "back.json", "--json", cwd=tmp_path)
    counts = json.loads(back.stdout)["counts"]
    whole = sample()
    assert (counts["instances"], counts["visible"]) == (5, int((whole.visibility == 2).sum()))


def test_what_a_third_party_format_cannot_hold_is_counted(sites, tmp_path, coco_file):
    done = kpkit(sites["tiny"], "convert", "coco", "tiny", str(coco_file), "--strict", "-o", "x.tiny", cwd=tmp_path)
    assert done.returncode == 1
    assert "truncated" in done.stdout + done.stderr
    assert not (tmp_path / "x.tiny").exists()


def test_a_third_party_file_is_recognised_by_its_content(sites, tmp_path, coco_file):
    kpkit(sites["tiny"], "convert", "coco", "tiny", str(coco_file), "-o", "people.tiny", cwd=tmp_path)
    (tmp_path / "people.tiny").rename(tmp_path / "unnamed")
    done = kpkit(sites["tiny"], "info", "unnamed", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["format"] == "tiny"


def test_a_third_party_format_passes_the_contract_as_the_page_says(sites, tmp_path):
    (block,) = (one for one in BLOCK.findall(PAGE) if "FormatContract" in one)
    (tmp_path / "test_tiny.py").write_text(block)
    (tmp_path / "conftest.py").write_text(FEW_EXAMPLES)
    done = run(sites["tiny"], "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "passed" in done.stdout


def test_a_reader_that_fails_in_its_own_way_fails_the_contract(sites, tmp_path):
    shutil.copytree(sites["tiny"], tmp_path / "site")
    module = tmp_path / "site" / "kpkit_tiny" / "__init__.py"
    module.write_text(module.read_text().replace("except (msgspec.MsgspecError, ", "except ("))
    shutil.copy(TINY / "tests" / "test_tiny.py", tmp_path)
    (tmp_path / "conftest.py").write_text(FEW_EXAMPLES)
    done = run(tmp_path / "site", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "truncated", cwd=tmp_path)
    assert done.returncode == 1
    assert "labels.tiny cut at 0 of" in done.stdout


def test_the_page_shows_what_the_example_has():
    blocks = BLOCK.findall(PAGE)
    assert any(block == (TINY / "tests" / "test_tiny.py").read_text() for block in blocks)
    assert any(block in (TINY / "pyproject.toml").read_text() for block in blocks)


def test_a_broken_format_is_listed_with_what_it_misses_and_hides_no_other(sites, tmp_path):
    found = listed(sites["broken"], tmp_path)
    assert "no_such_library" in found["broken"]["error"]
    assert found["coco"]["error"] == ""


def test_a_broken_format_says_what_to_install(sites, tmp_path, coco_file):
    done = kpkit(sites["broken"], "convert", "broken", "coco", str(coco_file), cwd=tmp_path)
    assert done.returncode == 2
    assert "error[KP-PLUGIN-IMPORT]" in done.stderr
    assert "help: pip install no_such_library" in done.stderr


@pytest.mark.parametrize("command", [("info",), ("convert", "coco", "native", "-o", "out.kpk")])
def test_a_broken_format_does_not_disturb_other_commands(sites, tmp_path, coco_file, command):
    done = kpkit(sites["broken"], *command, str(coco_file), cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_format_under_a_name_that_is_taken_is_refused(sites, tmp_path, coco_file):
    done = kpkit(sites["duplicate"], "convert", "coco", "native", str(coco_file), "-o", "out.kpk", cwd=tmp_path)
    assert done.returncode == 2
    assert "error[KP-PLUGIN-DUPLICATE]" in done.stderr
    assert "kpkit-duplicate 0.1" in done.stderr
    assert not (tmp_path / "out.kpk").exists()


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("class BrokenFormat(:\n", "KP-PLUGIN-FAILS"),
        ("raise ValueError('not today')\n", "KP-PLUGIN-FAILS"),
        ("class OtherFormat: pass\n", "KP-PLUGIN-OBJECT"),
        ("class BrokenFormat: pass\n", "KP-PLUGIN-KIND"),
        ("BrokenFormat = 3\n", "KP-PLUGIN-KIND"),
        ("from kpkit.formats.base import Format\nclass BrokenFormat(Format): pass\n", "KP-PLUGIN-KIND"),
    ],
)
def test_a_plug_in_broken_in_another_way_is_called_by_its_fault_and_disturbs_no_other_command(
    sites, tmp_path, coco_file, source, code
):
    site = tmp_path / "site"
    shutil.copytree(sites["broken"], site, ignore=shutil.ignore_patterns("__pycache__"))
    (site / "kpkit_broken.py").write_text(source)
    asked = kpkit(site, "convert", "broken", "coco", str(coco_file), cwd=tmp_path)
    assert (asked.returncode, f"error[{code}]" in asked.stderr) == (2, True), asked.stderr
    assert listed(site, tmp_path)["broken"]["error"]
    assert kpkit(site, "info", str(coco_file), cwd=tmp_path).returncode == 0


def test_an_installed_rule_finds_what_it_is_for_and_is_explained(sites, tmp_path, coco_file):
    done = kpkit(sites["strict"], "validate", str(coco_file), "--select", "ACME", "--json", cwd=tmp_path)
    noseless = int((sample().visibility.any(axis=1) & (sample().visibility[:, 0] == 0) & ~sample().is_crowd).sum())
    assert noseless > 0
    found = json.loads(done.stdout)["findings"]
    assert (done.returncode, len(found)) == (1, noseless)
    assert {(one["rule"], one["joint"], one["message"]) for one in found} == {("ACME1", "nose", "nose is not labelled")}
    told = kpkit(sites["strict"], "rule", "acme1", cwd=tmp_path)
    assert told.stdout.startswith("ACME1 no-nose\nerror: a person has no nose")


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("RULES = 3\n", "KP-PLUGIN-KIND"),
        ("RULES = [print]\n", "KP-PLUGIN-KIND"),
        ("import no_such_library\n", "KP-PLUGIN-IMPORT"),
        ("from kpkit.qa.rules_boxes import RULES\n", "KP-RULE-DUPLICATE"),
    ],
)
def test_a_broken_rule_is_called_by_its_fault_and_disturbs_no_other_command(sites, tmp_path, coco_file, source, code):
    site = tmp_path / "site"
    shutil.copytree(sites["strict"], site, ignore=shutil.ignore_patterns("__pycache__"))
    (site / "kpkit_strict.py").write_text(source)
    done = kpkit(site, "validate", str(coco_file), cwd=tmp_path)
    assert (done.returncode, f"error[{code}]" in done.stderr) == (2, True), done.stderr
    assert kpkit(site, "info", str(coco_file), cwd=tmp_path).returncode == 0


def test_the_page_shows_the_rule_that_is_installed():
    blocks = BLOCK.findall(PAGE)
    assert any(block == (STRICT / "kpkit_strict.py").read_text() for block in blocks)
    assert any(block in (STRICT / "pyproject.toml").read_text() for block in blocks if "kpkit.rules" in block)
