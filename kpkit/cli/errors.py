"""How an error looks: what is wrong, where, what was expected, what was found, and one thing that helps."""

from __future__ import annotations

import traceback

from typer.exceptions import TyperException

from kpkit.cli.output import STDOUT_LOST, Console
from kpkit.cli.report import print_losses
from kpkit.errors import KpkitError, LossError, UsageError


def print_error(console: Console, error: KpkitError) -> None:
    """The error on stderr, or as the JSON document on stdout."""
    if console.debug:
        console.complain("".join(traceback.format_exception(error)).rstrip())
    # What would have been lost belongs to the answer, also when nothing was written.
    report = error.report if isinstance(error, LossError) else None
    if console.as_json and error.code != STDOUT_LOST:
        refused = {"report": report.as_dict()} if report is not None else {}
        console.document({"error": error.as_dict(), **refused})
        return
    if report is not None:
        print_losses(console, report.losses)
    console.complain((f"error[{error.code}]", "bold red"), (f": {error.message}", "bold"))
    if error.place:
        console.complain(("  --> ", "bold blue"), error.place)
    for label, text in (("expected", error.expected), ("got", error.got)):
        if text:
            console.complain((f"  {label}: ", "bold"), text)
    if error.help:
        console.complain(("  help: ", "bold cyan"), error.help)


def usage_error(error: TyperException, *, origin: str = "") -> UsageError:
    """What typer says about the command line, as an error of kpkit's own.

    origin  the setting a wrong value came from, where it was no flag
    """
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "kpkit"
    message = error.message if hasattr(error, "possibilities") else error.format_message()
    help = f"see `{command} --help`"
    if near := getattr(error, "possibilities", None):
        help = f"did you mean {near[0]}? {help}"
    elif ". Did you mean " in message:
        message, _, guess = message.partition(". Did you mean ")
        help = f"did you mean {guess} {help}"
    message = message[:1].lower() + message[1:]
    return UsageError(" ".join(message.removesuffix(".").split()), place=origin, help=help)


def unexpected_error(error: Exception) -> KpkitError:
    """An exception nobody foresaw, as an error that says whose fault it is."""
    if isinstance(error, MemoryError):
        return KpkitError(
            "there is not enough memory", code="KP-MEMORY", help="try --low-memory where the command has it"
        )
    if isinstance(error, OSError) and error.strerror:
        return KpkitError(
            error.strerror.lower(), code="KP-OS", place=str(error.filename or ""), help="check the path and the disk"
        )
    return KpkitError(
        f"unexpected {type(error).__name__}: {error}",
        code="KP-INTERNAL",
        help="this is a fault in kpkit: run the command again with --debug and report what it prints",
    )
