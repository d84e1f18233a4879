"""The catalog: skeletons and mappings by name, read from `schemas/` when they are first asked for.

A skeleton is one file `skeletons/<name>.toml`, a mapping one file `mappings/<source>--<target>.toml`. Pairs without a
file are composed along the shortest path of files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, reduce
from itertools import pairwise
from pathlib import Path
from typing import Any

from kpkit import resources
from kpkit.core.joint_names import normalise_joint_name
from kpkit.core.mapping import Mapping, by_name, compose, identity
from kpkit.core.mapping_parse import mapping_ends, parse_mapping
from kpkit.core.skeleton import Skeleton
from kpkit.errors import DefinitionError, KpkitError, UsageError, did_you_mean


def skeleton_names() -> list[str]:
    """Names of the catalog's skeletons, sorted."""
    return list(_stems("skeletons"))


def mapping_names() -> list[tuple[str, str]]:
    """(source, target) of every mapping that has a file of its own, sorted."""
    return sorted(_graph())


def skeleton(name_or_path: str | Path) -> Skeleton:
    """A skeleton of the catalog by its name or another of its names ("coco", "six2"), or one from a user's .toml file.

    Raises UsageError for an unknown name and DefinitionError for a file that contradicts itself.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith(".toml") or "/" in text or "\\" in text:
        return _read(resources.read_toml(Path(name_or_path)), Path(name_or_path), strict=False)
    names = skeleton_names()
    if text in names:
        return _catalog_skeleton(text)
    others = _other_names()
    if text.lower() in others:
        return _catalog_skeleton(others[text.lower()])
    raise UsageError(f"no skeleton is called '{text}'", help=did_you_mean(text, {*names, *others}))


def match(names: Sequence[str]) -> Skeleton | None:
    """The catalog's skeleton with these joints in this order, or None.

    Joints are known by any spelling of their name and of the aliases that the skeleton lists.
    """
    spelled = [normalise_joint_name(name) for name in names]
    for name in skeleton_names():
        if len(accepted := _accepted_joints(name)) == len(spelled) and all(
            one in known for one, known in zip(spelled, accepted, strict=True)
        ):
            return _catalog_skeleton(name)
    return None


def mapping(source: Skeleton, target: Skeleton) -> Mapping:
    """How `target` is made from `source`.

    Equal joints: the identity. Both known to the catalog: its own file, else the composition along the shortest path of
    files; of several, the one that leaves the fewest target joints absent, then the first by name. Otherwise joints of
    equal names. Raises UsageError where nothing at all would be mapped.
    """
    known_source, known_target = match(source.keypoints), match(target.keypoints)
    found: Mapping | None = None
    if source.same_joints(target) or (known_source is not None and known_source is known_target):
        found = identity(target)
    elif known_source is not None and known_target is not None:
        found = _catalog_mapping(known_source.name, known_target.name)
    found = replace(found or by_name(source, target), source=source, target=target)
    if target.size and all(not rule.alternatives for rule in found.rules):
        raise UsageError(
            f"no joint of '{target.name}' can be made from '{source.name}'",
            expected="a mapping file, or joints of equal names",
            help="write a mapping file, or see `kpkit mappings`",
        )
    return found


def load_mapping(path: str | Path) -> Mapping:
    """A mapping from a user's .toml file; its skeletons are names of the catalog, or paths beside the file."""
    file = Path(path)
    return _parse(file, lambda name: skeleton(file.parent / name if name.endswith(".toml") else name))


@cache
def _stems(kind: str) -> tuple[str, ...]:
    return tuple(resources.names(kind))


def _path(kind: str, name: str) -> Path:
    return resources.schemas_dir() / kind / f"{name}.toml"


@cache
def _document(name: str) -> dict[str, Any]:
    return resources.read_toml(_path("skeletons", name))


@cache
def _catalog_skeleton(name: str) -> Skeleton:
    return _read(_document(name), _path("skeletons", name), strict=True)


def _read(document: dict[str, Any], path: Path, *, strict: bool) -> Skeleton:
    try:
        loaded = Skeleton.from_dict(document)
        if strict:
            _check_own(loaded, path.stem)
    except KpkitError as error:
        raise error.at(str(path)) from None
    return loaded


def _check_own(loaded: Skeleton, stem: str) -> None:
    if loaded.name != stem:
        raise DefinitionError("the name is not the file's", place="name", expected=stem, got=loaded.name)
    if issues := loaded.lateral_issues():
        raise DefinitionError(issues[0], place="flip_pairs", expected="every left joint paired with its right one")
    if not loaded.sigma_source:
        field = "sigma_note" if loaded.sigmas is None else "sigma_source"
        raise DefinitionError("say where the sigmas come from, or that there are none", place=field)


@cache
def _other_names() -> dict[str, str]:
    return {other: name for name in skeleton_names() for other in _document(name).get("other_names", [])}


@cache
def _accepted_joints(name: str) -> tuple[frozenset[str], ...]:
    """For each joint of a catalog skeleton, every spelling-free name it is known by."""
    aliases = _document(name).get("aliases", {})
    joints = _catalog_skeleton(name).keypoints
    return tuple(frozenset(normalise_joint_name(one) for one in (joint, *aliases.get(joint, []))) for joint in joints)


@cache
def _graph() -> frozenset[tuple[str, str]]:
    pairs = (stem.partition("--") for stem in _stems("mappings"))
    return frozenset((source, target) for source, _, target in pairs)


@cache
def _direct(source: str, target: str) -> Mapping:
    path = _path("mappings", f"{source}--{target}")
    found = _parse(path, _catalog_skeleton)
    if (found.source.name, found.target.name) != (source, target):
        raise DefinitionError(
            "the skeletons are not the file name's", place=str(path), got=f"{found.source.name}, {found.target.name}"
        )
    return found


def _parse(path: Path, find: Callable[[str], Skeleton]) -> Mapping:
    document = resources.read_toml(path)
    try:
        source, target = mapping_ends(document)
        return parse_mapping(document, find(source), find(target))
    except KpkitError as error:
        raise error.at(str(path)) from None


@cache
def _catalog_mapping(source: str, target: str) -> Mapping | None:
    paths = _shortest_paths(source, target)
    found = [reduce(compose, (_direct(a, b) for a, b in pairwise(path))) for path in paths]
    # min() keeps the first of equals, and the paths come sorted by name.
    return min(found, key=_absent) if found else None


def _absent(found: Mapping) -> int:
    return sum(not rule.alternatives for rule in found.rules)


def _shortest_paths(source: str, target: str) -> list[tuple[str, ...]]:
    """All paths of mapping files with the fewest steps, sorted by the names on them."""
    paths: list[tuple[str, ...]] = [(source,)]
    visited = {source}
    while paths:
        arrived = [path for path in paths if path[-1] == target]
        if arrived:
            return sorted(arrived)
        paths = [(*path, b) for path in paths for a, b in _graph() if a == path[-1] and b not in visited]
        visited.update(path[-1] for path in paths)
    return []
