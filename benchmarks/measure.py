"""Runs programs in turn and measures each process: wall time, processor time, peak memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
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
class TreeRun:
    """A finished program and all processes below it.

    wall, cpu  seconds      peak  of the process that took most, bytes      processes  how many there were
    """

    wall: float
    cpu: float
    peak: int
    processes: int


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


def run_tree(command: Sequence[str], log: Path, fine: Sequence[int] = (0,)) -> TreeRun:
    """Run a program once and watch the processes below it.

    A process that lives for less than a hundredth of a second may not be seen; outside Linux only the program is.

    Raises RuntimeError with the last lines that it printed where its exit code is none of `fine`.
    """
    seen: dict[int, tuple[int, float]] = {}
    done = threading.Event()
    with log.open("wb") as stream:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=ENVIRONMENT)
        watcher = threading.Thread(target=_watch, args=(process.pid, seen, done))
        watcher.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        done.set()
        watcher.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in fine:
        tail = log.read_text(errors="replace").strip().splitlines()[-8:]
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n" + "\n".join(tail))
    # A fork server and its workers are nobody's children in the end, so what they took is what was seen last.
    below = [one for pid, one in seen.items() if pid != process.pid]
    cpu = usage.ru_utime + usage.ru_stime + sum(seconds for _, seconds in below)
    peak = max([usage.ru_maxrss * MAXRSS_UNIT, *(most for most, _ in below)])
    return TreeRun(wall, cpu, peak, len(below) + 1)


def _watch(root: int, seen: dict[int, tuple[int, float]], done: threading.Event) -> None:
    """Keep peak memory and processor time of every process below `root`, until told to stop."""
    ticks = os.sysconf("SC_CLK_TCK")
    while not done.wait(0.01):
        parents: dict[int, int] = {}
        found: dict[int, tuple[int, float]] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                lines = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended
                continue
            pid = int(folder.name)
            parents[pid] = int(lines["PPid"])
            found[pid] = int(lines.get("VmHWM", "0").split()[0]) * 1024, (int(fields[11]) + int(fields[12])) / ticks
        ours = {root}
        while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
            ours |= more
        # One that is ending has no memory any more.
        seen |= {pid: found[pid] for pid in ours & found.keys() if found[pid][0]}


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
