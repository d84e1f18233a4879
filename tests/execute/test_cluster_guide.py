"""docs/guide/cluster.md is followed on two hosts: the bytes of one process, also when the cable is pulled."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.augment_data import hashes
from tests.cluster import TOP, environment, free_port, wait_until
from tests.execute.test_cluster_runs import CUT, SECONDS, prepare
from tests.hosts import Host, loopbacks, may_make_namespaces, namespaces, namespaces_work

pytest.importorskip("distributed", reason="Dask is not installed")
pytestmark = pytest.mark.faults

PAGE = TOP / "docs" / "guide" / "cluster.md"
ADDRESS, PORT = "10.0.0.1", 8786
DOWN_SECONDS = 3.0
# More than the demo's few persons, so that there is a middle of the run.
MORE = {
    "augment": ("--copies", "12"),
    "heatmaps": ("--with-images", "--recipe", "six2", "--copies", "40", "--shard-size", "40"),
}
OUTPUTS = {"augment": "augmented", "heatmaps": "shards"}
ITEMS = {"augment": ".kpkit-work-*/data/images/*", "heatmaps": "shards/**/shard-*.h5"}
# Where whoever starts the tests says so, what cannot run is no reason to skip; other settings do not reach tests.
REQUIRED = bool(os.environ.get("KPKIT_REQUIRE_FIFTYONE"))


class Network(NamedTuple):
    """Two hosts, and the port that the scheduler takes on the first."""

    hosts: tuple[Host, Host]
    port: int


def blocks() -> list[list[list[str]]]:
    """The words of the commands in the page's console blocks."""
    found = re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [[shlex.split(line[2:]) for line in block.splitlines() if line.startswith("$ ")] for block in found]


class Followed:
    """The page's commands with these hosts' addresses, one process a host, and programs of this environment."""

    def __init__(self, network: Network, folder: Path) -> None:
        self.network, self.folder = network, folder

    def words(self, words: list[str]) -> list[str]:
        """One command of the page as it is run here."""
        network = self.network
        said = [word.replace(f"{ADDRESS}:{PORT}", f"{ADDRESS}:{network.port}") for word in words]
        said = [word.replace(ADDRESS, network.hosts[0].address) for word in said]
        said = [word.replace("/shared/", f"{self.folder}/") for word in said]
        for option, value in (("--port", str(network.port)), ("--nworkers", "1")):
            if option in said:
                said[said.index(option) + 1] = value
        programs = {"kpkit": [sys.executable, "-m", "kpkit"], "dask": [str(Path(sys.executable).parent / "dask")]}
        return [*programs[said[0]], *said[1:]]

    def start_machines(self) -> None:
        """What the page says is to be typed on the first machine and on the second."""
        _, first, second = blocks()
        for host, commands in zip(self.network.hosts, (first, second), strict=True):
            for command in commands:
                more = network_options(command, host, self.network)
                host.start([*self.words(command), *more], self.folder, self.folder / "log")
        wait_until(lambda: (self.folder / "log").read_text().count("Registered to:") == 2, "a worker on each")

    def client(self, name: str) -> subprocess.Popen[str]:
        """The page's `kpkit NAME` with more items, on the first machine."""
        command = next(one for one in blocks()[0] if one[1] == name)
        return self.network.hosts[0].start([*self.words(command), *MORE[name], "--quiet"], self.folder)

    def output(self, name: str) -> Path:
        return self.folder / OUTPUTS[name]


def network_options(command: list[str], host: Host, network: Network) -> list[str]:
    """A machine that shares its network stack has to be told which address is its own."""
    return ["--host", host.address] if not host.prefix and command[1] == "worker" else []


@contextlib.contextmanager
def two_namespaces() -> Iterator[Network]:
    if not namespaces_work():
        assert not (REQUIRED and may_make_namespaces()), "network namespaces may be made, but `ip` is not installed"
        pytest.skip("network namespaces need root and `ip`")
    with namespaces() as hosts:
        yield Network(hosts, PORT)


@contextlib.contextmanager
def two_loopbacks() -> Iterator[Network]:
    if sys.platform != "linux":
        pytest.skip("only Linux answers on 127.0.0.2 by itself")
    with loopbacks() as hosts:
        yield Network(hosts, free_port())


@pytest.fixture(params=[two_namespaces, two_loopbacks])
def followed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Followed]:
    with request.param() as network:
        made = Followed(network, tmp_path)
        # The page's commands name the folder, which has to hold one dataset then.
        shutil.rmtree(prepare(tmp_path / "coco") / CUT)
        made.start_machines()
        yield made


def one_process(folder: Path, name: str) -> dict[str, str]:
    """What the page's command writes without a cluster."""
    command = next(one for one in blocks()[0] if one[1] == name)
    words = [*command[1 : command.index("-o")], "-o", f"alone-{name}", "--quiet", *MORE[name]]
    subprocess.run([sys.executable, "-m", "kpkit", *words], cwd=folder, env=environment(), check=True)
    return hashes(folder / f"alone-{name}")


def test_page_has_the_commands_that_are_followed_here():
    names = [[words[:2] for words in block] for block in blocks()]
    assert names == [
        [["kpkit", "augment"], ["kpkit", "heatmaps"]],
        [["dask", "scheduler"], ["dask", "worker"]],
        [["dask", "worker"]],
    ]


def test_two_machines_by_the_page_give_the_bytes_of_one_process_also_when_a_link_is_down(followed):
    for name in OUTPUTS:
        client = at_work(followed, name)
        with followed.network.hosts[1].away():
            time.sleep(DOWN_SECONDS)
        said, _ = client.communicate(timeout=SECONDS)
        assert client.returncode == 0, said
        alone = one_process(followed.folder, name)
        assert len(alone) > 20
        assert hashes(followed.output(name)) == alone


def at_work(followed: Followed, name: str) -> subprocess.Popen[str]:
    """The page's command with some items done and not over; started again where it was over before that was seen."""
    for _ in range(10):
        client = followed.client(name)
        wait_until(lambda client=client: items(followed, name) >= 3 or client.poll() is not None, "some items")
        if client.poll() is None:
            return client
        said, _ = client.communicate(timeout=SECONDS)
        assert client.returncode == 0, said
        shutil.rmtree(followed.output(name))
    pytest.fail("every run was over too soon")


def items(followed: Followed, name: str) -> int:
    return len(list(followed.folder.glob(ITEMS[name])))
