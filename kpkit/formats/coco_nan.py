"""NaN and Infinity, which Python writes into JSON and JSON does not have.

Every command refuses such a file at the first of them. Where findings are collected all are named, and the rest is
read.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kpkit.core.report import Collector
from kpkit.errors import FormatError
from kpkit.formats.jsonplace import locate
from kpkit.formats.jsonrows import MemoryRows

CODE = "KP-JSON-NAN"
# Texts are stepped over, so that a name that reads alike is no value.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|(?P<value>-?(?:NaN|Infinity))', re.DOTALL)
NULL = b"null"
CHUNK = 1 << 20


def nulled(buffer: bytes) -> tuple[bytes, list[tuple[int, str]]]:
    """The text with null for what is no number, and where each now stands: byte and what it was."""
    places: list[tuple[int, str]] = []
    pieces, at, shift = [], 0, 0
    for match in _TOKEN.finditer(buffer) if b"NaN" in buffer or b"Infinity" in buffer else ():
        if match["value"] is None:
            continue
        pieces += [buffer[at : match.start()], NULL]
        places.append((match.start() + shift, match.group().decode()))
        at = match.end()
        shift += len(NULL) - len(match.group())
    return b"".join([*pieces, buffer[at:]]), places


def has_nan(path: Path) -> bool:
    """Whether something in the file looks like NaN or Infinity, be it in a text."""
    with path.open("rb") as stream:
        tail = b""
        while chunk := stream.read(CHUNK):
            if b"NaN" in (text := tail + chunk) or b"Infinity" in text:
                return True
            tail = chunk[-8:]
    return False


def report(
    places: Sequence[tuple[int, str]],
    buffer: bytes,
    rows: Sequence[Any],
    image_rows: Sequence[Any],
    path: Path,
    collector: Collector,
) -> None:
    """An error for each, with its record and field."""
    tables = [
        (name, MemoryRows(buffer, part)) for name, part in (("annotations", rows), ("images", image_rows)) if part
    ]
    starts = {name: [part.start(i) for i in range(len(part))] for name, part in tables}
    for byte, text in places:
        collector.error(
            FormatError(
                "a value is no number",
                code=CODE,
                place=f"{path}: {_place(byte, buffer, tables, starts)}",
                expected="a number, or null",
                got=text,
            )
        )


def _place(byte: int, buffer: bytes, tables: list[tuple[str, MemoryRows]], starts: dict[str, list[int]]) -> str:
    for name, rows in tables:
        row = bisect_right(starts[name], byte) - 1
        if row >= 0 and byte < rows.end(row):
            return f"{name}[{row}].{locate(rows.get(row), byte - starts[name][row])}"
    return locate(buffer, byte) or "top level"
