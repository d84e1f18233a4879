"""The `kpkit` program: its commands, its settings, and how it ends.

Exit codes: 0 done; 1 findings, or loss under --strict; 2 wrong usage, unreadable input, cannot write; 3 some items
failed; 130 interrupted; 143 terminated. A closed pipe is no error.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

import kpkit
from kpkit.cli import (
    augment,
    clean,
    convert,
    demo,
    diff,
    doctor,
    draw,
    evaluate,
    formats,
    heatmaps,
    info,
    mappings,
    rule,
    settings,
    shards,
    skeletons,
    stats,
    validate,
    view,
)
from kpkit.cli.errors import print_error, usage_error
from kpkit.cli.output import Console, abandon, unwritable
from kpkit.cli.parser import Command, Group
from kpkit.errors import KpkitError
from kpkit.memory import collect_seldom, keep_freed

INTERRUPTED = 130
TERMINATED = 143

app = typer.Typer(
    name="kpkit",
    cls=Group,
    help="Take human-keypoint labels from where they are to where training needs them.",
    epilog="`kpkit COMMAND --help` shows examples; `kpkit demo` tries everything on a small dataset.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
LABELS, KNOWLEDGE, PROGRAM = "Labels", "What kpkit knows", "kpkit itself"
for _name, _function, _panel in (
    ("convert", convert.convert, LABELS),
    ("augment", augment.augment, LABELS),
    ("eval", evaluate.evaluate, LABELS),
    ("diff", diff.diff, LABELS),
    ("heatmaps", heatmaps.heatmaps, LABELS),
    ("shards", shards.shards, LABELS),
    ("info", info.info, LABELS),
    ("draw", draw.draw, LABELS),
    ("stats", stats.stats, LABELS),
    ("validate", validate.validate, LABELS),
    ("view", view.view, LABELS),
    ("formats", formats.formats, KNOWLEDGE),
    ("skeletons", skeletons.skeletons, KNOWLEDGE),
    ("mappings", mappings.mappings, KNOWLEDGE),
    ("rule", rule.rule, KNOWLEDGE),
    ("demo", demo.demo, PROGRAM),
    ("clean", clean.clean, PROGRAM),
    ("doctor", doctor.doctor, PROGRAM),
):
    app.command(_name, cls=Command, rich_help_panel=_panel)(_function)


def _version(wanted: bool) -> None:
    if wanted:
        Console().line(f"kpkit {kpkit.__version__}")
        raise typer.Exit


@app.callback()
def _kpkit(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)
    context.obj = settings.collect(_options(context))
    context.default_map = _listed(context, context.obj.values)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    is_whole_process = arguments is None
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    console = Console(json="--json" in arguments, debug="--debug" in arguments)
    _prepare_streams()
    if is_whole_process:
        keep_freed()
        collect_seldom()
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        code = _run(console, arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        abandon(sys.stdout)
        return 0
    except KeyboardInterrupt:
        code = INTERRUPTED
    except OSError as error:
        print_error(console, unwritable(sys.stdout, error))
        return 2
    finally:
        signal.signal(signal.SIGTERM, before)
    if code == INTERRUPTED:
        console.complain("interrupted")
    if is_whole_process:
        # Everything ends with the process: cycles need not be looked for on the way out.
        gc.freeze()
    return code


def _prepare_streams() -> None:
    """Streams that take any text: file names need not be valid, and a terminal need not know every letter."""
    if sys.stdout is None or sys.stderr is None:  # closed by the caller
        nowhere = open(os.devnull, "w")  # noqa: SIM115 - stays open to the end
        sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # both are TextIOWrapper here


def _run(console: Console, arguments: list[str]) -> int:
    try:
        return int(app(arguments, prog_name="kpkit", standalone_mode=False) or 0)
    except TyperException as error:
        print_error(console, usage_error(error, origin=_origin(error)))
        return 2
    except KpkitError as error:
        print_error(console, error)
        return error.exit_code
    except typer.Abort:
        return INTERRUPTED
    except SystemExit as end:
        # typer turns a pipe that closes while it prints help into exit code 1.
        if isinstance(end.__context__, BrokenPipeError):
            raise BrokenPipeError from end
        return end.code if isinstance(end.code, int) else 0


def _options(context: typer.Context) -> dict[str, dict[str, bool]]:
    commands: dict[str, Any] = getattr(context.command, "commands", {})
    return {
        name: {
            parameter.name: parameter.type_descriptor.is_path
            for parameter in command.params
            if parameter.param_type_name == "option" and parameter.name != "help"
        }
        for name, command in commands.items()
    }


def _listed(context: typer.Context, values: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The settings with a list of one where an option that may be repeated was given one text."""
    commands: dict[str, Any] = getattr(context.command, "commands", {})
    repeated = {(name, one.name) for name, command in commands.items() for one in command.params if _is_repeated(one)}
    return {
        command: {
            name: [value] if (command, name) in repeated and isinstance(value, str) else value
            for name, value in given.items()
        }
        for command, given in values.items()
    }


def _is_repeated(parameter: Any) -> bool:
    return bool(getattr(parameter, "multiple", False))


def _origin(error: TyperException) -> str:
    """Where a wrong value came from when it was no flag: the parser itself only names the option."""
    context, parameter = getattr(error, "ctx", None), getattr(error, "param", None)
    if context is None or parameter is None or not isinstance(context.find_root().obj, settings.Settings):
        return ""
    source = context.get_parameter_source(parameter.name)
    if source is None or source.name != "DEFAULT_MAP":
        return ""
    origins: dict[tuple[str, str], str] = context.find_root().obj.origins
    return origins.get((context.info_name, parameter.name), "")


def _terminate(number: int, frame: object) -> None:
    # An exception, so that half-written outputs are removed on the way out.
    raise SystemExit(TERMINATED)
