"""`kpkit validate`: what is wrong with labels, and mending what is mechanical."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kpkit.cli import complete
from kpkit.cli.command import reporting
from kpkit.cli.label_options import (
    From,
    ImageList,
    Images,
    ImageSizes,
    Input,
    Layout,
    PartScheduler,
    PartWorkers,
    SkeletonName,
    source_of,
)
from kpkit.cli.output import Console
from kpkit.errors import UsageError

if TYPE_CHECKING:
    from kpkit.pipelines.validate import ValidateJob, Validation

FORMATS = ("text", "json", "jsonl", "sarif", "github")
RULES, FIXES = "Rules", "Mending"

Select = Annotated[
    list[str] | None,
    typer.Option(
        "--select",
        metavar="CODES",
        help="Only these rules: ids (KP101), beginnings of ids (KP1) or names, with commas between.",
        autocompletion=complete.rules,
        rich_help_panel=RULES,
    ),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore",
        metavar="CODES",
        help="Not these rules.",
        autocompletion=complete.rules,
        rich_help_panel=RULES,
    ),
]
FailOn = Annotated[
    Literal["error", "warning", "note"],
    typer.Option(
        "--fail-on",
        metavar="error|warning|note",
        help="Exit with 1 where there is a finding of this severity or a worse one.",
        rich_help_panel=RULES,
    ),
]
All = Annotated[bool, typer.Option("--all", help="Show every finding, not only the first of each rule.")]
Fix = Annotated[
    bool,
    typer.Option(
        "--fix",
        help="Mend what is mechanical in a COCO file: counts, areas, missing boxes, records that repeat others, "
        "roundings over the border. Every other byte stays.",
        rich_help_panel=FIXES,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Where the mended file is written.", rich_help_panel=FIXES),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Replace FILE; without -o, mend the input in its place.", rich_help_panel=FIXES),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what --fix would change.", rich_help_panel=FIXES)]


@reporting(formats=FORMATS)
def validate(
    console: Console,
    input: Input = None,
    select: Select = None,
    ignore: Ignore = None,
    fail_on: FailOn = "warning",
    all_: All = False,
    fix: Fix = False,
    output: Output = None,
    force: Force = False,
    dry_run: DryRun = False,
    from_: From = None,
    skeleton: SkeletonName = None,
    images: Images = None,
    image_sizes: ImageSizes = None,
    image_list: ImageList = None,
    layout: Layout = None,
    workers: PartWorkers = 1,
    scheduler: PartScheduler = "",
) -> int:
    """Find what is wrong with labels: counts, flags, places, left and right, doubles, pictures, the skeleton.

    Exit code 1 where something is found. `kpkit rule CODE` explains a finding.

    Examples:

    - `kpkit validate annotations/person_keypoints_val2017.json`
    - `kpkit validate labels.json --select KP1,KP301 --fail-on error`
    - `kpkit validate labels.json --format github`
    - `kpkit validate labels.json --fix -o mended.json`
    """
    from kpkit.cli.findings import print_validation
    from kpkit.execute.local import cores
    from kpkit.pipelines.validate import ValidateJob, run

    source = source_of(locals())
    if not fix and (output is not None or force or dry_run):
        raise UsageError("-o, --force and --dry-run belong to --fix", code="KP-FIX", help="add --fix")
    job = ValidateJob(
        source=source,
        select=select or (),
        ignore=ignore or (),
        whole=fix,
        workers=workers or cores(),
        scheduler=scheduler,
    )
    with console.progress() as progress:
        found = run(job, progress)
    if fix:
        found = _mended(console, job, found, output, force=force, dry_run=dry_run, every=all_)
    print_validation(console, found, every=all_)
    return 1 if found.fails(fail_on) else 0


def _mended(
    console: Console,
    job: ValidateJob,
    found: Validation,
    output: Path | None,
    *,
    force: bool,
    dry_run: bool,
    every: bool,
) -> Validation:
    """Mend, say what was changed, and look at what is left."""
    from kpkit.cli.findings import print_fixes
    from kpkit.pipelines import fix
    from kpkit.pipelines.validate import run

    if output is None and not (force or dry_run):
        raise UsageError(
            "--fix does not say where to write",
            code="KP-FIX",
            help="name a file with -o, or mend the input in its place with --force; --dry-run says what would change",
        )
    target = output or found.loaded.path
    fixes = fix.plan(found)
    if dry_run or (output is None and not fixes.patch):
        print_fixes(console, fixes, target, written=False, every=every)
        return found
    fix.write(found, fixes, target, force=force)
    print_fixes(console, fixes, target, written=True, every=every)
    source = replace(job.source, input=target, from_="coco", images=found.loaded.images)
    again = run(replace(job, source=source))
    again.mended = [vars(change) for change in fixes.changes]
    return again
