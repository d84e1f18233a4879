"""Where the joints of any skeleton are drawn: on a neutral body, the rest in groups beside it (a face, the hands)."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from kpkit.core.joint_names import normalise_joint_name, side_of
from kpkit.core.skeleton import Skeleton
from kpkit.qa.body import known_place

Array = NDArray[np.float64]
Group = tuple[str, tuple[int, ...]]

HAND = frozenset({"hand", "thumb", "finger", "forefinger", "index", "middle", "ring", "pinky", "little", "palm"})
# Persons that a mean shape is made of.
ENOUGH = 5000


def body_places(skeleton: Skeleton) -> dict[int, tuple[float, float]]:
    """index -> x from the middle, y from the top, on a body 1 high that faces the viewer; joints that names place."""
    places: dict[int, tuple[float, float]] = {}
    for index, name in enumerate(skeleton.keypoints):
        place = known_place(name)
        if place is not None and place not in places.values():
            places[index] = place
    return places


def groups_of(skeleton: Skeleton) -> list[Group]:
    """The joints that have no place on the body: name of the group, indices. Loose ones are one group at the end."""
    body = body_places(skeleton)
    found: dict[str, list[int]] = {}
    for index, name in enumerate(skeleton.keypoints):
        if index not in body:
            found.setdefault(_group(name), []).append(index)
    groups = [(name, tuple(joints)) for name, joints in found.items() if len(joints) > 2]
    loose = sorted(joint for joints in found.values() if len(joints) <= 2 for joint in joints)
    return groups + ([("others", tuple(loose))] if loose else [])


def _group(name: str) -> str:
    side = side_of(name)
    words = re.sub(r"\d+", " ", side[1] if side else normalise_joint_name(name)).replace("_", " ").split()
    part = "hand" if HAND & set(words) else (words[0] if words else "")
    return f"{side[0]} {part}" if side else part


def mean_shapes(skeleton: Skeleton, xy: Array, labelled: NDArray[np.bool_]) -> Array:
    """The mean shape of each group, so that a group of any joints can be drawn as it usually looks.

    xy        [N,K,2]  float64  pixels, NaN where unlabelled
    labelled  [N,K]    bool

    returns   [K,2]    float64  within -0.5 to 0.5 by group, upright as in the pictures; NaN for joints of the body, and
              where no person has all of a group's joints

    The full Procrustes mean: the first eigenvector of the sum of z z* / |z|^2 over centred shapes z of complex numbers
    (Kent, The complex Bingham distribution and shape analysis, Journal of the Royal Statistical Society B 56, 1994).
    """
    found = np.full((len(skeleton), 2), np.nan)
    for _, joints in groups_of(skeleton):
        columns = list(joints)
        rows = np.flatnonzero(labelled[:, columns].all(axis=1))[:ENOUGH]
        shape = _procrustes_mean(xy[rows][:, columns]) if len(columns) > 2 else None
        if shape is not None:
            found[columns] = shape
    return found


def _procrustes_mean(xy: Array) -> Array | None:
    z = xy[..., 0] + 1j * xy[..., 1]
    z = z - z.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(z, axis=1)
    z = z[norm > 0] / norm[norm > 0, None]
    if not len(z):
        return None
    mean = np.linalg.eigh(z.T @ z.conj())[1][:, -1]
    # Turned so that it lies as the persons' own shapes do on average.
    turn = (z @ mean.conj()).sum()
    mean = mean * (turn / abs(turn) if abs(turn) > 0 else 1)
    shape = np.stack([mean.real, mean.imag], axis=1)
    low, high = shape.min(axis=0), shape.max(axis=0)
    fitted: Array = (shape - (low + high) / 2) / (high - low).max()
    return fitted


def ring(joints: tuple[int, ...]) -> Mapping[int, tuple[float, float]]:
    """Places on a ring within -0.5 to 0.5, for joints of whose shape nothing is known."""
    turn = 2 * np.pi * (np.arange(len(joints)) + 0.5) / max(len(joints), 1)
    return {joint: (0.5 * float(np.sin(a)), -0.5 * float(np.cos(a))) for joint, a in zip(joints, turn, strict=True)}
