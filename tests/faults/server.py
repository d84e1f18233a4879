"""Runs command lines in forked processes of its own, each held until somebody watches it.

A line on stdin is JSON: folder and arguments. The number of the process is printed; it begins when the file
`go` appears in the folder above, and its exit code is printed when it ends (negative: the signal that ended it).
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from typing import Any

# Loaded once: what a run imports is no part of what is disturbed.
MODULES = ("convert", "augment", "heatmaps", "clean")
LONGEST = 60
HEAVY = ("cv2", "h5py", "pyarrow.parquet", "scipy", "pandas", "numba", "kpkit.targets.make", "kpkit.cli.report")


def main() -> None:
    """Serve until stdin ends."""
    for name in HEAVY:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    for name in MODULES:
        importlib.import_module(f"kpkit.pipelines.{name}")
    say("ready")
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _work(request)
        say(pid)
        _, status = os.waitpid(pid, 0)
        say(os.waitstatus_to_exitcode(status))


def say(what: object) -> None:
    """A line for whoever asked."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def _work(request: dict[str, Any]) -> None:
    from kpkit.cli.main import main as kpkit

    # A run that hangs is a failed test, not one that never ends.
    signal.alarm(LONGEST)
    code = 70
    try:
        os.chdir(request["folder"])
        log = os.open("../said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        while not os.path.exists("../go"):
            time.sleep(0.005)
        sys.argv = ["kpkit", *request["arguments"]]
        code = kpkit()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
