"""The table of joints: counts, shares and places, sortable by every column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kpkit.qa.markup import Markup, tag
from kpkit.qa.stats import FLAGS, Stats
from kpkit.qa.stats_compare import differences

COLUMNS = (
    ("labelled_share", "labelled"),
    ("occluded_share", "occluded of labelled"),
    ("x_mean", "x in the box"),
    ("y_mean", "y in the box"),
)


def joint_table(stats: Sequence[Stats]) -> Markup:
    """A row a joint; of two datasets, the joints of the second with what changed since the first."""
    stats_shown = stats[-1]
    changes = {}
    if len(stats) > 1:
        changes = {row["joint"]: row for row in differences(stats[0], stats[1])["joints"]}
    heads = [
        tag("th", "joint", data_kind="text", scope="col"),
        tag("th", "shares", data_kind="number", scope="col"),
    ]
    heads += [tag("th", label, data_kind="number", scope="col") for label in (*FLAGS, *(label for _, label in COLUMNS))]
    rows = [_row(row, changes.get(row["joint"]) if changes else None) for row in stats_shown.rows()]
    caption = "By joint" if len(stats) == 1 else "By joint, after; in brackets the change from the input"
    missing = _missing(stats)
    table = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows), class_="sortable")
    return tag(
        "div",
        tag("b", caption),
        tag("div", table, class_="scroll", tabindex=0),
        missing,
        class_="card",
        style="margin-top:12px",
    )


def _missing(stats: Sequence[Stats]) -> Markup | None:
    if len(stats) < 2:
        return None
    first, second = (one.skeleton.keypoints for one in stats)
    gone = [name for name in first if name not in second]
    made = [name for name in second if name not in first]
    text = [
        f"Only in the input: {', '.join(gone)}. " if gone else "",
        f"Only in the other: {', '.join(made)}." if made else "",
    ]
    return tag("p", *text, class_="dim") if any(text) else None


def _row(row: dict[str, Any], change: dict[str, Any] | None) -> Markup:
    flags = ("visible", "occluded", "unlabelled")
    parts = [
        tag("i", class_=flag, style=f"flex-grow:{row[flag]}", title=f"{flag}: {row[flag]:,}")
        for flag in flags
        if row[flag]
    ]
    cells = [
        tag("th", row["joint"], scope="row", title=row["joint"]),
        tag("td", tag("div", *parts, class_="stack", aria_hidden="true"), class_="wide", data_value=row["visible"]),
    ]
    for flag in FLAGS:
        changed = f" ({change[flag]:+,})" if change and change[flag] else ""
        cells.append(tag("td", f"{row[flag]:,}", tag("small", changed) if changed else None, data_value=row[flag]))
    for name, _ in COLUMNS:
        cells.append(_cell(name, row[name], change[name] if change else None))
    return tag("tr", *cells)


def _cell(name: str, value: float | None, change: float | None) -> Markup:
    if value is None:
        return tag("td", "–", data_value="")
    share = name.endswith("share")
    text = f"{value:.1%}" if share else f"{value:.2f}"
    changed = None
    if change is not None and abs(change) >= (0.0005 if share else 0.005):
        changed = tag("small", f" ({100 * change:+.1f} pp)" if share else f" ({change:+.2f})")
    return tag("td", text, changed, data_value=f"{value:.6g}")
