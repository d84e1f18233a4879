"""Writes docs/cli.md from the command line itself; `--check` fails where the file is stale."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer

from kpkit.cli.main import app

PAGE = Path(__file__).with_name("cli.md")
INTRODUCTION = """\
# Command line

Written by `python docs/make_cli_reference.py` from the commands themselves.

Results go to stdout, progress and notes to stderr. `--json` prints one JSON document with a `schema_version`, also for
an error. `NO_COLOR` and `FORCE_COLOR` are obeyed. `kpkit --install-completion` sets up the shell.

| exit code | |
|---|---|
| 0 | done; also where whoever reads the output closes the pipe |
| 1 | findings, or loss under `--strict` (nothing is written then) |
| 2 | wrong usage, unreadable input, an output that exists or cannot be written, something is missing |
| 3 | some items failed; they are listed, the rest is done |
| 130, 143 | interrupted, terminated |

## Settings

A flag wins, then the environment (`KPKIT_BBOX_PAD=0.1`, `KPKIT_QUIET=1`: `KPKIT_` and the name of an option), then the
nearest `kpkit.toml`, or `[tool.kpkit]` in `pyproject.toml`, from the current folder upwards. The top level holds for
every command that has the option, a table of a command's name for that command; paths are relative to the file.

```toml
[tool.kpkit]
quiet = true

[tool.kpkit.convert]
bbox = "annotated"
images = "../images"
```
"""


def page() -> str:
    """The whole page."""
    group: Any = typer.main.get_command(app)
    context = group.context_class(group, info_name="kpkit", **group.context_settings)
    sections = [INTRODUCTION]
    for name, command in group.commands.items():
        sections.append(_section(command, command.context_class(command, info_name=name, parent=context)))
    return "\n".join(sections)


def _section(command: Any, context: Any) -> str:
    parameters = command.get_params(context)
    arguments = [_argument(one) for one in parameters if one.param_type_name == "argument"]
    usage = " ".join(["kpkit", context.info_name, "[OPTIONS]", *arguments])
    rows = [_row(parameter) for parameter in parameters]
    lines = [f"## kpkit {context.info_name}", "", "```text", usage, "```", "", command.help.strip(), ""]
    return "\n".join([*lines, "| | |", "|---|---|", *rows, ""])


def _argument(parameter: Any) -> str:
    name = parameter.metavar if parameter.required else f"[{parameter.metavar}]"
    return f"{name}..." if parameter.nargs == -1 else name


def _row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        label = parameter.metavar
    else:
        label = f"{', '.join(sorted(parameter.opts, key=len))} {parameter.metavar}".strip()
    # Flags that are off and values that are not given go without saying.
    default = "" if parameter.default in (None, False) else f" Default: {parameter.default}."
    return f"| `{_cell(label)}` | {_cell(parameter.help)}{default} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Write the page, or compare it; the exit code."""
    new = page()
    if "--check" in arguments:
        if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == new:
            return 0
        print("docs/cli.md is stale: run `python docs/make_cli_reference.py`", file=sys.stderr)
        return 1
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
