"""Writes go on in a thread while the next picture is made."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from kpkit.pipelines.augment_later import WAITING, _line, finish, idle, later


def test_writes_are_done_in_order_by_one_thread() -> None:
    pending: list = []
    done: list[tuple[int, int]] = []
    for number in range(50):
        later(pending, lambda number: done.append((number, threading.get_ident())), number)
    finish(pending)
    assert [number for number, _ in done] == list(range(50))
    assert {thread for _, thread in done}.isdisjoint({threading.get_ident()})
    assert len({thread for _, thread in done}) == 1
    assert pending == []


def test_no_more_writes_wait_than_may() -> None:
    """The one after the last place goes in line only when the disk has done something."""
    pending: list = []
    go_on, begun = threading.Event(), threading.Event()
    later(pending, lambda: (begun.set(), go_on.wait(60)))
    assert begun.wait(60)
    for _ in range(WAITING - 1):
        later(pending, int)
    one_more = threading.Thread(target=later, args=(pending, int))
    one_more.start()
    one_more.join(0.2)
    assert one_more.is_alive()
    go_on.set()
    one_more.join(60)
    assert not one_more.is_alive()
    finish(pending)


def test_the_first_failure_is_raised_and_places_are_free_again() -> None:
    def fail(text: str) -> None:
        raise OSError(text)

    for _ in range(2 * WAITING):
        pending: list = []
        later(pending, int)
        later(pending, fail, "first")
        later(pending, fail, "second")
        with pytest.raises(OSError, match="first"):
            finish(pending)
        assert pending == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_process_that_was_forked_writes_by_a_thread_of_its_own() -> None:
    pending: list = []
    later(pending, int)
    finish(pending)
    child = os.fork()
    if child == 0:
        later(pending, int)
        finish(pending)
        os._exit(7)
    for _ in range(600):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        time.sleep(0.1)
    assert os.waitstatus_to_exitcode(status) == 7


def test_idle_waits_for_what_others_have_put_in_line() -> None:
    done: list[int] = []
    later([], lambda: (time.sleep(0.2), done.append(1)))
    idle()
    assert done == [1]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no such signals here")
def test_a_signal_in_a_wait_is_that_signal_whenever_it_comes() -> None:
    class Rung(BaseException):
        pass

    def ring(number: int, frame: object) -> None:
        raise Rung

    def write_for_ever(pending: list, seconds: float) -> None:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        while True:
            for _ in range(3):
                later(pending, time.sleep, 0.0001)
            finish(pending)

    before = signal.signal(signal.SIGALRM, ring)
    try:
        for number in range(400):
            pending: list = []
            with pytest.raises(Rung):
                write_for_ever(pending, 0.0005 + 0.00001 * (number % 50))
            signal.setitimer(signal.ITIMER_REAL, 0)
            # The signal may have taken a place with it; a process that goes on is not what signals are for.
            _line.cache_clear()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
