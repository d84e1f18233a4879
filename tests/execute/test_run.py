from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kpkit.errors import UsageError
from kpkit.execute import Failure, LocalPool, run_tasks
from kpkit.execute.base import MAX_ATTEMPTS, MAX_BATCH, PREPARED
from kpkit.execute.local import cores
from tests.execute import tasks

METHODS = ["forkserver", "spawn"]


def _run(function: Callable[[Any], Any], payloads: list[Any], workers: int, **options: Any) -> dict[str, Any]:
    with LocalPool(workers, **options) as pool:
        found = list(run_tasks(function, ((str(i), one) for i, one in enumerate(payloads)), pool))
    assert len({key for key, _ in found}) == len(found) == len(payloads)
    return dict(found)


def test_every_item_is_done_once_whatever_the_order_and_the_number_of_workers() -> None:
    expected = {str(i): 2 * i for i in range(30)}
    assert _run(tasks.slow_double, list(range(30)), 1) == expected
    assert _run(tasks.slow_double, list(range(30)), 3) == expected


@pytest.mark.parametrize("workers", [1, 2])
def test_a_function_prepares_some_items_at_once(workers: int) -> None:
    found = _run(tasks.Prepared(), list(range(100)), workers)
    assert {key: value for key, (value, _) in found.items()} == {str(i): i for i in range(100)}
    together = {count for _, count in found.values()}
    assert max(together) <= PREPARED
    assert max(together) > 1


@pytest.mark.parametrize("workers", [1, 2])
def test_results_are_settled_when_those_that_were_prepared_together_are_done(workers: int) -> None:
    found = _run(tasks.Settled(), list(range(100)), workers)
    failures = {key: value.code for key, value in found.items() if isinstance(value, Failure)}
    assert failures == {"5": "KP-FIFTH", "6": "KP-SIXTH"}
    settled = {key: value for key, value in found.items() if key not in failures}
    assert {key: number for key, (number, _) in settled.items()} == {str(i): i for i in range(100) if i not in (5, 6)}
    later = [last - number for number, last in settled.values()]
    assert 0 < max(later) < PREPARED
    assert min(later) == 0


def test_no_items_is_no_work() -> None:
    assert _run(tasks.double, [], 1) == {}
    assert _run(tasks.double, [], 2) == {}


@pytest.mark.parametrize(("function", "together", "count"), [(tasks.double, MAX_BATCH, 3000), (tasks.tarry, 1, 12)])
@pytest.mark.parametrize("workers", [1, 2])
def test_items_are_taken_only_as_places_become_free(
    function: Callable[[int], int], together: int, count: int, workers: int
) -> None:
    """Those that take time go alone."""
    taken = 0

    def items() -> Iterator[tuple[str, int]]:
        nonlocal taken
        for number in range(count):
            taken += 1
            yield str(number), number

    done = most = 0
    with LocalPool(workers) as pool:
        for _ in run_tasks(function, items(), pool):
            done += 1
            most = max(most, taken - done)
    assert done == count
    assert most <= 2 * workers * together


@pytest.mark.parametrize("workers", [1, 2])
def test_error_in_an_item_is_its_failure_and_stops_nothing(workers: int) -> None:
    found = _run(tasks.fail_on_odd, list(range(8)), workers)
    assert [found[str(i)] for i in (0, 2, 4, 6)] == [0, 2, 4, 6]
    assert found["1"] == Failure("1", "KP-ODD", "item 1: odd")
    assert found["3"] == Failure("3", "KP-UNEXPECTED", "ValueError: odder: 3")


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_that_cannot_be_sent_between_processes_are_failures(workers: int) -> None:
    found = _run(tasks.misbehave, ["unsendable", "fine"], workers)
    assert found["0"] == Failure("0", "KP-UNEXPECTED", "UnsendableError: ab")
    assert found["1"] == "fine"


def test_an_item_that_exits_its_worker_is_a_failure() -> None:
    found = _run(tasks.misbehave, ["fine", "exit"], 2)
    assert found["0"] == "fine"
    assert found["1"] == Failure("1", "KP-UNEXPECTED", "SystemExit: 3")


def test_an_exit_in_the_process_of_the_run_ends_the_run() -> None:
    with pytest.raises(SystemExit):
        _run(tasks.misbehave, ["fine", "exit"], 1)


