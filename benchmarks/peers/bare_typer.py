"""A typer app with one command and nothing else: what any `--help` costs.

python bare_typer.py --help
"""

from __future__ import annotations

import typer

app = typer.Typer()


@app.command()
def nothing() -> None:
    """Do nothing."""


app()
