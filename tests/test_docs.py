"""The pages say what happens: commands and Python in them are run, links lead somewhere, the picture is the demo's."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from kpkit.pipelines import demo

TOP = Path(__file__).resolve().parents[1]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_examples", TOP / "docs" / "make_examples.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


examples = _load()
PAGES = examples.pages()
LINK = re.compile(r"\]\(([^)#\s]+)")


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(demo.run(demo.DemoJob(folder=tmp_path_factory.mktemp("docs") / "kpkit-demo")).folder)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(TOP).as_posix())
def test_commands_and_python_of_a_page_give_what_it_shows(page, demo_folder):
    assert examples.renewed(page, demo_folder) == page.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", [*PAGES, TOP / "docs" / "cli.md", TOP / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_links_inside_the_repository_lead_somewhere(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / target).exists(), target


def test_every_page_is_listed_in_the_overview():
    overview = TOP / "docs" / "index.md"
    listed = {(overview.parent / target).resolve() for target in LINK.findall(overview.read_text(encoding="utf-8"))}
    assert {*PAGES, TOP / "docs" / "cli.md"} - {overview} <= listed


@pytest.mark.parametrize("sheet", [demo.SHEET, demo.PREVIEW, demo.TARGETS])
def test_the_pictures_in_the_pages_are_the_demos_sheets(demo_folder, sheet):
    shown = (TOP / "docs" / "images" / sheet).with_suffix(".jpg")
    assert shown.stat().st_size < 400_000
    ours, theirs = cv2.imread(str(shown)), cv2.imread(str(demo_folder / sheet))
    assert ours.shape == theirs.shape
    # Versions of OpenCV round letters and JPEGs differently, pixel by pixel; anything that moved stays in a blur.
    ours, theirs = (cv2.GaussianBlur(one, (0, 0), 2).astype(float) for one in (ours, theirs))
    assert np.abs(ours - theirs).mean() < 1.5


def test_stale_output_is_renewed_and_times_are_let_be(tmp_path):
    page = tmp_path / "README.md"
    page.write_text("```console\n$ echo new\nold\n\n$ echo 'in 2.5 s, 3 kB'\nin 0.1 s, 41.2 kB\n```\n")
    assert examples.renewed(page, tmp_path) == page.read_text().replace("old", "new").replace("0.1", "2.5").replace(
        "41.2", "3"
    )
    page.write_text("```console\n$ echo 'in 2.5 s, 3 kB'\nin 0.1 s, 41.2 kB\n```\n")
    assert examples.renewed(page, tmp_path) == page.read_text()


def test_wrong_output_of_python_is_noticed(tmp_path):
    page = tmp_path / "README.md"
    page.write_text("```python\nprint(1 + 1)\n# 3\n```\n")
    assert "# 2" in examples.renewed(page, tmp_path)


def test_a_command_that_fails_without_saying_so_in_the_page_stops_the_run(tmp_path):
    page = tmp_path / "README.md"
    page.write_text("```console\n$ echo 'error[KP-X]: no'; false\n```\n")
    with pytest.raises(SystemExit, match="failed with exit code 1"):
        examples.renewed(page, tmp_path)


def test_an_error_that_the_page_shows_may_happen(tmp_path):
    page = tmp_path / "README.md"
    page.write_text("```console\n$ echo 'error[KP-X]: no'; false\nerror[KP-X]: no\n```\n")
    assert examples.renewed(page, tmp_path) == page.read_text()


def test_a_block_that_says_why_it_is_not_run_is_left_alone(tmp_path):
    page = tmp_path / "README.md"
    page.write_text("<!-- not run: needs a network -->\n```console\n$ false\n```\n")
    assert examples.renewed(page, tmp_path) == page.read_text()
