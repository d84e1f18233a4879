"""Says where in a JSON text a byte stands, as a person would: `annotations[12].keypoints[4]`.

Only used once an error is certain, so it may be slow; it reads no further than the byte in question.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]', re.DOTALL)
_BYTE = re.compile(r"\(byte (\d+)\)")
_PATH = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)
_EXPECTED = re.compile(r"^Expected (?P<expected>.*?)(?:, got (?P<got>.*))?$", re.DOTALL)
MAX_DEPTH = 64


def byte_of(message: str) -> int | None:
    """The byte position in a decoder's message, if it names one."""
    found = _BYTE.search(message)
    return int(found.group(1)) if found else None


def locate(text: bytes, byte: int) -> str:
    """The path of the value that contains `byte`; "" for the top level."""
    stack: list[list[object]] = []  # [kind, key or index]
    pending_key = ""
    for token in _TOKEN.finditer(text, 0, min(byte, len(text))):
        symbol = token.group()
        if symbol == b"{":
            stack.append(["object", None])
        elif symbol == b"[":
            stack.append(["array", 0])
        elif symbol in (b"}", b"]"):
            if stack:
                stack.pop()
        elif symbol == b",":
            if stack and stack[-1][0] == "array":
                stack[-1][1] = int(str(stack[-1][1])) + 1
        elif symbol == b":":
            if stack and stack[-1][0] == "object":
                stack[-1][1] = pending_key
        else:
            pending_key = symbol[1:-1].decode("utf-8", "replace")
        if len(stack) > MAX_DEPTH:
            break
    return _join(stack)


def _join(stack: list[list[object]]) -> str:
    path = ""
    for kind, key in stack:
        if kind == "array":
            path += f"[{key}]"
        elif key is not None:
            path += f".{key}" if path else str(key)
    return path


def split_message(message: str) -> tuple[str, str, str, str]:
    """A typed decoder's message as (path below the value, expected, got, remaining text)."""
    match = _PATH.match(message)
    what, path = (match["what"], match["path"] or "") if match else (message, "")
    parts = _EXPECTED.match(what)
    if parts is None:
        return path, "", "", what
    return path, parts["expected"].replace("`", ""), (parts["got"] or "").replace("`", ""), ""
