"""Mirrors target arrays: columns reversed, left and right channels swapped, vectors turned."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kpkit.core.skeleton import Skeleton
from kpkit.errors import UsageError
from kpkit.targets.base import Array, Arrays, ArraySpec, Codec


def flip_arrays(codec: Codec, arrays: Arrays) -> Arrays:
    """The arrays of the mirrored persons, as new arrays.

    arrays  [n, *shape]  in any stored type

    Raises UsageError where mirroring arrays is not exact for the codec: then the mirrored joints have to be encoded.
    """
    if not codec.flips_channels:
        raise UsageError(
            f"mirrored arrays of codec '{codec.name}' are not the arrays of mirrored persons",
            code="KP-CODEC-FLIP",
            help="mirror the joints and encode them",
        )
    specs = codec.spec()
    return {name: _flip(codec, array, specs[name]) for name, array in arrays.items()}


def limb_mirror(skeleton: Skeleton, limbs: list[list[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Which limb takes whose place in a mirror [L], and 1 or -1 where it runs the other way then [L].

    None where the mirror of a limb is no limb.
    """
    swap = skeleton.flip_index.tolist()
    places = {tuple(limb): index for index, limb in reversed(list(enumerate(limbs)))}
    order, signs = [], []
    for first, second in limbs:
        mirrored = (swap[first], swap[second])
        if mirrored in places:
            order.append(places[mirrored])
            signs.append(1)
        elif mirrored[::-1] in places:
            order.append(places[mirrored[::-1]])
            signs.append(-1)
        else:
            return None
    return np.array(order, np.int64), np.array(signs, np.int64)


def _flip(codec: Codec, array: Array, spec: ArraySpec) -> Array:
    turned = np.ascontiguousarray(array[..., ::-1])
    if spec.channels == "joints":
        turned = turned[:, codec.skeleton.flip_index]
        if spec.vectors:
            turned[:, :, 0] = _negated(turned[:, :, 0], spec)
    elif spec.channels == "limbs":
        mirror = limb_mirror(codec.skeleton, codec.parameters()["limbs"])
        assert mirror is not None, "a codec whose limbs have no mirror does not say flips_channels"
        order, signs = mirror
        fields = turned.reshape(len(turned), len(order), 2, *turned.shape[2:])[:, order]
        for limb, sign in enumerate(signs):
            # Along the limb's own direction, x changes its sign in the mirror; the other way round, y does.
            axis = 0 if sign > 0 else 1
            fields[:, limb, axis] = _negated(fields[:, limb, axis], spec)
        turned = fields.reshape(turned.shape)
    return turned


def _negated(values: Array, spec: ArraySpec) -> Array:
    """Values with the other sign, as they are stored; zeros stay 0, never -0."""
    if values.dtype == np.uint8:
        zero = round(-spec.scale_offset("uint8")[1] / spec.scale_offset("uint8")[0])
        return (2 * zero - values.astype(np.int64)).astype(np.uint8)
    return np.where(values == 0, values, -values)
