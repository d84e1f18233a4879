"""Plots in the shape of the skeleton, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kpkit.core.skeleton import Skeleton
from kpkit.qa.ink import edge_side, joint_sides
from kpkit.qa.joint_groups import body_places, groups_of, ring
from kpkit.qa.markup import Markup, tag
from kpkit.qa.report_heat import heat_image
from kpkit.qa.stats import Stats
from kpkit.qa.stats_positions import HIGH, LOW, Positions

Array = NDArray[np.float64]
Point = tuple[float, float]

WIDTH, BODY, TOP = 440.0, 400.0, 24.0
# Narrower than it is, so that names fit beside it on a phone.
NARROW = 0.7
COLUMN, LINE = 100.0, 15.0  # labels begin this far from the middle, this far apart
GROUP, GROUP_GAP = 132.0, 34.0
LEVELS = 8


@dataclass(frozen=True)
class Layout:
    """Where the joints of a skeleton are drawn, in pixels of the plot.

    places  index -> x, y         labels  index -> x of the text's near end, y of its middle
    groups  name, x, y of its caption's middle             height  of the plot
    """

    places: dict[int, Point]
    labels: dict[int, Point]
    groups: list[tuple[str, float, float]]
    height: float


def lay_out(stats: Stats) -> Layout:
    """The body in the middle with names on both sides of it, groups of other joints in rows below."""
    middle = WIDTH / 2
    body = {k: (middle + x * NARROW * BODY, TOP + y * BODY) for k, (x, y) in body_places(stats.skeleton).items()}
    top = TOP + BODY + 18 if body else 0.0
    places, groups = dict(body), []
    found = groups_of(stats.skeleton)
    large = not body and len(found) == 1
    side = 330.0 if large else GROUP
    columns = 1 if large else 3
    for number, (name, joints) in enumerate(found):
        shape = stats.shapes[list(joints)]
        # Without a person who has all of them nothing is known of the shape.
        spots = ring(joints) if np.isnan(shape).any() else dict(zip(joints, map(tuple, shape.tolist()), strict=True))
        row, column = divmod(number, columns)
        inrow = min(columns, len(found) - row * columns)
        x = middle + (column - (inrow - 1) / 2) * (side + 10)
        y = top + row * (side + GROUP_GAP) + side / 2 + 14
        places |= {k: (x + u * (side - 22), y + v * (side - 22)) for k, (u, v) in spots.items()}
        groups.append((name if body or not large else "", x, y + side / 2 + 10))
    rows = -(-len(found) // columns)
    height = top + rows * (side + GROUP_GAP) + 14 if found else TOP + BODY + 24
    labels = _labels(body) if body else {}
    lowest = max((y for _, y in labels.values()), default=0.0) + 14
    return Layout(places, labels, groups, max(height, lowest))


def _labels(body: dict[int, Point]) -> dict[int, Point]:
    """Names in two columns, each near its joint's height and far enough from the next."""
    middle = WIDTH / 2
    columns: dict[int, list[int]] = {-1: [], 1: []}
    for k in sorted(body, key=lambda k: (abs(body[k][0] - middle) < 1, body[k][1])):
        offset = body[k][0] - middle
        side = min(columns, key=lambda one: len(columns[one])) if abs(offset) < 1 else (1 if offset > 0 else -1)
        columns[side].append(k)
    found: dict[int, Point] = {}
    for side, joints in columns.items():
        joints.sort(key=lambda k: (body[k][1], abs(body[k][0] - middle)))
        heights: list[float] = []
        for k in joints:
            heights.append(max(body[k][1], heights[-1] + LINE if heights else 10.0))
        # A last name below the plot pushes those above it up.
        limit = TOP + BODY + 8
        for i in range(len(heights) - 1, -1, -1):
            heights[i] = min(heights[i], limit)
            limit = heights[i] - LINE
        found |= {k: (middle + side * COLUMN, y) for k, y in zip(joints, heights, strict=True)}
    return found


