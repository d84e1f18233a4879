"""How the account of `kpkit heatmaps` is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpkit.cli.output import Console, Part, plural, size
from kpkit.cli.report import print_issues

if TYPE_CHECKING:
    from kpkit.pipelines.heatmaps import HeatmapsReport

SHOWN = 20


def print_heatmaps(console: Console, report: HeatmapsReport) -> None:
    """The whole report; with --quiet only what was left out and what failed."""
    if console.as_json:
        console.document(report.as_dict())
        return
    if not console.quiet:
        _header(console, report)
    if report.losses:
        console.line(("Left out", "bold"))
        rows: list[list[Part]] = [[f"  {loss.count:,}", loss.why] for loss in report.losses]
        console.table(("", ""), rows, right=(0,))
    if not console.quiet:
        print_issues(console, report.issues)
    _failures(console, report)


def _header(console: Console, report: HeatmapsReport) -> None:
    verb = "Would write" if report.dry_run else "Wrote"
    console.line(
        (verb, "bold green"),
        (f" {plural(report.samples, 'sample')} of {plural(report.persons, 'person')}", "bold"),
        f" in {plural(report.shards, 'shard')}",
        (f" in {report.seconds:.2f} s", "dim"),
    )
    console.table(("", ""), [(f"  {label}", value) for label, value in _facts(report) if value])


def _facts(report: HeatmapsReport) -> list[tuple[str, str]]:
    codec = ", ".join(f"{name} {_short(value)}" for name, value in report.codec.items() if name != "codec")
    raw = sum(report.arrays.values())
    each = f"{size(raw)} a sample before compression"
    if report.bytes and report.samples:
        each = f"{report.bytes / report.samples / 1000:,.1f} kB a sample ({size(raw)} before compression)"
    return [
        ("input", f"{report.input} ({report.format})"),
        ("would write" if report.dry_run else "output", report.output),
        ("codec", f"{report.codec.get('codec', '')}: {codec}"),
        ("stored", f"{report.store}, {report.dtype}, {report.compression}"),
        ("size", f"{size(report.bytes)}, {each}" if report.bytes else each),
        ("covered", f"{report.covered:,} joints" if report.covered else ""),
        ("kept", f"{plural(report.kept, 'shard')} of an earlier run" if report.kept else ""),
        ("time", _profile(report)),
    ]


def _short(value: object) -> str:
    if isinstance(value, list) and len(value) == 2 and all(isinstance(one, int) for one in value):
        return f"{value[0]}x{value[1]}"
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _profile(report: HeatmapsReport) -> str:
    """Where the workers' time went, by step."""
    total = report.profile.get("total", 0.0)
    if not total:
        return ""
    steps = {step: seconds for step, seconds in report.profile.items() if step != "total"}
    steps["other"] = max(0.0, total - sum(steps.values()))
    shares = ", ".join(f"{step} {seconds / total:.0%}" for step, seconds in steps.items() if seconds / total >= 0.005)
    rate = report.samples / report.seconds if report.seconds else 0.0
    return f"{shares} of {plural(report.workers, 'worker')}; {rate:,.0f} samples/s"


def _failures(console: Console, report: HeatmapsReport) -> None:
    if not report.failures:
        return
    console.line(("Failed: ", "bold red"), (plural(len(report.failures), "picture"), "bold"), "; the others are done")
    rows: list[list[Part]] = [
        [f"  {failure.key}", (failure.code, "red"), failure.message] for failure in report.failures[:SHOWN]
    ]
    console.table(("  picture", "code", "why"), rows)
    if len(report.failures) > SHOWN:
        console.line((f"  and {len(report.failures) - SHOWN:,} more (all with --json)", "dim"))
