"""Bars, bubbles and matrices as inline SVG. Every mark says its number when it is pointed at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kpkit.core.skeleton import Skeleton
from kpkit.qa.joint_groups import body_places, groups_of
from kpkit.qa.markup import Markup, number, tag
from kpkit.qa.report_figure import scale_bar, shade
from kpkit.qa.report_heat import share_image
from kpkit.qa.stats import Stats
from kpkit.qa.stats_tally import Bins, Tally

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 360.0, 190.0, 46.0, 40.0, 10.0
MOST_BARS = 40
NAMED_CELLS = 40
MOST_BUBBLES = 400


def histogram(
    series: Sequence[tuple[str, NDArray[np.int64]]], labels: Sequence[str], *, title: str, axis: str, of: str
) -> Markup:
    """Bars, one set of counts filled; a second one is a line of steps, and both are then shares of their sums.

    series  name, [n] int64        labels  of the n bars        axis  what the bars are of      of  what is counted
    """
    totals = [max(int(counts.sum()), 1) for _, counts in series]
    heights = [
        counts / total if len(series) > 1 else counts.astype(float)
        for (_, counts), total in zip(series, totals, strict=True)
    ]
    top, ticks = nice_ticks(max((float(h.max()) for h in heights if len(h)), default=0.0), whole=len(series) == 1)
    count = max(len(labels), 1)
    step, room = (WIDTH - LEFT - 8) / count, HEIGHT - BOTTOM - TOP

    def level(value: float) -> float:
        return TOP + room * (1 - value / top)

    content = [_grid(ticks, level, shares=len(series) > 1)]
    for i, label in enumerate(labels):
        said = f"{label}: " + ", ".join(
            (f"{name} " if len(series) > 1 else "") + f"{int(counts[i]):,} ({counts[i] / total:.1%})"
            for (name, counts), total in zip(series, totals, strict=True)
        )
        y = level(float(heights[0][i]))
        bar = tag(
            "rect", x=LEFT + i * step + step * 0.06, y=y, width=step * 0.88, height=max(TOP + room - y, 0), class_="bar"
        )
        reach = tag("rect", x=LEFT + i * step, y=TOP, width=step, height=room, class_="reach")
        content.append(tag("g", tag("title", said), bar, reach))
    if len(series) > 1:
        corners = [
            f"{LEFT + (i + e) * step:.1f},{level(float(h)):.1f}" for i, h in enumerate(heights[1]) for e in (0, 1)
        ]
        content.append(tag("polyline", points=" ".join(corners), class_="steps-line"))
    content += _bar_labels(labels, step)
    if not any(counts.any() for _, counts in series):
        where = {"x": LEFT + (WIDTH - LEFT) / 2, "y": TOP + room / 2}
        content.append(tag("text", f"no {of}", class_="axis", text_anchor="middle", **where))
    content.append(tag("text", axis, x=LEFT + (WIDTH - LEFT) / 2, y=HEIGHT - 4, class_="axis", text_anchor="middle"))
    said = f"{title}, {of} by {axis}. " + "; ".join(f"{name}: {int(counts.sum()):,}" for name, counts in series)
    return tag("figure", tag("figcaption", title, tag("small", of)), chart(content, WIDTH, HEIGHT, said))


def chart(content: Sequence[Markup | None], width: float, height: float, said: str) -> Markup:
    """An SVG element of that size, which shrinks with the page, and what it shows in words."""
    return tag("svg", *content, view_box=f"0 0 {width:.0f} {height:.0f}", role="img", aria_label=said)


def _grid(ticks: Sequence[float], level: object, *, shares: bool) -> Markup:
    lines: list[Markup] = []
    for tick in ticks:
        y = level(tick)  # type: ignore[operator] # a local function
        lines.append(tag("line", x1=LEFT, x2=WIDTH - 8, y1=y, y2=y))
        text = f"{100 * tick:g} %" if shares else compact(tick)
        lines.append(tag("text", text, x=LEFT - 5, y=y + 3.5, text_anchor="end"))
    return tag("g", *lines, class_="grid")


def _bar_labels(labels: Sequence[str], step: float) -> list[Markup]:
    """As many labels as fit, evenly chosen."""
    widest = max((len(label) for label in labels), default=1) * 6.4 + 10
    every = max(1, int(np.ceil(widest / step)))
    return [
        tag("text", label, x=LEFT + (i + 0.5) * step, y=HEIGHT - BOTTOM + 14, text_anchor="middle", class_="tick")
        for i, label in enumerate(labels)
        if i % every == 0
    ]


def nice_ticks(most: float, *, whole: bool) -> tuple[float, list[float]]:
    """The upper end of an axis from 0, and three to six round ticks on it."""
    if most <= 0:
        return 1.0, [0.0, 1.0]
    raw = most / 4
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw)
    if whole:
        step = max(1.0, np.ceil(step))
    top = float(np.ceil(most / step - 1e-9) * step)
    return top, [float(t) for t in np.arange(0, top + step / 2, step)]


def compact(value: float) -> str:
    """A count in few letters: 950, 1.2k, 3M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{number(value / size)}{unit}"
    return number(value)