def shade_plot(stats: Stats, values: Array, *, title: str, text: str, hue: str, empty: str = "no person") -> Markup:
    """The joints shaded by a share, named with it; limbs in grey.

    values  [K]  float64  0 to 1, NaN where there is nothing to measure      hue  "blue" or "orange"
    """
    layout, skeleton = lay_out(stats), stats.skeleton
    few = len(layout.labels)
    content = [_limbs(skeleton, layout), _lines(layout)]
    for k, (x, y) in layout.places.items():
        value = float(values[k])
        said = f"{skeleton.keypoints[k]}: {empty if np.isnan(value) else f'{value:.1%}'}"
        radius = _radius(k, layout)
        content.append(tag("circle", tag("title", said), cx=x, cy=y, r=radius, class_=f"joint {shade(value, hue)}"))
    for k, (x, y) in layout.labels.items():
        value = float(values[k])
        share = "–" if np.isnan(value) else f"{100 * value:.0f} %"
        content.append(_label(skeleton.keypoints[k], share, x, y))
    content += [tag("text", name, x=x, y=y, class_="group", text_anchor="middle") for name, x, y in layout.groups]
    plot = _svg(content, WIDTH, layout.height, title, text)
    return tag("figure", tag("figcaption", title), plot, scale_bar(hue), class_="skeleton" + (" named" if few else ""))


def shade(value: float, hue: str) -> str:
    """The class of a shade: of LEVELS steps from 0 to 1, "none" for NaN."""
    return "none" if np.isnan(value) else f"{hue}{min(int(value * LEVELS), LEVELS - 1)}"


def scale_bar(hue: str) -> Markup:
    """What the shades mean."""
    steps = [tag("i", class_=f"{hue}{level}") for level in range(LEVELS)]
    return tag("p", "0 %", tag("span", *steps, class_="steps"), "100 %", class_="scale", aria_hidden="true")


def _radius(joint: int, layout: Layout) -> float:
    x, y = layout.places[joint]
    near = min((abs(x - u) + abs(y - v) for k, (u, v) in layout.places.items() if k != joint), default=40.0)
    return float(np.clip(0.52 * near, 2.6, 9.0))


def _limbs(skeleton: Skeleton, layout: Layout) -> Markup:
    lines = []
    for a, b in skeleton.edges:
        if a in layout.places and b in layout.places and _together(a, b, layout):
            (x1, y1), (x2, y2) = layout.places[a], layout.places[b]
            lines.append(tag("line", x1=x1, y1=y1, x2=x2, y2=y2))
    return tag("g", *lines, class_="limbs")


def _together(a: int, b: int, layout: Layout) -> bool:
    """Both on the body, or both beside it: lines across the plot would say nothing."""
    return (a in layout.labels) == (b in layout.labels)


def _lines(layout: Layout) -> Markup:
    lines = []
    for k, (x, y) in layout.labels.items():
        near = x - 5 if x > WIDTH / 2 else x + 5
        lines.append(tag("line", x1=layout.places[k][0], y1=layout.places[k][1], x2=near, y2=y))
    return tag("g", *lines, class_="leaders")


def _label(name: str, share: str, x: float, y: float) -> Markup:
    right = x > WIDTH / 2
    words = [tag("tspan", share, class_="value"), " ", tag("tspan", _short(name), class_="name")]
    return tag("text", *(words if right else words[::-1]), x=x, y=y + 4, text_anchor="start" if right else "end")


def _short(name: str, most: int = 15) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def links_plot(stats: Stats, pairs: Sequence[tuple[int, int, int, float]], *, title: str, text: str) -> Markup:
    """Bows between joints that are occluded together; the wider, the larger the share.

    pairs  (joint, joint, persons with both, share of those with either)
    """
    layout, skeleton = lay_out(stats), stats.skeleton
    names = skeleton.keypoints
    content = [_limbs(skeleton, layout)]
    for a, b, both, share in sorted(pairs, key=lambda pair: pair[3]):
        said = f"{names[a]} and {names[b]}: {both:,} persons, {share:.1%} of those with either"
        path = _bow(layout.places[a], layout.places[b])
        content.append(
            tag("path", tag("title", said), d=path, class_=f"bow {shade(share, 'orange')}", stroke_width=2 + 9 * share)
        )
    involved = {joint for pair in pairs for joint in pair[:2]}
    lines = Layout(layout.places, {k: at for k, at in layout.labels.items() if k in involved}, [], layout.height)
    content.append(_lines(lines))
    for k, (x, y) in layout.places.items():
        content.append(tag("circle", tag("title", names[k]), cx=x, cy=y, r=min(4.0, _radius(k, layout)), class_="dot"))
    for k, (x, y) in lines.labels.items():
        right = x > WIDTH / 2
        content.append(
            tag("text", _short(names[k]), x=x, y=y + 4, text_anchor="start" if right else "end", class_="name")
        )
    content += [tag("text", name, x=x, y=y, class_="group", text_anchor="middle") for name, x, y in layout.groups]
    plot = _svg(content, WIDTH, layout.height, title, text)
    return tag("figure", tag("figcaption", title), plot, scale_bar("orange"), class_="skeleton")


