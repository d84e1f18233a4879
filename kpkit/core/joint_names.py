"""What a joint's name says: its usual spelling, whether it is a left or a right one, and which joint mirrors it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

# Rests that make a glued letter a side ("Lsho", "Rank"): many words merely begin with l or r, these rests are few.
_LONG_PARTS = "shoulder|elbow|wrist|knee|ankle|hand|foot|heel|thumb"
_ANY_PART = re.compile(f"{_LONG_PARTS}|sho|shld|elb|wri|hip|kne|ank|eye|ear|toe|palm|arm|leg")
_LONG_PART = re.compile(_LONG_PARTS)
_SIDES = {"l": "left", "left": "left", "r": "right", "right": "right"}


@cache
def normalise_joint_name(name: str) -> str:
    """The name in snake_case with its side written out in front: "LShoulder" and "shoulder-left" are "left_shoulder".

    Only spelling changes; no joint is taken for another ("mid_hip" stays, "hip" is not "pelvis").
    """
    side = side_of(name)
    if side is None:
        return "_".join(_words(name)) or name.strip().lower()
    return f"{side[0]}_{side[1]}"


@cache
def side_of(name: str) -> tuple[str, str] | None:
    """("left" or "right", rest of the name in snake_case), or None for a name without a side."""
    words = _words(name)
    if len(words) > 1:
        if words[0] in _SIDES:
            return _SIDES[words[0]], "_".join(words[1:])
        if words[-1] in _SIDES:
            return _SIDES[words[-1]], "_".join(words[:-1])
        return None
    return _glued_side(name.strip())


def infer_flip_pairs(names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Left/right pairs told from joint names alone, as (left, right) indices ordered by the first of the two.

    Knows left_/right_ and l_/r_ before or behind the rest, CamelCase (LShoulder) and one letter written on to the rest
    (Lsho, rkne). A name whose mirror image is missing, or there twice, stays without a partner.
    """
    sides: dict[str, dict[str, list[int]]] = {}
    for index, name in enumerate(names):
        side = side_of(name) or _mirrored_side(name, names)
        if side is not None:
            sides.setdefault(side[1], {}).setdefault(side[0], []).append(index)
    pairs = [
        (both["left"][0], both["right"][0])
        for both in sides.values()
        if len(both.get("left", [])) == 1 and len(both.get("right", [])) == 1
    ]
    return tuple(sorted(pairs, key=min))


def _mirrored_side(name: str, names: Sequence[str]) -> tuple[str, str] | None:
    """Side of a name like 'Rfli', believed only because its mirror image 'Lfli' is there too."""
    mirror = {"l": "r", "r": "l", "L": "R", "R": "L"}.get(name[:1])
    rest = name[1:]
    if mirror is None or len(rest) < 3 or not rest.isalpha() or mirror + rest not in names:
        return None
    return ("left" if name[0] in "lL" else "right", rest.lower())


def _glued_side(name: str) -> tuple[str, str] | None:
    letter, rest = name[:1], name[1:]
    if letter in ("L", "R") and _ANY_PART.fullmatch(rest):
        return _SIDES[letter.lower()], rest
    if letter in ("l", "r") and _LONG_PART.fullmatch(rest):
        return _SIDES[letter], rest
    for word in ("left", "right"):
        # "leftshoulder", but not "leftover": the rest must be a part of a body.
        rest = name.lower().removeprefix(word)
        if rest != name.lower() and _ANY_PART.fullmatch(rest):
            return word, rest
    return None


def _words(name: str) -> list[str]:
    """Words of a name in lower case: split where the case changes and at everything that is no letter or digit."""
    spaced = re.sub(r"([A-Z])([A-Z][a-z])", r"\1 \2", name)
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", spaced)
    return [word for word in re.split(r"[\W_]+", spaced.lower()) if word]
