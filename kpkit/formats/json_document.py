"""Decodes a whole JSON file of moderate size; what is wrong with the text is said with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from kpkit.errors import FormatError
from kpkit.formats.jsonplace import byte_of, locate

BOM = b"\xef\xbb\xbf"


def decode(content: bytes, path: Path) -> Any:
    """The document as plain dicts, lists, texts and numbers.

    Raises FormatError for text that is not UTF-8 or not JSON, with path, line and byte.
    """
    content = content.removeprefix(BOM)
    try:
        return msgspec.json.decode(content)
    except UnicodeDecodeError:
        raise _not_utf8(content, path) from None
    except RecursionError as error:
        raise FormatError("the JSON is nested too deeply", code="KP-JSON-DEPTH", place=str(path)) from error
    except msgspec.ValidationError as error:
        raise FormatError(
            "a number is too large for a floating-point number", code="KP-JSON-NUMBER", place=str(path)
        ) from error
    except msgspec.DecodeError as error:
        byte = byte_of(str(error))
        raise FormatError(
            "not valid JSON" if byte is not None else "the JSON ends too early",
            code="KP-JSON-SYNTAX" if byte is not None else "KP-JSON-TRUNCATED",
            place=_place(content, len(content) if byte is None else byte, path),
            expected="JSON",
            got=str(error).removeprefix("JSON is malformed: "),
            help="mend the file at this place; JSON has no NaN or Infinity, unknown values are null",
        ) from error


def _not_utf8(content: bytes, path: Path) -> FormatError:
    start = 0
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        start = error.start
    return FormatError(
        "the file is not UTF-8 text",
        code="KP-JSON-UTF8",
        place=_place(content, start, path),
        expected="JSON in UTF-8",
        got=f"byte 0x{content[start]:02x}",
        help="convert it first, e.g. iconv -f latin1 -t utf-8",
    )


def _place(content: bytes, byte: int, path: Path) -> str:
    where = locate(content, byte) or "top level"
    line = content.count(b"\n", 0, byte) + 1
    return f"{path}: {where} (line {line}, byte {byte})"
