"""Importing this module loads the compiled kernels, so that processes forked later on have them.

numba needs half a second before its first kernel runs, however small.
"""

from __future__ import annotations

import contextlib

import numpy as np

from kpkit.targets import kernels
from kpkit.targets.base import ArraySpec, Points
from kpkit.targets.kernels_rules import ROUNDED

_point = Points(np.zeros((1, 1, 2), np.float32), np.ones((1, 1), np.float32), np.ones((1, 1), np.float32))
if kernels.available() == "numba":
    # Whoever renders says what is wrong; the process that this runs in has to stay.
    with contextlib.suppress(Exception):
        kernels.gaussians(_point, ArraySpec((1, 4, 4)), ROUNDED, "float16")
