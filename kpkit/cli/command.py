"""What all commands have in common: --format, --json, --quiet, --debug, and errors that become exit codes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Concatenate, Literal, ParamSpec

import typer

from kpkit.cli.errors import print_error, unexpected_error
from kpkit.cli.output import Console
from kpkit.errors import KpkitError

P = ParamSpec("P")
PANEL = "Messages"

_COMMON = (
    inspect.Parameter(
        "format",
        inspect.Parameter.KEYWORD_ONLY,
        default="text",
        annotation=Annotated[
            Literal["text", "json"],
            typer.Option("--format", metavar="text|json", help="How the result is printed.", rich_help_panel=PANEL),
        ],
    ),
    inspect.Parameter(
        "json",
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[bool, typer.Option("--json", help="The same as --format json.", rich_help_panel=PANEL)],
    ),
    inspect.Parameter(
        "quiet",
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[
            bool,
            typer.Option("--quiet", "-q", help="Print only losses and errors.", rich_help_panel=PANEL),
        ],
    ),
    inspect.Parameter(
        "debug",
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[
            bool, typer.Option("--debug", help="Print the traceback of an error.", rich_help_panel=PANEL)
        ],
    ),
)


def reporting(function: Callable[Concatenate[Console, P], int | None]) -> Callable[..., int]:
    """A command function that gets a Console first, and whose errors are printed and counted as exit codes."""

    @functools.wraps(function)
    def command(*args: P.args, **kwargs: P.kwargs) -> int:
        output = {name: kwargs.pop(name) for name in ("format", "json", "quiet", "debug")}
        console = Console(
            json=bool(output["json"]) or output["format"] == "json",
            quiet=bool(output["quiet"]),
            debug=bool(output["debug"]),
        )
        try:
            return function(console, *args, **kwargs) or 0
        except KpkitError as error:
            print_error(console, error)
            return error.exit_code
        except (BrokenPipeError, typer.Exit, typer.Abort):
            raise
        except Exception as error:
            known = unexpected_error(error)
            known.__cause__ = error
            print_error(console, known)
            return known.exit_code

    signature = inspect.signature(function, eval_str=True)
    own = list(signature.parameters.values())[1:]
    keywords = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    # typer reads the signature and, for plain annotations, the hints.
    described: Any = command
    described.__signature__ = signature.replace(parameters=[*keywords, *_COMMON], return_annotation=int)
    described.__annotations__ = {parameter.name: parameter.annotation for parameter in (*keywords, *_COMMON)}
    return command
