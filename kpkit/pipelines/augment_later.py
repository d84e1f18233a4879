"""Writes files in a thread of their own, so that the disk is at work while the next picture is warped."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from threading import BoundedSemaphore
from typing import Any

# Writes of a process that wait for the disk, at most: their bytes are in memory.
WAITING = 8

Pending = list[Future[None]]


def later(pending: Pending, write: Callable[..., None], *arguments: Any) -> None:
    """Put a write in line, behind which `finish` waits; waits itself where too many are in line."""
    thread, places = _thread(os.getpid())
    places.acquire()
    try:
        future = thread.submit(write, *arguments)
    except BaseException:
        places.release()
        raise
    future.add_done_callback(lambda _: places.release())
    pending.append(future)


def finish(pending: Pending) -> None:
    """Wait until all is written, and forget it. Raises what the first write that failed has raised."""
    try:
        for one in pending:
            one.result()
    finally:
        pending.clear()


@cache
def _thread(process: int) -> tuple[ThreadPoolExecutor, BoundedSemaphore]:
    """Of this process: a process that is forked has none of its parent's threads."""
    return ThreadPoolExecutor(1, "kpkit-write"), BoundedSemaphore(WAITING)
