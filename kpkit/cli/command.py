"""What all commands have in common: --format, --json, --quiet, --debug, and errors that become exit codes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Concatenate, Literal, ParamSpec, overload

import typer

from kpkit.cli.errors import print_error, unexpected_error
from kpkit.cli.output import Console
from kpkit.errors import KpkitError

P = ParamSpec("P")
PANEL = "Messages"

FORMATS = ("text", "json")

Run = Callable[Concatenate[Console, P], int | None]

_COMMON = (
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


def _format_option(formats: tuple[str, ...]) -> inspect.Parameter:
    shown = "|".join(formats)
    option = typer.Option("--format", metavar=shown, help="How the result is printed.", rich_help_panel=PANEL)
    choices: Any = Literal[formats]
    return inspect.Parameter(
        "format", inspect.Parameter.KEYWORD_ONLY, default="text", annotation=Annotated[choices, option]
    )


@overload
def reporting(function: Run[P]) -> Callable[..., int]: ...


@overload
def reporting(*, formats: tuple[str, ...]) -> Callable[[Run[P]], Callable[..., int]]: ...


def reporting(function: Run[P] | None = None, *, formats: tuple[str, ...] = FORMATS) -> Any:
    """A command function that gets a Console first, and whose errors are printed and counted as exit codes.

    formats  what `--format` takes, "text" and "json" among them; the function finds the one asked for in
             `console.format`
    """
    if function is None:
        return functools.partial(_command, formats=formats)
    return _command(function, formats=formats)


def _command(function: Run[P], *, formats: tuple[str, ...]) -> Callable[..., int]:
    @functools.wraps(function)
    def command(*args: P.args, **kwargs: P.kwargs) -> int:
        output = {name: kwargs.pop(name) for name in ("format", "json", "quiet", "debug")}
        console = Console(
            format="json" if output["json"] else str(output["format"]),
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
        except (KeyboardInterrupt, SystemExit) as end:
            # What a run that is stopped says about the work that it keeps.
            for note in getattr(end, "__notes__", ()):
                console.complain(note)
            raise
        except Exception as error:
            known = unexpected_error(error)
            known.__cause__ = error
            print_error(console, known)
            return known.exit_code

    signature = inspect.signature(function, eval_str=True)
    own = list(signature.parameters.values())[1:]
    keywords = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    common = (_format_option(formats), *_COMMON)
    # typer reads the signature and, for plain annotations, the hints.
    described: Any = command
    described.__signature__ = signature.replace(parameters=[*keywords, *common], return_annotation=int)
    described.__annotations__ = {parameter.name: parameter.annotation for parameter in (*keywords, *common)}
    return command
