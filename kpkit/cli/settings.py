"""Options from elsewhere: a flag wins, then `KPKIT_*` in the environment, then kpkit.toml or pyproject.toml.

The environment names an option (`KPKIT_BBOX_PAD=0.1`). The nearest folder from the current one upwards that has a
kpkit.toml, or a pyproject.toml with a table [tool.kpkit], gives the file. Its top level holds for every command that
has the option, a table of a command's name for that command:

    [tool.kpkit]
    quiet = true

    [tool.kpkit.convert]
    bbox = "annotated"
    images = "../images"        # relative to this file
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kpkit.errors import UsageError, did_you_mean

PREFIX = "KPKIT_"


@dataclass
class Settings:
    """What was set elsewhere.

    values   command -> option -> value, as typer's `default_map` wants it
    origins  (command, option) -> where the value came from
    """

    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    origins: dict[tuple[str, str], str] = field(default_factory=dict)

    def put(self, command: str, option: str, value: Any, origin: str) -> None:
        """Set one option of one command."""
        self.values.setdefault(command, {})[option] = value
        self.origins[command, option] = origin


def collect(
    options: Mapping[str, Mapping[str, bool]], environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> Settings:
    """All settings that apply.

    options      command -> option -> whether it is a path
    environment  the process's own when left out
    folder       where the search for a file begins; the current one when left out

    Raises UsageError for an option that no command has, or that this command has not.
    """
    settings = Settings()
    path, document = _find(folder or Path.cwd())
    if path is not None:
        _from_file(settings, options, path, document)
    for name, value in (os.environ if environment is None else environment).items():
        if not name.startswith(PREFIX) or value == "":
            continue
        option = name.removeprefix(PREFIX).lower()
        for command, known in options.items():
            # Names that are no option are somebody else's: the environment is shared.
            if option in known:
                settings.put(command, option, value, f"environment variable {name}")
    return settings


def _find(folder: Path) -> tuple[Path | None, dict[str, Any]]:
    for place in (folder, *folder.parents):
        # Not Path.is_file, which raises in a folder above that may not be entered.
        if os.path.isfile(path := place / "kpkit.toml"):
            return path, _read(path)
        if os.path.isfile(path := place / "pyproject.toml") and "kpkit" in (tool := _read(path).get("tool", {})):
            return path, tool["kpkit"]
    return None, {}


def _read(path: Path) -> dict[str, Any]:
    from kpkit import resources

    return resources.read_toml(path)


def _from_file(
    settings: Settings, options: Mapping[str, Mapping[str, bool]], path: Path, document: dict[str, Any]
) -> None:
    anywhere = {option for known in options.values() for option in known}
    for key, value in document.items():
        if isinstance(value, dict):
            _check(key, options, path, what="command")
            continue
        option = _check(key, anywhere, path, what="option")
        for command, known in options.items():
            if option in known:
                settings.put(command, option, _absolute(value, path, known[option]), f"{path}: {key}")
    for command, table in document.items():
        if isinstance(table, dict):
            for key, value in table.items():
                option = _check(key, options[command], path, what=f"option of 'kpkit {command}'")
                value = _absolute(value, path, options[command][option])
                settings.put(command, option, value, f"{path}: {command}.{key}")


def _check(key: str, known: Mapping[str, Any] | set[str], path: Path, *, what: str) -> str:
    name = key if what == "command" else key.replace("-", "_")
    if name not in known:
        names = {one if what == "command" else one.replace("_", "-") for one in known}
        raise UsageError(
            f"'{key}' is no {what}",
            code="KP-SETTINGS",
            place=str(path),
            help=did_you_mean(key.replace("_", "-"), names),
        )
    return name


def _absolute(value: Any, path: Path, is_path: bool) -> Any:
    return str(path.parent / value) if is_path and isinstance(value, str) else value
