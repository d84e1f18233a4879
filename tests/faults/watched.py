"""Command lines under strace, which kills them, or fails them, at a given call to the system."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
# Calls that change what is on the disk: between two of them there is nothing new to see.
WRITES = "write,pwrite64,writev,pwritev"
SYNCS = "fsync,fdatasync"
RENAMES = "rename,renameat,renameat2,link,linkat"
CHANGES = f"{WRITES},{SYNCS},{RENAMES},ftruncate,unlink,unlinkat,mkdir,mkdirat,rmdir"


def works() -> bool:
    """Whether strace is there and may be used."""
    if shutil.which("strace") is None:
        return False
    command = ["strace", "-qq", "-e", "inject=getpid:error=EPERM", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


class Watched:
    """A process that forks the command lines, ready to be watched from their first call on."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(TOP), "PYTHONDONTWRITEBYTECODE": "1"}
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=TOP,
        )
        assert self._line() == "ready"

    def run(self, folder: Path, arguments: Sequence[str], *watch: str) -> tuple[int, list[str]]:
        """Exit code of a command line in `folder` under `strace WATCH`, and the calls that were traced."""
        go = folder.parent / "go"
        go.unlink(missing_ok=True)
        self._send(json.dumps({"folder": str(folder), "arguments": list(arguments)}))
        pid = self._line()
        with tempfile.NamedTemporaryFile() as log:
            command = ["strace", "-f", "-o", log.name, *watch, "-p", pid]
            with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
                assert tracer.stderr is not None
                assert "attached" in tracer.stderr.readline()
                go.touch()
                code = int(self._line())
                tracer.communicate(timeout=30)
            return code, Path(log.name).read_text(errors="replace").splitlines()

    def close(self) -> None:
        """End the process."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.stdout.close()
        self._server.wait(10)

    def _send(self, line: str) -> None:
        assert self._server.stdin is not None
        self._server.stdin.write(line + "\n")
        self._server.stdin.flush()

    def _line(self) -> str:
        assert self._server.stdout is not None
        return self._server.stdout.readline().strip()


@contextlib.contextmanager
def watched() -> Iterator[Watched]:
    made = Watched()
    try:
        yield made
    finally:
        made.close()


def said(folder: Path) -> str:
    """What the last command line printed."""
    with contextlib.suppress(OSError):
        return (folder.parent / "said").read_text()
    return ""
