r"""Dotted paths into JSON documents: `frames[].people[]`, `size.width`, `point[0]`, `frames{}`, `@key`.

a.b     the value under "b" in the object under "a"; a dot inside a key is written \.
a[2]    the third element        a[]  every element        a{}  every value of the object
@key    the key (or position) under which a record of [] or {} stands
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kpkit.errors import RecordError

EACH, VALUES, KEY = "[]", "{}", "@key"

_SEGMENT = re.compile(r"(?P<key>(?:[^\[\]{}\\]|\\.)*)(?P<tail>(?:\[\d*\]|\{\})*)")
_TAIL = re.compile(r"\[(\d*)\]|\{\}")


@dataclass(frozen=True)
class Key:
    """A step into an object."""

    name: str


@dataclass(frozen=True)
class Path:
    """A parsed path.

    steps  Key, a position, "[]" or "{}"      many  whether it stands for several values      own_key  it is "@key"
    """

    steps: tuple[Key | int | str, ...]
    many: bool = False
    own_key: bool = False

    @property
    def first_key(self) -> str | None:
        """The key it begins with, if it begins with one."""
        return self.steps[0].name if self.steps and isinstance(self.steps[0], Key) else None

    def get(self, value: Any, key: Any = None) -> Any:
        """The value at this path, None where a part of it is not there; `key` is that of the record itself.

        Raises RecordError, its place the part of the path, where something else than an object or a list is in the way.
        """
        if self.own_key:
            return key
        way = ""
        for step in self.steps:
            if value is None:
                return None
            value, way = _step(value, step, way)
        return value

    def each(self, value: Any) -> Iterator[tuple[str, Any, Any]]:
        """(place, key or position, value) of every value at this path; nothing where a part of it is not there."""
        yield from _each(value, self.steps, "", None)


def parse_path(text: str) -> Path:
    """Parse a path; ValueError says what is wrong."""
    if text == KEY:
        return Path((), own_key=True)
    steps: list[Key | int | str] = []
    for number, segment in enumerate(re.split(r"(?<!\\)\.", text)):
        match = _SEGMENT.fullmatch(segment)
        if match is None or (not match["key"] and (number or not match["tail"])) or match["key"].startswith("@"):
            raise ValueError("not a path")
        if match["key"]:
            steps.append(Key(re.sub(r"\\(.)", r"\1", match["key"])))
        for tail in _TAIL.finditer(match["tail"]):
            steps.append(VALUES if tail.group() == VALUES else int(tail[1]) if tail[1] else EACH)
    return Path(tuple(steps), many=EACH in steps or VALUES in steps)


def _each(value: Any, steps: tuple[Key | int | str, ...], way: str, key: Any) -> Iterator[tuple[str, Any, Any]]:
    for number, step in enumerate(steps):
        if value is None:
            return
        if step in (EACH, VALUES):
            found = enumerate(_list(value, way)) if step == EACH else _object(value, way).items()
            for name, item in found:
                below = f"{way}[{name}]" if step == EACH else f"{way}.{name}".lstrip(".")
                yield from _each(item, steps[number + 1 :], below, name)
            return
        value, way = _step(value, step, way)
    yield way, key, value


def _step(value: Any, step: Key | int | str, way: str) -> tuple[Any, str]:
    if isinstance(step, Key):
        return _object(value, way).get(step.name), f"{way}.{step.name}".lstrip(".")
    items, position = _list(value, way), int(step)
    return items[position] if position < len(items) else None, f"{way}[{position}]"


def _object(value: Any, way: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise RecordError(
        "the layout's path leads through something that is no object",
        code="KP-LAYOUT-PATH",
        place=way,
        expected="an object",
        got=repr(value)[:60],
    )


def _list(value: Any, way: str) -> list[Any]:
    if isinstance(value, list):
        return value
    raise RecordError(
        "the layout's path leads through something that is no list",
        code="KP-LAYOUT-PATH",
        place=way,
        expected="a list",
        got=repr(value)[:60],
    )
