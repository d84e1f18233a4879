"""One run an output: locks are held, refused, waited for, and known when their owner is gone."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from kpkit import lock
from kpkit.errors import OutputError
from kpkit.lock import Owner, holder, lock_path, locked

TOP = Path(__file__).resolve().parents[1]
HOLD = """
    import sys, time
    from pathlib import Path
    from kpkit.lock import locked
    with locked(Path(sys.argv[1])):
        print("held", flush=True)
        time.sleep(60)
    """


@contextlib.contextmanager
def holding(output: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    command = [sys.executable, "-c", textwrap.dedent(HOLD), str(output)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=TOP) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture(params=["flock", "no flock"])
def _both_kinds(request, monkeypatch):
    """File systems with flock and without."""
    if request.param == "no flock":

        def refuse(descriptor: int, operation: int) -> None:
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr(fcntl, "flock", refuse)


def leave(output: Path, **changes: object) -> None:
    """A lock file of an owner that differs from this process in some points."""
    owner = replace(Owner.here(flocked=False), **changes)
    lock_path(output).write_text(json.dumps(asdict(owner)))


@pytest.mark.usefixtures("_both_kinds")
class TestLock:
    def test_lock_is_there_while_the_block_runs_and_gone_after(self, output):
        with locked(output) as taken:
            assert taken
            owner = holder(output)
            assert owner is not None
            assert (owner.pid, owner.host) == (os.getpid(), os.uname().nodename)
        assert os.listdir(output.parent) == []

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
    def test_lock_is_gone_after_an_error_and_so_are_parents_made_for_it(self, output, error):
        with pytest.raises(error), locked(output.parent / "a" / "b" / "out"):
            raise error
        assert os.listdir(output.parent) == []

    def test_the_thread_that_holds_it_may_take_it_again(self, output):
        with locked(output):
            with locked(output) as again:
                assert not again
            assert holder(output) is not None

    def test_another_thread_is_refused(self, output):
        refused = []

        def take() -> None:
            try:
                with locked(output):
                    pass
            except OutputError as error:
                refused.append(error.code)

        with locked(output):
            thread = threading.Thread(target=take)
            thread.start()
            thread.join(20)
        assert refused == [lock.LOCKED]

    def test_lock_of_a_process_that_is_gone_is_stale(self, output):
        gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
        leave(output, pid=int(gone.stdout))
        assert holder(output) is None
        with locked(output):
            assert holder(output) is not None
        assert os.listdir(output.parent) == []

    def test_a_number_used_again_is_another_process(self, output):
        leave(output, start=lock.start_of(os.getpid()) - 1)
        assert holder(output) is None
        with locked(output):
            pass

    def test_a_process_that_lives_holds_its_lock(self, output):
        leave(output)
        assert holder(output) is not None
        with pytest.raises(OutputError) as caught, locked(output):
            pytest.fail("two runs at once")
        assert lock_path(output).exists()
        assert f"process {os.getpid()} on {os.uname().nodename}" in caught.value.got

    def test_nobody_knows_of_a_process_elsewhere_so_its_lock_holds(self, output):
        leave(output, machine="elsewhere", host="elsewhere", pid=1)
        with pytest.raises(OutputError, match="process 1 on elsewhere"), locked(output):
            pytest.fail("taken from another host")

    def test_a_file_that_says_nothing_is_a_stale_lock(self, output):
        for content in ("", "{", '{"pid": "x"}'):
            lock_path(output).write_text(content)
            with locked(output):
                pass


def test_a_released_flock_makes_a_lock_of_another_host_stale(output):
    leave(output, machine="elsewhere", host="elsewhere", flocked=True)
    with locked(output):
        pass


@pytest.mark.faults
def test_second_process_is_refused_with_host_and_number_and_may_wait(output):
    with holding(output) as process:
        with pytest.raises(OutputError) as caught, locked(output):
            pytest.fail("two runs at once")
        assert f"process {process.pid} on {os.uname().nodename}" in caught.value.got
        assert "--wait" in caught.value.help
        told: list[Owner] = []

        def release() -> None:
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)

        threading.Thread(target=release).start()
        with locked(output, wait=True, tell=told.append):
            assert process.wait(10) != 0
        assert [owner.pid for owner in told] == [process.pid]


@pytest.mark.faults
def test_lock_of_a_killed_process_is_taken_over(output):
    with holding(output) as process:
        process.kill()
        process.wait()
    assert lock_path(output).exists()
    assert holder(output) is None
    with locked(output):
        pass
    assert os.listdir(output.parent) == []


@pytest.mark.faults
@pytest.mark.parametrize("flock", [True, False])
def test_of_many_at_once_one_at_a_time_holds_it(tmp_path, flock):
    """Each adds one to a number in a file, not atomically: any overlap loses one."""
    code = f"""
        import fcntl, sys, time
        from pathlib import Path
        from kpkit.lock import locked
        def refuse(descriptor, operation):
            raise OSError(95, "Operation not supported")
        if not {flock}:
            fcntl.flock = refuse
        output = Path(sys.argv[1])
        for _ in range(5):
            with locked(output, wait=True):
                number = int(output.read_text())
                time.sleep(0.01)
                output.write_text(str(number + 1))
        """
    output = tmp_path / "count"
    output.write_text("0")
    leave(output, pid=2**22 - 1, start=1)
    command = [sys.executable, "-c", textwrap.dedent(code), str(output)]
    racers = [subprocess.Popen(command, cwd=TOP) for _ in range(4)]
    assert [racer.wait(60) for racer in racers] == [0] * 4
    assert output.read_text() == "20"
    assert os.listdir(tmp_path) == ["count"]
