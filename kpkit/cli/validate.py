"""`kpkit validate`: what is wrong with labels, and mending what is mechanical."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from kpkit.cli.command import reporting
from kpkit.cli.label_options import (
    From,
    ImageList,
    Images,
    ImageSizes,
    Input,
    Layout,
    SkeletonName,
    source_of,
)
from kpkit.cli.output import Console

FORMATS = ("text", "json", "jsonl", "sarif", "github")
RULES, FIXES = "Rules", "Mending"

Select = Annotated[
    list[str] | None,
    typer.Option(
        "--select",
        metavar="CODES",
        help="Only these rules: ids (KP101), beginnings of ids (KP1) or names, with commas between.",
        rich_help_panel=RULES,
    ),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option("--ignore", metavar="CODES", help="Not these rules.", rich_help_panel=RULES),
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


@reporting(formats=FORMATS)
def validate(
    console: Console,
    input: Input = None,
    select: Select = None,
    ignore: Ignore = None,
    fail_on: FailOn = "warning",
    all_: All = False,
    from_: From = None,
    skeleton: SkeletonName = None,
    images: Images = None,
    image_sizes: ImageSizes = None,
    image_list: ImageList = None,
    layout: Layout = None,
) -> int:
    """Find what is wrong with labels: counts, flags, places, left and right, doubles, pictures, the skeleton.

    Exit code 1 where something is found. `kpkit rule CODE` explains a finding.

    Examples:

    - `kpkit validate annotations/person_keypoints_val2017.json`
    - `kpkit validate labels.json --select KP1,KP301 --fail-on error`
    - `kpkit validate labels.json --format github`
    """
    from kpkit.cli.findings import print_validation
    from kpkit.pipelines.validate import ValidateJob, run

    source = source_of(locals())
    found = run(ValidateJob(source=source, select=select or (), ignore=ignore or ()))
    print_validation(console, found, every=all_)
    return 1 if found.fails(fail_on) else 0
