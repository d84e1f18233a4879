"""COCO categories and skeletons: which joints the persons of a file have."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import msgspec

from kpkit.core import catalog
from kpkit.core.report import Collector
from kpkit.core.skeleton import Skeleton, infer_flip_pairs
from kpkit.errors import DefinitionError, RecordError, UsageError


class _Extra(msgspec.Struct):
    """The `kpkit` key of a category: what the names of its joints do not say by themselves."""

    flip_pairs: list[tuple[str, str]] | None = None
    sigmas: list[float] | None = None


NO_JOINTS = Skeleton(name="none", keypoints=(), flip_pairs=(), edges=(), sigmas=None)


@dataclass(frozen=True)
class Categories:
    """ids  all category ids    skeleton  of the category (or categories) with keypoints, or None"""

    ids: frozenset[int | str]
    skeleton: Skeleton | None


def read_categories(raw: bytes | None, place: str, collector: Collector) -> Categories:
    """Category ids and the skeleton that their keypoints describe.

    Raises RecordError where categories contradict each other or are no list of objects; that one of them is wrong is
    an error of its own, which may be collected.
    """
    entries = _entries(raw, place)
    ids: list[int | str] = []
    skeleton: Skeleton | None = None
    for i, entry in enumerate(entries):
        here = f"{place}: categories[{i}]"
        try:
            ids.append(_id(entry, here))
            found = _skeleton(entry, here, collector)
        except (RecordError, DefinitionError) as error:
            collector.error(error)
            continue
        if found is None:
            continue
        if skeleton is not None and not skeleton.same_joints(found):
            raise RecordError(
                "two categories have different keypoints; one dataset has one skeleton",
                code="KP-COCO-TWO-SKELETONS",
                place=here,
                expected=", ".join(skeleton.keypoints[:4]) + ", ...",
                got=", ".join(found.keypoints[:4]) + ", ...",
                help="split the file by category first",
            )
        skeleton = skeleton or found
    return Categories(frozenset(ids), skeleton)


def categories_of(top: bytes) -> list[dict[str, Any]]:
    """The categories of a ground truth that was read, from its top level. Nothing else there is decoded."""
    fields = msgspec.json.decode(top, type=dict[str, msgspec.Raw])
    raw = bytes(fields.get("categories", b"[]"))
    return msgspec.json.decode(raw, type=list[dict[str, Any]] | None) or []


def _id(entry: dict[str, Any], here: str) -> int | str:
    if not isinstance(entry.get("id"), int | str):
        raise RecordError("a category needs an id", code="KP-COCO-CATEGORY", place=here, expected="an integer id")
    found: int | str = entry["id"]
    return found


def _entries(raw: bytes | None, place: str) -> list[dict[str, Any]]:
    if raw is None:
        return []
    try:
        return msgspec.json.decode(raw, type=list[dict[str, Any]])
    except msgspec.MsgspecError as error:
        raise RecordError(
            "'categories' has the wrong shape",
            code="KP-COCO-CATEGORY",
            place=f"{place}: categories",
            expected="a list of objects",
            got=raw[:60].decode("utf-8", "replace"),
        ) from error


def _skeleton(entry: dict[str, Any], here: str, collector: Collector) -> Skeleton | None:
    names = _names(entry, here)
    if not names:
        return None
    edges = _edges(entry.get("skeleton") or [], len(names), here, collector)
    known = catalog.match(names)
    try:
        if known is not None:
            return _with_own(replace(known, edges=edges, description=""), entry, here)
        name = str(entry.get("name") or "custom")
        found = Skeleton(name=name, keypoints=tuple(names), flip_pairs=infer_flip_pairs(names), edges=edges)
        found = _with_own(found, entry, here)
    except DefinitionError as error:
        error.at(here)
        raise
    for problem in found.lateral_issues():
        collector.issue("KP-SKELETON-LATERAL", problem, place=f"{here}.keypoints")
    return found


def _with_own(skeleton: Skeleton, entry: dict[str, Any], here: str) -> Skeleton:
    """The skeleton with what stands under the key `kpkit` of its category."""
    if not isinstance(entry.get("kpkit"), dict):
        return skeleton
    try:
        own = msgspec.convert(entry["kpkit"], _Extra)
    except msgspec.ValidationError as error:
        raise RecordError(str(error), code="KP-COCO-KPKIT", place=f"{here}.kpkit") from error
    names = [str(name) for name in entry["keypoints"]]
    unknown = [name for pair in own.flip_pairs or [] for name in pair if name not in names]
    if unknown:
        raise RecordError(
            "a flip pair names a joint that is not there",
            code="KP-COCO-KPKIT",
            place=f"{here}.kpkit.flip_pairs",
            expected="one of " + ", ".join(names),
            got=unknown[0],
        )
    if own.flip_pairs is not None:
        skeleton = replace(skeleton, flip_pairs=tuple((names.index(a), names.index(b)) for a, b in own.flip_pairs))
    return skeleton if own.sigmas is None else skeleton.with_sigmas(own.sigmas, "the file's own")


def _names(entry: dict[str, Any], here: str) -> list[str]:
    names = entry.get("keypoints") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RecordError(
            "the names of the joints have the wrong type",
            code="KP-COCO-CATEGORY",
            place=f"{here}.keypoints",
            expected="a list of strings",
            got=str(names)[:60],
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RecordError(
            "a keypoint name occurs twice",
            code="KP-COCO-CATEGORY",
            place=f"{here}.keypoints",
            expected="unique names",
            got=", ".join(twice),
        )
    return names


def _edges(raw: Any, k: int, here: str, collector: Collector) -> tuple[tuple[int, int], ...]:
    """Edges as 0-based pairs; those out of range are reported and left out (the raw category keeps them)."""
    edges: list[tuple[int, int]] = []
    if not isinstance(raw, list):
        raise RecordError("'skeleton' is not a list of pairs", code="KP-COCO-SKELETON", place=f"{here}.skeleton")
    for i, edge in enumerate(raw):
        right = isinstance(edge, list) and len(edge) == 2 and all(type(end) is int for end in edge)
        if not right:
            wrong = RecordError(
                "an edge is not a pair of integers",
                code="KP-COCO-SKELETON",
                place=f"{here}.skeleton[{i}]",
                expected="[a, b], counted from 1",
                got=str(edge)[:60],
            )
            collector.error(wrong)
            continue
        a, b = edge
        if 1 <= a <= k and 1 <= b <= k and a != b:
            edges.append((a - 1, b - 1))
        else:
            collector.issue(
                "KP-SKELETON-EDGE",
                f"an edge of the skeleton is not between two of its {k} joints (COCO counts from 1); left out",
                place=f"{here}.skeleton[{i}] = {edge}",
            )
    return tuple(dict.fromkeys(edges))


def choose(found: Skeleton | None, asked: Skeleton | None, persons: int, place: str, collector: Collector) -> Skeleton:
    """The skeleton of a file: its own, or the one asked for where it has none.

    Raises UsageError where persons are there and nothing says what their joints are; where errors are collected, the
    persons are read without joints.
    """
    if found is not None:
        return found
    if asked is not None:
        return asked
    if persons == 0:
        collector.issue(
            "KP-COCO-NO-KEYPOINTS",
            "no category has keypoints and there is no annotation: an export without labels?",
            place=f"{place}: categories",
        )
        return NO_JOINTS
    collector.error(
        UsageError(
            "no category of this file names its keypoints",
            code="KP-COCO-NO-KEYPOINTS",
            place=f"{place}: categories",
            expected="a category with 'keypoints'",
            help="say what the joints are with --skeleton NAME or --skeleton FILE.toml (see 'kpkit skeletons')",
        )
    )
    return NO_JOINTS


def describe(entry: dict[str, Any], now: Skeleton, before: Skeleton | None = None) -> None:
    """Make a category say what its skeleton is; edges counted from 1.

    before  the skeleton as the category says it now: what has not changed since stays as it is written
    """
    if before is None or not before.same_joints(now):
        entry["keypoints"] = list(now.keypoints)
        before = None
    if before is None or set(before.edges) != set(now.edges):
        entry["skeleton"] = [[a + 1, b + 1] for a, b in now.edges]
    known = catalog.match(now.keypoints)
    pairs = known.flip_pairs if known is not None else infer_flip_pairs(now.keypoints)
    own: dict[str, Any] = {}
    if {frozenset(pair) for pair in pairs} != {frozenset(pair) for pair in now.flip_pairs}:
        own["flip_pairs"] = [[entry["keypoints"][a], entry["keypoints"][b]] for a, b in now.flip_pairs]
    if now.sigmas is not None and (known is None or known.sigmas != now.sigmas):
        own["sigmas"] = list(now.sigmas)
    entry.pop("kpkit", None)
    if own:
        entry["kpkit"] = own
