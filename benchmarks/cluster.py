"""What a cluster costs on one machine: `kpkit heatmaps --scheduler` beside the local process pool, on the same cores.

    python benchmarks/cluster.py [--pairs 5] [--workers 2] [--persons 20000] [--most 1.25]

A Dask scheduler and its workers are started as a user starts them, one thread a worker, before anything is measured.
The two take turns, and one run of each goes ahead; a ratio is taken pair by pair. The outputs are compared, too.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from make_coco import make
from measure import ENVIRONMENT, Run, Spread, Task, run
from table import load, machine

START_SECONDS = 60
SHARD = 256


def main() -> int:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--persons", type=int, default=20_000)
    parser.add_argument("--most", type=float, default=1.25, help="how many times the pool's time may be taken")
    parser.add_argument("--work", type=Path, help="folder for labels and outputs")
    options = parser.parse_args()
    print("\n".join([*machine(sys.executable)[:2], f"load before: {load()}", ""]))
    with tempfile.TemporaryDirectory(dir=options.work) as temporary:
        folder = Path(temporary)
        labels = folder / "labels.json"
        make(labels, images=max(1, options.persons // 4), persons=options.persons)
        with cluster(folder, options.workers) as address:
            command = [sys.executable, "-m", "kpkit", "heatmaps", str(labels), "--shard-size", str(SHARD), "--quiet"]
            here = Measured([*command, "--workers", str(options.workers)], folder)
            there = Measured([*command, "--scheduler", address], folder)
            for _ in range(options.pairs + 1):
                there.once()
                here.once()
    same = here.digests == there.digests and len(here.digests) == 1
    print(table(options, here, there))
    print("\noutputs: " + ("the same bytes each time" if same else "NOT THE SAME"))
    return 0 if same else 1


class Measured:
    """A command, its runs, and the digests of what it wrote."""

    def __init__(self, command: Sequence[str], work: Path) -> None:
        self._command, self._work = command, work
        self.runs: list[Run] = []
        self.digests: set[str] = set()

    def once(self) -> None:
        """Run it once more."""
        written: list[Path] = []

        def command(output: Path) -> Sequence[str]:
            written.append(output)
            return [*self._command, "-o", str(output)]

        self.runs.append(run(Task(command), self._work))
        self.digests.add(digest(written[0]))
        shutil.rmtree(written[0])


def digest(folder: Path) -> str:
    """SHA-256 over names and content of all files of a folder."""
    found = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        found.update(f"{file.relative_to(folder)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()


def table(options: argparse.Namespace, here: Measured, there: Measured) -> str:
    """The first runs, which go ahead, and the ratio of the others."""
    wall = Spread.of([a.wall / b.wall for a, b in zip(there.runs[1:], here.runs[1:], strict=True)])
    said = "met" if wall.middle <= options.most else "NOT MET"
    what = f"heatmaps, {options.persons:,} persons, {options.workers} workers"
    lines = [
        ("What", "cluster", "pool", "first run", "times the pool's time", "at most", ""),
        ("---",) * 7,
        (
            what,
            seconds(there.runs[1:]),
            seconds(here.runs[1:]),
            f"{there.runs[0].wall:.2f} s, {here.runs[0].wall:.2f} s",
            f"{wall.middle:.2f}x ({wall.least:.2f} to {wall.greatest:.2f})",
            f"{options.most:g}x",
            said,
        ),
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def seconds(runs: Sequence[Run]) -> str:
    """Median, least and greatest wall time."""
    wall = Spread.of([one.wall for one in runs])
    return f"{wall.middle:.2f} s ({wall.least:.2f} to {wall.greatest:.2f})"


@contextlib.contextmanager
def cluster(folder: Path, workers: int) -> Iterator[str]:
    """The address of a scheduler with so many workers, as processes of this machine."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{one.getsockname()[1]}"
    dask = str(Path(sys.executable).parent / "dask")
    commands = [
        [dask, "scheduler", "--host", "127.0.0.1", "--port", address.rpartition(":")[2], "--no-dashboard"],
        [dask, "worker", address, "--nworkers", str(workers), "--nthreads", "1", "--no-dashboard"],
    ]
    with (folder / "cluster.log").open("wb") as log, contextlib.ExitStack() as stack:
        for command in commands:
            process = subprocess.Popen(
                command, cwd=folder, stdout=log, stderr=log, env=ENVIRONMENT, start_new_session=True
            )
            stack.callback(stop, process)
        deadline = time.monotonic() + START_SECONDS
        while (folder / "cluster.log").read_text(errors="replace").count("Registered to:") < workers:
            if time.monotonic() > deadline:
                raise SystemExit("the cluster does not start:\n" + (folder / "cluster.log").read_text()[-2000:])
            time.sleep(0.1)
        yield address


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a program and what it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


if __name__ == "__main__":
    sys.exit(main())
