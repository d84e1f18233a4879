"""How a Report is printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kpkit.cli.output import Console, Part, plural, size
from kpkit.core.report import Issue, JointLine, Loss, Report

if TYPE_CHECKING:
    from kpkit.execute import Failure

KIND_STYLE = {"exact": "green", "approximate": "yellow", "derived": "cyan", "absent": "dim"}
SEVERITY_STYLE = {"error": "bold red", "warning": "bold yellow", "note": "bold blue"}
FLAGS = ("visible", "occluded", "unlabelled", "truncated")
# Failed items that are shown one by one.
SHOWN = 20


def print_report(console: Console, report: Report) -> None:
    """The whole report; with --quiet only what was lost."""
    if console.as_json:
        console.document(report.as_dict())
        return
    if not console.quiet:
        _header(console, report)
        _joints(console, report.joints)
        _visibility(console, report.counts)
    print_losses(console, report.losses)
    if not console.quiet:
        if report.lossless:
            console.line(("Nothing is lost.", "bold green"))
        if report.issues:
            console.line()
        print_issues(console, report.issues)


def print_losses(console: Console, losses: list[Loss]) -> None:
    """What the target format cannot hold, counted."""
    if not losses:
        return
    console.line(
        ("Lost: ", "bold yellow"), (f"{plural(len(losses), 'kind')} of values", "bold"), " the output cannot hold"
    )
    rows: list[list[Part]] = [
        [f"  {loss.what}", (f"{loss.count:,}", "yellow"), loss.why, (loss.example, "dim")] for loss in losses
    ]
    console.table(("  what", "count", "why", "first"), rows, right=(1,))


def print_issues(console: Console, issues: list[Issue]) -> None:
    """What was noticed, how often, and where first."""
    for issue in issues:
        count = f" ({issue.count:,} times)" if issue.count > 1 else ""
        style = SEVERITY_STYLE[issue.severity]
        console.line((f"{issue.severity}[{issue.code}]", style), (f": {issue.message}", "bold"), (count, "dim"))
        for number, place in enumerate(issue.places):
            console.line(("  --> " if number == 0 else "      ", "bold blue"), place)
        if issue.count > len(issue.places) > 0:
            console.line((f"      and {issue.count - len(issue.places):,} more", "dim"))
        if issue.help:
            console.line(("  help: ", "bold cyan"), issue.help)


def print_failures(console: Console, failures: Sequence[Failure]) -> None:
    """Pictures that could not be used, and why."""
    if not failures:
        return
    console.line(("Failed: ", "bold red"), (plural(len(failures), "picture"), "bold"), "; the others are done")
    rows: list[list[Part]] = [[f"  {one.key}", (one.code, "red"), one.message] for one in failures[:SHOWN]]
    console.table(("  picture", "code", "why"), rows)
    if len(failures) > SHOWN:
        console.line((f"  and {len(failures) - SHOWN:,} more (all with --json)", "dim"))


def shares_of_time(profile: Mapping[str, float], workers: int, rate: str) -> str:
    """Where the workers' time went, by step; "" where nothing was measured.

    profile  seconds by step, and "total"
    """
    total = profile.get("total", 0.0)
    if not total:
        return ""
    steps = {step: seconds for step, seconds in profile.items() if step != "total"}
    steps["other"] = max(0.0, total - sum(steps.values()))
    shares = ", ".join(f"{step} {seconds / total:.0%}" for step, seconds in steps.items() if seconds / total >= 0.005)
    return f"{shares} of {plural(workers, 'worker')}; {rate}"


def _header(console: Console, report: Report) -> None:
    verb = "Would convert" if report.dry_run else "Converted"
    persons, images = report.counts.get("instances", 0), report.counts.get("images", 0)
    console.line(
        (verb, "bold green"),
        (f" {plural(persons, 'person')} in {plural(images, 'image')}", "bold"),
        (f" in {report.seconds:.2f} s" if report.seconds else "", "dim"),
    )
    console.table(("", ""), [(f"  {label}", value) for label, value in _facts(report) if value])
    console.line()


def _facts(report: Report) -> list[tuple[str, str]]:
    formats = [_format(side) for side in (report.source, report.target)]
    skeletons = [report.source.get("skeleton", ""), *report.via, report.target.get("skeleton", "")]
    written = "would write" if report.dry_run else "output"
    total = f" ({size(sum(report.files.values()))})" if report.files else ""
    return [
        ("format", " -> ".join(formats) if all(formats) else ""),
        ("skeleton", " -> ".join(dict.fromkeys(filter(None, skeletons)))),
        (written, f"{report.output}{total}" if report.output else ""),
    ]


def _format(side: dict[str, str]) -> str:
    name, variant = side.get("format", ""), side.get("variant", "")
    return f"{name} ({variant})" if variant else name


def _joints(console: Console, joints: list[JointLine]) -> None:
    if not joints:
        return
    rows: list[list[Part]] = []
    for line in joints:
        with_style = "" if line.persons_with else "dim"
        rows.append(
            [
                f"  {line.joint}",
                (line.kind, KIND_STYLE.get(line.kind, "")),
                "" if line.kind == "absent" else line.rule,
                (f"{line.persons_with:,}", with_style),
                (f"{line.persons_without:,}", "" if line.persons_without else "dim"),
            ]
        )
    console.table(("  joint", "how", "from", "persons with", "without"), rows, right=(3, 4))
    console.line()


def _visibility(console: Console, counts: dict[str, int]) -> None:
    known = [f"{counts[flag]:,} {flag}" for flag in FLAGS if flag in counts]
    if known:
        console.line(("Joints: ", "bold"), ", ".join(known))
        console.line()
