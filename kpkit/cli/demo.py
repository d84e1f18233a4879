"""`kpkit demo`: pictures of made-up people, their labels in several formats, and a contact sheet of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kpkit.cli.command import reporting
from kpkit.cli.output import Console, Part, plural
from kpkit.cli.sizes import parse_size

if TYPE_CHECKING:
    from kpkit.core.report import Loss, Report
    from kpkit.pipelines.demo import DemoReport

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder to make.")]
Scenes = Annotated[int, typer.Option("--scenes", metavar="N", min=1, help="How many pictures.")]
Seed = Annotated[
    int, typer.Option("--seed", metavar="S", min=0, help="Another seed, other pictures; the same seed, the same bytes.")
]
Size = Annotated[str, typer.Option("--size", metavar="HEIGHTxWIDTH", help="Size of the pictures in pixels.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a folder that exists.")]


@reporting
def demo(
    console: Console,
    folder: Folder = Path("kpkit-demo"),
    scenes: Scenes = 24,
    seed: Seed = 7,
    size: Size = "480x640",
    force: Force = False,
) -> None:
    """Make a small dataset, convert it, augment it, and render what training needs.

    Draws pictures of articulated people whose joints are exactly known, writes their labels as MPII, converts those to
    COCO, to 6-2 and to kpkit's own format, each into a folder of its own, augments the COCO ones, renders heatmaps of
    those, checks the labels, and puts pictures of all that and a page of statistics beside them.

    Examples:

    - `kpkit demo`
    - `kpkit demo /data/try --scenes 200 --seed 1`
    """
    from kpkit.pipelines.demo import DemoJob, run

    job = DemoJob(folder=folder, scenes=scenes, seed=seed, size=parse_size(size, "--size"), force=force)
    with console.progress() as progress:
        report = run(job, progress=progress)
    print_demo(console, report)


def print_demo(console: Console, report: DemoReport) -> None:
    """What was made, what each format could not hold, and what to try next; with --quiet only what was lost."""
    if console.as_json:
        console.document(report.as_dict())
        return
    made = [("mpii", report.made), *((one.target["format"], one) for one in report.converted)]
    if not console.quiet:
        _summary(console, report, made)
    _losses(console, made)
    if not console.quiet:
        _checked(console, report)
        _next(console, report)


def _summary(console: Console, report: DemoReport, made: list[tuple[str, Report]]) -> None:
    console.line(
        ("Drew", "bold green"),
        (f" {plural(report.scenes, 'picture')} of {plural(report.counts['instances'], 'person')}", "bold"),
        (f" in {report.seconds:.1f} s", "dim"),
    )
    rows: list[list[Part]] = [
        [
            f"  {report.folder}/{folder}/",
            one.target["skeleton"],
            *(f"{one.counts[flag]:,}" for flag in ("labelled", "visible", "occluded")),
            "drawn with the pictures" if one is report.made else f"mpii -> {folder}",
        ]
        for folder, one in made
    ]
    console.table(("  folder", "skeleton", "joints", "visible", "occluded", "labels come from"), rows, right=(2, 3, 4))
    console.line(f"  {report.sheet}", ("   what the labels look like", "dim"))
    done = report.augmented
    console.line(f"  {report.preview}", (f"   {done.output}/ before and after: turned, mirrored and covered", "dim"))
    samples = report.targets
    console.line(
        f"  {report.samples}", (f"   {samples.output}/: crops and heatmaps of {samples.samples:,} persons", "dim")
    )
    console.line(f"  {report.page}", ("   statistics before and after, for a browser", "dim"))
    console.line()


def _losses(console: Console, made: list[tuple[str, Report]]) -> None:
    """Losses for one reason stand in one row."""
    rows: list[list[Part]] = []
    for folder, one in made:
        reasons: dict[str, list[Loss]] = {}
        for loss in one.losses:
            reasons.setdefault(loss.why, []).append(loss)
        for why, losses in reasons.items():
            what = ", ".join(loss.what.removeprefix("joint ") for loss in losses)
            rows.append([f"  {folder}", (f"{sum(loss.count for loss in losses):,}", "yellow"), what, (why, "dim")])
        if not one.losses and not console.quiet:
            rows.append([f"  {folder}", "0", "", ("nothing is lost", "green")])
    console.line(("Lost", "bold yellow"), (" on the way into each format", "bold"))
    console.table(("  format", "count", "what", "why"), rows, right=(1,))
    if not console.quiet:
        console.line()


def _checked(console: Console, report: DemoReport) -> None:
    found = sum(report.findings.values())
    by_rule = ", ".join(f"{code} {count:,}" for code, count in report.findings.items())
    console.line(
        ("Checked", "bold"),
        f" the COCO labels by {report.rules} rules: ",
        (f"{plural(found, 'finding')} ({by_rule})", "yellow") if found else ("nothing found", "green"),
    )
    console.line()


def _next(console: Console, report: DemoReport) -> None:
    console.line(("The same by hand", "bold"), f", in {report.folder}:")
    for command in report.commands:
        console.line((f"  {command}", "cyan"))
    console.line(("Now try", "bold"), f", in {report.folder}:")
    for command in report.suggestions:
        console.line((f"  {command}", "cyan"))
    console.line(("Look at", "bold"), f" {report.samples}", ("   crops, joints and the heatmaps made of them", "dim"))
