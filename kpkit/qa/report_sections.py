"""The sections of the page of statistics; each takes one dataset's statistics, or two to compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kpkit.core.report import Issue
from kpkit.qa import report_charts as charts
from kpkit.qa import report_figure as figure
from kpkit.qa.joint_groups import body_places
from kpkit.qa.markup import Markup, join, tag
from kpkit.qa.report_table import joint_table
from kpkit.qa.stats import Stats
from kpkit.qa.stats_tally import Bins, Tally

NAMES = ("input", "other")
PAIRS = 12
# Heat maps of this many joints are shown at once, the rest on demand.
SHOWN = 26


def section(title: str, text: str, *content: Markup | Sequence[Markup] | None) -> Markup:
    """A heading, a sentence, and what it is about."""
    return tag("section", tag("h2", title), tag("p", text, class_="dim") if text else None, *content)


def cards(content: Sequence[Markup], of: int) -> Markup:
    """Plots side by side where the screen is wide enough; those of two datasets in pairs."""
    return tag("div", *content, class_=f"cards of{of}")


def named(stats: Sequence[Stats], title: str) -> list[tuple[str, Stats]]:
    """Titles for plots of each dataset."""
    if len(stats) == 1:
        return [(title, stats[0])]
    return [(f"{title}: {name}", one) for name, one in zip(NAMES, stats, strict=True)]


def at_a_glance(stats: Sequence[Stats]) -> Markup:
    """The first numbers one wants to know."""
    tiles = [
        ("images", [f"{s.counts['images']:,}" for s in stats]),
        ("persons", [f"{s.persons:,}" for s in stats]),
        ("persons an image", [_decimal(s.per_image.mean) for s in stats]),
        ("labelled joints a person", [_decimal(s.labelled.mean) for s in stats]),
        ("of labelled joints occluded", [_share(s.counts["occluded"], s.counts["labelled"]) for s in stats]),
        ("persons with truncated joints", [_share(s.counts["persons_with_truncated"], s.persons) for s in stats]),
        ("median size, pixels", [_decimal(s.sizes.spreads["box_side"].median, 0) for s in stats]),
        ("crowd index", [_decimal(s.crowding.crowd_index.mean) for s in stats]),
    ]
    items = [
        tag(
            "li",
            tag("b", values[-1]),
            tag("span", label),
            tag("span", f"input: {values[0]}", class_="was") if len(values) > 1 else None,
        )
        for label, values in tiles
    ]
    return tag("ul", *items, class_="tiles")


def _decimal(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def _share(count: int, whole: int) -> str:
    return f"{count / whole:.1%}" if whole else "–"


def joints(stats: Sequence[Stats]) -> Markup:
    """Visibility by joint: on the body, then as a table."""
    if not any(len(s.skeleton) for s in stats):
        return section("Joints", "These labels name no joints.")
    plots = [
        figure.shade_plot(
            s, s.share("labelled"), title=title, hue="blue", text="Persons with the joint labelled, of all persons."
        )
        for title, s in named(stats, "Labelled")
    ]
    plots += [
        figure.shade_plot(
            s,
            s.share("occluded"),
            title=title,
            hue="orange",
            text="Of persons with the joint labelled, those in whom it is occluded.",
            empty="never labelled",
        )
        for title, s in named(stats, "Occluded, of labelled")
    ]
    whole = [charts.stack(_flags(s)) for s in stats]
    bars = [tag("div", tag("b", title), bar) for (title, _), bar in zip(named(stats, "All joints"), whole, strict=True)]
    said = "Facing you: the person’s left is on the right. " if body_places(stats[0].skeleton) else ""
    return section(
        "Joints",
        f"{said}Point at a joint for its number.",
        cards(plots, of=len(stats)),
        tag("div", *bars, class_="card", style="margin-top:12px"),
        joint_table(stats),
    )


def _flags(stats: Stats) -> list[tuple[str, int, str]]:
    return [(flag, stats.counts[flag], flag) for flag in ("visible", "occluded", "unlabelled")]


def occlusion(stats: Sequence[Stats]) -> Markup | None:
    """Which joints are occluded in the same person."""
    shown = [(title, s) for title, s in named(stats, "Occluded together") if np.diagonal(s.together).sum()]
    if not shown:
        return None
    plots = [plot for title, s in shown if (plot := _bows(s, title)) is not None]
    text = "of persons in whom either joint is occluded, those in whom both are"
    plots += [charts.matrix(_either(s), s, title=f"{title}, all pairs", text=text) for title, s in shown]
    return section(
        "Occlusion", "A wide bow: where one of the two is occluded, the other is, too.", cards(plots, of=len(stats))
    )


def _bows(stats: Stats, title: str) -> Markup | None:
    index = {name: k for k, name in enumerate(stats.skeleton.keypoints)}
    pairs = [
        (index[p["joints"][0]], index[p["joints"][1]], p["both"], p["share_of_either"]) for p in stats.pairs(PAIRS)
    ]
    text = f"The {len(pairs)} pairs most often occluded in one person."
    return figure.links_plot(stats, pairs, title=title, text=text) if pairs else None


def _either(stats: Stats) -> Any:
    """[K,K] float64: persons with both joints occluded, of those with either."""
    alone = np.diagonal(stats.together)
    either = (alone[:, None] + alone[None, :] - stats.together).astype(np.float64)
    return np.divide(stats.together, either, out=np.full(either.shape, np.nan), where=either > 0)


def positions(stats: Sequence[Stats]) -> Markup | None:
    """Where joints lie in their persons' boxes."""
    shown = [(title, s) for title, s in named(stats, "In the box") if s.positions.count.any()]
    if not shown:
        return None
    text = "Median place of each joint, with an ellipse of one standard deviation around its mean."
    plots = [figure.pose_plot(s, title=title, text=text) for title, s in shown]
    names = [name for name in stats[-1].skeleton.keypoints if all(name in one.skeleton.keypoints for one in stats)]
    names = [name for name in names if any(_measured(one, name) for one in stats)]
    tiles = [figure.heat_tile(stats, name) for name in names]
    grid = f"tilegrid of{len(stats)}"
    content = [tag("div", *tiles[:SHOWN], class_=grid)]
    if len(tiles) > SHOWN:
        more = tag("summary", f"{len(tiles) - SHOWN} more joints")
        content.append(tag("details", more, tag("div", *tiles[SHOWN:], class_=grid)))
    return section(
        "Positions",
        "The dashed frame is the person’s box, every person scaled to the same. The cross is the median.",
        tag("div", tag("div", *plots, class_="card poses"), tag("div", *content, class_="card"), class_="beside"),
    )


