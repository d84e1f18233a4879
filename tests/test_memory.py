"""Freed blocks stay with a process that is kpkit's own, and Python looks for cycles less often there."""

from __future__ import annotations

import gc
import platform
import subprocess
import sys

import pytest

from kpkit.execute import LocalPool, run_tasks

PROGRAM = """
import resource, sys
import numpy as np
if sys.argv[1] == "keep":
    from kpkit.memory import keep_freed
    keep_freed()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(200):
    blocks = [np.ones(3_000_000 // 8) for _ in range(3)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
def test_a_block_that_was_freed_is_used_again_without_asking_the_system() -> None:
    def faults(how: str) -> int:
        ran = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
        return int(ran.stdout)

    # Three blocks of 3 MB are some 2,200 pages; mapped anew each time they are 440,000.
    assert faults("keep") < 20_000 < faults("leave")


def threshold(_: object) -> int:
    return gc.get_threshold()[0]


def test_python_collects_seldom_in_workers_and_as_always_in_the_callers_process() -> None:
    before = threshold(None)
    with LocalPool(2) as pool:
        (found,) = (result for _, result in run_tasks(threshold, [("one", None)], pool))
    assert found == 20_000
    assert threshold(None) == before < found
