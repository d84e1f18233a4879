"""Single values of a COCO file exchanged, single rows left out; every other byte stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kpkit.formats.jsonrows import MemoryRows, RowSource, address

Splice = tuple[int, int, bytes]


@dataclass
class Patch:
    """What to change, by raw row of the file.

    fields     row of `annotations` -> field -> its new value as JSON
    numbers    row of `annotations` -> index in `keypoints` -> its new value as JSON
    drop       rows of `annotations` to leave out        drop_images  rows of `images` to leave out
    """

    fields: dict[int, dict[str, bytes]] = field(default_factory=dict)
    numbers: dict[int, dict[int, bytes]] = field(default_factory=dict)
    drop: set[int] = field(default_factory=set)
    drop_images: set[int] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.fields or self.numbers or self.drop or self.drop_images)


def patched(source: RowSource, patch: Patch) -> Iterator[bytes | memoryview]:
    """The bytes of the file with the patch, in pieces. The source's rows must be views of the whole file."""
    rows, images = source.rows, source.image_rows
    if not isinstance(rows, MemoryRows) or not isinstance(images, MemoryRows):
        raise ValueError("only a file that was read whole can be patched")
    splices = [*_cuts(rows, patch.drop), *_cuts(images, patch.drop_images)]
    for row in sorted(patch.fields.keys() | patch.numbers.keys()):
        if row not in patch.drop:
            start = rows.start(row)
            changes = _exchanged(rows.get(row), patch.fields.get(row, {}), patch.numbers.get(row, {}))
            splices += [(start + first, start + end, value) for first, end, value in changes]
    buffer, at = memoryview(rows.buffer or images.buffer), 0
    for first, end, value in sorted(splices):
        yield buffer[at:first]
        yield value
        at = end
    yield buffer[at:]


def _cuts(rows: MemoryRows, drop: set[int]) -> list[Splice]:
    """Cuts that take rows out, each with one comma: the one before it, or behind it where nothing is kept before."""
    cuts: list[Splice] = []
    kept_before = False
    for row in range(len(rows)) if drop else ():
        if row not in drop:
            kept_before = True
        elif kept_before:
            cuts.append((rows.end(row - 1), rows.end(row), b""))
        else:
            last = row + 1 == len(rows)
            cuts.append((rows.start(row), rows.end(row) if last else rows.start(row + 1), b""))
    return cuts


def _exchanged(row: bytes, fields: Mapping[str, bytes], numbers: Mapping[int, bytes]) -> list[Splice]:
    """Splices of one row: values where they stand, fields that it lacks before its closing brace."""
    there = msgspec.json.decode(row, type=dict[str, msgspec.Raw])
    splices: list[Splice] = []
    added = b""
    for name, value in fields.items():
        if name in there:
            splices.append((*_span(there[name], row), value))
        else:
            spaced = b'": ' in row
            colon, comma = (b": ", b", ") if spaced else (b":", b",")
            added += comma + msgspec.json.encode(name) + colon + value
    if added:
        end = row.rindex(b"}")
        splices.append((len(row[:end].rstrip()), end, added))
    if numbers:
        first, _ = _span(there["keypoints"], row)
        text = bytes(there["keypoints"])
        values = msgspec.json.decode(text, type=list[msgspec.Raw])
        for index, value in numbers.items():
            start, end = _span(values[index], text)
            splices.append((first + start, first + end, value))
    return splices


def _span(part: Any, whole: bytes) -> tuple[int, int]:
    """Where a raw value stands in the text it was decoded from."""
    start = address(part) - address(whole)
    return start, start + len(memoryview(part))
