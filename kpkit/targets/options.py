"""Checks of the values that a codec is made with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kpkit.errors import UsageError, did_you_mean

CODE = "KP-CODEC-PARAMETER"
# Far from the largest float32: squares and sums of cells stay numbers.
LARGEST = 1e15


def choice(name: str, value: Any, known: Sequence[str | None]) -> Any:
    """`value` if it is one of `known`; UsageError, with the nearest, where it is not."""
    if value in known and not isinstance(value, bool):
        return value
    names = [one for one in known if one is not None]
    raise UsageError(f"'{name}' cannot be {value!r}", code=CODE, help=did_you_mean(str(value), names))


def positive(name: str, value: Any) -> float:
    """`value` as a float; UsageError where it is not a number above 0 that float32 can hold."""
    if not isinstance(value, bool) and isinstance(value, int | float) and 0 < value <= LARGEST:
        return float(value)
    raise UsageError(f"'{name}' does not fit", code=CODE, expected="a number above 0", got=repr(value))


def share(name: str, value: Any) -> float:
    """`value` as a float; UsageError where it is not from 0 up to, but not, 1."""
    if not isinstance(value, bool) and isinstance(value, int | float) and 0 <= value < 1:
        return float(value)
    raise UsageError(f"'{name}' does not fit", code=CODE, expected="a number from 0 to below 1", got=repr(value))


def odd(name: str, value: Any) -> int:
    """`value`; UsageError where it is not an odd whole number from 3 on."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 3 and value % 2 == 1:
        return value
    raise UsageError(f"'{name}' does not fit", code=CODE, expected="an odd whole number from 3 on", got=repr(value))
