"""How findings are printed: for people by rule, for programs as JSON, JSON lines, SARIF or GitHub's annotations."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from kpkit.cli.output import Console, Part, plural
from kpkit.cli.report import SEVERITY_STYLE

if TYPE_CHECKING:
    from kpkit.core.report import Severity
    from kpkit.pipelines.findings import Finding
    from kpkit.pipelines.fix import Change, Fixes
    from kpkit.pipelines.validate import Validation
    from kpkit.qa.rules import Rule

SHOWN = 5


def print_validation(console: Console, found: Validation, *, every: bool) -> None:
    """All that was found, in the format asked for."""
    if console.format == "json":
        console.document(found.as_dict())
    elif console.format == "jsonl":
        console.raw("".join(json.dumps(one.as_dict(), ensure_ascii=False) + "\n" for one in found.findings()))
    elif console.format in {"sarif", "github"}:
        from kpkit.pipelines.findings_formats import github, sarif

        console.raw(sarif(found) if console.format == "sarif" else github(found))
    else:
        _print_text(console, found, None if every else SHOWN)


def print_fixes(console: Console, fixes: Fixes, target: Path, *, written: bool, every: bool) -> None:
    """What was mended, or would be; on stderr where stdout is for programs."""
    say = console.line if console.format == "text" else console.complain
    by_rule: dict[str, list[Change]] = {}
    for change in fixes.changes:
        by_rule.setdefault(change.rule, []).append(change)
    for code, changes in by_rule.items():
        verb = "mended" if written else "would mend"
        say((f"{verb}[{code}]", "bold green"), (f" {plural(len(changes), 'finding')}", "bold"))
        for change in changes if every else changes[:SHOWN]:
            say(("  --> ", "bold blue"), f"{_short(change.place)}: {change.what}")
        if not every and len(changes) > SHOWN:
            say((f"      and {len(changes) - SHOWN:,} more", "dim"))
    for code, count in fixes.left.items():
        say((f"left[{code}]", "bold yellow"), f" {plural(count, 'finding')} that a person has to decide")
    if written:
        say(("Wrote ", "bold green"), str(target))
    elif not fixes.changes:
        say("Nothing to mend")
    say()


def _short(place: str) -> str:
    """A place without the folders of its file."""
    file, colon, rest = place.partition(": ")
    return f"{Path(file).name}{colon}{rest}"


def _print_text(console: Console, found: Validation, limit: int | None) -> None:
    rules = {rule.id: rule for rule in found.rules}
    tally = found.tally
    console.line((str(found.loaded.path), "bold cyan"), f": {found.loaded.format.name}, {_size(found)}")
    console.line()
    for (severity, code), group in groupby(found.findings(limit), key=lambda one: (one.severity, one.rule)):
        _print_rule(console, rules[code], list(group), tally[severity, code], found.loaded.path)
    if tally and not console.quiet:
        _print_summary(console, tally, rules)
    if not console.quiet:
        for why in dict.fromkeys(found.unchecked.values()):
            codes = [code for code, reason in found.unchecked.items() if reason == why]
            names = ", ".join(rules[code].name for code in codes)
            console.line((f"not checked[{', '.join(codes)}]", "bold blue"), f" {names}: {why}")
        if found.unchecked:
            console.line()
    _print_end(console, found)


def _print_rule(console: Console, rule: Rule, findings: list[Finding], count: int, found_in: Path) -> None:
    severity = findings[0].severity
    total = f" ({count:,})" if count > 1 else ""
    console.line((f"{severity}[{rule.id}]", SEVERITY_STYLE[severity]), (f" {rule.name}: {rule.reason}", "bold"), total)
    # What is the same for all is said once.
    same = len(findings) > 1 and len({one.message for one in findings}) == 1
    if same and findings[0].message:
        console.line(f"  {findings[0].message}")
    name = found_in.name
    for one in findings:
        _print_finding(console, one, one.place.replace(str(found_in), name, 1), "" if same else one.message)
    rest = count - sum(one.count for one in findings)
    if rest > 0:
        console.line((f"      and {rest:,} more", "dim"))
    for help in dict.fromkeys(one.help for one in findings if one.help):
        console.line(("  help: ", "bold cyan"), help)
    console.line()


def _print_finding(console: Console, one: Finding, place: str, message: str) -> None:
    parts: list[Part] = [("  --> ", "bold blue"), place]
    who = f" id {one.instance_id}" if one.instance_id is not None else ""
    where = f" in {one.image}" if one.image and one.image not in one.place else ""
    if who or where:
        parts.append((f"{',' if who else ''}{who}{where}", "dim"))
    if message:
        parts.append(f": {message}")
    if one.count > 1:
        parts.append((f" ({one.count:,} times)", "dim"))
    if one.confidence < 1:
        parts.append((f" (confidence {one.confidence:.2f})", "dim"))
    console.line(*parts)


def _print_summary(console: Console, tally: dict[tuple[Severity, str], int], rules: dict[str, Rule]) -> None:
    rows: list[list[Part]] = []
    for (severity, code), count in tally.items():
        rule = rules[code]
        mended = ("--fix" if rule.fixable else "", "cyan")
        rows.append([f"  {code}", (severity, SEVERITY_STYLE[severity]), f"{count:,}", rule.name, mended])
    console.table(("  rule", "severity", "count", "name", "mended by"), rows, right=(2,))
    console.line()


def _print_end(console: Console, found: Validation) -> None:
    counts = found.counts
    if not counts:
        looked = len(found.rules) - len(found.unchecked)
        console.line(("Nothing found", "bold green"), f": {plural(looked, 'rule')} looked at {_size(found)}")
        return
    severities = found.by_severity()
    said = ", ".join(plural(count, severity) for severity, count in severities.items() if count)
    fixable = sum(counts.get(rule.id, 0) for rule in found.rules if rule.fixable)
    console.line(("Found ", "bold"), (said, "bold"))
    if fixable and not console.quiet:
        console.line(f"{plural(fixable, 'finding')} can be mended with --fix; `kpkit rule CODE` explains a rule")


def _size(found: Validation) -> str:
    dataset = found.loaded.dataset
    return f"{plural(len(dataset), 'person')} in {plural(len(dataset.images), 'image')}"
