"""Runs command lines: in this process where that says the same, in one of its own where streams and signals matter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kpkit.cli.main import main

TOP = Path(__file__).resolve().parents[2]


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def kpkit(empty_folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs `kpkit ARGUMENTS` in an empty folder."""

    def run(*arguments: str | Path) -> Ran:
        capsys.readouterr()
        code = main([str(one) for one in arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture
def environment() -> dict[str, str]:
    """For processes of their own: this checkout first on the path."""
    return {**os.environ, "PYTHONPATH": str(TOP), "TERM": "xterm-256color"}


@pytest.fixture
def kpkit_process(empty_folder: Path, environment: dict[str, str]) -> Callable[..., Ran]:
    """Runs `python -m kpkit ARGUMENTS` as a process of its own."""

    def run(*arguments: str, **variables: str) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "kpkit", *arguments],
            capture_output=True,
            text=True,
            env={**environment, **variables},
            timeout=60,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run
