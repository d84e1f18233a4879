"""Finds the rows of a large JSON file without holding it: brackets are counted chunk by chunk with numpy.

Only the places of rows are kept (16 bytes a row). That the rows themselves are JSON is checked when they are decoded.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from kpkit.errors import FormatError
from kpkit.guard import input_error

CHUNK = 1 << 21
_KEY = re.compile(rb'"((?:[^"\\]|\\.)*)"\s*:\s*$', re.DOTALL)
_QUOTE, _BACKSLASH = ord('"'), ord("\\")
_DELTA = np.zeros(256, np.int8)
_DELTA[[ord("{"), ord("[")]] = 1
_DELTA[[ord("}"), ord("]")]] = -1
_STRUCTURAL = _DELTA != 0
_STRUCTURAL[[_QUOTE, _BACKSLASH]] = True

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Scan:
    """Where things stand in a file whose top level is an object.

    top     the top level as JSON, with the elements of the arrays asked for left out
    arrays  key -> (starts, ends), int64 bytes, of the objects in that array
    """

    top: bytes
    arrays: dict[str, tuple[Places, Places]]


@dataclass
class _State:
    depth: int = 0
    in_string: bool = False
    containers: list[tuple[int, int]] = field(default_factory=list)
    starts: list[Places] = field(default_factory=list)
    ends: list[Places] = field(default_factory=list)


def scan(path: Path, keys: tuple[str, ...]) -> Scan:
    """Scan a file once.

    keys  top-level arrays whose elements are wanted

    Raises InputError where the file cannot be read, FormatError where brackets do not match or it is not UTF-8.
    """
    state = _State()
    try:
        with path.open("rb") as stream:
            size = _walk(stream, state, path)
            if state.depth or state.in_string:
                raise FormatError(
                    "the JSON ends too early",
                    code="KP-JSON-TRUNCATED",
                    place=f"{path}: byte {size}",
                    expected="a complete file",
                    got=f"{size} bytes, {state.depth} brackets still open",
                    help="fetch or copy the file again",
                )
            return _collect(stream, state, keys, size)
    except OSError as error:
        raise input_error(error, path) from error


def _walk(stream: BinaryIO, state: _State, path: Path) -> int:
    decoder = codecs.getincrementaldecoder("utf-8")()
    at = 0
    while chunk := stream.read(CHUNK):
        while chunk.endswith(b"\\"):  # never cut between a backslash and what it escapes
            more = stream.read(1)
            if not more:
                break
            chunk += more
        try:
            if not chunk.isascii() or decoder.getstate()[0]:
                decoder.decode(chunk)
        except UnicodeDecodeError as error:
            raise FormatError(
                "the file is not UTF-8 text", code="KP-JSON-UTF8", place=f"{path}: byte {at + error.start}"
            ) from error
        _step(chunk, at, state, path)
        at += len(chunk)
    return at


def _step(chunk: bytes, at: int, state: _State, path: Path) -> None:
    data = np.frombuffer(chunk, np.uint8)
    index = np.flatnonzero(_STRUCTURAL[data])
    symbols = data[index]
    if (symbols == _BACKSLASH).any():
        index, symbols = _without_escaped(index, symbols)
    quoted = np.cumsum(symbols == _QUOTE, dtype=np.int32)
    outside = ((quoted + state.in_string) & 1) == 0
    delta = np.where(outside, _DELTA[symbols], 0).astype(np.int32)
    depth = np.cumsum(delta, dtype=np.int32) + state.depth
    if len(depth) and depth.min() < 0:
        byte = at + int(index[int(np.argmax(depth < 0))])
        raise FormatError("a bracket closes that was never opened", code="KP-JSON-SYNTAX", place=f"{path}: byte {byte}")
    place = index + at
    opened, closed = delta > 0, delta < 0
    state.starts.append(place[opened & (depth == 3)])
    state.ends.append(place[closed & (depth == 2)] + 1)
    for i in np.flatnonzero((opened & (depth == 2)) | (closed & (depth == 1))).tolist():
        if opened[i]:
            state.containers.append((int(place[i]), -1))
        else:
            state.containers[-1] = (state.containers[-1][0], int(place[i]) + 1)
    if len(depth):
        state.depth = int(depth[-1])
        state.in_string = bool((int(quoted[-1]) + state.in_string) & 1)


def _without_escaped(index: Places, symbols: NDArray[np.uint8]) -> tuple[Places, NDArray[np.uint8]]:
    """Drop backslashes, and symbols that an odd run of backslashes escapes."""
    slash = index[symbols == _BACKSLASH]
    first = np.concatenate(([True], np.diff(slash) != 1))
    start = slash[first]
    length = np.diff(np.concatenate((np.flatnonzero(first), [len(slash)])))
    escaped = (start + length)[length % 2 == 1]
    keep = (symbols != _BACKSLASH) & ~np.isin(index, escaped)
    return index[keep], symbols[keep]


def _collect(stream: BinaryIO, state: _State, keys: tuple[str, ...], size: int) -> Scan:
    starts, ends = np.concatenate([*state.starts, _NONE]), np.concatenate([*state.ends, _NONE])
    arrays: dict[str, tuple[Places, Places]] = {}
    pieces: list[bytes] = []
    at = 0
    for first, end in state.containers:
        gap = _read(stream, at, first)
        pieces.append(gap)
        found = _KEY.search(gap)
        key = found.group(1).decode("utf-8", "replace") if found else ""
        inner = slice(int(np.searchsorted(starts, first)), int(np.searchsorted(starts, end)))
        if key in keys and inner.start < inner.stop and _read(stream, first, first + 1) == b"[":
            arrays[key] = (starts[inner], ends[inner])
            pieces += [_read(stream, first, int(starts[inner][0])), _read(stream, int(ends[inner][-1]), end)]
        else:
            pieces.append(_read(stream, first, end))
        at = end
    pieces.append(_read(stream, at, size))
    return Scan(b"".join(pieces), arrays)


_NONE = np.zeros(0, np.int64)


def _read(stream: BinaryIO, start: int, end: int) -> bytes:
    stream.seek(start)
    return stream.read(end - start)
