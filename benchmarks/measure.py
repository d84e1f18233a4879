"""Runs programs in turn and measures each process: wall time, processor time, peak memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

# Linux counts kilobytes, macOS bytes.
MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024

# Installed programs are compiled; one from a checkout has to be allowed to keep its compiled files.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True)
class Run:
    """One finished process: seconds of wall and processor time, peak memory in bytes."""

    wall: float
    cpu: float
    peak: int


@dataclass(frozen=True)
class Task:
    """A program that writes one file or folder: its command for an output path, and the name of the output."""

    command: Callable[[Path], Sequence[str]]
    output: str = "out"


@dataclass(frozen=True)
class Spread:
    """Median, least and greatest of some numbers."""

    middle: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one number."""
        return cls(median(values), min(values), max(values))


def run(task: Task, work: Path) -> Run:
    """Run once, in a new folder in `work`.

    Raises RuntimeError with the last lines that the program printed where it fails.
    """
    folder = Path(tempfile.mkdtemp(dir=work))
    output, log = folder / task.output, folder / "log.txt"
    command = task.command(output)
    with log.open("wb") as stream:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=ENVIRONMENT)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        tail = log.read_text(errors="replace").strip().splitlines()[-8:]
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n" + "\n".join(tail))
    # Folders stay until the row is done: a file system takes long to make files where as many were just removed.
    if output.is_file():
        output.unlink()
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * MAXRSS_UNIT)


def alternate(ours: Task, peer: Task, pairs: int, work: Path) -> tuple[list[Run], list[Run]]:
    """Both programs in turn, `pairs` times: whatever else the machine does meets both alike."""
    first, second = list[Run](), list[Run]()
    for _ in range(pairs):
        first.append(run(ours, work))
        second.append(run(peer, work))
    return first, second


def ratios(ours: Sequence[Run], peer: Sequence[Run]) -> tuple[Spread, Spread]:
    """How many times ours is faster, pair by pair: wall time, processor time."""
    pairs = list(zip(ours, peer, strict=True))
    return Spread.of([b.wall / a.wall for a, b in pairs]), Spread.of([b.cpu / a.cpu for a, b in pairs])
