"""Workers of a Dask cluster, behind the standard library's Executor (`distributed.Client.get_executor`).

The client only connects; it opens no port. Before the first task it is checked that every worker has the same versions
and sees the same folders; a worker that joins later is checked by its first task.
"""

from __future__ import annotations

import functools
import importlib.metadata
import logging
import os
import platform
import secrets
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import kpkit
from kpkit.errors import MissingExtraError, UsageError
from kpkit.execute.base import Pool
from kpkit.execute.local import LocalPool
from kpkit.guard import output_error

CONNECT_SECONDS = 10.0
# How long a cluster may be without workers, or the scheduler silent, before the run gives up.
PATIENCE_SECONDS = 30.0
# Folders of a network file system may be seen a little late.
SHARED_SECONDS = 5.0
SAME = ("numpy", "opencv-python-headless", "distributed")


@contextmanager
def pool_for(
    workers: int,
    scheduler: str = "",
    initializer: Callable[[], None] | None = None,
    *,
    shared: Sequence[Path] = (),
    seen: Sequence[Path] = (),
) -> Iterator[Pool]:
    """Workers of a cluster where a scheduler is named, else processes of this machine.

    workers    processes, without a scheduler         scheduler  tcp://HOST:PORT, or a scheduler file (.json)
    shared     folders that every worker writes into; each is probed with a file
    seen       files and folders that every worker reads
    """
    if scheduler:
        with DaskPool(scheduler, initializer, shared, seen) as cluster:
            yield cluster
    else:
        with LocalPool(workers, initializer) as pool:
            yield pool


