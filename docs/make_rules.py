"""Writes docs/rules.md from the table of rules that `kpkit validate` runs; `--check` fails where the file is stale."""

from __future__ import annotations

import sys
from pathlib import Path

from kpkit.qa.rule_table import rules
from kpkit.qa.rules import Rule

PAGE = Path(__file__).with_name("rules.md")
INTRODUCTION = """\
# Rules

What `kpkit validate` looks for. Written by `python docs/make_rules.py` from the rules themselves; `kpkit rule CODE`
prints one. How the command is used is in [Find broken labels](guide/validate.md); how to write rules in
[Rules of your own](plugins.md#rules-of-your-own).

An error makes labels unusable or wrong for certain, a warning is most likely a mistake, a note is worth a look. Rules
that stand for codes pass on what the reader of a format has noticed.
"""
GROUPS = {
    "KP1": "Records",
    "KP2": "Boxes and frames",
    "KP3": "Persons",
    "KP4": "Left and right, limbs, tracks",
    "KP5": "Skeleton and categories",
    "KP6": "Pictures",
}


def page() -> str:
    """The whole page."""
    every = [rule for rule in rules() if rule.id.startswith("KP")]
    rows = [f"| [{one.id}](#{one.id.lower()}) | {one.severity} | {one.name} | {_cell(one)} |" for one in every]
    lines = [INTRODUCTION, "| | | | finds |", "|---|---|---|---|", *rows]
    for start, title in GROUPS.items():
        lines += ["", f"## {title}"]
        for rule in every:
            if rule.id.startswith(start):
                lines += ["", *_section(rule)]
    return "\n".join(lines) + "\n"


def _cell(rule: Rule) -> str:
    return rule.reason + (" (mended by `--fix`)" if rule.fixable else "")


def _section(rule: Rule) -> list[str]:
    lines = [f"### {rule.id}", "", f"**{rule.name}** ({rule.severity}): {rule.reason}.", "", rule.explanation]
    if rule.help:
        lines += ["", f"What to do: {rule.help}."]
    if rule.codes:
        lines += ["", "Stands for " + ", ".join(f"`{code}`" for code in rule.codes) + "."]
    return lines


def main(arguments: list[str]) -> int:
    """Write the page, or compare it; the exit code."""
    new = page()
    if "--check" in arguments:
        if PAGE.read_text(encoding="utf-8") != new:
            print(f"{PAGE} is stale: run python docs/make_rules.py")
            return 1
        return 0
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
