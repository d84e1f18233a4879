"""`kpkit demo`: a small dataset, and everything kpkit does done on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kpkit.cli.command import reporting
from kpkit.cli.output import Console

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder to make.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a folder that exists.")]


@reporting
def demo(console: Console, folder: Folder = Path("kpkit-demo"), force: Force = False) -> None:
    """Make a small dataset and run the whole chain on it.

    Examples:

    - `kpkit demo`
    - `kpkit demo /data/try`
    """
    from kpkit.pipelines.demo import run

    with console.progress() as progress:
        report = run(folder, force=force, progress=progress)
    console.line(str(report))
