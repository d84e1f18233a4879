"""Writes files in a thread of their own, so that the disk is at work while the next picture is warped.

What the main thread waits for here is a SimpleQueue alone: Ctrl-C may come at any moment of a wait, and semaphores,
conditions and futures may answer it with "release unlocked lock", which is not Ctrl-C any more.
"""

from __future__ import annotations

import _thread
import os
from collections.abc import Callable
from functools import cache
from queue import SimpleQueue
from typing import Any

# Writes of a process that wait for the disk, at most: their bytes are in memory.
WAITING = 8

# An answer a write: what it has raised, or None.
Answer = SimpleQueue[BaseException | None]
Pending = list[Answer]


def later(pending: Pending, write: Callable[..., object], *arguments: Any) -> None:
    """Put a write in line, behind which `finish` waits; waits itself where too many are in line."""
    line = _line(os.getpid())
    line.places.get()
    answer: Answer = SimpleQueue()
    line.jobs.put((write, arguments, answer))
    pending.append(answer)


def finish(pending: Pending) -> None:
    """Wait until all is written, and forget it. Raises what the first write that failed has raised."""
    errors = [answer.get() for answer in pending]
    pending.clear()
    for error in errors:
        if error is not None:
            raise error


def idle() -> None:
    """Wait until nothing is in line in this process, whoever put it there."""
    if not _line.cache_info().currsize:
        return
    pending: Pending = []
    later(pending, int)
    finish(pending)


class _Line:
    """Writes in line, and the thread that takes them one after the other."""

    def __init__(self) -> None:
        self.jobs: SimpleQueue[tuple[Callable[..., object], tuple[Any, ...], Answer]] = SimpleQueue()
        self.places: SimpleQueue[None] = SimpleQueue()
        for _ in range(WAITING):
            self.places.put(None)
        # Not threading.Thread, whose `start` waits for a condition.
        _thread.start_new_thread(self._work, ())

    def _work(self) -> None:
        while True:
            write, arguments, answer = self.jobs.get()
            error: BaseException | None = None
            try:
                write(*arguments)
            except BaseException as raised:
                error = raised
            # Nothing is held until the next one comes.
            del write, arguments
            self.places.put(None)
            answer.put(error)
            del answer, error


@cache
def _line(process: int) -> _Line:
    """Of this process: a process that is forked has none of its parent's threads."""
    return _Line()
