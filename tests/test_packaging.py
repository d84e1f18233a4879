"""What is built and installed is what is in the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from kpkit import resources

TOP = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(TOP)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content, as `pip install --target` leaves it."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_wheel_carries_the_schemas_byte_for_byte(installed):
    ours = content(TOP / "schemas")
    assert ours
    assert content(installed / "kpkit" / "schemas") == ours


def test_wheel_carries_every_module_and_the_typing_marker(installed):
    ours = {name for name in content(TOP / "kpkit") if name.endswith((".py", "py.typed"))}
    theirs = {name for name in content(installed / "kpkit") if name.endswith((".py", "py.typed"))}
    assert "py.typed" in ours
    assert theirs == ours


def test_wheel_carries_nothing_but_the_package_and_its_metadata(installed):
    assert {path.name.partition("-")[0] for path in installed.iterdir()} == {"kpkit"}
    assert not (installed / "kpkit" / "tests").exists()


def test_checkout_finds_the_schemas_beside_the_package():
    assert resources.schemas_dir() == TOP / "schemas"


def test_installed_package_finds_its_own_schemas_and_runs(installed, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    code = "import kpkit.resources as r; print(r.schemas_dir())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path, check=True
    )
    assert Path(done.stdout.strip()) == installed / "kpkit" / "schemas"
    done = subprocess.run(
        [sys.executable, "-m", "kpkit", "skeletons", "coco17"],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "left_shoulder" in done.stdout
