"""The shape of a COCO file: its top level and its raw rows, with errors that name the record.

Rows are sliced, not decoded: the decoder checks that they are JSON and hands out views of the buffer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from kpkit.core.report import Collector
from kpkit.errors import FormatError, InputError, RecordError
from kpkit.formats.coco_nan import nulled, report
from kpkit.formats.jsonplace import byte_of, locate, split_message
from kpkit.guard import read_bytes

BOM = b"\xef\xbb\xbf"
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]*)`")


class _Top(msgspec.Struct, gc=False):
    annotations: list[msgspec.Raw] | None = None
    images: list[msgspec.Raw] | None = None


@dataclass(frozen=True)
class Parsed:
    """A COCO file taken apart.

    buffer       the whole file      top   the top level with both arrays emptied ("" for a result list)
    rows, image_rows   views of the buffer, one a record      results   the file is a bare list of detections
    """

    buffer: bytes
    top: bytes
    rows: Sequence[Any]
    image_rows: Sequence[Any]
    results: bool


def parse(path: Path, collector: Collector | None = None) -> Parsed:
    """Read and take apart one file. A collector in "collect" mode is told of every NaN; they are read as null then.

    Raises FormatError for anything that is not JSON of COCO's shape, with the place as far as it can be known.
    """
    return parse_text(read_text(path), path, collector)


def read_text(path: Path) -> bytes:
    """The whole file without its mark. Raises FormatError where it is empty or not UTF-8."""
    buffer = read_bytes(path).removeprefix(BOM)
    check_text(buffer, path)
    return buffer


def parse_text(buffer: bytes, path: Path, collector: Collector | None = None) -> Parsed:
    """`parse` of a file that was read."""
    if collector is None or collector.mode == "raise":
        return _taken_apart(buffer, path)
    try:
        return _taken_apart(buffer, path)
    except FormatError:
        buffer, places = nulled(buffer)
        if not places:
            raise
    parsed = _taken_apart(buffer, path)
    report(places, buffer, parsed.rows, parsed.image_rows, path, collector)
    return parsed


def _taken_apart(buffer: bytes, path: Path) -> Parsed:
    if buffer.lstrip()[:1] == b"[":
        rows = _decode(buffer, list[msgspec.Raw], path)
        return Parsed(buffer, b"[]", rows, [], True)
    top: _Top = _decode(buffer, _Top, path)
    if top.annotations is None or top.images is None:
        missing = [name for name in ("images", "annotations") if getattr(top, name) is None]
        raise FormatError(
            f"not a COCO file: no {' and no '.join(repr(name) for name in missing)}",
            code="KP-COCO-TOP",
            place=str(path),
            expected="an object with 'images', 'annotations' and 'categories'",
            got=", ".join(list(_top_keys(buffer, path))[:8]) or "an empty object",
            help="name the format with the first argument of convert, or look at it with 'kpkit info'",
        )
    return Parsed(buffer, _emptied(buffer, top), top.annotations, top.images, False)


def check_text(buffer: bytes, path: Path) -> None:
    """Raise FormatError where the file is empty or not UTF-8."""
    if not buffer or buffer.isspace():
        raise FormatError("the file is empty", code="KP-JSON-EMPTY", place=str(path), expected="JSON", got="0 bytes")
    if buffer.isascii():
        return
    try:
        buffer.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(
            "the file is not UTF-8 text",
            code="KP-JSON-UTF8",
            place=_at(path, buffer, error.start),
            expected="JSON in UTF-8",
            got=f"byte 0x{buffer[error.start]:02x} at position {error.start}",
            help="convert it first, e.g. iconv -f latin1 -t utf-8",
        ) from error


def _decode(buffer: bytes, kind: Any, path: Path) -> Any:
    try:
        return msgspec.json.decode(buffer, type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        explain(error, buffer, path)


def explain(error: Exception, buffer: bytes, path: Path) -> NoReturn:
    """Turn a decoder's error about a whole file into one that names the record."""
    if isinstance(error, RecursionError):
        raise FormatError(
            "the JSON is nested too deeply", code="KP-JSON-DEPTH", place=str(path), expected="a few levels"
        ) from error
    message = str(error)
    if isinstance(error, msgspec.ValidationError):
        where, expected, got, rest = split_message(message)
        raise FormatError(
            rest or "a part of the file has the wrong type",
            code="KP-COCO-TYPE",
            place=f"{path}: {where.lstrip('.')}" if where else str(path),
            expected=expected,
            got=got,
        ) from error
    byte = byte_of(message)
    if byte is None or byte >= len(buffer):
        raise FormatError(
            "the JSON ends too early",
            code="KP-JSON-TRUNCATED",
            place=_at(path, buffer, len(buffer)),
            expected="a complete file",
            got=f"{len(buffer)} bytes",
            help="fetch or copy the file again",
        ) from error
    raise FormatError(
        "not valid JSON: " + message.removeprefix("JSON is malformed: "),
        code="KP-JSON-SYNTAX",
        place=_at(path, buffer, byte),
        got=_excerpt(buffer, byte),
        help=_advice(buffer, byte),
    ) from error


