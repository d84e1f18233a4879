"""How statistics are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kpkit.cli.output import Console, Part, plural
from kpkit.cli.report import print_issues

if TYPE_CHECKING:
    from kpkit.pipelines.stats import Measured, StatsReport
    from kpkit.qa.stats import Stats
    from kpkit.qa.stats_tally import Spread, Tally

PAIRS, IMAGE_SIZES = 5, 3


def print_stats(console: Console, report: StatsReport) -> None:
    """Facts, joints, joints occluded together; two datasets side by side where there are two.

    With --quiet nothing, where the numbers were asked for in a file.
    """
    if console.as_json:
        console.document(report.as_dict())
        return
    if console.quiet and (report.html or report.csv):
        return
    if report.other is None:
        _one(console, report.measured)
    else:
        _two(console, report.measured, report.other)
    for one in (report.measured, *([report.other] if report.other else [])):
        if one.issues and not console.quiet:
            console.line()
            print_issues(console, one.issues)
    for written in filter(None, (report.html, report.csv)):
        console.note("wrote ", written)


def _one(console: Console, measured: Measured) -> None:
    stats = measured.stats
    console.line((measured.path, "bold cyan"))
    console.table(("", ""), [(f"  {label}", text) for label, text in _facts(measured) if text])
    if len(stats.skeleton):
        console.line()
        headers = ("  joint", "visible", "occluded", "unlabelled", "truncated", "labelled", "of them occl.", "x", "y")
        console.table(headers, [_joint(row) for row in stats.rows()], right=range(1, len(headers)))
    pairs = stats.pairs(PAIRS)
    if pairs:
        console.line()
        rows = [[f"  {' + '.join(p['joints'])}", f"{p['both']:,}", f"{p['share_of_either']:.1%}"] for p in pairs]
        console.table(("  occluded together", "persons", "of either"), rows, right=(1, 2))


def _two(console: Console, first: Measured, second: Measured) -> None:
    from kpkit.qa.stats_compare import differences

    console.line((first.path, "bold cyan"), " -> ", (second.path, "bold cyan"))
    one, other = dict(_facts(first)), dict(_facts(second))
    rows: list[list[Part]] = [
        [f"  {label}", one[label] or "-", (other[label] or "-", "" if one[label] == other[label] else "yellow")]
        for label in one
        if one[label] or other[label]
    ]
    console.table(("", "input", "other"), rows)
    console.line()
    changes = differences(first.stats, second.stats)
    headers = ("  joint", "visible", "occluded", "unlabelled", "truncated", "labelled", "of them occl.", "x", "y")
    console.table(headers, [_change(row) for row in changes["joints"]], right=range(1, len(headers)))
    for label, names in (("input", changes["joints_only_in_input"]), ("other", changes["joints_only_in_other"])):
        if names:
            console.line((f"Only in the {label}: ", "bold"), ", ".join(names))


def _facts(measured: Measured) -> list[tuple[str, str]]:
    stats, counts = measured.stats, measured.stats.counts
    spreads, crowding = stats.sizes.spreads, stats.crowding
    persons = f"{counts['persons']:,}"
    persons += f", and {plural(counts['crowd'], 'crowd region')}" if counts["crowd"] else ""
    persons += f"; {counts['persons_without_joints']:,} without a labelled joint" * bool(
        counts["persons_without_joints"]
    )
    empty = f"; {counts['images_without_persons']:,} without persons" * bool(counts["images_without_persons"])
    rows = f" in {counts['image_rows']:,} rows" if counts["image_rows"] != counts["images"] else ""
    return [
        ("format", measured.format),
        ("skeleton", f"{stats.skeleton.name}, {plural(len(stats.skeleton), 'joint')}"),
        ("images", f"{counts['images']:,}{rows}{empty}"),
        ("persons", persons),
        ("persons an image", _tally(stats.per_image)),
        (
            "labelled joints",
            f"{counts['labelled']:,}" + (f"; a person {text}" if (text := _tally(stats.labelled)) else ""),
        ),
        ("occluded joints", _of(counts["occluded"], counts["labelled"], "the labelled")),
        ("truncated joints", _truncated(counts)),
        ("boxes", ", ".join(f"{name} {count:,}" for name, count in stats.boxes.items())),
        ("person size", _spread(spreads["box_side"], "px (root of the box's area)")),
        ("by area", ", ".join(f"{name} {count:,}" for name, count in stats.sizes.classes.items() if count)),
        ("image sizes", _image_sizes(stats)),
        ("crowd index", _crowding(stats) if crowding.crowd_index.count else ""),
        ("splits", _splits(stats)),
    ]


def _tally(tally: Tally) -> str:
    return "" if tally.mean is None else f"{tally.mean:.2f} on average, median {tally.median}, at most {tally.most}"


def _spread(spread: Spread, unit: str) -> str:
    if spread.count == 0:
        return ""
    return f"median {spread.median:.0f}, 5 to 95 % from {spread.p5:.0f} to {spread.p95:.0f} {unit}"


def _of(count: int, whole: int, of: str) -> str:
    return f"{count:,} ({count / whole:.1%} of {of})" if whole else ""


def _truncated(counts: dict[str, int]) -> str:
    if not counts["persons"]:
        return ""
    share = counts["persons_with_truncated"] / counts["persons"]
    text = f"{counts['truncated']:,} in {plural(counts['persons_with_truncated'], 'person')} ({share:.1%})"
    return f"{text}; {counts['persons_at_frame']:,} boxes touch the frame"


def _image_sizes(stats: Stats) -> str:
    sizes = [
        f"{'unknown' if w < 0 or h < 0 else f'{w} x {h}'} {count:,}" for w, h, count in stats.sizes.images[:IMAGE_SIZES]
    ]
    more = len(stats.sizes.images) - IMAGE_SIZES
    return ", ".join(sizes) + (f", {more:,} more" if more > 0 else "")


def _crowding(stats: Stats) -> str:
    index, classes = stats.crowding.crowd_index, stats.crowding.classes
    levels = ", ".join(f"{name} {count:,}" for name, count in classes.items() if count)
    left_out = f"; {plural(stats.crowding.unmeasured, 'image')} too full to measure" * bool(stats.crowding.unmeasured)
    return f"{index.mean:.2f} on average ({levels}){left_out}"


def _splits(stats: Stats) -> str:
    if set(stats.splits) <= {""}:
        return ""
    return ", ".join(
        f"{name or '(none)'} {plural(one['persons'], 'person')} in {plural(one['images'], 'image')}"
        for name, one in stats.splits.items()
    )


def _joint(row: dict[str, Any]) -> list[Part]:
    cells: list[Part] = [f"  {row['joint']}"]
    cells += [
        (f"{row[flag]:,}", "" if row[flag] else "dim") for flag in ("visible", "occluded", "unlabelled", "truncated")
    ]
    cells += [_share(row["labelled_share"]), _share(row["occluded_share"])]
    return [*cells, _number(row["x_mean"]), _number(row["y_mean"])]


def _change(row: dict[str, Any]) -> list[Part]:
    cells: list[Part] = [f"  {row['joint']}"]
    cells += [
        (f"{row[flag]:+,}" if row[flag] else "0", "" if row[flag] else "dim")
        for flag in ("visible", "occluded", "unlabelled", "truncated")
    ]
    for name in ("labelled_share", "occluded_share"):
        cells.append("-" if row[name] is None else f"{100 * row[name]:+.1f} pp")
    return [*cells, *("-" if row[name] is None else f"{row[name]:+.2f}" for name in ("x_mean", "y_mean"))]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
