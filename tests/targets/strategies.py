"""Codecs, joints and backends that the tests of targets share."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from kpkit.core import catalog
from kpkit.core.skeleton import Skeleton
from kpkit.targets import kernels
from kpkit.targets.make import make_codec

COCO = catalog.skeleton("coco17")
SMALL = Skeleton(
    "small",
    ("head", "left_hand", "right_hand", "left_foot", "right_foot"),
    flip_pairs=((1, 2), (3, 4)),
    # Both hands from the head, but the feet in opposite directions: a mirror turns one of them.
    edges=((0, 1), (0, 2), (0, 3), (4, 0)),
    sigmas=(0.03, 0.06, 0.06, 0.09, 0.09),
)
INPUT = (64, 48)

BACKENDS = ["numpy", *(["numba"] if kernels.available() == "numba" else [])]

# Every kind of every codec.
KINDS: dict[str, tuple[str, dict[str, object]]] = {
    "msra": ("msra", {}),
    "msra hrnet": ("msra", {"compat": "hrnet"}),
    "msra adaptive": ("msra", {"sigma": "adaptive"}),
    "msra box": ("msra", {"sigma": "box"}),
    "unbiased": ("unbiased", {}),
    "udp": ("udp", {}),
    "udp adaptive": ("udp", {"sigma": "adaptive"}),
    "udp mmpose": ("udp", {"compat": "mmpose"}),
    "udp combined": ("udp", {"target": "combined", "radius_factor": 0.2}),
    "megvii": ("megvii", {}),
    "megvii mmpose": ("megvii", {"compat": "mmpose"}),
    "simcc": ("simcc", {}),
    "simcc adaptive": ("simcc", {"sigma": "adaptive"}),
    "simcc standard": ("simcc", {"target": "standard"}),
    "paf": ("paf", {}),
    "bottomup": ("bottomup", {}),
    "bottomup box": ("bottomup", {"sigma": "box"}),
}


def kind(name, input_size=INPUT, heatmap_size=None, skeleton=SMALL, **more):
    codec, parameters = KINDS[name]
    return make_codec(codec, skeleton, input_size, heatmap_size, **{**parameters, **more})


@st.composite
def joints(draw, persons=(1, 4), margin=0.0, input_size=INPUT, skeleton=SMALL, unlabelled=True):
    """xy [n,K,2] with NaN where unlabelled, visibility [n,K], box_wh [n,2]; `margin` pixels around the input."""
    height, width = input_size
    n = draw(st.integers(*persons))
    # Numbers by numpy from one drawn seed: drawing each of them would take most of a test's time.
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    visibility = rng.integers(0 if unlabelled else 1, 3, (n, len(skeleton)), np.uint8)
    xy = rng.uniform(-margin, np.array([width, height]) - 1 + margin, (n, len(skeleton), 2))
    # Whole and half pixels, where rounding has ties.
    step = draw(st.sampled_from([None, 0.5, 1.0]))
    xy = xy if step is None else np.rint(xy / step) * step
    return np.where((visibility > 0)[..., None], xy, np.nan), visibility, rng.uniform(1, 300, (n, 2))


def mirrored(xy, visibility, width, skeleton=SMALL):
    order = skeleton.flip_index
    turned = xy[:, order].copy()
    turned[..., 0] = width - 1 - turned[..., 0]
    return turned, visibility[:, order]
