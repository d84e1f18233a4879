"""The compiled kernels can be loaded before there is anything to render, for processes that are forked later."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import kpkit.targets.kernels_loaded
from kpkit.targets import kernels_numba
print(kernels_numba.gaussians._compiled is not None)
"""


def test_the_kernels_are_there_after_the_import() -> None:
    pytest.importorskip("numba")
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=120)
    assert ran.stdout.split() == ["True"]
