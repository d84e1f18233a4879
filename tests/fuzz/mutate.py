"""Damage: bytes, numbers, pieces, and the structure of JSON and tables, all from the given random stream."""

from __future__ import annotations

import json
import random
import re
import struct
from collections.abc import Callable
from typing import Any

NUMBERS = (
    b"0", b"-0", b"-1", b"1", b"2", b"3", b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e400", b"1e308", b"1e-320",
    b"9007199254740993", b"2147483648", b"-2147483649", b"9223372036854775808", b"18446744073709551616", b"1" * 40,
    b"9" * 5000, b"0x10", b"1_000", b"01", b"+1", b".5", b"5.", b"1,5", b"null", b"true", b'"7"', b"\xd9\xa3", b"",
)  # fmt: skip
WORDS = (0, 1, 2, 4, 5, 6, 9, 14, 15, 16, 255, 256, 0xFFFF, 1 << 20, 1 << 28, 0x7FFFFFFF, 1 << 31, 0xFFFFFFFF)
TEXTS = (
    b"\x00", b"\xff", b"\xef\xbb\xbf", b"\r", b"\n\n", b'"', b"\\", b"\\u0000", b"\\ud800", b"..", b"/etc", b"{", b"]",
    b",", b";", b":", b"\t", b"'", b"&a", b"*a", b"!!python/object", b"- ", b"\xe2\x80\xa8", b"# ", b"\x1a",
)  # fmt: skip
KEYS = ("id", "image_id", "keypoints", "kpkit", "x", "", "__proto__", "extras", "width", "\ud800", "a" * 3000)
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")

Change = Callable[[random.Random, bytes], bytes]


def values(rng: random.Random) -> Any:
    """A JSON value nobody expects."""
    deep: Any = 0
    kind = rng.randrange(18)
    if kind == 0:
        for _ in range(rng.choice([3, 40, 900])):
            deep = [deep] if rng.random() < 0.5 else {"a": deep}
        return deep
    plain = (
        None, True, False, 0, -1, 1.5, 2, 10**20, -(10**25), 1e308, float("nan"), float("inf"), "", "7", "é" * 2000,
        [], {}, [[]], {"id": 1}, [1, "a", None], 2**31, 2**63, -(2**63), "../x", "\x00", [0] * 300,
    )  # fmt: skip
    return rng.choice(plain)


def mutate(rng: random.Random, data: bytes, kind: str) -> bytes:
    """One to three changes; `kind` is "json", "text" or "binary"."""
    changes: list[Change] = [flip, insert, delete, repeat, cut, word]
    if kind == "binary":
        changes += [flip, flip, word, word]
    else:
        changes += [number, number, text]
    if kind == "json":
        changes += [structure] * 9
    if kind == "text":
        changes += [cell] * 3
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        data = rng.choice(changes)(rng, data)
    return data


def flip(rng: random.Random, data: bytes) -> bytes:
    """One bit of some bytes."""
    changed = bytearray(data)
    for _ in range(min(len(data), rng.choice([1, 1, 2, 8]))):
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def insert(rng: random.Random, data: bytes) -> bytes:
    """Random bytes somewhere."""
    at = rng.randint(0, len(data))
    return data[:at] + rng.randbytes(rng.choice([1, 2, 4, 64])) + data[at:]


def delete(rng: random.Random, data: bytes) -> bytes:
    """A piece taken out."""
    at = rng.randint(0, len(data))
    return data[:at] + data[at + rng.choice([1, 2, 8, 200]) :]


def repeat(rng: random.Random, data: bytes) -> bytes:
    """A piece once more, there or elsewhere."""
    at = rng.randint(0, len(data))
    piece = data[at : at + rng.choice([1, 8, 100, 1000])]
    to = at if rng.random() < 0.5 else rng.randint(0, len(data))
    return data[:to] + piece * rng.choice([1, 1, 2, 50]) + data[to:]


def cut(rng: random.Random, data: bytes) -> bytes:
    """The end taken off."""
    return data[: rng.randint(0, len(data))]


def word(rng: random.Random, data: bytes) -> bytes:
    """Four or eight bytes as a number that matters, where a number could stand."""
    packed = struct.pack(rng.choice(["<I", ">I", "<Q"]), rng.choice(WORDS))
    at = rng.randint(0, len(data)) & ~3
    return data[:at] + packed + data[at + len(packed) :]


def number(rng: random.Random, data: bytes) -> bytes:
    """One number of a text as another token."""
    found = list(_NUMBER.finditer(data))
    if not found:
        return text(rng, data)
    one = rng.choice(found)
    return data[: one.start()] + rng.choice(NUMBERS) + data[one.end() :]


def text(rng: random.Random, data: bytes) -> bytes:
    """A piece of text that means something somewhere."""
    at = rng.randint(0, len(data))
    return data[:at] + rng.choice(TEXTS) + data[at + rng.choice([0, 1]) :]


def cell(rng: random.Random, data: bytes) -> bytes:
    """A table or list of lines: cells, lines and columns exchanged, doubled and dropped."""
    lines = data.split(b"\n")
    row = rng.randrange(len(lines))
    separator = rng.choice([b",", b";", b" ", b": ", b"="])
    cells = lines[row].split(separator)
    at = rng.randrange(len(cells))
    action = rng.randrange(7)
    if action == 0:
        cells[at] = rng.choice(NUMBERS + TEXTS)
    elif action == 1:
        del cells[at]
    elif action == 2:
        cells.insert(at, rng.choice(cells))
    elif action == 3:
        lines.insert(row, rng.choice(lines))
    elif action == 4:
        del lines[row]
        return b"\n".join(lines)
    elif action == 5:
        cells[at] = b'"' + cells[at]
    else:
        rng.shuffle(cells)
    lines[row] = separator.join(cells)
    return b"\n".join(lines)


def structure(rng: random.Random, data: bytes) -> bytes:
    """A JSON document with one value, key or element exchanged; unreadable text is damaged as text."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return number(rng, data)
    parents = _containers(document)
    if not parents:
        return number(rng, data)
    parent = rng.choice(parents) if rng.random() < 0.5 else _walked_to(rng, document)
    keys = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
    key = rng.choice(keys)
    action = rng.randrange(7)
    if action == 0:
        del parent[key]
    elif action == 1 and isinstance(parent, dict):
        parent[rng.choice([*KEYS, *keys])] = parent.pop(key)
    elif action == 2 and isinstance(parent, list):
        parent.insert(key, json.loads(json.dumps(parent[rng.randrange(len(parent))])))
    elif action == 3:
        other = rng.choice(parents)
        parent[key] = json.loads(json.dumps(other))
    elif action == 4 and isinstance(parent, list):
        rng.shuffle(parent)
    else:
        parent[key] = values(rng)
    try:
        written = json.dumps(document, ensure_ascii=rng.random() < 0.8, separators=(",", ":"))
    except RecursionError:  # several changes made it too deep for Python
        return number(rng, data)
    return written.encode("utf-8", "surrogatepass")


def _walked_to(rng: random.Random, document: Any) -> Any:
    """A container found by going down some levels: those near the top come as often as the many below."""
    one = document
    for _ in range(rng.randrange(5)):
        inner = [value for value in (one.values() if isinstance(one, dict) else one) if isinstance(value, dict | list)]
        inner = [value for value in inner if value]
        if not inner:
            break
        one = rng.choice(inner)
    return one


def _containers(document: Any) -> list[Any]:
    """Objects and arrays with something in them."""
    found, waiting = [], [document]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict | list) and one:
            found.append(one)
            waiting.extend(one.values() if isinstance(one, dict) else one)
    return found
