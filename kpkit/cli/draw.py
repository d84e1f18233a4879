"""`kpkit draw`: labels over their pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kpkit.cli import label_options as labels
from kpkit.cli.augment_options import Exif, ImageFormat, MaxPixels, Quality
from kpkit.cli.command import reporting
from kpkit.cli.output import Console, plural
from kpkit.cli.sizes import parse_size

if TYPE_CHECKING:
    from kpkit.pipelines.draw import DrawReport

WHICH, HOW, OUTPUT = "Which images", "How", "Output"
ITEMS_FAILED = 3

Output = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR|FILE.png",
        help="A folder for one picture an image, or a .png or .jpg for all on one sheet.",
        rich_help_panel=OUTPUT,
    ),
]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--image",
        "--select-images",
        metavar="NAME",
        help="Only this image: path, file name, id, or a pattern with * and ?. May be given several times.",
        rich_help_panel=WHICH,
    ),
]
Sample = Annotated[
    int | None,
    typer.Option(
        "--sample",
        metavar="N",
        min=1,
        help="So many images, chosen by chance. Left out: all; on a sheet 24.",
        rich_help_panel=WHICH,
    ),
]
Seed = Annotated[
    int,
    typer.Option("--seed", metavar="S", min=0, help="Another seed, another sample.", rich_help_panel=WHICH),
]
Findings = Annotated[
    bool,
    typer.Option(
        "--findings", help="Only what `kpkit validate` complains about, with what it says.", rich_help_panel=WHICH
    ),
]
Select = Annotated[
    list[str] | None,
    typer.Option("--select", metavar="CODES", help="Findings of these rules only.", rich_help_panel=WHICH),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option("--ignore", metavar="CODES", help="Not findings of these rules.", rich_help_panel=WHICH),
]
Ids = Annotated[bool, typer.Option("--ids", help="Write each person's id at its box.", rich_help_panel=HOW)]
NoBoxes = Annotated[bool, typer.Option("--no-boxes", help="Leave boxes out.", rich_help_panel=HOW)]
NoMasks = Annotated[bool, typer.Option("--no-masks", help="Leave masks out.", rich_help_panel=HOW)]
NoImages = Annotated[
    bool, typer.Option("--no-images", help="Draw on plain canvases, not on the pictures.", rich_help_panel=HOW)
]
Columns = Annotated[
    int | None, typer.Option("--columns", metavar="N", min=1, help="Columns of a sheet.", rich_help_panel=HOW)
]
Tile = Annotated[
    str, typer.Option("--tile", metavar="HEIGHTxWIDTH", help="Size of a sheet's tiles.", rich_help_panel=HOW)
]
Workers = Annotated[
    int, typer.Option("--workers", metavar="N", min=0, help="Processes; 0: one a processor.", rich_help_panel=OUTPUT)
]
Force = Annotated[bool, typer.Option("--force", help="Replace an output that exists.", rich_help_panel=OUTPUT)]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be drawn, and write nothing.", rich_help_panel=OUTPUT)
]


@reporting
def draw(
    console: Console,
    input: labels.Input = None,
    output: Output = Path("kpkit-out/draw"),
    image: Names = None,
    sample: Sample = None,
    seed: Seed = 0,
    findings: Findings = False,
    select: Select = None,
    ignore: Ignore = None,
    ids: Ids = False,
    no_boxes: NoBoxes = False,
    no_masks: NoMasks = False,
    no_images: NoImages = False,
    columns: Columns = None,
    tile: Tile = "240x320",
    from_: labels.From = None,
    skeleton: labels.SkeletonName = None,
    images: labels.Images = None,
    image_sizes: labels.ImageSizes = None,
    image_list: labels.ImageList = None,
    layout: labels.Layout = None,
    exif: Exif = "auto",
    max_pixels: MaxPixels = 100_000_000,
    quality: Quality = 92,
    image_format: ImageFormat = "jpg",
    workers: Workers = 1,
    force: Force = False,
    dry_run: DryRun = False,
) -> int:
    """Draw labels over their pictures, one file an image or all on one sheet.

    Limbs are coloured by side; a visible joint is filled, an occluded one hollow, a truncated one crossed.

    Examples:

    - `kpkit draw coco -o sheet.png --sample 12` puts twelve images on one sheet
    - `kpkit draw labels.json --images photos -o overlays --ids`
    - `kpkit draw labels.json -o wrong.png --findings --select KP3`
    """
    given = dict(locals())
    from kpkit.execute.local import cores
    from kpkit.pipelines.draw import DrawJob, run

    height, width = parse_size(tile, "--tile")
    job = DrawJob(
        source=labels.source_of(given),
        output=output,
        names=tuple(image or ()),
        sample=sample,
        seed=seed,
        findings=findings,
        select=tuple(select or ()),
        ignore=tuple(ignore or ()),
        ids=ids,
        boxes=not no_boxes,
        masks=not no_masks,
        use_images=not no_images,
        columns=columns,
        tile=(width, height),
        image_format=image_format,
        quality=quality,
        exif=exif,
        max_pixels=max_pixels,
        workers=workers or cores(),
        force=force,
        dry_run=dry_run,
    )
    with console.progress() as progress:
        done = run(job, progress=progress)
    print_drawn(console, done)
    return ITEMS_FAILED if done.failures else 0


def print_drawn(console: Console, report: DrawReport) -> None:
    """What was drawn, what was left out, and what failed; with --quiet only that."""
    if console.as_json:
        console.document(report.as_dict())
        return
    from kpkit.cli.report import print_failures, print_issues

    if not console.quiet:
        _summary(console, report)
        print_issues(console, report.issues)
    print_failures(console, report.failures)


def _summary(console: Console, report: DrawReport) -> None:
    count = report.chosen if report.dry_run else report.drawn
    verb = "Would draw" if report.dry_run else "Drew"
    console.line(
        (verb, "bold green"),
        (f" {plural(count, 'image')}", "bold"),
        f" of {report.images:,}",
        (f" in {report.seconds:.2f} s", "dim"),
    )
    if report.output:
        console.line("  ", ("sheet" if report.sheet else "folder", ""), f"  {report.output}")
    if report.findings:
        console.line("  findings  ", ", ".join(f"{rule} {number:,}" for rule, number in report.findings.items()))
    if report.empty:
        console.line((f"  {plural(report.empty, 'image')} without persons left out (--image draws them, too)", "dim"))
    if report.more:
        console.line(
            (f"  {report.more:,} more are not on the sheet; --sample N takes more, or others by --seed", "dim")
        )
