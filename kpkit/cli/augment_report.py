"""How the account of an augmentation is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpkit.cli.output import Console, plural, size
from kpkit.cli.report import FLAGS, print_failures, print_issues, print_losses, shares_of_time

if TYPE_CHECKING:
    from kpkit.pipelines.augment import AugmentReport


def print_augmented(console: Console, report: AugmentReport) -> None:
    """The whole report; with --quiet only what was lost and what failed."""
    if console.as_json:
        console.document(report.as_dict())
        return
    if not console.quiet:
        _header(console, report)
    print_losses(console, report.losses)
    if not console.quiet:
        if not report.losses:
            console.line(("Nothing is lost.", "bold green"))
        if report.issues:
            console.line()
        print_issues(console, report.issues)
    print_failures(console, report.failures)


def _header(console: Console, report: AugmentReport) -> None:
    verb = "Would write" if report.dry_run else "Wrote"
    persons, images = report.counts.get("instances", 0), report.counts.get("images", 0)
    console.line(
        (verb, "bold green"),
        (f" {plural(images, 'picture')} of {plural(persons, 'person')}", "bold"),
        (f" in {report.seconds:.2f} s" if report.seconds else "", "dim"),
    )
    console.table(("", ""), [(f"  {label}", value) for label, value in _facts(report) if value])
    console.line()
    flags = ", ".join(f"{report.counts[flag]:,} {flag}" for flag in FLAGS if flag in report.counts)
    console.line(("Joints: ", "bold"), flags)
    moved = [f"{report.covered:,} covered", f"{report.left_frame:,} left the frame"]
    if report.lost:
        moved.append(f"{report.lost:,} lost by the pipeline")
    console.line("        ", ", ".join(moved))
    console.line()


def _facts(report: AugmentReport) -> list[tuple[str, str]]:
    rate = report.counts.get("images", 0) / report.seconds if report.seconds else 0.0
    total = f" ({size(sum(report.files.values()))})" if report.files else ""
    return [
        ("input", report.input),
        ("format", report.format),
        ("recipe", f"{report.recipe['name']} ({report.recipe_hash[:12]})"),
        ("would write" if report.dry_run else "output", f"{report.output}{total}"),
        ("rows", report.rows),
        ("preview", report.preview),
        ("time", shares_of_time(report.profile, report.workers, f"{rate:.0f} pictures/s")),
    ]