class DaskPool:
    """The workers of a cluster, as a context manager. Raises UsageError where the cluster is of no use.

    address      tcp://HOST:PORT, or a scheduler file    initializer  run once in every worker process
    """

    task_seconds = 1.0
    # Dask itself tries an item on several workers before it says that the item kills them.
    max_attempts = 2

    def __init__(
        self,
        address: str,
        initializer: Callable[[], None] | None = None,
        shared: Sequence[Path] = (),
        seen: Sequence[Path] = (),
    ) -> None:
        self._address, self._initializer, self._shared, self._seen = address, initializer, shared, seen
        self.workers = 1
        self._client: Any = None
        self._quiet_since = 0.0

    def __enter__(self) -> DaskPool:
        self._level = logging.getLogger("distributed").level
        # What it would log, the errors here say once.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        try:
            self._connect()
            self._check_workers()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def executor(self) -> Executor:
        """The cluster as an Executor."""
        executor: Executor = self._client.get_executor(pure=False)
        return executor

    def rebuild(self) -> Executor:
        """Workers are replaced by the cluster itself; a scheduler that is gone is not."""
        if self._client.status != "running":
            raise self._lost()
        return self.executor()

    def wrap(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """The function, in a worker whose versions are checked and which is prepared once."""
        return _OnWorker(function, tuple(sorted(versions().items())), self._initializer)

    def is_death(self, error: BaseException) -> bool:
        """Dask names the tasks in whose company workers died."""
        from distributed import KilledWorker

        return isinstance(error, KilledWorker | CancelledError)

    def check(self) -> None:
        """Raise UsageError where the scheduler is gone, or has had no workers for a while."""
        running = self._client.status == "running"
        if running and self._client.scheduler_info()["workers"]:
            self._quiet_since = 0.0
            return
        self._quiet_since = self._quiet_since or time.monotonic()
        if time.monotonic() - self._quiet_since > PATIENCE_SECONDS:
            raise self._empty() if running else self._lost()

    def _connect(self) -> None:
        try:
            import distributed
        except ImportError as error:
            raise MissingExtraError(
                "--scheduler needs Dask", code="KP-EXTRA", help="install it: pip install 'kpkit[dask]'"
            ) from error
        place: dict[str, Any] = {"address": self._address}
        if self._address.endswith(".json"):
            place = {"scheduler_file": self._address}
        try:
            with warnings.catch_warnings():
                # Other versions on the workers are an error below.
                warnings.simplefilter("ignore")
                connect: Any = distributed.Client
                self._client = connect(**place, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise UsageError(
                "no Dask scheduler answers",
                code="KP-CLUSTER-CONNECT",
                place=self._address,
                expected="a running scheduler, tcp://HOST:PORT",
                got=str(error).splitlines()[0] if str(error) else type(error).__name__,
                help="start one: dask scheduler --host 127.0.0.1 --port 8786",
            ) from error

    def _check_workers(self) -> None:
        try:
            self._client.wait_for_workers(1, timeout=PATIENCE_SECONDS)
        except TimeoutError as error:
            raise self._empty() from error
        theirs = self._ask(versions)
        ours = versions()
        for worker, found in sorted(theirs.items()):
            if isinstance(found, BaseException):
                raise UsageError(
                    "a worker cannot load kpkit",
                    code="KP-CLUSTER-VERSION",
                    place=worker,
                    expected=f"kpkit {ours['kpkit']}",
                    got=f"{type(found).__name__}: {found}",
                    help="install the same kpkit where the workers run, and start them again",
                )
            _compare(ours, found, worker)
        for folder in self._shared:
            self._check_shared(folder)
        for path in self._seen:
            self._check_seen(path, functools.partial(_sees, os.path.abspath(path)))
        self.workers = max(1, sum(self._client.nthreads().values()))

    def _check_shared(self, folder: Path) -> None:
        probe = folder / f".kpkit-probe-{secrets.token_hex(4)}"
        token = secrets.token_hex(8)
        try:
            probe.write_text(token)
            self._check_seen(folder, functools.partial(_sees_probe, str(probe), token))
        except OSError as error:
            raise output_error(error, folder, probe) from error
        finally:
            with suppress(OSError):
                probe.unlink(missing_ok=True)

    def _check_seen(self, path: Path, sees: Callable[[], bool]) -> None:
        blind = [worker for worker, found in sorted(self._ask(sees).items()) if found is not True]
        if blind:
            raise UsageError(
                "a worker does not see what this run reads or writes",
                code="KP-CLUSTER-SHARED",
                place=str(path),
                expected="the same file or folder at the same path on every worker",
                got=f"not so on {', '.join(blind[:3])}" + (f" and {len(blind) - 3} more" if len(blind) > 3 else ""),
                help="put input and output on storage that all machines mount at the same path",
            )

    def _ask(self, function: Callable[[], Any]) -> dict[str, Any]:
        answers: dict[str, Any] = self._client.run(function, on_error="return")
        return answers

    def _close(self) -> None:
        if self._client is not None:
            with suppress(Exception):  # whatever state it is in: the run is over
                self._client.close(timeout=2)
            self._client = None
        logging.getLogger("distributed").setLevel(self._level)

    def _empty(self) -> UsageError:
        return UsageError(
            "the Dask scheduler has no workers",
            code="KP-CLUSTER-EMPTY",
            place=self._address,
            got=f"none for {PATIENCE_SECONDS:.0f} s",
            help=f"start some: dask worker {self._address} --nworkers 2 --nthreads 1",
        )

    def _lost(self) -> UsageError:
        return UsageError(
            "the Dask scheduler is gone",
            code="KP-CLUSTER-LOST",
            place=self._address,
            help="start it and its workers again, then run the same command with --resume",
        )


@dataclass(frozen=True)
class _OnWorker:
    """A function to be called on a worker of a cluster."""

    function: Callable[[Any], Any]
    versions: tuple[tuple[str, str], ...]
    initializer: Callable[[], None] | None = field(default=None)

    def __call__(self, payload: Any) -> Any:
        _prepare(self.versions, self.initializer)
        return self.function(payload)

    def prepare(self, payloads: list[Any]) -> list[Any]:
        """As the function itself prepares them, if it does; on a worker that is refused nothing is done."""
        prepare = getattr(self.function, "prepare", None)
        return payloads if prepare is None else prepare(payloads)

    def settle(self, result: Any) -> Any:
        """As the function itself settles results, if it does."""
        settle = getattr(self.function, "settle", None)
        return result if settle is None else settle(result)


@functools.lru_cache(maxsize=8)
def _prepare(expected: tuple[tuple[str, str], ...], initializer: Callable[[], None] | None) -> None:
    """Once a process: a worker that joined after the check at the start is checked, too."""
    _compare(dict(expected), versions(), platform.node())
    if initializer is not None:
        initializer()


def versions() -> dict[str, str]:
    """What must be the same everywhere for the same bytes."""
    found = {"kpkit": kpkit.__version__, "python": ".".join(platform.python_version_tuple()[:2])}
    for name in SAME:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _compare(ours: dict[str, str], theirs: dict[str, str], worker: str) -> None:
    unequal = [name for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)]
    if unequal:
        raise UsageError(
            "a worker has other versions than this machine",
            code="KP-CLUSTER-VERSION",
            place=worker,
            expected=", ".join(f"{name} {ours.get(name, 'missing')}" for name in unequal),
            got=", ".join(f"{name} {theirs.get(name, 'missing')}" for name in unequal),
            help="install the same versions where the workers run, and start them again",
        )


def _sees_probe(path: str, token: str) -> bool:
    deadline = time.monotonic() + SHARED_SECONDS
    while True:
        with suppress(OSError):
            if Path(path).read_text() == token:
                return os.access(os.path.dirname(path), os.W_OK)
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)


def _sees(path: str) -> bool:
    return os.path.exists(path)