def _key() -> Markup:
    """Which mark is whose."""
    marks = [("first", "input, bars"), ("second", "other, line")]
    items = [tag("li", tag("i", class_=f"key {kind}"), text) for kind, text in marks]
    return tag("figure", tag("figcaption", "In these plots"), tag("ul", *items, class_="legend"))


def _measured(stats: Stats, name: str) -> bool:
    return bool(stats.positions.count[stats.skeleton.keypoints.index(name)])


def images_and_persons(stats: Sequence[Stats]) -> Markup:
    """How many persons, how many joints, how large."""
    picks: list[tuple[str, str, str, Callable[[Stats], Tally]]] = [
        ("Persons an image", "persons", "images", lambda s: s.per_image),
        ("Labelled joints a person", "labelled joints", "persons", lambda s: s.labelled),
        ("Occluded joints a person", "occluded joints", "persons", lambda s: s.occluded),
    ]
    plots = [
        charts.tally_chart([(n, pick(s)) for n, s in zip(NAMES, stats, strict=False)], title=title, axis=axis, of=of)
        for title, axis, of, pick in picks
    ]
    sides = [("Size", "root of the box’s area, pixels", "sides", ".0f")]
    sides += [("Height", "of the image’s height", "heights", ".0%")]
    for title, axis, name, form in sides:
        bins: list[tuple[str, Bins]] = [(n, getattr(s.sizes, name)) for n, s in zip(NAMES, stats, strict=False)]
        plots.append(charts.bins_chart(bins, form, title=title, axis=axis, of="persons"))
    if len(stats) > 1:
        plots.append(_key())
    plots += [
        charts.bubbles(s.sizes.images, title=title, of="images")
        for title, s in named(stats, "Image sizes")
        if s.sizes.images
    ]
    classes = ("small", "medium", "large", "unknown")
    hues = ("blue2", "blue4", "blue6", "unlabelled")
    plots += [
        tag(
            "figure",
            tag("figcaption", title),
            charts.stack([(n, s.sizes.classes[n], h) for n, h in zip(classes, hues, strict=True)]),
        )
        for title, s in named(stats, "Persons by area")
    ]
    return section("Images and persons", "", cards(plots, of=len(stats)))


def together_in_images(stats: Sequence[Stats]) -> Markup | None:
    """Crowding."""
    if not any(s.crowding.overlap.count for s in stats):
        return None
    overlap = [(n, s.crowding.overlap_bins) for n, s in zip(NAMES, stats, strict=False)]
    plots = [
        charts.bins_chart(overlap, ".2f", title="Overlap", axis="largest IoU with another person’s box", of="persons")
    ]
    hues = ("blue1", "blue4", "blue7")
    for title, s in named(stats, "Images by crowd index"):
        parts = [(f"{name}", count, hue) for (name, count), hue in zip(s.crowding.classes.items(), hues, strict=True)]
        plots.append(
            tag("figure", tag("figcaption", title, tag("small", "easy below 0.1, hard from 0.8")), charts.stack(parts))
        )
    return section("Crowding", "", cards(plots, of=len(stats)))


def splits(stats: Sequence[Stats]) -> Markup | None:
    """Splits and categories, where there are several."""
    rows: list[Markup] = []
    for s, name in zip(stats, NAMES, strict=False):
        where = f"{name}: " if len(stats) > 1 else ""
        if set(s.splits) - {""}:
            rows += [
                _row(f"{where}split {split or '(none)'}", one["images"], one["persons"], one["labelled"])
                for split, one in s.splits.items()
            ]
        if len(s.categories) > 1:
            rows += [_row(f"{where}category {category}", None, count, None) for category, count in s.categories.items()]
    if not rows:
        return None
    head = tag("tr", *(tag("th", text) for text in ("", "images", "persons", "labelled joints")))
    table = tag("table", tag("thead", head), tag("tbody", *rows))
    return section("Splits and categories", "", tag("div", tag("div", table, class_="scroll"), class_="card"))


def _row(name: str, *numbers: int | None) -> Markup:
    return tag("tr", tag("th", name, scope="row"), *(tag("td", "" if n is None else f"{n:,}") for n in numbers))


def noticed(sides: Sequence[tuple[str, Sequence[Issue]]]) -> Markup | None:
    """What the reader had to say."""
    found = [_issue(path if len(sides) > 1 else "", issue) for path, issues in sides for issue in issues]
    return section("Noticed while reading", "", tag("div", *found, class_="card")) if found else None


def _issue(path: str, issue: Issue) -> Markup:
    times = f" ({issue.count:,} times)" if issue.count > 1 else ""
    places = join([join(tag("br"), tag("code", place)) for place in issue.places])
    head = (tag("b", f"{issue.severity} {issue.code}"), f": {issue.message}{times}")
    where = tag("small", f"{path} ") if path else None
    return tag("div", where, *head, tag("small", places), class_=f"issue {issue.severity}")