def tally_chart(tallies: Sequence[tuple[str, Tally]], *, title: str, axis: str, of: str) -> Markup:
    """A histogram of whole numbers; beyond MOST_BARS different ones several share a bar."""
    most = max((tally.most for _, tally in tallies), default=0)
    width = next(w for p in range(10) for w in (10**p, 2 * 10**p, 5 * 10**p) if most // w < MOST_BARS)
    bars = most // width + 1
    series = []
    for name, tally in tallies:
        counts = np.zeros(bars, np.int64)
        np.add.at(counts, tally.values // width, tally.counts)
        series.append((name, counts))
    labels = [f"{i * width}" if width == 1 else f"{i * width}–{(i + 1) * width - 1}" for i in range(bars)]
    return histogram(series, labels, title=title, axis=axis, of=of)


def bins_chart(bins: Sequence[tuple[str, Bins]], form: str, *, title: str, axis: str, of: str) -> Markup:
    """A histogram of bins; empty ones at both ends are left out. form: how an edge is written, e.g. ".0%"."""
    edges = bins[0][1].edges
    full = np.flatnonzero(np.sum([one.counts for _, one in bins], axis=0))
    low, high = (int(full[0]), int(full[-1]) + 1) if len(full) else (0, min(4, len(edges) - 1))

    def word(i: int) -> str:
        if np.isinf(edges[i + 1]):
            return f"{edges[i]:{form}}+"
        return f"{edges[i]:{form}}–{edges[i + 1]:{form}}"

    labels = [word(i) for i in range(low, high)]
    return histogram([(name, one.counts[low:high]) for name, one in bins], labels, title=title, axis=axis, of=of)


def stack(parts: Sequence[tuple[str, int, str]]) -> Markup:
    """One bar of parts with their names and shares below.  parts  name, count, class"""
    total = sum(count for _, count, _ in parts) or 1
    bar = [
        tag("i", class_=kind, style=f"flex-grow:{count}", title=f"{name}: {count:,}")
        for name, count, kind in parts
        if count
    ]
    key = [
        tag("li", tag("i", class_=f"key {kind}"), f"{name} ", tag("b", f"{count:,}"), f" {count / total:.1%}")
        for name, count, kind in parts
    ]
    return tag("div", tag("div", *bar, class_="stack", aria_hidden="true"), tag("ul", *key, class_="legend"))


def bubbles(sizes: Sequence[tuple[int, int, int]], *, title: str, of: str) -> Markup:
    """Width and height of images, a bubble's area by how many have that size.  sizes  width, height, count"""
    known = [(w, h, n) for w, h, n in sizes if w > 0 and h > 0]
    wide, xticks = nice_ticks(float(max((w for w, _, _ in known), default=1)), whole=True)
    tall, yticks = nice_ticks(float(max((h for _, h, _ in known), default=1)), whole=True)
    room = HEIGHT - BOTTOM - TOP
    # Both axes to one scale, so that a tall picture looks tall.
    scale = min((WIDTH - LEFT - 12) / wide, room / tall)
    content: list[Markup] = []
    for tick in yticks:
        y = TOP + room - tick * scale
        content.append(tag("line", x1=LEFT, x2=LEFT + wide * scale, y1=y, y2=y, class_="grid-line"))
        content.append(tag("text", compact(tick), x=LEFT - 5, y=y + 3.5, text_anchor="end", class_="tick"))
    every = max(1, int(np.ceil(40 / ((xticks[1] - xticks[0]) * scale))))
    for i, tick in enumerate(xticks):
        x = LEFT + tick * scale
        content.append(tag("line", x1=x, x2=x, y1=TOP + room - tall * scale, y2=TOP + room, class_="grid-line"))
        if i % every == 0:
            at = {"x": x, "y": TOP + room + 14}
            content.append(tag("text", compact(tick), text_anchor="middle", class_="tick", **at))
    most = max((n for _, _, n in known), default=1)
    for w, h, n in known[:MOST_BUBBLES]:
        radius = max(2.0, 14 * np.sqrt(n / most))
        at = {"cx": LEFT + w * scale, "cy": TOP + room - h * scale, "r": radius}
        content.append(tag("circle", tag("title", f"{w} x {h}: {n:,} {of}"), class_="bubble", **at))
    middle = LEFT + wide * scale / 2
    content.append(tag("text", "width, pixels", x=middle, y=HEIGHT - 4, class_="axis", text_anchor="middle"))
    said = f"{title}: width and height. " + ", ".join(f"{w} x {h}: {n:,}" for w, h, n in known[:5])
    return tag("figure", tag("figcaption", title, tag("small", "height by width")), chart(content, WIDTH, HEIGHT, said))


def matrix(shares: NDArray[np.float64], stats: Stats, *, title: str, text: str) -> Markup:
    """Shares of pairs of joints as shaded cells; named where they are few, else by groups.

    shares  [K,K]  float64  NaN where there is nothing to measure
    """
    names, side = stats.skeleton.keypoints, 340.0
    many = len(names) > NAMED_CELLS
    margin = 70.0 if many else 100.0
    content = _group_names(stats.skeleton, margin, side) if many else _joint_names(names, margin, side)
    if many:
        content.append(tag("g", share_image(shares, side), transform=f"translate({margin},{margin})"))
    else:
        content += _cells(shares, stats, margin, side / max(len(names), 1))
    plot = chart(content, margin + side + 4, margin + side + 4, f"{title}. {text}")
    caption = tag("figcaption", title, tag("small", text))
    return tag("figure", caption, plot, None if many else scale_bar("orange"), class_="matrix")


def _names_beside(texts: Sequence[tuple[str, float]], margin: float) -> list[Markup]:
    """Names left of the rows and, turned, above the columns.  texts  name, middle of its rows"""
    content: list[Markup] = []
    for name, middle in texts:
        shown = name if len(name) <= 16 else f"{name[:15]}…"
        content.append(tag("text", shown, x=margin - 4, y=margin + middle + 3.5, text_anchor="end", class_="tick"))
        turned = f"translate({margin + middle + 3.5:.1f},{margin - 4:.1f}) rotate(-90)"
        content.append(tag("text", shown, transform=turned, class_="tick"))
    return content


def _joint_names(names: Sequence[str], margin: float, side: float) -> list[Markup]:
    cell = side / max(len(names), 1)
    return _names_beside([(name, (i + 0.5) * cell) for i, name in enumerate(names)], margin)


def _group_names(skeleton: Skeleton, margin: float, side: float) -> list[Markup]:
    """The body, the face, the hands: those whose joints follow each other."""
    cell, body = side / len(skeleton), tuple(body_places(skeleton))
    groups = [("body", body), *groups_of(skeleton)] if body else groups_of(skeleton)
    whole = [(name, joints) for name, joints in groups if joints[-1] - joints[0] == len(joints) - 1]
    return _names_beside([(name, (joints[0] + joints[-1] + 1) / 2 * cell) for name, joints in whole], margin)


def _cells(shares: NDArray[np.float64], stats: Stats, margin: float, cell: float) -> list[Markup]:
    names, content = stats.skeleton.keypoints, []
    for i, j in np.argwhere(~np.eye(len(names), dtype=bool)).tolist():
        value = float(shares[i, j])
        said = f"{names[i]} and {names[j]}: {int(stats.together[i, j]):,} persons"
        said += "" if np.isnan(value) else f", {value:.1%} of those with either"
        place = {"x": margin + j * cell, "y": margin + i * cell, "width": cell - 1, "height": cell - 1}
        content.append(tag("rect", tag("title", said), class_=f"cell {shade(value, 'orange')}", **place))
    return content
