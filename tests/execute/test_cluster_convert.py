"""Conversions in parts on a cluster of separate processes: the bytes of one process, also when the client is killed."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

import kpkit
from kpkit.guard import remove, work_folders
from kpkit.pipelines.work_folder import begun
from tests.cluster import Cluster, cluster, wait_until
from tests.execute.test_cluster_runs import SECONDS, Command, busy, finish, start
from tests.pipelines.test_convert_parts import labels, tree

pytest.importorskip("distributed", reason="Dask is not installed")
pytestmark = pytest.mark.faults

COMMANDS = [
    Command("native", ("convert", "coco", "native", "in.json", "--part-size", "8"), ""),
    Command("coco", ("convert", "native", "coco", "in.kpk"), ""),
]
OUTPUTS = {"native": "out.kpk", "coco": "out.json"}
INPUTS = {"in.json", "in.kpk"}


def prepare(folder: Path) -> Path:
    """A COCO file, and a native dataset of more than a hundred parts."""
    kpkit.convert("coco", "native", labels(folder / "in.json", 800, 400), output=folder / "in.kpk", part_size=8)
    return folder


def content(folder: Path, command: Command) -> dict[str, bytes]:
    """The output, which stands beside the inputs alone; it is removed."""
    output = folder / OUTPUTS[command.name]
    assert set(os.listdir(folder)) == {*INPUTS, output.name}
    found = tree(output) if output.is_dir() else {"": output.read_bytes()}
    if output.is_dir():
        shutil.rmtree(output)
    else:
        output.unlink()
    return found


def run(folder: Path, command: Command, *more: str) -> dict[str, bytes]:
    finish(start(folder, command, *more, output=OUTPUTS[command.name]))
    return content(folder, command)


def kept(folder: Path, command: Command) -> int:
    """Parts that are put down."""
    return sum(begun(work)[0] for work in work_folders(folder / OUTPUTS[command.name]))


def killed_at_work(folder: Path, command: Command, running: Cluster, where: tuple[str, ...]) -> list[int]:
    """A client is killed when some parts are done, and its workers are stopped; again where it was over too soon."""
    for _ in range(10):
        client = start(folder, command, *where, output=OUTPUTS[command.name])
        wait_until(lambda client=client: kept(folder, command) >= 3 or client.poll() is not None, "some parts")
        stopped = [running.stop_worker(number) for number in range(2)]
        client.send_signal(signal.SIGKILL)
        client.communicate()
        if client.returncode == -signal.SIGKILL and kept(folder, command) >= 3:
            return stopped
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        wait_until(lambda stopped=stopped: not any(map(busy, stopped)), "workers that have nothing more to do")
        for name in set(os.listdir(folder)) - INPUTS:
            remove(folder / name)
    pytest.fail("every run was over too soon")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_client_that_is_killed_goes_on_and_workers_that_come_late_change_nothing(command, tmp_path):
    folder = prepare(tmp_path / "here")
    expected = run(folder, command)
    with cluster(tmp_path) as running:
        where = ("--scheduler", running.address)
        assert run(folder, command, *where) == expected

        stopped = killed_at_work(folder, command, running, where)
        assert kept(folder, command) >= 3
        assert run(folder, command, "--resume") == expected

        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        deadline = time.monotonic() + SECONDS
        while any(busy(pid) for pid in stopped):
            assert time.monotonic() < deadline
        assert set(os.listdir(folder)) == INPUTS
        assert run(folder, command, *where, "--resume") == expected
