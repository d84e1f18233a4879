"""`kpkit clean`: what killed runs left beside an output."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kpkit.cli.command import reporting
from kpkit.cli.output import Console, plural, size

if TYPE_CHECKING:
    from kpkit.pipelines.clean import CleanReport

Output = Annotated[Path, typer.Argument(metavar="OUTPUT", help="The output of the run that was killed.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")]


@reporting
def clean(console: Console, output: Output, dry_run: DryRun = False) -> None:
    """Remove what killed runs left beside an output: half-written files, stale locks, work that `--resume` would use.

    A finished output is never touched, and neither is what a run at work holds.

    Examples:

    - `kpkit clean kpkit-out/augment-coco --dry-run`
    """
    from kpkit.pipelines.clean import run

    print_cleaned(console, run(output, dry_run=dry_run))


def print_cleaned(console: Console, report: CleanReport) -> None:
    """A line a leftover."""
    if console.as_json:
        console.document(report.as_dict())
        return
    if console.quiet:
        return
    if not report.leftovers:
        console.line("Nothing is left over beside ", report.output)
        return
    gone = [one for one in report.leftovers if not one.restored]
    total = size(sum(one.bytes for one in gone))
    verb = "Would remove" if report.dry_run else "Removed"
    console.line((verb, "bold green"), (f" {plural(len(gone), 'leftover')}", "bold"), f" ({total})")
    verb = "would be put back: " if report.dry_run else "put back: "
    rows = [(f"  {one.path}", size(one.bytes), verb * one.restored + one.what) for one in report.leftovers]
    console.table(("  path", "size", "what"), rows, right=(1,))