def test_payloads_and_results_that_cannot_be_sent_are_failures() -> None:
    with LocalPool(2) as pool:
        items = [("result", "result"), ("payload", lambda: None), ("fine", "fine")]
        found = dict(run_tasks(tasks.misbehave, items, pool))
    assert found["fine"] == "fine"
    for key in ("result", "payload"):
        assert isinstance(found[key], Failure)
        assert (found[key].key, found[key].code) == (key, "KP-UNEXPECTED")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("how", ["exit", "kill"])
def test_item_that_kills_its_worker_is_one_failure_and_the_others_are_done(method: str, how: str) -> None:
    payloads = [(i, how if i == 5 else "") for i in range(12)]
    found = _run(tasks.die, payloads, 2, method=method)
    assert found.pop("5") == Failure("5", "KP-WORKER-DIED", "the worker died each time", MAX_ATTEMPTS)
    assert found == {str(i): i for i in range(12) if i != 5}


def test_several_killers_are_told_from_the_others() -> None:
    payloads = [(i, "exit" if i in {1, 2, 9} else "") for i in range(12)]
    found = _run(tasks.die, payloads, 2)
    assert {key for key, value in found.items() if isinstance(value, Failure)} == {"1", "2", "9"}


def test_worker_that_died_by_accident_costs_no_item(tmp_path: Path) -> None:
    payloads = [(i, str(tmp_path / "once") if i == 4 else "") for i in range(8)]
    assert _run(tasks.die_once, payloads, 2) == {str(i): i for i in range(8)}


def test_workers_that_cannot_start_end_the_run_with_one_error() -> None:
    with pytest.raises(UsageError, match="die before any item") as caught:
        _run(tasks.double, list(range(1000)), 2, initializer=tasks.start_badly)
    assert "__main__" in caught.value.help


@pytest.mark.parametrize("method", METHODS)
def test_every_worker_is_prepared_once(method: str) -> None:
    found = _run(tasks.started, [None] * 6, 2, initializer=tasks.start, initargs=("ready",), method=method)
    assert set(map(tuple, found.values())) == {("ready",)}


def test_one_worker_is_this_process_and_two_are_others() -> None:
    assert set(_run(tasks.process_id, [None] * 3, 1).values()) == {os.getpid()}
    others = set(_run(tasks.process_id, [None] * 12, 2).values())
    assert os.getpid() not in others
    assert len(others) == 2


def test_ctrl_c_in_this_process_ends_the_run() -> None:
    with LocalPool(1) as pool, pytest.raises(KeyboardInterrupt):
        list(run_tasks(tasks.interrupt, ((str(i), i) for i in range(6)), pool))


def test_error_of_the_caller_leaves_no_worker_behind() -> None:
    pids: set[int] = set()

    def fail_when_both_work() -> None:
        with LocalPool(2) as pool:
            for _, pid in run_tasks(tasks.process_id, ((str(i), i) for i in range(50)), pool):
                pids.add(pid)
                if len(pids) == 2:
                    raise RuntimeError("the caller fails")

    with pytest.raises(RuntimeError, match="the caller"):
        fail_when_both_work()
    assert _all_gone(pids)


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    code = f"""
        from kpkit.execute import LocalPool, run_tasks
        from tests.execute import tasks
        if __name__ == "__main__":
            with LocalPool(2) as pool:
                list(run_tasks(tasks.write_pid_and_sleep, [("a", {str(tmp_path / "a")!r})], pool))
    """
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(code))
    root = str(Path(__file__).parents[2])
    parent = subprocess.Popen([sys.executable, str(script)], env={**os.environ, "PYTHONPATH": root})
    pid = _waited_for(lambda: (tmp_path / "a").exists() and (tmp_path / "a").read_text())
    parent.kill()
    parent.wait()
    assert _all_gone({int(pid)})


def test_cores_are_those_that_this_process_may_use() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)


def _waited_for(look: Callable[[], Any], seconds: float = 20.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError("it never came")


def _all_gone(pids: set[int]) -> bool:
    def gone() -> bool:
        return not any(_alive(pid) for pid in pids)

    return bool(_waited_for(gone))


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"
