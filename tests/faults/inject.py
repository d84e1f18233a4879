"""Makes the n-th call that changes files fail, in this process, as SQLite's tests do with theirs."""

from __future__ import annotations

import builtins
import contextlib
import io
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

NAMED = ("mkdir", "rename", "replace", "link")
OPENED = ("fsync", "ftruncate", "pwrite", "write")


class Injection:
    """Counts calls below a folder; the n-th fails, and all after it where `lasting` (a disk that stays full)."""

    def __init__(self, folder: Path, number: int, code: int, *, lasting: bool) -> None:
        self.calls, self.failed = 0, 0
        self._one_by_one = threading.Lock()
        self._folder, self._number, self._code, self._lasting = os.path.realpath(folder), number, code, lasting

    def count(self, path: Any) -> None:
        """One more call; raises where its turn has come."""
        name = f"/proc/self/fd/{path}" if isinstance(path, int) else os.fspath(path)
        if not os.path.realpath(name).startswith(self._folder):
            return
        with self._one_by_one:
            self.calls += 1
            fails = self.calls == self._number or (self._lasting and self.calls > self._number)
            self.failed += fails
        if fails:
            raise OSError(self._code, os.strerror(self._code), None if isinstance(path, int) else path)


class _Counted:
    """A file whose writes are counted."""

    def __init__(self, file: Any, injection: Injection, path: Any) -> None:
        self._file, self._injection, self._path = file, injection, path

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __iter__(self) -> Any:
        return iter(self._file)

    def __enter__(self) -> _Counted:
        self._file.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        return self._file.__exit__(*error)

    def write(self, data: Any) -> Any:
        self._injection.count(self._path)
        return self._file.write(data)


@contextlib.contextmanager
def failing(injection: Injection) -> Iterator[None]:
    """The calls that change files, counted."""
    originals: list[tuple[Any, str, Any]] = []

    def patch(where: Any, name: str, make: Callable[[Any], Any]) -> None:
        original = getattr(where, name)
        originals.append((where, name, original))
        setattr(where, name, make(original))

    def counted(original: Any) -> Any:
        def call(path: Any, *more: Any, **named: Any) -> Any:
            injection.count(path)
            return original(path, *more, **named)

        return call

    def opened(original: Any) -> Any:
        def call(path: Any, mode: str = "r", *more: Any, **named: Any) -> Any:
            if not set(mode) & set("wax+"):
                return original(path, mode, *more, **named)
            injection.count(path)
            file = original(path, mode, *more, **named)
            return file if isinstance(path, int) else _Counted(file, injection, path)

        return call

    def opened_by_number(original: Any) -> Any:
        def call(path: Any, flags: int, *more: Any, **named: Any) -> Any:
            if flags & (os.O_WRONLY | os.O_RDWR):
                injection.count(path)
            return original(path, flags, *more, **named)

        return call

    for name in (*NAMED, *OPENED):
        patch(os, name, counted)
    patch(os, "open", opened_by_number)
    patch(io, "open", opened)
    patch(builtins, "open", opened)
    try:
        yield
    finally:
        for where, name, original in reversed(originals):
            setattr(where, name, original)
