"""Runs command lines in forked processes of its own, each held until somebody watches it.

A line on stdin is JSON: folder and arguments. The number of the process is printed; it begins when the file `go` appears in
the folder above, and its exit code is printed when it ends (minus the signal's number where one ended it).
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from typing import Any

# Loaded once: what a run imports is no part of what is disturbed.
MODULES = ("convert", "augment", "heatmaps", "clean")
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
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _work(request)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _work(request: dict[str, Any]) -> None:
    from kpkit.cli.main import main as kpkit

    code = 70
    try:
        os.chdir(request["folder"])
        log = os.open("../said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        while not os.path.exists("../go"):
            time.sleep(0.005)
        code = kpkit(request["arguments"])
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
