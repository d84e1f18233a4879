"""Runs a function over many items, bounded in flight; results come in any order, and callers put them in theirs.

The seam is the standard library's Executor: in-process, a process pool, a cluster, or another that keeps its contract.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, replace
from typing import Any, Protocol

from kpkit.errors import KpkitError, UsageError

MAX_ATTEMPTS = 3
# Items sent together, at most.
MAX_BATCH = 256
# Items that a function prepares at once.
PREPARED = 16
# Failures with such codes are no item's: they would meet every item.
CLUSTER = "KP-CLUSTER"
POLL_SECONDS = 1.0

Item = tuple[str, Any]


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
    """Gives an executor, and a new one after the old one broke.

    workers       how many tasks run at once
    task_seconds  items are sent together until a task takes about so long; 0: each alone
    max_attempts  how often an item that kills its worker is tried
    """

    workers: int
    task_seconds: float
    max_attempts: int

    def executor(self) -> Executor:
        """The executor to submit to."""
        ...

    def rebuild(self) -> Executor:
        """A fresh executor in place of a broken one; raises KpkitError where there can be none."""
        ...

    def wrap(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """The function as it is called in a worker."""
        ...

    def is_death(self, error: BaseException) -> bool:
        """Whether an error of a future means that its worker died."""
        ...

    def check(self) -> None:
        """Raise KpkitError where nothing that is in flight can come back any more."""
        ...


def run_tasks(
    function: Callable[[Any], Any], items: Iterable[tuple[str, Any]], pool: Pool
) -> Iterator[tuple[str, Any]]:
    """Yield (key, result or Failure) for every item, as they are done.

    function  called with an item's payload, in a worker; must be importable there
    items     (key, payload), taken only as places in flight become free: two tasks a worker

    When a worker dies, nobody knows which item killed it. The pool is rebuilt and the items that were in flight are
    tried again one at a time, so that the guilty one becomes one Failure and the others are done.

    Raises UsageError where workers die again and again before a single item is done, or the cluster is of no use.
    """
    run = _Run(function, iter(items), pool)
    while run.fill():
        yield from run.collect()


@dataclass
class _Task:
    items: list[Item]
    attempts: int = 0

    def split(self) -> list[_Task]:
        return [_Task([item], self.attempts) for item in self.items]


class _Run:
    def __init__(self, function: Callable[[Any], Any], source: Iterator[Item], pool: Pool) -> None:
        self._function, self._source, self._pool = pool.wrap(function), source, pool
        self._executor = pool.executor()
        self._running: dict[Future[Any], _Task] = {}
        self._suspects: deque[_Task] = deque()
        self._refused: list[tuple[str, Failure]] = []
        self._batch = 1
        self._works = False
        self._deaths = 0

    def fill(self) -> bool:
        """Put as many tasks in flight as may be; False when there is nothing left to wait for."""
        most = 1 if self._suspects else 2 * self._pool.workers
        while len(self._running) < most:
            task = self._suspects.popleft() if self._suspects else self._next()
            if task is None:
                break
            try:
                future = self._executor.submit(_guarded, self._function, [payload for _, payload in task.items])
            except BrokenExecutor:
                # It broke since the last result: what is in flight comes back broken, too.
                self._suspects.appendleft(task)
                if self._running:
                    break
                self._rebuild()
            except Exception as error:  # a payload that cannot be sent
                self._refuse(task, error)
            else:
                task.attempts += 1
                self._running[future] = task
        return bool(self._running or self._refused)

    def _next(self) -> _Task | None:
        items = [item for _, item in zip(range(self._batch), self._source, strict=False)]
        return _Task(items) if items else None

    def _refuse(self, task: _Task, error: BaseException) -> None:
        """Of items that cannot be sent there or back, the guilty one fails: each is tried alone."""
        if len(task.items) > 1:
            self._suspects.extend(task.split())
        else:
            key = task.items[0][0]
            self._refused.append((key, Failure.of(key, error, max(1, task.attempts))))

    def collect(self) -> Iterator[tuple[str, Any]]:
        """What has come back; everything in flight, where a worker died."""
        broken = []
        for future in self._done():
            task = self._running.pop(future)
            error = None if future.cancelled() else future.exception()
            if future.cancelled() or (error is not None and self._pool.is_death(error)):
                broken.append(task)
            elif error is not None:
                self._refuse(task, error)
            else:
                self._works = True
                yield from self._results(task, *future.result())
        refused, self._refused = self._refused, []
        yield from refused
        if broken:
            self._rebuild()
        for task in broken:
            if len(task.items) > 1 or task.attempts < self._pool.max_attempts:
                self._suspects.extend(task.split())
            else:
                key = task.items[0][0]
                yield key, Failure(key, "KP-WORKER-DIED", "the worker died each time", task.attempts)

    def _done(self) -> set[Future[Any]]:
        done: set[Future[Any]] = set()
        while self._running and not done:
            done, _ = wait(self._running, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            if not done:
                self._pool.check()
        while any(map(self._is_broken, done)) and len(done) < len(self._running):
            done, rest = wait(self._running, timeout=POLL_SECONDS)
            if rest:
                self._pool.check()
        return done

    def _is_broken(self, future: Future[Any]) -> bool:
        if not future.done():
            return False
        error = None if future.cancelled() else future.exception()
        return future.cancelled() or (error is not None and self._pool.is_death(error))

    def _results(self, task: _Task, results: list[Any], seconds: float) -> Iterator[tuple[str, Any]]:
        each = max(seconds / len(results), 1e-6)
        self._batch = max(1, min(int(self._pool.task_seconds / each), 2 * self._batch, MAX_BATCH))
        for (key, _), result in zip(task.items, results, strict=True):
            if not isinstance(result, Failure):
                yield key, result
                continue
            if result.code.startswith(CLUSTER):
                raise UsageError(result.message, code=result.code)
            yield key, replace(result, key=key, attempts=task.attempts)

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


def _guarded(function: Callable[[Any], Any], payloads: list[Any]) -> tuple[list[Any], float]:
    """In the worker: results in order, and seconds.

    A function may have a method `prepare`, which is given some payloads at once and hands back as many: for steps that
    are quicker when they are taken for several items in a row. And a method `settle`, which is given each result when
    all of these are done, and hands it back: for what may still go on while the next items are worked on.
    """
    started = time.perf_counter()
    prepare, settle = getattr(function, "prepare", None), getattr(function, "settle", None)
    results: list[Any] = []
    for first in range(0, len(payloads), PREPARED):
        some = payloads[first : first + PREPARED]
        found = [_one(function, payload) for payload in (prepare(some) if prepare is not None else some)]
        results += [one if isinstance(one, Failure) else _one(settle, one) for one in found] if settle else found
    return results, time.perf_counter() - started


def _one(function: Callable[[Any], Any], payload: Any) -> Any:
    """An error comes back as its text, since not every exception survives the way between processes."""
    try:
        return function(payload)
    except Exception as error:
        return Failure.of("", error)
    except SystemExit as error:
        # In this process it may be a signal that ends the whole run; in a worker it would only end the worker.
        if multiprocessing.parent_process() is None:
            raise
        return Failure.of("", error)
