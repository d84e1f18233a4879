"""YAML that only ever becomes plain data: no tags, no aliases (a few bytes of which can stand for gigabytes)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from kpkit.errors import FormatError
from kpkit.guard import read_bytes

MAX_BYTES = 4 << 20


class _Plain(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """As usual, but an alias is an error."""
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.constructor.ConstructorError(None, None, "aliases are not allowed", self.get_mark())
        return super().compose_node(parent, index)


def read_yaml(path: Path) -> Any:
    """The content of one YAML file (JSON is YAML, too) as plain data.

    Raises InputError where it cannot be read, FormatError with the line where it is not plain YAML.
    """
    data = read_bytes(path, limit=MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise FormatError(
            "the file is too large", code="KP-YAML", place=str(path), expected=f"at most {MAX_BYTES >> 20} MB"
        )
    try:
        # The loader is a SafeLoader: no tag of it makes anything but plain data.
        return yaml.load(data, Loader=_Plain)
    except yaml.MarkedYAMLError as error:
        line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise FormatError(
            f"not plain YAML: {error.problem}",
            code="KP-YAML",
            place=f"{path}{line}",
            help="mend the file at this place",
        ) from error
    except (yaml.YAMLError, UnicodeError, RecursionError, ValueError) as error:
        raise FormatError(f"not plain YAML: {str(error)[:120]}", code="KP-YAML", place=str(path)) from error
