"""How wide each joint's target is: one number, by the joint, or by the size of the person's box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kpkit.core.skeleton import Skeleton
from kpkit.errors import UsageError, did_you_mean
from kpkit.targets.options import CODE, positive

Sigma = float | Literal["adaptive", "box"]

LEAST = 0.75
BASE_SIZE = 256.0


def check_sigma(value: Any, skeleton: Skeleton, known: Sequence[str] = ("adaptive", "box")) -> Sigma:
    """`value` if it can be a codec's sigma.

    Raises UsageError for anything but a number above 0 or a known word, and for "adaptive" without OKS constants.
    """
    if not isinstance(value, str):
        return positive("sigma", value)
    if value not in known:
        raise UsageError(
            f"'sigma' cannot be '{value}'",
            code=CODE,
            expected=" or ".join(["a number above 0", *(f"'{word}'" for word in known)]),
            help=did_you_mean(value, known),
        )
    if value == "adaptive" and skeleton.sigmas is None:
        raise UsageError(
            f"skeleton '{skeleton.name}' has no OKS sigmas, and 'adaptive' goes by them",
            code="KP-NO-SIGMAS",
            expected="one OKS sigma a joint",
            help="give OKS sigmas (--sigmas), or a number for sigma",
        )
    return value  # type: ignore[return-value]  # one of `known`, which are Sigma's words


def joint_sigmas(skeleton: Skeleton, reference: float, least: float, most: float) -> NDArray[np.float64]:
    """Sigma by joint: clip(reference * c / mean(c), least, most), c the skeleton's OKS constants.

    returns  [K]  float64  unit of `reference`

    The rule is kpkit's own: joints that people agree on less get a wider target, and the mean width is kept.
    """
    constants = np.asarray(skeleton.sigmas, np.float64)
    if len(constants) == 0:
        return constants
    clipped: NDArray[np.float64] = np.clip(reference * constants / constants.mean(), least, most)
    return clipped


def box_sigmas(box_wh: NDArray[np.float64] | None, persons: int, base_sigma: float) -> NDArray[np.float64]:
    """Sigma by person: base_sigma * max(w, h) / 256, at least LEAST; base_sigma where the box is unknown.

    box_wh   [n,2]  float64  input pixels, NaN where unknown
    returns  [n]    float64  cells

    Raises UsageError where there are no boxes at all.

    Source: Cheng et al. 2020 (HigherHRNet), lib/dataset/COCOKeypoints.py, base_size 256 and base_sigma 2.
    """
    if box_wh is None or box_wh.shape != (persons, 2):
        raise UsageError(
            "sigma by box size needs the persons' boxes",
            code="KP-SIGMA-BOX",
            expected=f"box_wh of shape ({persons}, 2)",
            got="none" if box_wh is None else str(box_wh.shape),
            help="give the boxes, or another sigma",
        )
    longest = box_wh.max(axis=1)
    known = np.isfinite(longest) & (longest > 0)
    return np.where(known, np.maximum(base_sigma * np.where(known, longest, 1.0) / BASE_SIZE, LEAST), base_sigma)
