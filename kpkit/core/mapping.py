"""Mappings: how the joints of one skeleton are made from those of another.

Every target joint has ordered alternatives; the first one whose sources are all labelled is used. An alternative is

    exact        the same anatomical point: copied bit for bit
    approximate  another point of the same name, or one near by: copied, and said to be so
    derived      the weighted mean of named source joints

and a joint without alternatives is absent: unlabelled (visibility 0) in the target, for everybody.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from kpkit.core.joint_names import normalise_joint_name
from kpkit.core.skeleton import Skeleton
from kpkit.errors import DefinitionError, UsageError

Kind = Literal["exact", "approximate", "derived"]
MAX_ALTERNATIVES = 127  # MappedPoints.alternative is int8


@dataclass(frozen=True)
class Alternative:
    """One way to get a target joint.

    sources  indices in the source skeleton, each once; all of them must be labelled
    weights  one positive weight a source, sum 1
    because  why the joint may stand for the other, for the Report
    """

    kind: Kind
    sources: tuple[int, ...]
    weights: tuple[float, ...]
    because: str = ""


@dataclass(frozen=True)
class JointRule:
    """The ordered alternatives of one target joint (an index in the target skeleton); none means absent."""

    target: int
    alternatives: tuple[Alternative, ...] = ()

    @property
    def kind(self) -> str:
        """Kind of the first alternative, or "absent"."""
        return self.alternatives[0].kind if self.alternatives else "absent"


@dataclass(frozen=True, eq=False)
class MappedPoints:
    """Points of the target skeleton.

    xy           [N,Kt,2]  float64  pixels, NaN where unlabelled
    visibility   [N,Kt]    uint8    0 | 1 | 2
    truncated    [N,Kt]    bool
    alternative  [N,Kt]    int8     which alternative of the joint's rule was used, -1 where none
    """

    xy: NDArray[np.float64]
    visibility: NDArray[np.uint8]
    truncated: NDArray[np.bool_]
    alternative: NDArray[np.int8]


@dataclass(frozen=True)
class Mapping:
    """Rules for every joint of `target` in terms of `source`.

    rules  one a target joint, in order
    via    names of the skeletons in between, where the mapping was composed

    Raises DefinitionError where the rules do not fit the skeletons.
    """

    source: Skeleton
    target: Skeleton
    rules: tuple[JointRule, ...]
    via: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if [rule.target for rule in self.rules] != list(range(self.target.size)):
            self._refuse(
                "a mapping needs one rule for every target joint, in order",
                "rules",
                expected=f"targets 0 to {self.target.size - 1}",
                got=str([rule.target for rule in self.rules]),
            )
        for rule in self.rules:
            place = f"joints['{self.target.keypoints[rule.target]}']"
            if len(rule.alternatives) > MAX_ALTERNATIVES:
                self._refuse("too many alternatives", place, expected=f"{MAX_ALTERNATIVES} at most")
            for number, alternative in enumerate(rule.alternatives):
                self._check(alternative, f"{place}[{number}]")

    def kind(self, joint: int) -> str:
        """ "exact", "approximate", "derived" or "absent": how target joint `joint` is made in the first place."""
        return self.rules[joint].kind

    def rule_text(self, joint: int) -> str:
        """The rule of a target joint for readers: `mean(left_ear, right_ear) | ~nose | mean(left_eye, right_eye)`.

        A name alone is an exact copy, `~` an approximate one; a sum with numbers is a mean with unequal weights.
        """
        return " | ".join(self._text(one) for one in self.rules[joint].alternatives) or "absent"

    @property
    def is_identity(self) -> bool:
        """Whether every target joint is an exact copy of the source joint of the same index."""
        return self.source.size == self.target.size and all(
            len(rule.alternatives) == 1
            and rule.alternatives[0].kind == "exact"
            and rule.alternatives[0].sources == (rule.target,)
            for rule in self.rules
        )

    def apply(
        self, xy: NDArray[np.float64], visibility: NDArray[np.uint8], truncated: NDArray[np.bool_]
    ) -> MappedPoints:
        """Map the points of N persons.

        xy          [N,Ks,2]  float64  pixels, NaN exactly where visibility is 0
        visibility  [N,Ks]    uint8    0 | 1 | 2
        truncated   [N,Ks]    bool

        An alternative is used where all its sources are labelled; visibility is the least of theirs, and the joint is
        truncated where all of them are. Where no alternative can be used, a joint whose first alternative copies one
        source takes over that source's truncated flag (out of the frame, coordinates unknown). Raises UsageError where
        the arrays do not fit the source skeleton.
        """
        self._check_arrays(xy, visibility, truncated)
        persons = len(visibility)
        shape = (persons, self.target.size)
        out = MappedPoints(
            xy=np.full((*shape, 2), np.nan),
            visibility=np.zeros(shape, np.uint8),
            truncated=np.zeros(shape, np.bool_),
            alternative=np.full(shape, -1, np.int8),
        )
        for rule in self.rules:
            _apply_rule(rule, xy, visibility, truncated, out)
        return out

    def counts(self, mapped: MappedPoints) -> list[dict[str, Any]]:
        """For the Report, one row a target joint: its rule and sources, how many persons got it, how many did not."""
        persons = len(mapped.alternative)
        rows: list[dict[str, Any]] = []
        for rule in self.rules:
            used = mapped.alternative[:, rule.target]
            by_alternative = [int(np.count_nonzero(used == number)) for number in range(len(rule.alternatives))]
            sources = dict.fromkeys(joint for one in rule.alternatives for joint in one.sources)
            rows.append(
                {
                    "joint": self.target.keypoints[rule.target],
                    "kind": rule.kind,
                    "rule": self.rule_text(rule.target),
                    "sources": [self.source.keypoints[joint] for joint in sources],
                    "persons_with": sum(by_alternative),
                    "persons_without": persons - sum(by_alternative),
                    "by_alternative": by_alternative,
                }
            )
        return rows

    def _text(self, alternative: Alternative) -> str:
        names = [self.source.keypoints[joint] for joint in alternative.sources]
        if alternative.kind == "exact":
            return names[0]
        if alternative.kind == "approximate":
            return f"~{names[0]}"
        if max(alternative.weights) - min(alternative.weights) < 1e-9:
            return f"mean({', '.join(names)})"
        return " + ".join(f"{weight:g} {name}" for weight, name in zip(alternative.weights, names, strict=True))

    def _check(self, alternative: Alternative, place: str) -> None:
        kind, sources, weights = alternative.kind, alternative.sources, alternative.weights
        if kind not in ("exact", "approximate", "derived"):
            self._refuse("unknown kind of rule", place, expected="exact, approximate or derived", got=repr(kind))
        if not sources or len(sources) != len(set(sources)):
            self._refuse("sources must be named, each once", place, got=str(sources))
        if any(not 0 <= joint < self.source.size for joint in sources):
            self._refuse("no such source joint", place, expected=f"0 to {self.source.size - 1}", got=str(sources))
        if kind != "derived" and len(sources) != 1:
            self._refuse(f"an {kind} joint has one source", place, got=str(len(sources)))
        if len(weights) != len(sources) or any(not weight > 0 for weight in weights):
            self._refuse("every source needs a positive weight", place, got=str(weights))
        if not math.isclose(sum(weights), 1.0, abs_tol=1e-9):
            self._refuse("weights must add up to 1", place, got=str(sum(weights)))

    def _check_arrays(self, xy: NDArray[Any], visibility: NDArray[Any], truncated: NDArray[Any]) -> None:
        shape = (len(xy), self.source.size)
        for name, array, expected in (
            ("xy", xy, (*shape, 2)),
            ("visibility", visibility, shape),
            ("truncated", truncated, shape),
        ):
            if array.shape != expected:
                raise UsageError(
                    f"{name} does not fit skeleton '{self.source.name}'", expected=str(expected), got=str(array.shape)
                )

    def _refuse(self, message: str, field: str, **details: str) -> NoReturn:
        place = f"mapping '{self.source.name}' to '{self.target.name}': {field}"
        raise DefinitionError(message, place=place, **details)


def identity(skeleton: Skeleton) -> Mapping:
    """Every joint copied to itself."""
    return Mapping(skeleton, skeleton, tuple(JointRule(joint, (_copy(joint),)) for joint in range(skeleton.size)))


def by_name(source: Skeleton, target: Skeleton) -> Mapping:
    """Joints of equal names copied, all others absent.

    Names are compared as written first, then in their usual spelling, where that is unambiguous.
    """
    written = {name: joint for joint, name in enumerate(source.keypoints)}
    spelled: dict[str, list[int]] = {}
    for joint, name in enumerate(source.keypoints):
        spelled.setdefault(normalise_joint_name(name), []).append(joint)
    rules: list[JointRule] = []
    for number, name in enumerate(target.keypoints):
        found = [written[name]] if name in written else spelled.get(normalise_joint_name(name), [])
        rules.append(JointRule(number, (_copy(found[0]),) if len(found) == 1 else ()))
    return Mapping(source, target, tuple(rules))


def compose(first: Mapping, second: Mapping) -> Mapping:
    """One mapping that gives what `second` makes of the points that `first` gives.

    Each alternative of `second` becomes the product of the alternatives that its sources have in `first`, in their
    order, so that the first one that can be used is the one that both steps would have used. Alternatives that can
    never come to use, because an earlier one needs no more than they do, are left out. `via` remembers the skeleton
    between.

    The truncated flag of a joint that stays unlabelled is the one thing that can differ from two steps: it follows the
    first alternative of the composed rule.
    """
    if not first.target.same_joints(second.source):
        raise UsageError("the mappings do not meet in one skeleton", expected=first.target.name, got=second.source.name)
    rules = tuple(JointRule(rule.target, _expand(rule, first)) for rule in second.rules)
    return Mapping(first.source, second.target, rules, (*first.via, first.target.name, *second.via))


def _copy(joint: int) -> Alternative:
    return Alternative("exact", (joint,), (1.0,))


def _apply_rule(
    rule: JointRule,
    xy: NDArray[np.float64],
    visibility: NDArray[np.uint8],
    truncated: NDArray[np.bool_],
    out: MappedPoints,
) -> None:
    joint = rule.target
    open_rows = np.ones(len(visibility), np.bool_)
    for number, one in enumerate(rule.alternatives):
        sources = np.array(one.sources, np.int64)
        rows = np.flatnonzero(open_rows & (visibility[:, sources] > 0).all(axis=1))
        if len(sources) == 1:
            out.xy[rows, joint] = xy[rows, sources[0]]
        else:
            parts = (weight * xy[rows, source] for weight, source in zip(one.weights, one.sources, strict=True))
            out.xy[rows, joint] = sum(parts)
        out.visibility[rows, joint] = visibility[np.ix_(rows, sources)].min(axis=1)
        out.truncated[rows, joint] = truncated[np.ix_(rows, sources)].all(axis=1)
        out.alternative[rows, joint] = number
        open_rows[rows] = False
    if rule.alternatives and len(rule.alternatives[0].sources) == 1:
        out.truncated[open_rows, joint] = truncated[open_rows, rule.alternatives[0].sources[0]]


def _expand(rule: JointRule, first: Mapping) -> tuple[Alternative, ...]:
    kept: list[Alternative] = []
    for candidate in _candidates(rule, first):
        if not any(set(earlier.sources) <= set(candidate.sources) for earlier in kept):
            kept.append(candidate)
    return tuple(kept)


def _candidates(rule: JointRule, first: Mapping) -> Iterator[Alternative]:
    for outer in rule.alternatives:
        for inner in product(*(first.rules[joint].alternatives for joint in outer.sources)):
            yield _merge(outer, inner)


def _merge(outer: Alternative, inner: tuple[Alternative, ...]) -> Alternative:
    weights: dict[int, float] = {}
    for share, one in zip(outer.weights, inner, strict=True):
        for joint, weight in zip(one.sources, one.weights, strict=True):
            weights[joint] = weights.get(joint, 0.0) + share * weight
    kinds = {outer.kind, *(one.kind for one in inner)}
    kind: Kind = "exact"
    if "derived" in kinds or len(weights) > 1:
        kind = "derived"
    elif "approximate" in kinds:
        kind = "approximate"
    reasons = dict.fromkeys(one.because for one in (outer, *inner) if one.because)
    return Alternative(kind, tuple(weights), tuple(weights.values()), "; ".join(reasons))
