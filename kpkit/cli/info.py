"""`kpkit info`: what a file or folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kpkit.cli import complete
from kpkit.cli.command import reporting
from kpkit.cli.output import Console

Input = Annotated[Path, typer.Argument(metavar="PATH", help="A file or folder with labels.")]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="NAME",
        help="Format of the input, where its content does not tell.",
        autocompletion=complete.formats,
    ),
]


@reporting
def info(console: Console, path: Input, from_: From = None) -> None:
    """Say what a file or folder with labels holds.

    Examples:

    - `kpkit info annotations/person_keypoints_val2017.json`
    - `kpkit info labels.csv --from six2`
    """
    from kpkit.pipelines.info import run

    found: dict[str, Any] = run(path, from_=from_)
    if console.as_json:
        console.document(found)
    else:
        print_info(console, found)


def print_info(console: Console, found: dict[str, Any]) -> None:
    """The facts as a list, the joints as a table."""
    for key, value in found.items():
        console.line((f"{key}: ", "bold"), str(value))
