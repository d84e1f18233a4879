"""`kpkit info`: what a file or folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kpkit.cli import complete
from kpkit.cli.command import reporting
from kpkit.cli.label_options import ImageList, Images, ImageSizes, Layout
from kpkit.cli.output import Console, Part, plural

Input = Annotated[Path, typer.Argument(metavar="PATH", help="A file or folder with labels.", readable=False)]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="NAME",
        help="Format of the input, where its content does not tell.",
        autocompletion=complete.formats,
    ),
]
SkeletonName = Annotated[
    str | None,
    typer.Option(
        "--skeleton",
        metavar="NAME|FILE",
        help="Skeleton of labels that do not name their joints.",
        autocompletion=complete.skeletons,
    ),
]
FLAGS = ("visible", "occluded", "unlabelled", "truncated")
ROWS = {"images_without_persons": "image", "image_sizes_unknown": "image", "persons_without_joints": "person"}


@reporting
def info(
    console: Console,
    path: Input,
    from_: From = None,
    skeleton: SkeletonName = None,
    images: Images = None,
    image_sizes: ImageSizes = None,
    image_list: ImageList = None,
    layout: Layout = None,
) -> None:
    """Say what a file or folder with labels holds.

    Examples:

    - `kpkit info annotations/person_keypoints_val2017.json`
    - `kpkit info labels.csv --from six2`
    """
    from kpkit.pipelines.info import run

    found = run(
        path,
        from_=from_,
        skeleton=skeleton,
        images=images,
        image_sizes=image_sizes,
        image_list=image_list,
        layout=layout,
    )
    if console.as_json:
        console.document(found)
    else:
        print_info(console, found)


def print_info(console: Console, found: dict[str, Any]) -> None:
    """The facts as a list, the joints as a table, then what was noticed."""
    from kpkit.cli.report import print_issues
    from kpkit.core.report import Issue

    console.line((found["path"], "bold cyan"))
    console.table(("", ""), [(f"  {label}", text) for label, text in _facts(found) if text])
    if found["joints"]:
        console.line()
        headers = ("  joint", *FLAGS)
        console.table(headers, [_joint(one) for one in found["joints"]], right=range(1, len(headers)))
    if found["issues"]:
        console.line()
        print_issues(console, [Issue(**one) for one in found["issues"]])


def _facts(found: dict[str, Any]) -> list[tuple[str, str]]:
    counts = found["counts"]
    persons = plural(counts["instances"], "person")
    if counts["crowd"]:
        persons += f", {plural(counts['crowd'], 'crowd region')} among them"
    return [
        ("format", f"{found['format']} ({found['variant']})" if found["variant"] else found["format"]),
        ("skeleton", f"{found['skeleton']}, {plural(len(found['joints']), 'joint')}"),
        ("images", f"{counts['images']:,}{_but(found, 'image')}"),
        ("persons", f"{persons}{_but(found, 'person')}"),
        ("boxes", _counted(found["boxes"])),
        ("splits", _counted(found["splits"]) if set(found["splits"]) != {"(none)"} else ""),
        ("extras", _counted(found["extras"])),
    ]


def _but(found: dict[str, Any], of: str) -> str:
    """What is missing of the images or persons, e.g. ", 3 without persons"."""
    words = {
        "images_without_persons": "without persons",
        "image_sizes_unknown": "of unknown size",
        "persons_without_joints": "without a labelled joint",
    }
    return "".join(f", {found[key]:,} {text}" for key, text in words.items() if ROWS[key] == of and found[key])


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _joint(one: dict[str, Any]) -> list[Part]:
    cells: list[Part] = [f"  {one['joint']}"]
    return cells + [(f"{one[flag]:,}", "" if one[flag] else "dim") for flag in FLAGS]
