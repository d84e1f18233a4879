"""docs/cli.md is what the commands say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


def test_cli_reference_is_fresh(environment):
    done = subprocess.run(
        [sys.executable, str(TOP / "docs" / "make_cli_reference.py"), "--check"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_page_of_rules_is_fresh(environment):
    done = subprocess.run(
        [sys.executable, str(TOP / "docs" / "make_rules.py"), "--check"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
