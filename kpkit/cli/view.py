"""`kpkit view`: labels in FiftyOne, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from kpkit.cli.output import Console, Part, plural

if TYPE_CHECKING:
    from kpkit.pipelines.view import ViewReport

DATASET, APP = "Dataset in FiftyOne", "FiftyOne's App"

Name = Annotated[
    str,
    typer.Option(
        "--name",
        metavar="NAME",
        help="Name of the dataset. Left out: made from the input's.",
        show_default=False,
        rich_help_panel=DATASET,
    ),
]
Persistent = Annotated[
    bool,
    typer.Option(
        "--persistent",
        help="Keep the dataset when FiftyOne is closed. A dataset that was edited is always kept.",
        rich_help_panel=DATASET,
    ),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Replace a dataset (or an output) of that name.", rich_help_panel=DATASET),
]
NoLaunch = Annotated[
    bool,
    typer.Option("--no-launch", help="Only make the dataset, and keep it.", rich_help_panel=APP),
]


@reporting
def view(
    console: Console,
    input: Input = None,
    from_: From = None,
    skeleton: SkeletonName = None,
    images: Images = None,
    image_sizes: ImageSizes = None,
    image_list: ImageList = None,
    layout: Layout = None,
    name: Name = "",
    persistent: Persistent = False,
    force: Force = False,
    no_launch: NoLaunch = False,
) -> None:
    """Look at labels in FiftyOne.

    Examples:

    - `kpkit view` shows the labels of the current folder
    """
    from kpkit.pipelines.view import ViewJob, run

    job = ViewJob(source=source_of(locals()), name=name, persistent=persistent or no_launch, force=force)
    with console.progress() as progress:
        report = run(job, progress=progress)
    _print(console, report)


def _print(console: Console, report: ViewReport) -> None:
    if console.as_json:
        console.document(report.as_dict())
        return
    console.line(
        ("Stored", "bold green"),
        (f" {plural(report.counts['instances'], 'person')} in {plural(report.samples, 'image')}", "bold"),
        (f" in {report.seconds:.2f} s", "dim"),
    )
    rows: list[list[Part]] = [
        ["  labels", f"{report.labels} ({report.format})"],
        ["  images", report.images],
        ["  dataset", report.name],
        ["  views", ", ".join(report.views)],
    ]
    console.table(("", ""), rows)
