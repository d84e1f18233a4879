"""HTML and SVG as text in which nothing from data is ever taken for markup."""

from __future__ import annotations

import html
from collections.abc import Iterable

Attribute = str | float | int | bool | None


class Markup(str):
    """Text that is markup already; any other text is escaped where it is put in."""

    __slots__ = ()


def tag(name: str, *children: str | Iterable[str] | None, **attributes: Attribute) -> Markup:
    """An element; attributes are written with hyphens for underscores, `class_` and `for_` without theirs.

    None and False leave a child or an attribute out, True gives an attribute without a value. Numbers are rounded to
    hundredths.
    """
    given = "".join(
        _attribute(key, value) for key, value in attributes.items() if value is not None and value is not False
    )
    inner = join(*children)
    return Markup(f"<{name}{given}>{inner}" if name in VOID else f"<{name}{given}>{inner}</{name}>")


VOID = frozenset({"meta", "link", "br"})


def join(*children: str | Iterable[str] | None) -> Markup:
    """Children one after the other; text that is no Markup is escaped."""
    parts: list[str] = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, str):
            parts.append(child if isinstance(child, Markup) else escape(child))
        else:
            parts.append(join(*child))
    return Markup("".join(parts))


def escape(text: str) -> Markup:
    """Text for inside elements and quoted attributes; characters that no page may hold are spelled out."""
    shown = "".join(char if _allowed(char) else repr(char)[1:-1] for char in text)
    return Markup(html.escape(shown, quote=True))


def _allowed(char: str) -> bool:
    # Control characters, halves of surrogate pairs, and marks that turn the direction of the text around them.
    return char.isprintable() or char in "\n\t"


def _attribute(key: str, value: str | float | int | bool) -> str:
    key = key.rstrip("_").replace("_", "-") if key not in CAMEL else CAMEL[key]
    if value is True:
        return f" {key}"
    text = number(value) if isinstance(value, int | float) else str(value)
    return f' {key}="{escape(text)}"'


# SVG's own spelling.
CAMEL = {"view_box": "viewBox", "preserve_aspect_ratio": "preserveAspectRatio"}


def number(value: float) -> str:
    """A number rounded to hundredths, without zeros at its end."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text
