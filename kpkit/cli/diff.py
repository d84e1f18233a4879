"""`kpkit diff`: what changed between two datasets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kpkit.cli import complete, label_options
from kpkit.cli.command import reporting
from kpkit.cli.output import Console, Part, plural

if TYPE_CHECKING:
    from kpkit.pipelines.diff import DiffResult
    from kpkit.qa.changes import Change, Difference

COMPARING = "Comparing"
SHOWN = 5
STYLES = {"gone": "red", "person gone": "red", "image gone": "red", "added": "green"}
STYLES |= {"person added": "green", "image added": "green"}

First = Annotated[Path, typer.Argument(metavar="A", help="Labels before.", show_default=False, readable=False)]
Second = Annotated[Path, typer.Argument(metavar="B", help="Labels after.", show_default=False, readable=False)]
FromFirst = Annotated[
    str | None,
    typer.Option(
        "--from-a",
        metavar="NAME",
        help="Format of A. Left out: told by its content.",
        autocompletion=complete.formats,
        rich_help_panel=label_options.LABELS,
    ),
]
FromSecond = Annotated[
    str | None,
    typer.Option(
        "--from-b",
        metavar="NAME",
        help="Format of B. Left out: told by its content.",
        autocompletion=complete.formats,
        rich_help_panel=label_options.LABELS,
    ),
]
Tolerance = Annotated[
    float,
    typer.Option(
        "--tolerance",
        metavar="PIXELS",
        help="Joints and sides of boxes that differ by at most this are equal.",
        rich_help_panel=COMPARING,
    ),
]
Match = Annotated[
    Literal["auto", "id", "position"],
    typer.Option(
        "--match",
        metavar="auto|id|position",
        help="How persons are matched: by id, by place in the image, or by id where both formats keep ids.",
        rich_help_panel=COMPARING,
    ),
]
All = Annotated[bool, typer.Option("--all", help=f"List every change, not the first {SHOWN} of each kind.")]


@reporting
def diff(
    console: Console,
    first: First,
    second: Second,
    tolerance: Tolerance = 0.0,
    match: Match = "auto",
    all_: All = False,
    from_a: FromFirst = None,
    from_b: FromSecond = None,
    skeleton: label_options.SkeletonName = None,
    images: label_options.Images = None,
    image_sizes: label_options.ImageSizes = None,
    image_list: label_options.ImageList = None,
    layout: label_options.Layout = None,
) -> int:
    """Say what changed between two datasets, by person and joint; the exit code is 1 where something did.

    Examples:

    - `kpkit diff before.json after.json`
    - `kpkit diff annotations/person_keypoints_val2017.json labels.kpk --tolerance 0.01`
    """
    from kpkit.pipelines.diff import DiffJob, run

    given: dict[str, Any] = {**locals(), "input": first, "from_": from_a}
    source = label_options.source_of(given)
    other = replace(source, input=second, from_=from_b or "")
    found = run(DiffJob(first=source, second=other, tolerance=tolerance, by=match))
    if console.as_json:
        console.document(found.as_dict())
    else:
        _print(console, found, None if all_ else SHOWN)
    return 0 if found.difference.equal else 1


def _print(console: Console, found: DiffResult, limit: int | None) -> None:
    from kpkit.cli.report import print_issues

    difference = found.difference
    if not console.quiet:
        _sides(console, found)
    if difference.equal:
        within = f" within {difference.tolerance:g} px" if difference.tolerance else ""
        console.line((f"Equal{within}.", "bold green"))
    else:
        print_changes(console, difference, limit)
    if found.issues and not console.quiet:
        console.line()
        print_issues(console, found.issues)


def print_changes(console: Console, difference: Difference, limit: int | None = SHOWN) -> None:
    """How many changes of which kind there are and, unless quiet, the first `limit` of each kind."""
    console.line((plural(len(difference), "change"), "bold yellow"))
    _summary(console, difference)
    if not console.quiet:
        _list(console, difference, limit)


def _sides(console: Console, found: DiffResult) -> None:
    rows: list[tuple[Part, ...]] = []
    for name, side in (("A", found.first), ("B", found.second)):
        persons, images = plural(len(side.dataset), "person"), plural(len(side.dataset.images), "image")
        what = f"{side.format.name}, {side.dataset.skeleton.name}: {persons} in {images}"
        rows.append(((name, "bold"), (str(side.path), "cyan"), what))
    console.table(("", "", ""), rows)
    matched = found.difference.matched
    text = f"{plural(len(matched.persons), 'person')} matched by {'id' if matched.by_id else 'place in their image'}"
    if matched.renamed:
        text += f"; {plural(matched.renamed, 'image')} by file name, the folders differ"
    console.line((text, "dim"))
    console.line()


def _summary(console: Console, difference: Difference) -> None:
    from kpkit.qa.changes import JOINT_KINDS

    counts = difference.counts()
    others = [(kind, count) for kind, count in counts.items() if kind not in JOINT_KINDS]
    rows: list[tuple[Part, ...]] = [((f"  {kind}", STYLES.get(kind, "")), f"{count:,}") for kind, count in others]
    if rows:
        console.table(("  of images and persons", "changes"), rows, right=(1,))
        console.line()
    kinds = [kind for kind in JOINT_KINDS if kind in counts]
    if not kinds:
        return
    farthest = difference.farthest()
    headers = ["  of joints", *kinds, *(["farthest"] if "moved" in kinds else [])]
    rows = []
    for joint, of in difference.by_joint().items():
        cells: list[Part] = [f"  {joint}", *((f"{of[kind]:,}", "" if of[kind] else "dim") for kind in kinds)]
        if "moved" in kinds:
            cells.append(_pixels(farthest[joint]) if joint in farthest else "")
        rows.append(tuple(cells))
    console.table(headers, rows, right=range(1, len(headers)))
    console.line()


def _list(console: Console, difference: Difference, limit: int | None) -> None:
    rows: list[tuple[Part, ...]] = []
    for change in difference.changes(limit):
        person = f"person {change.person}" if change.person is not None else ""
        rows.append(
            (f"  {change.image}", person, change.joint, (change.kind, STYLES.get(change.kind, "")), _values(change))
        )
    console.table(("", "", "", "", ""), rows)
    left = len(difference) - len(rows)
    if left:
        console.line((f"  and {left:,} more; --all lists them", "dim"))


def _values(change: Change) -> str:
    before, after = _text(change.before), _text(change.after)
    if change.kind == "moved":
        return f"{_pixels(change.distance or 0.0)}: {before} -> {after}"
    if change.kind.endswith(("added", "gone")):
        return before or after
    return f"{before or 'unknown'} -> {after or 'unknown'}"


def _pixels(distance: float) -> str:
    return f"{distance:,.2f} px" if 0.01 <= distance < 1e6 else f"{distance:.1e} px"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        # As many digits as it takes to see what changed, none for whole numbers.
        return repr(value).removesuffix(".0")
    if isinstance(value, list):
        return "(" + ", ".join(_text(one) for one in value) + ")"
    return str(value)
