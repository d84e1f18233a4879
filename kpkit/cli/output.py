"""What a command says: results to stdout, progress and notes to stderr.

On a terminal there are colours and lines that fit its width; in a pipe plain aligned text, one line a row. NO_COLOR and
FORCE_COLOR are obeyed. With `--json` stdout holds exactly one JSON document, also when the command fails.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from kpkit import storage
from kpkit.errors import OutputError

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

SCHEMA_VERSION = 1
STDOUT_LOST = "KP-STDOUT"
UNWRAPPED = 100_000

Part = str | tuple[str, str]
Progress = Callable[[str, int, int], None]


class Console:
    """The two streams of one command.

    json   one JSON document instead of text        quiet  no notes, no progress, only what must be said
    debug  tracebacks of errors                     format "text", "json", or another one that the command offers
    """

    def __init__(self, *, json: bool = False, quiet: bool = False, debug: bool = False, format: str = "text") -> None:
        self.format = "json" if json else format
        self.as_json = self.format == "json"
        self.quiet = quiet
        self.debug = debug

    def line(self, *parts: Part) -> None:
        """One line of the result; a part is text, or text and its style."""
        _print(sys.stdout, *parts)

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[Part]], *, right: Sequence[int] = ()) -> None:
        """A table without rules; the columns in `right` are aligned to the right. Empty headers are not shown."""
        from rich.table import Table

        table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold", show_header=any(headers))
        for index, header in enumerate(headers):
            table.add_column(header, justify="right" if index in right else "left", overflow="fold")
        for row in rows:
            table.add_row(*(_styled([cell]) for cell in row))
        # Cells are padded; trailing blanks would only get in the way of whoever reads the pipe.
        lines = _rendered(sys.stdout, table).splitlines()
        _write(sys.stdout, "".join(f"{line.rstrip()}\n" for line in lines))

    def document(self, document: dict[str, Any]) -> None:
        """The result as JSON, with the schema version in front."""
        document = {"schema_version": SCHEMA_VERSION, **document}
        text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False, default=str)
        _write(sys.stdout, text + "\n")

    def raw(self, text: str) -> None:
        """Text of a format that programs read, as it is."""
        _write(sys.stdout, text)

    def note(self, *parts: Part) -> None:
        """A line on stderr that `--quiet` leaves out."""
        if not self.quiet:
            _print(sys.stderr, *parts)

    def complain(self, *parts: Part) -> None:
        """A line on stderr that is always printed."""
        _print(sys.stderr, *parts)

    @contextlib.contextmanager
    def progress(self) -> Iterator[Progress | None]:
        """A callback (stage, done, total) that draws a bar on stderr; None off a terminal."""
        if self.quiet or not sys.stderr.isatty():
            yield None
            return
        from rich import progress
        from rich.console import Console as RichConsole

        columns = (
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[rate]}"),
            progress.TimeRemainingColumn(),
        )
        with progress.Progress(*columns, console=RichConsole(stderr=True), transient=True) as bars:
            stages: dict[str, tuple[progress.TaskID, float]] = {}

            def update(stage: str, done: int, total: int) -> None:
                if stage not in stages:
                    stages[stage] = bars.add_task(stage, total=total, rate=""), time.monotonic()
                bar, started = stages[stage]
                bars.update(bar, completed=done, total=total or None, rate=_rate(done, time.monotonic() - started))

            yield update


def _rate(done: int, seconds: float) -> str:
    """How many a second, once there is something to say."""
    return f"{done / seconds:,.1f}/s" if done > 1 and seconds > 0.5 else ""


def plural(count: int, one: str, many: str = "") -> str:
    """`count` with its noun: "1 person", "2,048 persons"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def size(count: int) -> str:
    """A number of bytes for readers, e.g. "1.2 MB"."""
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:,.0f} {unit}" if unit == "bytes" else f"{value:,.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def _print(stream: TextIO, *parts: Part) -> None:
    _write(stream, _rendered(stream, _styled(parts), soft_wrap=True))


def _rendered(stream: TextIO, what: Text | Table, *, soft_wrap: bool = False) -> str:
    """Text for `stream`, rendered apart from it, so that what cannot be written fails in one place."""
    from rich.console import Console as RichConsole

    terminal = stream.isatty()
    buffer = io.StringIO()
    width = None if terminal else UNWRAPPED
    rich = RichConsole(file=buffer, highlight=False, markup=False, width=width, force_terminal=terminal or None)
    rich.print(what, soft_wrap=soft_wrap)
    return buffer.getvalue()


def _write(stream: TextIO, text: str) -> None:
    try:
        if stream is sys.stderr:
            # Where both go to one place, what was said first stands first. A stdout that is lost is told at the end.
            with contextlib.suppress(OSError):
                sys.stdout.flush()
        stream.write(storage.named(text))
    except BrokenPipeError:
        raise
    except OSError as error:
        raise unwritable(stream, error) from error


def unwritable(stream: TextIO, error: OSError) -> OutputError:
    """What to raise where a stream takes no more; the stream is given up."""
    abandon(stream)
    return OutputError(f"stdout cannot be written: {error.strerror or error}", code=STDOUT_LOST)


def abandon(stream: TextIO) -> None:
    """Nobody takes what is still to come: the interpreter must not fail when it flushes the stream at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _styled(parts: Sequence[Part]) -> Text:
    from rich.text import Text

    pairs = ((part, "") if isinstance(part, str) else part for part in parts)
    return Text.assemble(*((_printable(text), style) for text, style in pairs))


def _printable(text: str) -> str:
    """`text` with control characters spelled out: a file name must not steer the terminal."""
    return "".join(char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in text)
