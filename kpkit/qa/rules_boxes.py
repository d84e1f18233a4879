"""Rules about boxes and areas, and about joints relative to them."""

from __future__ import annotations

import numpy as np

from kpkit.core.dataset import BBOX_ANNOTATED
from kpkit.qa.rules import Floats, Found, Result, Rule, View

# A joint this share of its box's longer side away from the box is far outside.
FAR = 0.25
# Overshoots of this share of the frame come from rounding coordinates that were divided by its size.
ROUNDING = 1e-6
# Formats whose persons have a box and an area.
BOXED = frozenset({"coco"})


def outside(view: View) -> Result:
    """Labelled joints outside their image, by more than rounding."""
    if not view.sizes_known:
        return "no image's size is known: give --images DIR or --image-sizes FILE.csv"
    beyond = _beyond_frame(view)
    with np.errstate(invalid="ignore"):
        limit = ROUNDING * np.maximum(view.width, view.height)
    joint, person = np.nonzero(beyond > np.where(np.isfinite(limit), limit, np.inf))
    return [
        Found(
            message="{joint} lies {px:.1f} px outside the image of {width:.0f} x {height:.0f}",
            instance=view.rows[person],
            joint=joint,
            numbers={"px": beyond[joint, person], "width": view.width[person], "height": view.height[person]},
        )
    ]


def overshoot(view: View) -> Result:
    """Joints and boxes outside their image by rounding alone."""
    if not view.sizes_known:
        return "no image's size is known: give --images DIR or --image-sizes FILE.csv"
    beyond = _beyond_frame(view)
    limit = ROUNDING * np.maximum(view.width, view.height)
    joint, person = np.nonzero((beyond > 0) & (beyond <= limit))
    box, frame = box_beyond(view)
    rows = np.flatnonzero((box > 0) & (box <= ROUNDING * frame))
    return [
        Found(
            message="{joint} lies {px:.2g} px outside the image: a rounding",
            instance=view.rows[person],
            joint=joint,
            numbers={"px": beyond[joint, person]},
        ),
        Found(
            message="the box reaches {px:.2g} px out of the image: a rounding",
            instance=rows,
            numbers={"px": box[rows]},
            field="bbox",
        ),
    ]


def box_outside(view: View) -> Result:
    """Boxes that reach out of their image by more than a pixel."""
    if not view.sizes_known:
        return "no image's size is known: give --images DIR or --image-sizes FILE.csv"
    box, _ = box_beyond(view)
    rows = np.flatnonzero(box > 1.0)
    return [
        Found(
            message="the box reaches {px:.1f} px out of the image",
            instance=rows,
            numbers={"px": box[rows]},
            field="bbox",
        )
    ]


def box_beyond(view: View) -> tuple[Floats, Floats]:
    """How far each instance's box leaves its image, [N] pixels (0 or less: not at all), and the longer frame side."""
    dataset = view.dataset
    width = dataset.images.width[dataset.image_index].astype(np.float64)
    height = dataset.images.height[dataset.image_index].astype(np.float64)
    x, y, w, h = dataset.bbox_xywh.T
    beyond = np.maximum(np.maximum(-x, -y), np.maximum(x + w - width, y + h - height))
    known = (width > 0) & (height > 0) & (dataset.bbox_source == BBOX_ANNOTATED) & ~dataset.is_crowd
    return np.where(known, beyond, -1.0), np.maximum(width, height)


def _beyond_frame(view: View) -> Floats:
    """[K,m] pixels that a joint is outside its image; below 0 inside, NaN unlabelled."""
    beyond = np.maximum(-view.x, view.x - view.width)
    np.maximum(beyond, np.maximum(-view.y, view.y - view.height), out=beyond)
    return beyond


def far_from_box(view: View) -> Result:
    """Joints outside their annotated box by a good part of its size."""
    dataset = view.dataset
    box = dataset.bbox_xywh[view.rows]
    annotated = (dataset.bbox_source[view.rows] == BBOX_ANNOTATED) & (box[:, 2] > 0) & (box[:, 3] > 0)
    left, top, right, bottom = view.hull
    x, y, w, h = box.T
    limit = FAR * np.maximum(w, h)
    reach = np.maximum(np.maximum(x - left, right - x - w), np.maximum(y - top, bottom - y - h))
    some = np.flatnonzero(annotated & (reach > limit))
    if not len(some):
        return []
    x, y, w, h = box[some].T
    px, py = view.x[:, some], view.y[:, some]
    beyond = np.maximum(np.maximum(x - px, px - x - w), np.maximum(y - py, py - y - h))
    joint, person = np.nonzero(beyond > limit[some])
    return [
        Found(
            message="{joint} lies {px:.1f} px outside the person's box of {w:.0f} x {h:.0f}",
            instance=view.rows[some[person]],
            joint=joint,
            numbers={"px": beyond[joint, person], "w": w[person], "h": h[person]},
        )
    ]


