"""Whole commands on a cluster of separate processes: the bytes of one process, whoever is killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest

import kpkit
from kpkit.core.report import Collector
from kpkit.formats.base import WriteOptions
from kpkit.formats.native import NativeFormat
from tests.augment_data import LABELS, dataset, hashes, picture
from tests.cluster import Cluster, cluster, environment, wait_until

pytest.importorskip("distributed", reason="Dask is not installed")
pytestmark = pytest.mark.faults

# Large enough that runs last for some seconds: somebody is killed in their middle.
IMAGES, PERSONS, WIDTH, HEIGHT = 24, 2, 960, 640
SECONDS = 120
# Twelve copies of four images are a block then.
IN_PARTS = 12 * 4 * PERSONS


@dataclass(frozen=True)
class Command:
    """A command line, and what matches the files of items that are done while it runs."""

    name: str
    arguments: tuple[str, ...]
    items: str

    def done(self, folder: Path) -> int:
        return len(list(folder.glob(self.items)))


CUT = "cut.kpk"
INPUTS = {"annotations", "images", CUT}
COMMANDS = [
    Command(
        "augment",
        ("augment", LABELS, "--recipe", "six2", "--occlusion", "0.3", "--copies", "12"),
        ".kpkit-work-*/data/images/*",
    ),
    Command(
        "augment in parts",
        ("augment", CUT, "--recipe", "six2", "--occlusion", "0.3", "--copies", "12"),
        ".kpkit-work-*/data/images/*",
    ),
    Command(
        "heatmaps",
        ("heatmaps", LABELS, "--with-images", "--recipe", "six2", "--copies", "40", "--shard-size", "40"),
        "out/**/shard-*.h5",
    ),
]
each_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)


def prepare(folder: Path) -> Path:
    """Labels, the same in parts, and pictures; the sizes in the labels are those of small pictures, not of these."""
    labels = dataset(folder, images=IMAGES, persons=PERSONS)
    text = labels.read_text().replace('"width": 96', f'"width": {WIDTH}').replace('"height": 64', f'"height": {HEIGHT}')
    labels.write_text(text)
    cut = folder / CUT
    cut.mkdir()
    NativeFormat().write(kpkit.read(labels), cut, WriteOptions(final=cut, part_size=IN_PARTS), Collector())
    for number in range(IMAGES):
        cv2.imwrite(str(folder / "images" / f"{number:03d}.png"), picture(number, WIDTH, HEIGHT))
    return folder


def start(folder: Path, command: Command, *more: str, output: str = "out") -> subprocess.Popen[str]:
    """The command in a process of its own."""
    words = [sys.executable, "-m", "kpkit", *command.arguments, "-o", output, "--quiet", *more]
    return subprocess.Popen(
        words, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(client: subprocess.Popen[str]) -> None:
    said, _ = client.communicate(timeout=SECONDS)
    assert client.returncode == 0, said


def run(folder: Path, command: Command, *more: str, output: str = "out") -> dict[str, str]:
    """Checksums of what the command writes."""
    finish(start(folder, command, *more, output=output))
    assert_alone(folder, output)
    return hashes(folder / output)


def assert_alone(folder: Path, output: str = "out") -> None:
    """Beside the inputs there is the output and nothing else."""
    assert {*INPUTS, output} == set(os.listdir(folder))


def at_work(folder: Path, command: Command, *more: str, count: int = 3) -> subprocess.Popen[str]:
    """The command with so many items done and not over; started again where it was over before that was seen."""
    for _ in range(10):
        client = start(folder, command, *more)
        wait_until(lambda client=client: command.done(folder) >= count or client.poll() is not None, "some items")
        if client.poll() is None:
            return client
        finish(client)
        shutil.rmtree(folder / "out")
    pytest.fail("every run was over too soon")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What one process writes, by command."""
    folder = prepare(tmp_path_factory.mktemp("one"))
    found = {}
    for command in COMMANDS:
        found[command.name] = run(folder, command)
        assert len(found[command.name]) > 20
        shutil.rmtree(folder / "out")
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return prepare(tmp_path / "here")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path) as made:
        yield made


@each_command
def test_whatever_is_killed_the_bytes_are_those_of_one_process(command, undisturbed, folder, running):
    where: Sequence[str] = ("--scheduler", running.address)
    assert run(folder, command, *where) == undisturbed[command.name]
    shutil.rmtree(folder / "out")

    client = at_work(folder, command, *where)
    killed = running.kill_worker()
    finish(client)
    assert_alone(folder)
    assert hashes(folder / "out") == undisturbed[command.name]
    assert not Path(f"/proc/{killed}").exists()
    shutil.rmtree(folder / "out")

    for _ in range(10):
        client = at_work(folder, command, *where)
        client.send_signal(signal.SIGKILL)
        client.communicate()
        if not any((folder / "out" / last).exists() for last in ("manifest.json", "augment.parquet")):
            break
        shutil.rmtree(folder / "out")  # it had just ended
    else:
        pytest.fail("every run was over too soon")
    assert run(folder, command, *where, "--resume") == undisturbed[command.name]


@each_command
def test_worker_of_a_killed_run_comes_too_late_to_change_the_next_one(command, folder, running):
    """Both workers are stopped in the middle of an item, and go on when another run has finished the output."""
    other = Command(command.name, (*command.arguments, "--seed", "1"), command.items)
    client = at_work(folder, command, "--scheduler", running.address, count=1)
    stopped = [running.stop_worker(number) for number in range(2)]
    client.send_signal(signal.SIGKILL)
    client.communicate()

    alone = run(folder, other, "--force")
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    # A new run on the same workers begins when what they were at is over.
    deadline = time.monotonic() + SECONDS
    while any(busy(pid) for pid in stopped):
        assert time.monotonic() < deadline
    assert hashes(folder / "out") == alone
    assert_alone(folder)


def busy(pid: int) -> bool:
    """Whether a process used more than a tenth of a processor in half a second."""

    def ticks() -> int:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(words[11]) + int(words[12])

    before = ticks()
    time.sleep(0.5)
    return ticks() - before > 5
