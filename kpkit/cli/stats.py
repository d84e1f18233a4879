"""`kpkit stats`: what a dataset holds, in numbers and as a page to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kpkit.cli import label_options as labels
from kpkit.cli.command import reporting
from kpkit.cli.output import Console

OUTPUT = "Output"

Compare = Annotated[
    Path | None,
    typer.Option(
        "--compare",
        metavar="OTHER",
        help="Labels to compare with: what a conversion or an augmentation made of INPUT. Joints are matched by name.",
        rich_help_panel=labels.LABELS,
        readable=False,
    ),
]
Html = Annotated[
    Path | None,
    typer.Option(
        "--html", metavar="FILE.html", help="Write a page with plots, for any browser.", rich_help_panel=OUTPUT
    ),
]
Csv = Annotated[
    Path | None, typer.Option("--csv", metavar="FILE.csv", help="Write a table, a row a joint.", rich_help_panel=OUTPUT)
]
Force = Annotated[bool, typer.Option("--force", help="Replace files that exist.", rich_help_panel=OUTPUT)]


@reporting
def stats(
    console: Console,
    input: labels.Input = None,
    compare: Compare = None,
    html: Html = None,
    csv: Csv = None,
    from_: labels.From = None,
    skeleton: labels.SkeletonName = None,
    images: labels.Images = None,
    image_sizes: labels.ImageSizes = None,
    image_list: labels.ImageList = None,
    layout: labels.Layout = None,
    workers: labels.PartWorkers = 1,
    scheduler: labels.PartScheduler = "",
    force: Force = False,
) -> None:
    """Measure a dataset: what is labelled and hidden, how large and how crowded people are.

    The page of `--html` is one file that needs no network.

    Examples:

    - `kpkit stats annotations/person_keypoints_val2017.json --html stats.html`
    - `kpkit stats coco --compare augmented` says what an augmentation changed
    """
    given = dict(locals())
    from kpkit.cli.stats_report import print_stats
    from kpkit.execute.local import cores
    from kpkit.pipelines.load import LabelSource
    from kpkit.pipelines.stats import StatsJob, run

    other = LabelSource(input=compare) if compare is not None else None
    job = StatsJob(
        source=labels.source_of(given),
        other=other,
        html=html,
        csv=csv,
        force=force,
        workers=workers or cores(),
        scheduler=scheduler,
    )
    print_stats(console, run(job))
