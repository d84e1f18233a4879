"""Executors on this machine: in-process for one worker, else a pool of processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from types import TracebackType
from typing import Any

from kpkit.execute.base import MAX_ATTEMPTS
from kpkit.memory import collect_seldom, keep_freed


class InProcess(Executor):
    """Runs a task when it is submitted; no threads, no pickling."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The finished future of `fn`."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class LocalPool:
    """An executor of so many workers, as a context manager.

    workers      1: in this process        initializer, initargs  run once in every worker
    method       how processes start; "": a fork server where there are any, else spawned

    Where the block ends with an error (Ctrl-C is one), workers end at once, in the middle of their item.
    """

    # What takes a few milliseconds goes together; nobody waits long for any of it.
    task_seconds = 0.1
    max_attempts = MAX_ATTEMPTS

    def __init__(
        self,
        workers: int = 1,
        initializer: Callable[..., None] | None = None,
        initargs: tuple[Any, ...] = (),
        method: str = "",
    ) -> None:
        self.workers = max(1, workers)
        # Not fork: the parent may hold threads (OpenCV, pyarrow), and forked children inherit their locks.
        servers = "forkserver" in multiprocessing.get_all_start_methods()
        self._method = method or ("forkserver" if servers else "spawn")
        self._initializer, self._initargs = initializer, initargs
        self._executor: Executor | None = None
        self._life: Connection | None = None

    def __enter__(self) -> LocalPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close(cancel=kind is not None)

    def executor(self) -> Executor:
        """The executor, made at first use."""
        if self._executor is None:
            self._executor = self._make()
        return self._executor

    def rebuild(self) -> Executor:
        """A new executor; what is left of the old one is ended."""
        self._close(cancel=True)
        return self.executor()

    def wrap(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """The function itself."""
        return function

    def is_death(self, error: BaseException) -> bool:
        """A broken pool breaks every future of it."""
        return isinstance(error, BrokenExecutor | CancelledError)

    def check(self) -> None:
        """A pool notices by itself when a process of it dies."""

    def _make(self) -> Executor:
        if self.workers == 1:
            if self._initializer is not None:
                self._initializer(*self._initargs)
            return InProcess()
        context = multiprocessing.get_context(self._method)
        theirs, self._life = context.Pipe(duplex=False)
        return ProcessPoolExecutor(
            self.workers,
            mp_context=context,
            initializer=_start_worker,
            initargs=(theirs, self._initializer, self._initargs),
        )

    def _close(self, *, cancel: bool) -> None:
        if self._executor is not None:
            if cancel and self._life is not None:
                self._life.close()
            self._executor.shutdown(wait=True, cancel_futures=cancel)
            self._executor, self._life = None, None


def begin(workers: int, scheduler: str, modules: Sequence[str]) -> None:
    """Start the process that workers are forked from, so that it imports while this one reads; or do nothing.

    Otherwise every worker imports for itself once the first items are there. Later calls, and what cannot be imported,
    are ignored.

    workers, scheduler  as for `pool_for`; with one worker or a cluster nothing is forked    modules  names to import
    """
    if workers == 1 or scheduler or "forkserver" not in multiprocessing.get_all_start_methods():
        return
    from multiprocessing import forkserver

    forkserver.set_forkserver_preload(list(modules))
    # Until it has imported, Ctrl-C would end it with a traceback; it is the parent's to handle.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker(life: Connection, initializer: Callable[..., None] | None, initargs: tuple[Any, ...]) -> None:
    # Ctrl-C is the parent's to handle; workers end when it says so, and when it is killed.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(life,), daemon=True).start()
    keep_freed()
    collect_seldom()
    if initializer is not None:
        initializer(*initargs)


def _end_with_parent(life: Connection) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel, life])
        os._exit(1)


def cores() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