def no_area(view: View) -> Result:
    """Areas that are missing where the format has them, or not above 0."""
    dataset = view.dataset
    person = ~dataset.is_crowd
    wrong = person & (dataset.area <= 0)
    rows = np.flatnonzero(wrong)
    found = [
        Found(message="the area is {area:g}", instance=rows, numbers={"area": dataset.area[rows]}, field="area"),
    ]
    if view.format in BOXED:
        rows = np.flatnonzero(person & np.isnan(dataset.area))
        found.append(Found(message="the person has no area", instance=rows, field="area"))
    return found


def no_box(view: View) -> Result:
    """Boxes that are missing where the format has them, or without a size."""
    dataset = view.dataset
    w, h = dataset.bbox_xywh[:, 2], dataset.bbox_xywh[:, 3]
    person = ~dataset.is_crowd
    rows = np.flatnonzero(person & ((w <= 0) | (h <= 0)))
    numbers = {"w": w[rows], "h": h[rows]}
    found = [Found(message="the box is {w:g} x {h:g}", instance=rows, numbers=numbers, field="bbox")]
    if view.format in BOXED:
        rows = np.flatnonzero(person & ~np.isfinite(dataset.bbox_xywh).all(axis=1))
        found.append(Found(message="the person has no box", instance=rows, field="bbox"))
    return found


RULES = [
    Rule(
        id="KP201",
        name="joint-outside-image",
        severity="warning",
        reason="a labelled joint lies outside its image",
        explanation="Annotators draw beyond the border where a limb is cut off, and labels of another size of the "
        "image look the same. A heatmap has no place for it. Needs the image's size.",
        help="correct the joint, or mark it as not labelled; check that sizes and pictures are those of the labels",
        check=outside,
        codes=("KP-JOINT-OUTSIDE",),
    ),
    Rule(
        id="KP202",
        name="joint-far-from-box",
        severity="warning",
        reason="a labelled joint lies far outside the person's box",
        explanation="Further than a quarter of the box's longer side. Joints may be a little outside an annotated "
        "box; this far they belong to somebody else, or the box does. Top-down training crops by the box.",
        help="look at the person: kpkit draw --findings",
        check=far_from_box,
    ),
    Rule(
        id="KP203",
        name="no-area",
        severity="warning",
        reason="a person's area is missing or not above 0",
        explanation="COCO's evaluation divides by the area: OKS of such a person is 0 or undefined. Without a "
        "segmentation the field takes 0.53 x width x height of the box, and so does --fix.",
        help="fill it with --fix",
        fixable=True,
        check=no_area,
    ),
    Rule(
        id="KP204",
        name="no-box",
        severity="warning",
        reason="a person's box is missing or has no size",
        explanation="Top-down training and evaluation crop by the box. --fix takes the hull of the labelled joints, "
        "grown by a quarter, as kpkit convert does.",
        help="make it from the joints with --fix",
        fixable=True,
        check=no_box,
    ),
    Rule(
        id="KP205",
        name="box-outside-image",
        severity="note",
        reason="a person's box reaches out of its image by more than a pixel",
        explanation="Some annotators draw boxes around what cannot be seen. Areas and crops made from them include "
        "nothing; check that sizes and pictures are those of the labels.",
        check=box_outside,
        codes=("KP-YOLO-BOX-OUTSIDE",),
    ),
    Rule(
        id="KP206",
        name="rounded-out-of-image",
        severity="note",
        reason="a box or joint leaves its image by less than a millionth of its size",
        explanation="Coordinates that were divided by the image's size, rounded and multiplied again come out a hair "
        "too large. Strict loaders refuse them. --fix clips them to the border.",
        help="clip it with --fix",
        fixable=True,
        check=overshoot,
        codes=("KP-YOLO-BOX-ROUNDED",),
    ),
]