def _advice(buffer: bytes, byte: int) -> str:
    word = buffer[byte : byte + 9].lstrip(b"-")
    if word.startswith((b"NaN", b"Infinity")):
        return "JSON has no NaN or Infinity: write null, or leave the field out"
    return "mend the file at this place"


def _excerpt(buffer: bytes, byte: int) -> str:
    return repr(buffer[max(0, byte - 12) : byte + 12].decode("utf-8", "replace"))


def _at(path: Path, buffer: bytes, byte: int) -> str:
    where = locate(buffer, byte)
    line = buffer.count(b"\n", 0, byte) + 1
    return f"{path}: {where or 'top level'} (line {line}, byte {byte})"


def row_error(error: Exception, path: Path, place: str, raw: bytes) -> InputError:
    """A typed decoder's error about one row."""
    if isinstance(error, msgspec.ValidationError):
        where, expected, got, rest = split_message(str(error))
        missing = _MISSING.match(rest)
        if missing is not None:
            return RecordError(
                f"a record has no '{missing['name']}'",
                code="KP-COCO-MISSING",
                place=f"{path}: {place}{where}",
                expected=f"a field '{missing['name']}'",
                got=fields_of(raw),
            )
        return RecordError(
            rest or "a field has the wrong type",
            code="KP-COCO-TYPE",
            place=f"{path}: {place}{where}",
            expected=expected,
            got=got or raw[:60].decode("utf-8", "replace"),
        )
    return FormatError(f"not valid JSON: {error}", code="KP-JSON-SYNTAX", place=f"{path}: {place}")


def fields_of(raw: bytes) -> str:
    """The field names of one raw record, for messages."""
    return "fields " + ", ".join(msgspec.json.decode(raw, type=dict[str, msgspec.Raw]))


def check_keys_once(top: bytes, path: Path) -> None:
    """Raise FormatError where the top level gives a name twice: a whole array would be lost without a word.

    top  the top level with its two arrays emptied
    """
    try:
        # Only the names matter, and Python refuses numbers of thousands of digits, which the file may hold unread.
        pairs: list[tuple[str, Any]] = json.loads(top, object_pairs_hook=list, parse_int=str)
    except RecursionError as error:
        explain(error, top, path)
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise FormatError(
            "the top level gives one name twice",
            code="KP-JSON-KEY-TWICE",
            place=f"{path}: {twice}",
            expected="each name once",
            got=", ".join(names),
            help="put the two into one, or rename one of them",
        )


def _top_keys(buffer: bytes, path: Path) -> dict[str, msgspec.Raw]:
    keys: dict[str, msgspec.Raw] = _decode(buffer, dict[str, msgspec.Raw], path)
    return keys


def _emptied(buffer: bytes, top: _Top) -> bytes:
    """The top level with both arrays replaced by [], cut out of the buffer around their first and last rows."""
    from kpkit.formats.jsonrows import MemoryRows

    cuts: list[tuple[int, int]] = []
    for rows in (top.images, top.annotations):
        if rows:
            span = MemoryRows(buffer, rows)
            cuts.append((span.start(0), span.end(len(rows) - 1)))
    pieces, at = [], 0
    for start, end in sorted(cuts):
        pieces.append(buffer[at:start])
        at = end
    return b"".join([*pieces, buffer[at:]])