def _bow(start: Point, end: Point) -> str:
    (x1, y1), (x2, y2) = start, end
    mx, my = (x1 + x2) / 2 + (y2 - y1) * 0.28, (y1 + y2) / 2 - (x2 - x1) * 0.28
    return f"M{x1:.1f},{y1:.1f} Q{mx:.1f},{my:.1f} {x2:.1f},{y2:.1f}"


def pose_plot(stats: Stats, *, title: str, text: str) -> Markup:
    """The box with the median place of each joint, an ellipse of one standard deviation around its mean, and limbs."""
    positions, skeleton = stats.positions, stats.skeleton
    width, height, pad = 240.0, 330.0, 40.0
    sides = joint_sides(skeleton)
    middle = positions.quantiles[:, 1] * (width, height) + pad
    known: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(middle), axis=1)
    scale = (width, height)
    content = [
        tag("rect", x=pad, y=pad, width=width, height=height, class_="box"),
    ]
    for a, b in skeleton.edges:
        if known[a] and known[b]:
            (x1, y1), (x2, y2) = middle[a], middle[b]
            side = edge_side(sides[a], sides[b])
            content.append(tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=f"limb {side}"))
    many = len(skeleton) > 40
    for k in np.flatnonzero(known):
        x, y = positions.mean[k] * scale + pad
        rx, ry = np.maximum(positions.sd[k] * scale, 0.5)
        if not many:
            content.append(tag("ellipse", cx=x, cy=y, rx=rx, ry=ry, class_=f"spread {sides[k]}"))
    for k in np.flatnonzero(known):
        (x, y), (u, v) = middle[k], positions.quantiles[k, 1]
        said = f"{skeleton.keypoints[k]}: median at {u:.2f} of the box's width, {v:.2f} of its height"
        content.append(tag("circle", tag("title", said), cx=x, cy=y, r=2.2 if many else 4.5, class_=f"mark {sides[k]}"))
    plot = _svg(content, width + 2 * pad, height + 2 * pad, title, text)
    return tag("figure", tag("figcaption", title), plot, class_="skeleton")


def heat_tile(stats: Sequence[Stats], name: str) -> Markup:
    """Where one joint lies in its persons' boxes, in each dataset: the box, its heat, a cross at the median."""
    plots, counts = [], []
    for one in stats:
        joint = one.skeleton.keypoints.index(name)
        counts.append(f"{int(one.positions.count[joint]):,}")
        plots.append(_heat(one.positions, joint, name))
    said = f"{' → '.join(counts)} persons" if counts != ["1"] else "1 person"
    caption = tag("figcaption", _short(name, 22), tag("small", said))
    return tag("figure", tag("div", *plots), caption, class_="tile", title=name)


def _heat(positions: Positions, joint: int, name: str) -> Markup:
    width, height, pad = 72.0, 96.0, 1.0
    left, top = pad - LOW * width, pad - LOW * height
    content = [
        heat_image(positions.heat[joint], pad, pad, (HIGH - LOW) * width, (HIGH - LOW) * height),
        tag("rect", x=left, y=top, width=width, height=height, class_="box"),
    ]
    said = "no person"
    if positions.count[joint]:
        u, v = positions.quantiles[joint, 1]
        x, y = left + u * width, top + v * height
        content.append(tag("path", d=f"M{x - 4:.1f},{y:.1f}h8M{x:.1f},{y - 4:.1f}v8", class_="median"))
        said = f"Median at {u:.2f} of the box's width, {v:.2f} of its height."
    return _svg(content, (HIGH - LOW) * width + 2, (HIGH - LOW) * height + 2, name, said)


def _svg(content: Sequence[Markup | None], width: float, height: float, title: str, text: str) -> Markup:
    view = f"0 0 {width:.0f} {height:.0f}"
    said = f"{title}. {text}" if text else title
    return tag("svg", *content, view_box=view, role="img", aria_label=said, style=f"max-width:{width:.0f}px")
