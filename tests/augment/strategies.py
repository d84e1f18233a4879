"""What the augmenter's property tests draw from: frames, matrices, persons."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kpkit.augment import geometry as geo
from kpkit.augment.spatial import Labels
from kpkit.core import catalog

SKELETON = catalog.skeleton("coco17")
K = len(SKELETON)


def floats(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False, allow_infinity=False)


coordinates = floats(-1e4, 1e4)
points = hnp.arrays(np.float64, st.tuples(st.integers(1, 12), st.just(2)), elements=coordinates)
sizes = st.tuples(st.integers(2, 900), st.integers(2, 900))


@st.composite
def steps(draw: st.DrawFn) -> geo.Matrix:
    """One elementary movement."""
    kind = draw(st.sampled_from(["shift", "turn", "flip", "flip_vertical", "transpose", "resize", "crop"]))
    width, height = draw(sizes)
    if kind == "shift":
        return geo.translate(draw(floats(-500, 500)), draw(floats(-500, 500)))
    if kind == "turn":
        return geo.scale_rotate(
            (draw(floats(0, 500)), draw(floats(0, 500))), draw(floats(0.2, 5)), draw(floats(-360, 360))
        )
    if kind == "resize":
        return geo.resize((width, height), draw(sizes))
    if kind == "crop":
        box = (draw(floats(-50, 50)), draw(floats(-50, 50)), draw(floats(20, 500)), draw(floats(20, 500)))
        return geo.crop_resize(box, (192, 256))
    mirrors = {
        "flip": geo.flip_horizontal(width),
        "flip_vertical": geo.flip_vertical(height),
        "transpose": np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]),
    }
    return mirrors[kind]


@st.composite
def matrices(draw: st.DrawFn) -> geo.Matrix:
    """Several movements in one matrix, none of which stretches by more than 20 in all."""
    matrix = geo.compose(*draw(st.lists(steps(), min_size=1, max_size=4)))
    singular = np.linalg.svd(matrix[:, :2], compute_uv=False)
    if singular.min() < 0.05 or singular.max() > 20:
        matrix = geo.translate(3.25, -7.5)
    return matrix


@st.composite
def labels(draw: st.DrawFn, width: int = 640, height: int = 480, integral: bool = False) -> Labels:
    """Persons with joints in and around the frame, boxes and head boxes, some of them unknown.

    integral  whole pixels, on which mirrors are exact
    """
    persons = draw(st.integers(0, 3))
    visibility = draw(hnp.arrays(np.uint8, (persons, K), elements=st.integers(0, 2)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    xy = rng.uniform((-20, -20), (width + 20, height + 20), (persons, K, 2))
    boxes = np.stack([rng.uniform(-20, 300, persons), rng.uniform(-20, 200, persons)], axis=-1).reshape(persons, 2)
    boxes = np.concatenate([boxes, rng.uniform(1, 300, (persons, 2))], axis=1)
    if integral:
        xy, boxes = np.rint(xy), np.rint(boxes)
    boxes[rng.uniform(size=persons) < 0.2] = np.nan
    head = boxes * 0.5
    return Labels(
        xy=np.where(visibility[..., None] > 0, xy, np.nan),
        visibility=visibility,
        truncated=draw(hnp.arrays(bool, (persons, K))) & (visibility < 2),
        bbox_xywh=boxes,
        head_box=head,
        area=boxes[:, 2] * boxes[:, 3] * 0.53,
        polygons=[[] for _ in range(persons)],
        lateral={},
    )
