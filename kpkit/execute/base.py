"""Runs a function over many items, bounded in flight; results come in any order, and callers put them in theirs.

The seam is the standard library's Executor: in-process, a process pool, or any other that keeps its contract.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from dataclasses import dataclass, replace
from typing import Any, Protocol

from kpkit.errors import KpkitError, UsageError

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


def run_tasks(
    function: Callable[[Any], Any], items: Iterable[tuple[str, Any]], pool: Pool
) -> Iterator[tuple[str, Any]]:
    """Yield (key, result or Failure) for every item, as they are done.

    function  called with an item's payload, in a worker; must be importable there
    items     (key, payload), taken only as places in flight become free: two a worker

    When a worker dies, nobody knows which item killed it. The pool is rebuilt and the items that were in flight are
    tried again one at a time, so that the guilty one becomes one Failure and the others are done.

    Raises UsageError where workers die again and again before a single item is done.
    """
    run = _Run(function, iter(items), pool)
    while run.fill():
        yield from run.collect()


@dataclass
class _Task:
    key: str
    payload: Any
    attempts: int = 0


class _Run:
    def __init__(self, function: Callable[[Any], Any], source: Iterator[tuple[str, Any]], pool: Pool) -> None:
        self._function, self._source, self._pool = function, source, pool
        self._executor = pool.executor()
        self._running: dict[Future[Any], _Task] = {}
        self._suspects: deque[_Task] = deque()
        self._works = False
        self._deaths = 0

    def fill(self) -> bool:
        """Put as many items in flight as may be; False when there is nothing left to wait for."""
        most = 1 if self._suspects else 2 * self._pool.workers
        while len(self._running) < most:
            task = self._suspects.popleft() if self._suspects else self._next()
            if task is None:
                break
            try:
                future = self._executor.submit(_guarded, self._function, task.payload)
            except BrokenExecutor:
                # It broke since the last result: what is in flight comes back broken, too.
                self._suspects.appendleft(task)
                if self._running:
                    break
                self._rebuild()
            else:
                task.attempts += 1
                self._running[future] = task
        return bool(self._running)

    def _next(self) -> _Task | None:
        item = next(self._source, None)
        return None if item is None else _Task(*item)

    def collect(self) -> Iterator[tuple[str, Any]]:
        """What has come back; everything in flight, where a worker died."""
        done, _ = wait(self._running, return_when=FIRST_COMPLETED)
        if any(map(_is_broken, done)):
            done, _ = wait(self._running)
        broken = []
        for future in done:
            task = self._running.pop(future)
            if _is_broken(future):
                broken.append(task)
                continue
            self._works = True
            yield task.key, _outcome(future, task)
        if broken:
            self._rebuild()
        for task in broken:
            if task.attempts < MAX_ATTEMPTS:
                self._suspects.append(task)
            else:
                yield task.key, Failure(task.key, "KP-WORKER-DIED", "the worker died each time", task.attempts)

    def _rebuild(self) -> None:
        self._deaths += 1
        if not self._works and self._deaths > MAX_ATTEMPTS * (2 * self._pool.workers + 1):
            raise UsageError(
                "the workers die before any item is done",
                code="KP-WORKERS",
                got=f"{self._deaths} deaths",
                help='use one worker to see why; in a script, keep the call below if __name__ == "__main__"',
            )
        self._executor = self._pool.rebuild()


def _guarded(function: Callable[[Any], Any], payload: Any) -> Any:
    """In the worker: an error comes back as its text, since not every exception survives the way between processes."""
    try:
        return function(payload)
    except Exception as error:
        return Failure.of("", error)
    except SystemExit as error:
        # In this process it may be a signal that ends the whole run; in a worker it would only end the worker.
        if multiprocessing.parent_process() is None:
            raise
        return Failure.of("", error)


def _is_broken(future: Future[Any]) -> bool:
    return future.cancelled() or isinstance(future.exception(), BrokenExecutor | CancelledError)


def _outcome(future: Future[Any], task: _Task) -> Any:
    error = future.exception()
    if error is not None:  # the payload or the result could not be sent
        return Failure.of(task.key, error, task.attempts)
    result = future.result()
    return replace(result, key=task.key, attempts=task.attempts) if isinstance(result, Failure) else result
