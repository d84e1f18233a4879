"""Reads a skeleton document: the form of `schemas/skeletons/*.toml`, everything by joint name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kpkit.errors import DefinitionError, did_you_mean

_KEYS = frozenset(
    [
        "schema",
        "name",
        "other_names",
        "description",
        "source",
        "keypoints",
        "aliases",
        "flip_pairs",
        "edges",
        "sigmas",
        "sigma_source",
        "sigma_note",
    ]
)


def skeleton_fields(document: Mapping[str, Any]) -> dict[str, Any]:
    """The constructor arguments of Skeleton; DefinitionError names the field that is wrong."""
    _check_document(document)
    keypoints = tuple(document["keypoints"])
    sigmas = document.get("sigmas")
    return {
        "name": document["name"],
        "keypoints": keypoints,
        "flip_pairs": _named_pairs(document.get("flip_pairs", []), keypoints, "flip_pairs"),
        "edges": _named_pairs(document.get("edges", []), keypoints, "edges"),
        "sigmas": None if sigmas is None else _named_sigmas(sigmas, keypoints),
        "sigma_source": document.get("sigma_note" if sigmas is None else "sigma_source", ""),
        "source": document.get("source", ""),
        "description": document.get("description", ""),
    }


def _check_document(document: Mapping[str, Any]) -> None:
    for key in document:
        if key not in _KEYS:
            raise DefinitionError(f"unknown field '{key}'", help=did_you_mean(key, _KEYS))
    if document.get("schema") != 1:
        raise DefinitionError(
            "unknown version of the skeleton form", place="schema", expected="1", got=repr(document.get("schema"))
        )
    for key, kind, word in (("name", str, "a text"), ("keypoints", list, "a list of joint names")):
        if not isinstance(document.get(key), kind):
            raise DefinitionError(f"'{key}' is needed", place=key, expected=word, got=repr(document.get(key)))
    for index, name in enumerate(document["keypoints"]):
        if not isinstance(name, str):
            raise DefinitionError("a joint needs a name", place=f"keypoints[{index}]", got=repr(name))
    for key in ("description", "source", "sigma_source", "sigma_note"):
        if not isinstance(document.get(key, ""), str):
            raise DefinitionError(f"'{key}' must be a text", place=key, got=repr(document[key]))


def _named_pairs(pairs: object, keypoints: tuple[str, ...], field: str) -> tuple[tuple[int, int], ...]:
    index = {name: position for position, name in enumerate(keypoints)}
    found: list[tuple[int, int]] = []
    if not isinstance(pairs, list):
        raise DefinitionError(f"'{field}' must be a list of pairs of joint names", place=field, got=repr(pairs))
    for number, pair in enumerate(pairs):
        if not isinstance(pair, list) or len(pair) != 2:
            raise DefinitionError("not a pair", place=f"{field}[{number}]", expected="two joint names", got=repr(pair))
        for name in pair:
            if not isinstance(name, str) or name not in index:
                raise DefinitionError(
                    f"no joint is called '{name}'", place=f"{field}[{number}]", help=did_you_mean(str(name), keypoints)
                )
        found.append((index[pair[0]], index[pair[1]]))
    return tuple(found)


def _named_sigmas(sigmas: object, keypoints: tuple[str, ...]) -> tuple[float, ...]:
    if not isinstance(sigmas, Mapping):
        raise DefinitionError("sigmas are given by joint name", place="sigmas", expected="a table", got=repr(sigmas))
    for name, value in sigmas.items():
        if name not in keypoints:
            raise DefinitionError(f"no joint is called '{name}'", place="sigmas", help=did_you_mean(name, keypoints))
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise DefinitionError("a sigma must be a positive number", place=f"sigmas['{name}']", got=repr(value))
    missing = [name for name in keypoints if name not in sigmas]
    if missing:
        raise DefinitionError("one sigma a joint is needed", place="sigmas", got="none for " + ", ".join(missing))
    return tuple(float(sigmas[name]) for name in keypoints)
