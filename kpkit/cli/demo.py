"""`kpkit demo`: a small dataset, and everything kpkit does done on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kpkit.cli.command import reporting
from kpkit.cli.output import Console, Part, plural
from kpkit.cli.sizes import parse_size

if TYPE_CHECKING:
    from kpkit.pipelines.demo import DemoReport

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder to make.")]
Scenes = Annotated[int, typer.Option("--scenes", metavar="NUMBER", min=1, help="How many pictures.")]
Seed = Annotated[int, typer.Option("--seed", metavar="NUMBER", min=0, help="Another number makes other pictures.")]
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
    """Make a small dataset and run the whole chain on it.

    The pictures show made-up people whose joints are known exactly. The same numbers make the same bytes.

    Examples:

    - `kpkit demo`
    - `kpkit demo try --scenes 8 --size 240x320`
    """
    from kpkit.pipelines.demo import DemoJob, run

    job = DemoJob(folder=folder, scenes=scenes, seed=seed, size=parse_size(size, "--size"), force=force)
    with console.progress() as progress:
        report = run(job, progress)
    if console.as_json:
        console.document(report.as_dict())
    elif not console.quiet:
        _print(console, report)


def _print(console: Console, report: DemoReport) -> None:
    persons = plural(report.counts["instances"], "person")
    images = plural(report.counts["images"], "picture")
    console.line(("Made", "bold green"), (f" {persons} in {images}", "bold"), (f" in {report.seconds:.1f} s", "dim"))
    rows: list[list[Part]] = []
    for one in (report.made, *report.converted):
        lost = sum(loss.count for loss in one.losses)
        state: Part = (f"{lost:,} values lost", "yellow") if lost else ("nothing lost", "green")
        rows.append([f"  {one.target['format']}", one.target["skeleton"], one.output, state])
    rows.append(["  picture", "", report.sheet, ""])
    console.table(("  format", "skeleton", "labels", "account"), rows)
    console.line()
    console.line(("What was done, to do again:", "bold"))
    for command in (f"cd {report.folder}", *(f"{command} --force" for command in report.commands)):
        console.line(f"  {command}")
