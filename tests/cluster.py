"""A Dask cluster of separate processes, started by the commands that a user would type."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
SECONDS = 90


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as one:
        one.bind((host, 0))
        port: int = one.getsockname()[1]
    return port


def wait_until(condition, what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not in {SECONDS} s"
        time.sleep(0.02)


def environment() -> dict[str, str]:
    """For the processes of a cluster: they find kpkit and the tests' tasks; their warnings are theirs."""
    return {**os.environ, "PYTHONPATH": str(TOP), "PYTHONWARNINGS": "ignore"}


class Cluster:
    """A scheduler and workers, each in a session of its own; `prefix` stands before the workers' commands."""

    def __init__(self, folder: Path, workers: int = 2, prefix: Sequence[str] = ()) -> None:
        self.folder, self.port = folder, free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self._running: list[subprocess.Popen[bytes]] = []
        self.start_scheduler()
        self.workers = [self.start_worker(prefix) for _ in range(workers)]

    def start_scheduler(self) -> None:
        """`dask scheduler`, on the port that it had."""
        command = ["dask", "scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"]
        self.scheduler = self.start(*command)

    def start_worker(self, prefix: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """`dask worker` with one process of one thread."""
        arguments = ["--nworkers", "1", "--nthreads", "1", "--no-dashboard", "--local-directory", str(self.folder)]
        return self.start(*prefix, "dask", "worker", self.address, *arguments)

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """A command in a session of its own, its output in a file."""
        program = Path(sys.executable).parent / "dask"
        command = tuple(str(program) if word == "dask" else word for word in command)
        with (self.folder / "cluster.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment(), start_new_session=True)
        self._running.append(process)
        return process

    def kill_worker(self, number: int = 0) -> int:
        """kill -9 of the process that works for a `dask worker`; its number."""
        pid = working_process(self.workers[number].pid)
        os.kill(pid, signal.SIGKILL)
        return pid

    def stop_worker(self, number: int = 0) -> int:
        """Stop that process where it is, until it is sent SIGCONT; its number."""
        pid = working_process(self.workers[number].pid)
        os.kill(pid, signal.SIGSTOP)
        return pid

    def stop(self) -> None:
        """End everything, whatever state it is in."""
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def cluster(folder: Path, workers: int = 2, prefix: Sequence[str] = ()) -> Iterator[Cluster]:
    made = Cluster(folder, workers, prefix)
    try:
        yield made
    finally:
        made.stop()


def working_process(nanny: int) -> int:
    """The process that a `dask worker` has started to do the work: its child that listens to tasks."""
    found: list[int] = []

    def look() -> bool:
        found[:] = [pid for pid in children(nanny) if b"spawn_main" in command_of(pid)]
        return bool(found)

    wait_until(look, "a worker process")
    return found[0]


def children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += [int(word) for word in (thread / "children").read_text().split()]
    return found


def command_of(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
