"""`kpkit view`: labels in FiftyOne, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kpkit.cli.command import reporting
from kpkit.cli.label_options import From, ImageList, Images, ImageSizes, Input, Layout, SkeletonName, source_of
from kpkit.cli.output import Console, Part, plural
from kpkit.errors import UsageError

if TYPE_CHECKING:
    from kpkit.pipelines.pull import PullReport
    from kpkit.pipelines.view import ViewReport

DATASET, APP, BACK = "Dataset in FiftyOne", "FiftyOne's App", "Back into labels"

Name = Annotated[
    str,
    typer.Option(
        "--name",
        metavar="NAME",
        help="Name of the dataset. Left out: made from the input's.",
        show_default=False,
        rich_help_panel=DATASET,
    ),
]
Persistent = Annotated[
    bool,
    typer.Option(
        "--persistent",
        help="Keep the dataset when FiftyOne is closed. One that was edited is kept anyway.",
        rich_help_panel=DATASET,
    ),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Replace a dataset of that name; with --pull: the output.", rich_help_panel=DATASET),
]
Shards = Annotated[
    Path | None,
    typer.Option(
        "--shards",
        metavar="DIR",
        help="Lay the targets of these shards over the pictures (see `kpkit heatmaps`).",
        rich_help_panel=DATASET,
    ),
]
Findings = Annotated[
    bool,
    typer.Option(
        "--findings/--no-findings",
        help="Tag what `kpkit validate` finds, with a saved view for each kind.",
        rich_help_panel=DATASET,
    ),
]
Delete = Annotated[
    str,
    typer.Option(
        "--delete",
        metavar="NAME",
        help="Delete a dataset that kpkit made from FiftyOne, and do nothing else.",
        show_default=False,
        rich_help_panel=DATASET,
    ),
]
NoLaunch = Annotated[bool, typer.Option("--no-launch", help="Only make the dataset, and keep it.", rich_help_panel=APP)]
Port = Annotated[
    int | None,
    typer.Option(
        "--port",
        metavar="N",
        min=1,
        max=65535,
        help="Port of the App. Left out: the first free one from 5151 on.",
        rich_help_panel=APP,
    ),
]
Address = Annotated[
    str,
    typer.Option(
        "--address",
        metavar="IP",
        help="Address of the App. Whoever reaches another than this one sees and edits everything.",
        rich_help_panel=APP,
    ),
]
Remote = Annotated[
    bool,
    typer.Option("--remote", help="Open no browser here; say how to reach the App.", rich_help_panel=APP),
]
Pull = Annotated[
    str,
    typer.Option(
        "--pull",
        metavar="NAME",
        help="Bring what was edited in that dataset back into labels.",
        show_default=False,
        rich_help_panel=BACK,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="PATH", help="With --pull: where to write the labels.", rich_help_panel=BACK
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="With --pull: print what would change, write nothing.", rich_help_panel=BACK)
]


@reporting
def view(
    console: Console,
    input: Input = None,
    from_: From = None,
    skeleton: SkeletonName = None,
    images: Images = None,
    image_sizes: ImageSizes = None,
    image_list: ImageList = None,
    layout: Layout = None,
    shards: Shards = None,
    findings: Findings = True,
    name: Name = "",
    persistent: Persistent = False,
    force: Force = False,
    delete: Delete = "",
    no_launch: NoLaunch = False,
    port: Port = None,
    address: Address = "127.0.0.1",
    remote: Remote = False,
    pull: Pull = "",
    output: Output = None,
    dry_run: DryRun = False,
) -> int:
    """Look at labels in FiftyOne, and bring back what was mended there.

    Needs `pip install 'kpkit[qa]'`. Tags that `--pull` acts on: `kpkit:drop` (leave out the person or image) and
    `kpkit:swap` (exchange left and right); others are kept with the labels. Untouched labels keep every bit.

    Examples:

    - `kpkit view` shows the labels of the current folder
    - `kpkit view labels.json --images pictures --name mine --persistent`
    - `kpkit view --pull mine -o mended.json` writes the labels with what was edited
    """
    given: dict[str, Any] = dict(locals())
    if delete:
        return _delete(console, delete)
    if pull:
        return _pull(console, pull, input, output, force=force, dry_run=dry_run)
    if output is not None or dry_run:
        raise UsageError(
            f"{'-o' if output is not None else '--dry-run'} goes with --pull",
            help="kpkit view --pull NAME -o OUT writes labels",
        )
    from kpkit.pipelines.view import ViewJob, run
    from kpkit.pipelines.view_app import AppJob

    job = ViewJob(
        source=source_of(given),
        name=name,
        persistent=persistent or no_launch,
        force=force,
        shards=shards,
        findings=findings,
    )
    with console.progress() as progress:
        report = run(job, progress=progress)
    _print_view(console, report)
    if not no_launch:
        _serve(console, report, AppJob(port=port, address=address, remote=remote))
    return 0


def _serve(console: Console, report: ViewReport, job: Any) -> None:
    from kpkit.pipelines.view_app import keep_if_edited, open_app

    console.note("FiftyOne's App is starting ...")
    try:
        with open_app(report.name, job) as app:
            console.note(("App", "bold cyan"), f" {app.url}")
            if job.remote:
                console.note(f"  from elsewhere: ssh -N -L {app.port}:{job.address}:{app.port} USER@THIS-MACHINE")
                console.note(("  Ctrl-C ends it", "dim"))
            else:
                console.note(("  ends when its last window is closed, or with Ctrl-C", "dim"))
            app.wait()
    finally:
        if not report.persistent and keep_if_edited(report.name):
            console.note(
                ("Edited", "bold green"), f", so '{report.name}' is kept: kpkit view --pull {report.name} -o OUT"
            )


def _delete(console: Console, name: str) -> int:
    from kpkit.pipelines.view_app import delete

    delete(name)
    if console.as_json:
        console.document({"deleted": name})
    elif not console.quiet:
        console.line(("Deleted", "bold green"), f" '{name}' from FiftyOne; labels and pictures stay")
    return 0


def _pull(console: Console, name: str, input: Path | None, output: Path | None, *, force: bool, dry_run: bool) -> int:
    from kpkit.pipelines.pull import PullJob, run

    if output is None and not dry_run:
        raise UsageError("where to write is not said", help=f"kpkit view --pull {name} -o OUT, or add --dry-run")
    report = run(PullJob(name=name, output=output, input=input, force=force, dry_run=dry_run))
    if console.as_json:
        console.document(report.as_dict())
    else:
        _print_pull(console, report)
    return 3 if report.failed else 0


def _print_view(console: Console, report: ViewReport) -> None:
    from kpkit.cli.report import print_issues

    if console.as_json:
        console.document(report.as_dict())
        return
    if console.quiet:
        return
    console.line(
        ("Stored", "bold green"),
        (f" {plural(report.counts['instances'], 'person')} in {plural(report.samples, 'image')}", "bold"),
        (f" in {report.seconds:.2f} s", "dim"),
    )
    kept = "" if report.persistent else " (until FiftyOne is closed)"
    rows: list[list[Part]] = [
        ["  labels", f"{report.labels} ({report.format})"],
        ["  images", report.images],
        ["  dataset", f"{report.name}{kept}"],
        ["  groups", f"{report.groups:,}, a source and its copies each" if report.groups else ""],
        ["  masks", f"{report.masks:,}" if report.masks else ""],
        ["  heatmaps", f"{report.heatmaps:,}" if report.heatmaps else ""],
        ["  findings", ", ".join(f"{count:,} {tag}" for tag, count in report.findings.items())],
        ["  views", ", ".join(report.views)],
    ]
    console.table(("", ""), [row for row in rows if row[1]])
    if report.issues:
        console.line()
        print_issues(console, report.issues)


def _print_pull(console: Console, report: PullReport) -> None:
    from kpkit.cli.diff import print_changes
    from kpkit.cli.report import print_issues, print_losses

    if not console.quiet:
        written = "Would write" if report.report.dry_run else "Wrote"
        console.line(
            (written, "bold green"),
            (f" {plural(report.report.counts['instances'], 'person')}", "bold"),
            f" to {report.report.output}" if report.report.output else "",
            (f" in {report.seconds:.2f} s", "dim"),
        )
        console.table(("", ""), [["  labels", f"{report.labels} ({report.format})"], ["  dataset", report.name]])
        console.line()
    if report.difference.equal and not report.tags:
        console.line("Nothing was edited.")
    if not report.difference.equal:
        print_changes(console, report.difference)
    _print_tags(console, report)
    print_losses(console, report.report.losses)
    if report.report.issues and not console.quiet:
        console.line()
        print_issues(console, report.report.issues)


def _print_tags(console: Console, report: PullReport) -> None:
    if not report.tags:
        return
    console.line((plural(len(report.tags), "change"), "bold yellow"), " of tags")
    rows: list[list[Part]] = []
    for one in report.tags[:TAGS_SHOWN]:
        who = f"person {one.person}" if one.person is not None else "image"
        rows.append([f"  {one.image}", who, f"{', '.join(one.before) or 'none'} -> {', '.join(one.after) or 'none'}"])
    console.table(("", "", ""), rows)
    if len(report.tags) > TAGS_SHOWN:
        console.line((f"  and {len(report.tags) - TAGS_SHOWN:,} more; --json lists them", "dim"))


TAGS_SHOWN = 10
