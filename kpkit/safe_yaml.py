"""YAML and JSON files that only ever become plain data.

No tags (they make objects), no aliases (a few bytes of nested ones can stand for gigabytes), a limited size.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import yaml

from kpkit.errors import FormatError
from kpkit.guard import read_bytes

MAX_BYTES = 1 << 20


class _Plain(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """As usual, but an alias or a tag is an error."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]  # missing in its stubs
        mark: Any = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=mark)
        if getattr(event, "tag", None) is not None:
            raise yaml.MarkedYAMLError(problem="tags are not allowed", problem_mark=mark)
        return super().compose_node(parent, index)


def read_yaml(path: Path, *, code: str = "KP-YAML") -> Any:
    """The content of one YAML file of at most 1 MB, or of a JSON file (by its ending), as plain data.

    code  of the errors

    Raises InputError where it cannot be read, FormatError with line and column where it is not plain YAML or JSON.
    """
    data = read_bytes(path, limit=MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise FormatError("the file is too large", code=code, place=str(path), expected=f"at most {MAX_BYTES >> 20} MB")
    kind = "JSON" if path.suffix.lower() == ".json" else "YAML"
    try:
        if kind == "JSON":
            # Not as YAML, though it nearly is: YAML 1.1 reads 1e-05 as text and refuses tabs.
            return json.loads(data, parse_constant=_no_constant)
        # The loader is a SafeLoader: nothing of it makes anything but plain data.
        return yaml.load(data, Loader=_Plain)
    except yaml.MarkedYAMLError as error:
        _refuse(path, code, kind, error.problem or error.context or "", error.problem_mark)
    except json.JSONDecodeError as error:
        _refuse(path, code, kind, error.msg, error)
    except RecursionError:
        _refuse(path, code, kind, "it is nested too deeply")
    except (yaml.YAMLError, UnicodeError, ValueError) as error:
        _refuse(path, code, kind, f"{type(error).__name__}: {str(error)[:100]}")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _refuse(path: Path, code: str, kind: str, problem: str, mark: Any = None) -> NoReturn:
    place = str(path)
    if isinstance(mark, json.JSONDecodeError):
        place += f": line {mark.lineno}, column {mark.colno}"
    elif mark is not None:
        place += f": line {mark.line + 1}, column {mark.column + 1}"
    raise FormatError(f"not plain {kind}: {problem}", code=code, place=place, help="mend the file at this place")
