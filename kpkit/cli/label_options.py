"""The options of commands that look at labels: where they are and how to read them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kpkit.cli import complete

if TYPE_CHECKING:
    from kpkit.pipelines.load import LabelSource

LABELS = "Labels"

Input = Annotated[
    Path | None,
    typer.Argument(
        metavar="INPUT",
        help="File or folder with labels. Left out: the current folder.",
        show_default=False,
        readable=False,
    ),
]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="NAME",
        help="Format of the input. Left out: told by its content.",
        autocompletion=complete.formats,
        rich_help_panel=LABELS,
    ),
]
SkeletonName = Annotated[
    str | None,
    typer.Option(
        "--skeleton",
        metavar="NAME|FILE",
        help="Skeleton of labels that do not name their joints.",
        autocompletion=complete.skeletons,
        rich_help_panel=LABELS,
    ),
]
Images = Annotated[
    Path | None,
    typer.Option(
        "--images",
        metavar="DIR",
        help="Folder of the pictures. Left out: looked for near the labels.",
        rich_help_panel=LABELS,
    ),
]
ImageSizes = Annotated[
    Path | None,
    typer.Option("--image-sizes", metavar="FILE.csv", help="Image sizes: path, width, height.", rich_help_panel=LABELS),
]
ImageList = Annotated[
    Path | None,
    typer.Option(
        "--image-list",
        metavar="FILE",
        help="Image names, one a line, for labels without them.",
        rich_help_panel=LABELS,
    ),
]
Layout = Annotated[
    Path | None,
    typer.Option("--layout", metavar="FILE.toml", help="Describes a team's own CSV or JSON.", rich_help_panel=LABELS),
]
PartWorkers = Annotated[
    int,
    typer.Option(
        "--workers", metavar="N", min=0, help="Processes for labels that are read in parts; 0: one a processor."
    ),
]
PartScheduler = Annotated[
    str,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        help="Work on parts on a Dask cluster, tcp://HOST:PORT, instead of on this machine's processors.",
    ),
]


def source_of(given: dict[str, Any]) -> LabelSource:
    """The source from a command's `locals()`: input, from_, skeleton, images, image_sizes, image_list, layout."""
    from kpkit.pipelines.load import LabelSource

    names = ("input", "skeleton", "images", "image_sizes", "image_list", "layout")
    options: dict[str, Any] = {name: given.get(name) for name in names}
    return LabelSource(from_=given.get("from_") or "", **options)
