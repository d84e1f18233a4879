"""The list of threats in docs/security.md, and the tests of those that have no other home."""

from __future__ import annotations

import ast
import csv
import re
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import kpkit
from kpkit import storage
from kpkit.cli.main import main
from kpkit.errors import InputError
from tests.augment_data import dataset, read_labels, write_labels

TOP = Path(__file__).resolve().parents[1]
PAGE = TOP / "docs" / "security.md"
HOSTILE = "<img src=x onerror=alert(1)>"


def rows() -> list[str]:
    return [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.split("|")[1].strip()[:50])
def test_every_threat_names_a_test_that_exists(row: str) -> None:
    found = re.search(r"`(tests/[\w/]+\.py)::(\w+)`", row)
    assert found is not None, row
    tree = ast.parse((TOP / found[1]).read_text(encoding="utf-8"))
    assert found[2] in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, row


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((TOP / "kpkit").rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def test_nothing_reads_xml() -> None:
    for path, tree in sources():
        for node in ast.walk(tree):
            names = [one.name for one in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            assert not re.search(r"\b(xml|lxml|expat|bs4)\b", " ".join([module, *names])), path


def test_nothing_unpickles_or_evaluates() -> None:
    # The suites for plug-ins pickle what they have made themselves.
    for path, tree in (one for one in sources() if "testing" not in one[0].parts):
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            assert called not in {"eval", "exec", "compile", "pickle.load", "pickle.loads", "torch.load"}, path
            if called.endswith(("np.load", "numpy.load")):
                assert "allow_pickle=False" in ast.unparse(node), f"{path}:{node.lineno}"


def test_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fsspec", reason="fsspec is not installed (extra s3)")
    monkeypatch.setattr(storage.copies, "MAX_UNPACKED", 1000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.json", "[" + "0," * 100_000 + "0]")
    before = set(storage.scratch().rglob("labels.json"))
    with pytest.raises(InputError) as refused:
        kpkit.read(f"zip://labels.json::{tmp_path / 'bomb.zip'}")
    assert refused.value.code == "KP-URL-SIZE"
    assert set(storage.scratch().rglob("labels.json")) <= before


def patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    import importlib
    import pkgutil

    import kpkit.formats

    for info in pkgutil.iter_modules(kpkit.formats.__path__):
        module: ModuleType = importlib.import_module(f"kpkit.formats.{info.name}")
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
                yield f"{info.name}.{name}", value


def test_long_numbers_take_no_quadratic_time() -> None:
    tried = 0
    for name, pattern in patterns():
        for text in ("9" * 50_000 + "!", " " * 50_000 + "!", "a" * 50_000 + "\0", "9." * 25_000):
            for method in (pattern.fullmatch, pattern.match):
                started = time.process_time()
                method(text)
                assert time.process_time() - started < 1.0, f"{name} takes long for {text[:3]!r}..."
                tried += 1
    assert tried


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Labels whose joints and files have names that mean harm."""
    labels = dataset(tmp_path, images=2, persons=2)
    content = read_labels(tmp_path)
    names = content["categories"][0]["keypoints"]
    names[0], names[1] = HOSTILE, '=HYPERLINK("http://example.org")'
    write_labels(tmp_path, content)
    monkeypatch.chdir(tmp_path)
    return labels


def test_html_in_names_is_text_in_the_report(hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", str(hostile), "--html", "report.html"]) == 0, capsys.readouterr().err
    page = Path("report.html").read_text(encoding="utf-8")
    assert HOSTILE not in page
    assert "&lt;img src=x" in page
    assert "Content-Security-Policy" in page


def test_formulas_in_names_are_text_in_exports(hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", str(hostile), "--csv", "stats.csv"]) == 0, capsys.readouterr().err
    with Path("stats.csv").open(encoding="utf-8", newline="") as stream:
        cells = [cell for row in csv.reader(stream) for cell in row]
    assert any("HYPERLINK" in cell for cell in cells)
    assert not [cell for cell in cells if cell[:1] in "=+@\t\r" and cell[:1] and not _is_number(cell)]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
