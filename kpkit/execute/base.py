"""Runs a function over many items, bounded in flight; results come in any order, and callers put them in theirs.

The seam is the standard library's Executor: in-process, a process pool, or any other that keeps its contract.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass
from typing import Any, Protocol

from kpkit.errors import KpkitError

MAX_ATTEMPTS = 3


@dataclass(frozen=True)
class Failure:
    """An item that failed: its key, the error's fields, and how often it was tried."""

    key: str
    code: str
    message: str
    attempts: int = 1

    @classmethod
    def of(cls, key: str, error: BaseException, attempts: int = 1) -> Failure:
        """From an exception; KpkitErrors keep their code."""
        if isinstance(error, KpkitError):
            return cls(key, error.code, str(error), attempts)
        return cls(key, "KP-UNEXPECTED", f"{type(error).__name__}: {error}", attempts)


class Pool(Protocol):
    """Gives an executor, and a new one after the old one broke."""

    workers: int

    def executor(self) -> Executor:
        """The executor to submit to."""
        ...

    def rebuild(self) -> Executor:
        """A fresh executor in place of a broken one."""
        ...


@dataclass
class _Task:
    key: str
    payload: Any
    attempts: int = 0


def run_tasks(
    function: Callable[[Any], Any], items: Iterator[tuple[str, Any]], pool: Pool
) -> Iterator[tuple[str, Any]]:
    """Yield (key, result or Failure) for every item, as they are done.

    function  called with an item's payload, in a worker; must be importable there
    items     (key, payload), taken only as places in flight become free

    When a worker dies, nobody knows which item killed it. The pool is rebuilt and the items that were in flight are
    tried again one at a time, so that the guilty one becomes one Failure and the others are done.
    """
    waiting: list[_Task] = []
    suspects: list[_Task] = []
    running: dict[Future[Any], _Task] = {}
    source = iter(items)
    executor = pool.executor()
    exhausted = False
    while True:
        limit = 1 if suspects else 2 * pool.workers
        while len(running) < limit and not (exhausted and not waiting and not suspects):
            task = suspects.pop() if suspects else (waiting.pop() if waiting else _next(source))
            if task is None:
                exhausted = True
                continue
            task.attempts += 1
            try:
                running[executor.submit(function, task.payload)] = task
            except BrokenExecutor:
                task.attempts -= 1
                waiting.append(task)
                break
        if not running:
            if exhausted and not waiting and not suspects:
                return
            executor = pool.rebuild()
            continue
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        broken = False
        for future in done:
            task = running.pop(future)
            error = future.exception()
            if isinstance(error, BrokenExecutor):
                broken = True
                if task.attempts >= MAX_ATTEMPTS:
                    yield task.key, Failure(task.key, "KP-WORKER-DIED", "the worker died each time", task.attempts)
                else:
                    suspects.append(task)
            elif error is not None:
                yield task.key, Failure.of(task.key, error, task.attempts)
            else:
                yield task.key, future.result()
        if broken:
            for future, task in list(running.items()):
                wait([future])
                if future.exception() is None:
                    yield task.key, future.result()
                else:
                    suspects.append(task)
            running.clear()
            executor = pool.rebuild()


def _next(source: Iterator[tuple[str, Any]]) -> _Task | None:
    try:
        key, payload = next(source)
    except StopIteration:
        return None
    return _Task(key, payload)
