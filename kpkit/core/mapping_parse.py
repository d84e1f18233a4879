"""Reads a mapping document: the form of `schemas/mappings/*.toml`, everything by joint name."""

from __future__ import annotations

from collections.abc import Mapping as Document
from typing import Any

from kpkit.core.mapping import Alternative, JointRule, Mapping
from kpkit.core.skeleton import Skeleton
from kpkit.errors import DefinitionError, did_you_mean

_KEYS = ("schema", "source", "target", "description", "joints")
_KINDS = ("exact", "approximate", "mean")


def mapping_ends(document: Document[str, Any]) -> tuple[str, str]:
    """Names of the source and the target skeleton of a mapping document; DefinitionError where they are missing."""
    for key in document:
        if key not in _KEYS:
            raise DefinitionError(f"unknown field '{key}'", help=did_you_mean(key, _KEYS))
    if document.get("schema") != 1:
        raise DefinitionError(
            "unknown version of the mapping form", place="schema", expected="1", got=repr(document.get("schema"))
        )
    for key in ("source", "target"):
        if not isinstance(document.get(key), str):
            raise DefinitionError(
                f"'{key}' is needed", place=key, expected="the name of a skeleton", got=repr(document.get(key))
            )
    return document["source"], document["target"]


def parse_mapping(document: Document[str, Any], source: Skeleton, target: Skeleton) -> Mapping:
    """The mapping of a document between two skeletons.

    Raises DefinitionError where a target joint is not listed (an empty list says that it is absent), a name is unknown
    or a rule cannot be read.
    """
    joints = document.get("joints")
    if not isinstance(joints, Document):
        raise DefinitionError(
            "'joints' is needed", place="joints", expected="a table of target joints", got=repr(joints)
        )
    for name in joints:
        if name not in target.keypoints:
            raise DefinitionError(
                f"skeleton '{target.name}' has no joint '{name}'",
                place=f"joints.{name}",
                help=did_you_mean(name, target.keypoints),
            )
    rules = tuple(_rule(number, name, joints, source) for number, name in enumerate(target.keypoints))
    return Mapping(source, target, rules)


def _rule(number: int, name: str, joints: Document[str, Any], source: Skeleton) -> JointRule:
    place = f"joints.{name}"
    if name not in joints:
        raise DefinitionError(
            f"target joint '{name}' is not listed", place="joints", help=f"add `{name} = []` if it is absent"
        )
    if not isinstance(joints[name], list):
        raise DefinitionError("a joint needs a list of alternatives", place=place, got=repr(joints[name]))
    alternatives = (_alternative(one, source, f"{place}[{index}]") for index, one in enumerate(joints[name]))
    return JointRule(number, tuple(alternatives))


def _alternative(document: object, source: Skeleton, place: str) -> Alternative:
    if not isinstance(document, Document):
        raise DefinitionError("not an alternative", place=place, expected='{ exact = "joint" }', got=repr(document))
    kinds = [key for key in _KINDS if key in document]
    unknown = [key for key in document if key not in (*_KINDS, "because")]
    if len(kinds) != 1 or unknown:
        raise DefinitionError(
            "an alternative has one rule", place=place, expected="exact, approximate or mean", got=", ".join(document)
        )
    because = document.get("because", "")
    if not isinstance(because, str) or (kinds[0] == "approximate" and not because):
        raise DefinitionError(
            "an approximate joint says why", place=place, expected='because = "..."', got=repr(because)
        )
    if kinds[0] == "mean":
        named = document["mean"]
        if not isinstance(named, list) or len(named) < 2:
            raise DefinitionError("a mean needs two joints or more", place=place, got=repr(named))
        sources = tuple(_joint(name, source, place) for name in named)
        return Alternative("derived", sources, (1.0 / len(sources),) * len(sources), because)
    joint = _joint(document[kinds[0]], source, place)
    return Alternative("exact" if kinds[0] == "exact" else "approximate", (joint,), (1.0,), because)


def _joint(name: object, source: Skeleton, place: str) -> int:
    if not isinstance(name, str) or name not in source.keypoints:
        raise DefinitionError(
            f"skeleton '{source.name}' has no joint '{name}'",
            place=place,
            help=did_you_mean(str(name), source.keypoints),
        )
    return source.keypoints.index(name)
