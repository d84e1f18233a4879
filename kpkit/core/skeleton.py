"""Skeletons: which joints a person has, which of them swap in a mirror, and what joins them.

A skeleton is compared by content (joint names in order, flip pairs, edges, OKS sigmas), never by its name and never by
the number of its joints. Indices are 0-based here; files that count from 1 are shifted by their own reader.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from kpkit.core.joint_names import infer_flip_pairs, normalise_joint_name, side_of
from kpkit.core.skeleton_document import skeleton_fields
from kpkit.errors import DefinitionError, UsageError, did_you_mean

__all__ = ["Skeleton", "infer_flip_pairs", "normalise_joint_name"]

Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Skeleton:
    """The joints of one person, in order.

    keypoints    K names, no two alike; K may be 0
    flip_pairs   (left, right) indices of the joints that swap in a mirror, each pair once
    edges        (a, b) indices of joined joints
    sigmas       K OKS constants (cocoapi's `sigmas`, half of COCO's k), or None where none are published
    sigma_source where the sigmas come from; where there are none, the note that says so

    Raises DefinitionError where these contradict each other.
    """

    name: str
    keypoints: tuple[str, ...]
    flip_pairs: tuple[Pair, ...] = ()
    edges: tuple[Pair, ...] = ()
    sigmas: tuple[float, ...] | None = None
    sigma_source: str = ""
    source: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "keypoints", tuple(self.keypoints))
        object.__setattr__(self, "flip_pairs", tuple((int(a), int(b)) for a, b in self.flip_pairs))
        object.__setattr__(self, "edges", tuple((int(a), int(b)) for a, b in self.edges))
        if self.sigmas is not None:
            object.__setattr__(self, "sigmas", tuple(float(value) for value in self.sigmas))
        self._check_names()
        self._check_pairs()
        self._check_edges()
        self._check_sigmas()

    def __len__(self) -> int:
        return len(self.keypoints)

    def __bool__(self) -> bool:
        # Without this a skeleton of no joints would read as "no skeleton".
        return True

    @property
    def size(self) -> int:
        """K, the number of joints."""
        return len(self.keypoints)

    def index(self, name: str) -> int:
        """Index of the joint called `name`; UsageError, with the nearest name, where there is none."""
        try:
            return self.keypoints.index(name)
        except ValueError:
            raise UsageError(
                f"skeleton '{self.name}' has no joint '{name}'", help=did_you_mean(name, self.keypoints)
            ) from None

    @cached_property
    def flip_index(self) -> npt.NDArray[np.int64]:
        """Which joint takes whose place in a mirror; joints without a partner keep theirs.

        returns  [K]  int64  read-only; an involution: flip_index[flip_index] == arange(K)
        """
        order = np.arange(self.size, dtype=np.int64)
        for left, right in self.flip_pairs:
            order[left], order[right] = right, left
        order.flags.writeable = False
        return order

    def same_joints(self, other: Skeleton) -> bool:
        """Whether the joint names are equal and in the same order."""
        return self.keypoints == other.keypoints

    def lateral_issues(self) -> list[str]:
        """One sentence for every joint that is left or right by its name and has no flip partner, or a wrong one."""
        partner = {a: b for pair in self.flip_pairs for a, b in (pair, pair[::-1])}
        issues: list[str] = []
        for index, name in enumerate(self.keypoints):
            side = side_of(name)
            if side is None:
                continue
            if index not in partner:
                issues.append(f"'{name}' is {side[0]} by its name and has no partner in flip_pairs")
                continue
            other = self.keypoints[partner[index]]
            if index < partner[index] and not _are_mirrored(side, side_of(other)):
                issues.append(f"'{name}' is paired with '{other}', which is not its mirror image by name")
        return issues

    def with_sigmas(self, sigmas: Sequence[float], source: str = "") -> Skeleton:
        """The same skeleton with other OKS constants (one a joint, in order)."""
        return replace(self, sigmas=tuple(sigmas), sigma_source=source)

    @cached_property
    def _content(self) -> tuple[object, ...]:
        pairs = tuple(sorted((min(pair), max(pair)) for pair in self.flip_pairs))
        edges = tuple(sorted({(min(edge), max(edge)) for edge in self.edges}))
        return (self.keypoints, pairs, edges, self.sigmas)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Skeleton):
            return NotImplemented
        return self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)

    def __reduce__(self) -> tuple[object, ...]:
        # Through the constructor, so that flip_index is read-only again on the other side.
        fields = (self.name, self.keypoints, self.flip_pairs, self.edges, self.sigmas)
        return (Skeleton, (*fields, self.sigma_source, self.source, self.description))

    @property
    def content_hash(self) -> str:
        """SHA-256 (hex) of the content in canonical JSON; equal for equal skeletons, on every machine."""
        keypoints, pairs, edges, sigmas = self._content
        content = {"keypoints": keypoints, "flip_pairs": pairs, "edges": edges, "sigmas": sigmas}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """A plain document of the form that skeleton files have: pairs, edges and sigmas by joint name."""
        document: dict[str, Any] = {
            "schema": 1,
            "name": self.name,
            "description": self.description,
            "source": self.source,
            "keypoints": list(self.keypoints),
            "flip_pairs": [[self.keypoints[a], self.keypoints[b]] for a, b in self.flip_pairs],
            "edges": [[self.keypoints[a], self.keypoints[b]] for a, b in self.edges],
        }
        if self.sigmas is None:
            document["sigma_note"] = self.sigma_source
        else:
            document["sigmas"] = dict(zip(self.keypoints, self.sigmas, strict=True))
            document["sigma_source"] = self.sigma_source
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Skeleton:
        """The skeleton of such a document; DefinitionError names the field that is wrong."""
        return cls(**skeleton_fields(document))

    def _refuse(self, message: str, field: str, **details: str) -> NoReturn:
        raise DefinitionError(message, place=f"skeleton '{self.name}': {field}", **details)

    def _check_names(self) -> None:
        names: tuple[object, ...] = self.keypoints
        seen: dict[str, int] = {}
        for index, name in enumerate(names):
            if not isinstance(name, str) or not name.strip():
                self._refuse("a joint needs a name", f"keypoints[{index}]", got=repr(name))
            if name in seen:
                self._refuse(
                    f"two joints are called '{name}'", f"keypoints[{index}]", got=f"also keypoints[{seen[name]}]"
                )
            seen[name] = index

    def _check_pairs(self) -> None:
        seen: dict[int, int] = {}
        for number, pair in enumerate(self.flip_pairs):
            self._check_ends(pair, f"flip_pairs[{number}]")
            for joint in pair:
                if joint in seen:
                    self._refuse(
                        f"joint '{self.keypoints[joint]}' stands in two flip pairs",
                        f"flip_pairs[{number}]",
                        expected="each joint in one pair at most",
                        got=f"also flip_pairs[{seen[joint]}]",
                    )
                seen[joint] = number

    def _check_edges(self) -> None:
        for number, edge in enumerate(self.edges):
            self._check_ends(edge, f"edges[{number}]")

    def _check_ends(self, ends: Pair, field: str) -> None:
        for joint in ends:
            if not 0 <= joint < self.size:
                self._refuse("no such joint", field, expected=f"an index from 0 to {self.size - 1}", got=str(joint))
        if ends[0] == ends[1]:
            self._refuse("a joint is paired with itself", field, got=f"'{self.keypoints[ends[0]]}' twice")

    def _check_sigmas(self) -> None:
        if self.sigmas is None:
            return
        if len(self.sigmas) != self.size:
            self._refuse("one sigma a joint is needed", "sigmas", expected=str(self.size), got=str(len(self.sigmas)))
        for name, value in zip(self.keypoints, self.sigmas, strict=True):
            if not (math.isfinite(value) and value > 0):
                self._refuse("a sigma must be a positive number", f"sigmas['{name}']", got=str(value))


def _are_mirrored(one: tuple[str, str], other: tuple[str, str] | None) -> bool:
    return other is not None and one[0] != other[0] and one[1] == other[1]
