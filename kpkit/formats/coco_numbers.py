"""Lists of numbers, written as JSON in many rows, as one array, and the other way.

Most keypoints of real files are small integers, and the rest are rows of zeros: both are recognised as text, which
takes a fraction of the time that making a Python object of each number does.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NOTHING = frozenset({b"", b"null", b"[]"})
_OPEN, _CLOSE, _COMMA, _ZERO = b"[],0"
_DIGITS = 5
_WHITESPACE = b" \t\r\n"
_EXACT = 2.0**53

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[list[float]]).decode


def rows_of_numbers(texts: Sequence[bytes], width: int) -> Floats | None:
    """[n, width] numbers of JSON arrays; zeros where there is no array (see NOTHING).

    texts   valid JSON values without whitespace around them

    None where one is anything but an array of `width` finite numbers.
    """
    zeros = [b"0"] * width
    skipped = {*NOTHING, b"[" + b",".join(zeros) + b"]", b"[" + b", ".join(zeros) + b"]"}
    kept = [i for i, text in enumerate(texts) if text not in skipped]
    found = np.zeros((len(texts), width))
    if not kept:
        return found
    if width == 0:
        return None
    joined = b",".join([texts[i] for i in kept])
    numbers: NDArray[Any] | None = _integers(joined, len(kept), width)
    if numbers is None:
        numbers = _floats(joined, width)
    if numbers is None:
        return None
    found[kept] = numbers.reshape(-1, width)
    return found


def texts_of_rows(values: Floats) -> list[bytes]:
    """`number_list` of every row of [n, width], many rows at a time."""
    texts = [b"[" + b",".join([b"0"] * values.shape[1]) + b"]"] * len(values)
    minus_zero = (values == 0) & np.signbit(values)
    integral = ((np.rint(values) == values) & (np.abs(values) < _EXACT) & ~minus_zero).all(axis=1)
    numbers = np.flatnonzero(integral & values.any(axis=1))
    rest = np.flatnonzero(~integral)
    for rows, text in (
        (numbers, _encode(values[numbers].astype(np.int64).tolist())),
        (rest, number_list(values[rest].tolist())),
    ):
        pieces = text[2:-2].split(b"],[") if len(rows) else []
        for row, piece in zip(rows.tolist(), pieces, strict=True):
            texts[row] = b"[" + piece + b"]"
    return texts


def number_list(values: list[Any]) -> bytes:
    """A JSON array of numbers, or of arrays of them, integral ones as integers."""
    # The encoder ends integral floats in ".0"; no other number holds ".0," or ends in ".0".
    return _encode(values).replace(b".0,", b",").replace(b".0]", b"]")


def flat_numbers(lists: Sequence[Any], width: int) -> Floats | None:
    """All numbers in one array, or None where a list is missing or of another length."""
    if set(map(type, lists)) != {list} or set(map(len, lists)) != {width}:
        return None
    return np.fromiter(chain.from_iterable(lists), np.float64, width * len(lists))


def _floats(joined: bytes, width: int) -> Floats | None:
    try:
        return flat_numbers(_decode(b"[" + joined + b"]"), width)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _integers(joined: bytes, n: int, width: int) -> NDArray[np.int32] | None:
    """[n, width] numbers of n arrays with commas between them; None unless all have one to five digits and no sign."""
    # The first number needs something to reach back into, see below.
    data = np.frombuffer(b"0" * _DIGITS + joined + b",", np.uint8)
    text, digits = data[_DIGITS:], data - np.uint8(_ZERO)
    commas = np.flatnonzero(text == _COMMA)
    if np.count_nonzero(digits < 10) - _DIGITS + len(commas) + 2 * n != len(text):
        # JSON has no whitespace inside a number, so what is left without it are the same numbers.
        stripped = joined.translate(None, _WHITESPACE)
        return _integers(stripped, n, width) if len(stripped) < len(joined) else None
    if len(commas) != n * width:
        return None
    ends = commas.reshape(n, width)
    opening, closing = np.append(0, ends[:-1, -1] + 1), ends[:, -1] - 1
    # The only other signs are 2 n; where these are the brackets, every array has as many numbers as there should be.
    if (text[opening] != _OPEN).any() or (text[closing] != _CLOSE).any():
        return None
    ends[:, -1] -= 1
    lengths = np.diff(ends, axis=1, prepend=opening[:, None]) - 1
    longest = int(lengths.max())
    if lengths.min() < 1 or longest > _DIGITS:
        return None
    values: NDArray[np.int32] = digits[_DIGITS - 1 :][ends].astype(np.int32)
    for place in range(1, longest):
        digit = digits[_DIGITS - 1 - place :][ends]
        # A short number reaches into its neighbour here.
        digit *= lengths > place
        values += digit * np.int32(10**place)
    return values
