"""How the account of `kpkit heatmaps` is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpkit.cli.output import Console, Part, plural, size
from kpkit.cli.report import print_failures, print_issues, shares_of_time

if TYPE_CHECKING:
    from kpkit.pipelines.heatmaps import HeatmapsReport


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
    print_failures(console, report.failures)


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
    rate = report.samples / report.seconds if report.seconds else 0.0
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
        ("masked", f"{report.masked:,} crowds and persons without joints" if report.masked else ""),
        ("covered", f"{report.covered:,} joints" if report.covered else ""),
        ("kept", f"{plural(report.kept, 'shard')} of an earlier run" if report.kept else ""),
        ("time", shares_of_time(report.profile, report.workers, f"{rate:,.0f} samples/s")),
    ]


def _short(value: object) -> str:
    if isinstance(value, list) and len(value) == 2 and all(isinstance(one, int) for one in value):
        return f"{value[0]}x{value[1]}"
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."
