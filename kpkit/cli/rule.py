"""`kpkit rule`: what a rule of `kpkit validate` means."""

from __future__ import annotations

import textwrap
from typing import Annotated, Any

import typer

from kpkit.cli import complete
from kpkit.cli.command import reporting
from kpkit.cli.output import Console, Part

Code = Annotated[
    str | None,
    typer.Argument(
        metavar="CODE",
        help="Id or name of a rule. Left out: all rules.",
        show_default=False,
        autocompletion=complete.rules,
    ),
]


@reporting
def rule(console: Console, code: Code = None) -> None:
    """Explain a rule of `kpkit validate`, or list all.

    Examples:

    - `kpkit rule`
    - `kpkit rule KP101`
    """
    from kpkit.cli.report import SEVERITY_STYLE
    from kpkit.qa import rule_table

    if code is None:
        every = rule_table.rules()
        if console.as_json:
            console.document({"rules": [_plain(one) for one in every]})
            return
        rows: list[list[Part]] = [
            [one.id, (one.severity, SEVERITY_STYLE[one.severity]), one.name, one.reason] for one in every
        ]
        console.table(("rule", "severity", "name", "finds"), rows)
        return
    found = rule_table.rule(code)
    if console.as_json:
        console.document(_plain(found))
        return
    console.line((found.id, "bold cyan"), (f" {found.name}", "bold"))
    console.line((found.severity, SEVERITY_STYLE[found.severity]), f": {found.reason}")
    console.line()
    console.line(textwrap.fill(found.explanation, 88))
    if found.codes:
        console.line()
        console.line(textwrap.fill("Stands for readers' codes: " + ", ".join(found.codes), 88, break_on_hyphens=False))
    if found.help:
        console.line()
        console.line(("help: ", "bold cyan"), found.help)


def _plain(one: Any) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "severity": one.severity,
        "reason": one.reason,
        "explanation": one.explanation,
        "help": one.help,
        "fixable": one.fixable,
        "codes": list(one.codes),
    }
