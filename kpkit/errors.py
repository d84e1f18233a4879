"""Every error kpkit raises on purpose, as one tree.

    KpkitError                 anything kpkit refuses; carries code, place, expected, got, help
    ├── UsageError             the request cannot be meant: unknown name, contradicting options     exit 2
    ├── InputError             a file cannot be read, or does not say what it should                exit 2
    │   ├── FormatError        the file as a whole is not of the format, or is cut short
    │   └── RecordError        one record of a readable file is wrong
    ├── DefinitionError        a skeleton, mapping or layout definition contradicts itself          exit 2
    ├── OutputError            the output exists, is locked or cannot be written                    exit 2
    ├── MissingExtraError      an optional dependency is not installed                              exit 2
    ├── LossError              `--strict` and the target cannot hold everything                     exit 1
    └── ItemsFailedError       some items failed, the rest is done                                  exit 3

The message is one sentence. `place` says where (`file.json: annotations[12].keypoints[4]`), `expected` and `got` what
was there, and `help` one command or change that mends it. The command line prints these; Python callers read them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class KpkitError(Exception):
    """Base of all kpkit errors.

    message   str   one sentence, no trailing full stop needed
    code      str   stable identifier, e.g. "KP-COCO-LENGTH"
    place     str   file, record and field, as far as known
    expected  str   what would have been right
    got       str   what was found
    help      str   one action that helps
    """

    exit_code = 2
    default_code = "KP-ERROR"

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        place: str = "",
        expected: str = "",
        got: str = "",
        help: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.place = place
        self.expected = expected
        self.got = _clipped(got)
        self.help = help

    def __str__(self) -> str:
        text = f"{self.place}: {self.message}" if self.place else self.message
        if self.expected:
            text += f"; expected {self.expected}"
        if self.got:
            text += f"; got {self.got}"
        return text

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions with keyword-only arguments do not survive pickling (process pools) by themselves.
        return (_rebuild, (type(self), self.message, self.as_dict()))

    def as_dict(self) -> dict[str, str]:
        """The fields as plain strings, for `--json` and for reports."""
        return {
            "code": self.code,
            "message": self.message,
            "place": self.place,
            "expected": self.expected,
            "got": self.got,
            "help": self.help,
        }

    def at(self, place: str) -> KpkitError:
        """The same error with `place` put in front of what it already says about the place; returns self."""
        self.place = f"{place}: {self.place}" if self.place else place
        return self


# A damaged file may hold a "number" of megabytes; what was found is shown, not repeated.
GOT_SHOWN = 400


def _clipped(text: str) -> str:
    return text if len(text) <= GOT_SHOWN else f"{text[:GOT_SHOWN]}... ({len(text):,} characters)"


def _rebuild(kind: type[KpkitError], message: str, fields: dict[str, str]) -> KpkitError:
    fields = {name: value for name, value in fields.items() if name != "message"}
    return kind(message, **fields)


class UsageError(KpkitError):
    """The request itself cannot be carried out."""

    default_code = "KP-USAGE"


class InputError(KpkitError):
    """An input cannot be read."""

    default_code = "KP-INPUT"


class FormatError(InputError):
    """A file is not of the expected format, or ends too early."""

    default_code = "KP-FORMAT"


class RecordError(InputError):
    """One record of an otherwise readable file is wrong."""

    default_code = "KP-RECORD"


class DefinitionError(KpkitError):
    """A skeleton, a mapping or a layout contradicts itself."""

    default_code = "KP-DEFINITION"


class OutputError(KpkitError):
    """The output exists already, is locked, or cannot be written."""

    default_code = "KP-OUTPUT"


class MissingExtraError(KpkitError):
    """An optional dependency is not installed."""

    default_code = "KP-EXTRA"


class LossError(KpkitError):
    """`strict` was asked for and the target cannot hold everything.

    report  the kpkit.core.report.Report of the work that was not published, where there is one
    """

    exit_code = 1
    default_code = "KP-LOSS"
    report: Any = None


class ItemsFailedError(KpkitError):
    """Some items failed; the rest of the work is done."""

    exit_code = 3
    default_code = "KP-ITEMS"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A help line for a mistyped `name`: the nearest known one, or the list of all."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"did you mean '{near[0]}'?"
    return "known: " + ", ".join(names) if names else "none are known"
