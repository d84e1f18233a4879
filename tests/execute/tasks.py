"""What workers do in these tests; importable there, and light."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from kpkit.errors import RecordError


class UnsendableError(Exception):
    """An exception that cannot be made again from its arguments, as some libraries have them."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(one + other)


def double(number: int) -> int:
    return 2 * number


class Prepared:
    """Tells of each item with how many it was prepared."""

    def prepare(self, numbers: list[int]) -> list[tuple[int, int]]:
        return [(number, len(numbers)) for number in numbers]

    def __call__(self, item: tuple[int, int]) -> tuple[int, int]:
        return item


class Settled:
    """Settles each result once all that were prepared with it are done; the sixth cannot be."""

    def __init__(self) -> None:
        self.done: list[int] = []

    def __call__(self, number: int) -> int:
        if number == 5:
            raise RecordError("no such number", code="KP-FIFTH")
        self.done.append(number)
        return number

    def settle(self, number: int) -> tuple[int, int]:
        if number == 6:
            raise RecordError("no such number", code="KP-SIXTH")
        return number, max(self.done)


def tarry(number: int) -> int:
    time.sleep(0.12)
    return number


def slow_double(number: int) -> int:
    time.sleep(0.002 * (7 - number % 7))
    return 2 * number


def process_id(_: Any) -> int:
    time.sleep(0.02)
    return os.getpid()


def fail_on_odd(number: int) -> int:
    if number % 4 == 1:
        raise RecordError("odd", code="KP-ODD", place=f"item {number}")
    if number % 4 == 3:
        raise ValueError(f"odder: {number}")
    return number


def misbehave(how: str) -> str:
    """Ways to end badly without killing the worker."""
    if how == "unsendable":
        raise UnsendableError("a", "b")
    if how == "exit":
        raise SystemExit(3)
    if how == "result":
        return lambda: None  # type: ignore[return-value]  # cannot be pickled: that is the point
    return how


def die(payload: tuple[int, str]) -> int:
    """Kill the worker where the second part says so."""
    number, how = payload
    if how == "exit":
        os._exit(7)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.01)
    return number


def die_once(payload: tuple[int, str]) -> int:
    """Kill the worker the first time only: the file remembers."""
    number, marker = payload
    if marker and not Path(marker).exists():
        Path(marker).touch()
        os._exit(7)
    return number


_STARTED: list[str] = []


def start(word: str) -> None:
    _STARTED.append(word)


def started(_: Any) -> list[str]:
    return list(_STARTED)


def start_badly() -> None:
    raise RuntimeError("the initializer fails")


def interrupt(number: int) -> int:
    if number == 3:
        raise KeyboardInterrupt
    return number


def write_pid_and_sleep(path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    time.sleep(60)


def start_here() -> None:
    _STARTED.append("here")
