"""The workers of a Dask cluster: the same results, deaths that cost no item, clear errors."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import kpkit
from kpkit.errors import UsageError
from kpkit.execute import Failure, dask, pool_for, run_tasks
from tests.cluster import Cluster, cluster, free_port
from tests.execute import tasks

distributed = pytest.importorskip("distributed", reason="Dask is not installed")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


def _run(address: str, function: Callable[[Any], Any], payloads: list[Any], **options: Any) -> dict[str, Any]:
    with pool_for(1, address, **options) as pool:
        found = list(run_tasks(function, ((str(i), one) for i, one in enumerate(payloads)), pool))
    assert len({key for key, _ in found}) == len(found) == len(payloads)
    return dict(found)


def test_every_item_is_done_once_by_the_workers(running):
    found = _run(running.address, tasks.process_id, [None] * 40)
    assert os.getpid() not in found.values()
    assert _run(running.address, tasks.double, list(range(300))) == {str(i): 2 * i for i in range(300)}


def test_items_are_sent_together_and_only_as_places_become_free(running):
    taken, most = 0, 0

    def items() -> Iterator[tuple[str, int]]:
        nonlocal taken
        for number in range(2000):
            taken += 1
            yield str(number), number

    done = 0
    with distributed.Client(running.address) as client:
        client.wait_for_workers(2, timeout=60)
    with pool_for(1, running.address) as pool:
        assert pool.workers == 2
        started = time.monotonic()
        for _ in run_tasks(tasks.double, items(), pool):
            done += 1
            most = max(most, taken - done)
        seconds = time.monotonic() - started
    assert done == 2000
    assert 2 * 2 < most <= 2 * 2 * 256
    # One by one they would be 2,000 round trips.
    assert seconds < 20


def test_error_in_an_item_is_its_failure_and_stops_nothing(running):
    found = _run(running.address, tasks.fail_on_odd, list(range(8)))
    assert [found[str(i)] for i in (0, 2, 4, 6)] == [0, 2, 4, 6]
    assert found["1"] == Failure("1", "KP-ODD", "item 1: odd")


def test_what_cannot_be_sent_is_a_failure(running):
    found = _run(running.address, tasks.misbehave, ["fine", threading.Lock(), "result", "fine", "exit"])
    assert (found["0"], found["3"]) == ("fine", "fine")
    assert isinstance(found["1"], Failure)
    assert isinstance(found["4"], Failure)


def test_every_worker_is_prepared_once(running):
    found = _run(running.address, tasks.started, [None] * 6, initializer=tasks.start_here)
    assert set(map(tuple, found.values())) == {("here",)}


def test_nothing_listens_for_a_client(running):
    """The client only connects: it opens no port."""

    def listening() -> set[str]:
        tables = [Path(f"/proc/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
        lines = [line.split() for table in tables for line in table]
        mine = {os.readlink(one) for one in Path("/proc/self/fd").iterdir() if os.path.lexists(one)}
        return {words[1] for words in lines if words[3] == "0A" and f"socket:[{words[9]}]" in mine}

    before = listening()
    with pool_for(1, running.address) as pool:
        list(run_tasks(tasks.double, [("a", 1)], pool))
        assert listening() == before


def test_other_versions_on_the_workers_are_one_error_that_names_them(running, monkeypatch):
    monkeypatch.setattr(kpkit, "__version__", "99.1")
    with pytest.raises(UsageError) as caught:
        _run(running.address, tasks.double, [1])
    assert caught.value.code == "KP-CLUSTER-VERSION"
    assert caught.value.expected == "kpkit 99.1"
    assert caught.value.got.startswith("kpkit ")


def test_a_worker_that_joins_later_with_other_versions_ends_the_run(running, monkeypatch):
    with pool_for(1, running.address) as pool:
        monkeypatch.setattr(kpkit, "__version__", "99.2")
        with pytest.raises(UsageError, match="other versions") as caught:
            list(run_tasks(tasks.double, [("a", 1)], pool))
    assert caught.value.code == "KP-CLUSTER-VERSION"


def test_a_folder_that_workers_do_not_see_is_one_error(running, tmp_path):
    with pytest.raises(UsageError) as caught:
        _run(running.address, tasks.double, [1], seen=[tmp_path / "nowhere"])
    assert (caught.value.code, caught.value.place) == ("KP-CLUSTER-SHARED", str(tmp_path / "nowhere"))
    _run(running.address, tasks.double, [1], shared=[tmp_path], seen=[tmp_path])
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:{port}", "127.0.0.1:{port}", "nonsense://1"])
def test_a_scheduler_that_is_not_there_is_one_error(monkeypatch, address):
    monkeypatch.setattr(dask, "CONNECT_SECONDS", 1.0)
    with pytest.raises(UsageError) as caught:
        _run(address.format(port=free_port()), tasks.double, [1])
    assert caught.value.code == "KP-CLUSTER-CONNECT"
    assert "dask scheduler" in caught.value.help


def test_a_scheduler_without_workers_is_one_error(tmp_path, monkeypatch):
    monkeypatch.setattr(dask, "PATIENCE_SECONDS", 1.0)
    with cluster(tmp_path, workers=0) as empty, pytest.raises(UsageError) as caught:
        _run(empty.address, tasks.double, [1])
    assert caught.value.code == "KP-CLUSTER-EMPTY"
    assert "dask worker" in caught.value.help


@pytest.mark.faults
def test_worker_that_is_killed_costs_no_item(tmp_path):
    with cluster(tmp_path) as own:
        found = {}
        with pool_for(1, own.address) as pool:
            for key, result in run_tasks(tasks.slow_double, ((str(i), i) for i in range(2000)), pool):
                found[key] = result
                if len(found) == 100:
                    own.kill_worker()
    assert found == {str(i): 2 * i for i in range(2000)}


@pytest.mark.faults
def test_item_that_kills_its_worker_every_time_is_one_failure(tmp_path):
    with cluster(tmp_path) as own:
        found = _run(own.address, tasks.die, [(i, "kill" if i == 5 else "") for i in range(12)])
    assert found.pop("5") == Failure("5", "KP-WORKER-DIED", "the worker died each time", 2)
    assert found == {str(i): i for i in range(12) if i != 5}


@pytest.mark.faults
def test_scheduler_that_is_killed_ends_the_run_with_one_error(tmp_path, monkeypatch):
    with cluster(tmp_path) as own, pool_for(1, own.address) as pool:
        # Only now: workers take a while to join on a machine that is busy.
        monkeypatch.setattr(dask, "PATIENCE_SECONDS", 2.0)
        results = run_tasks(tasks.slow_double, ((str(i), i) for i in range(10**6)), pool)
        next(results)
        own.scheduler.kill()
        started = time.monotonic()
        with pytest.raises(UsageError) as caught:
            list(results)
    assert caught.value.code == "KP-CLUSTER-LOST"
    assert "--resume" in caught.value.help
    assert time.monotonic() - started < 60
