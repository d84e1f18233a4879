"""Finds the files of `schemas/` in a wheel, an editable install and a bare checkout.

The wheel carries the folder as `kpkit/schemas`; in a checkout (also an editable install) it stands beside the package.
"""

from __future__ import annotations

import json
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from kpkit.errors import DefinitionError


@cache
def schemas_dir() -> Path:
    """The folder that holds `json/`, `skeletons/` and `mappings/`."""
    package = Path(__file__).resolve().parent
    for candidate in (package / "schemas", package.parent / "schemas"):
        if (candidate / "skeletons").is_dir():
            return candidate
    raise DefinitionError(
        "kpkit's own schemas are missing from this installation",
        place=str(package),
        expected="a folder 'schemas' inside the package or beside it",
        help="reinstall kpkit",
    )


def names(kind: str) -> list[str]:
    """Names of the definitions of one kind ("skeletons", "mappings", "json"), sorted."""
    return sorted(
        path.name.split(".")[0] for path in (schemas_dir() / kind).iterdir() if path.suffix in {".toml", ".json"}
    )


def read_toml(path: Path) -> dict[str, Any]:
    """Parse one TOML file; a syntax error names the file and line."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # syntax, not UTF-8, or a number of thousands of digits
        raise DefinitionError(f"not valid TOML: {error}", place=str(path)) from error
    except OSError as error:
        raise DefinitionError(
            f"cannot be read: {error.strerror or error}", place=str(path), help="check the path"
        ) from error


def json_schema(name: str) -> dict[str, Any]:
    """One of the JSON Schemas (draft 2020-12) by name, e.g. "six2"."""
    path = schemas_dir() / "json" / f"{name}.schema.json"
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded
