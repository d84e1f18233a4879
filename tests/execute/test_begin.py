"""The process that workers are forked from starts early, and Ctrl-C is not its business."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import textwrap

import pytest

PROGRAM = """
    import multiprocessing, sys, time
    from kpkit.execute import LocalPool, begin

    def loaded(name):
        return name in sys.modules

    if __name__ == "__main__":
        begin(int(sys.argv[1]), sys.argv[2], ["wave", "no_such_module"])
        from multiprocessing import forkserver
        print(forkserver._forkserver._forkserver_pid is not None)
        with LocalPool(2) as pool:
            print(pool.executor().submit(loaded, "wave").result())
"""


@pytest.mark.skipif("forkserver" not in multiprocessing.get_all_start_methods(), reason="Windows has no fork server")
@pytest.mark.parametrize(
    ("workers", "scheduler", "expected"), [("2", "", "True"), ("1", "", "False"), ("2", "tcp://x:1", "False")]
)
def test_workers_find_imported_what_was_begun_with(tmp_path, workers, scheduler, expected):
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(PROGRAM))
    ran = subprocess.run(
        [sys.executable, str(path), workers, scheduler], capture_output=True, text=True, check=True, timeout=120
    )
    assert ran.stdout.split() == [expected, expected]
    assert ran.stderr == ""
