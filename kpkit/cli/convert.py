"""`kpkit convert`: labels of one format written as another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from kpkit.cli import complete
from kpkit.cli.command import reporting
from kpkit.cli.label_options import ImageList, Layout
from kpkit.cli.output import Console

SKELETON, IMAGES, BOXES, OUTPUT = "Skeleton", "Images", "Boxes", "Output"

Source = Annotated[
    str,
    typer.Argument(metavar="SRC", help="Format of the input; see `kpkit formats`.", autocompletion=complete.formats),
]
Target = Annotated[str, typer.Argument(metavar="DST", help="Format of the output.", autocompletion=complete.formats)]
Inputs = Annotated[
    list[Path] | None,
    # What cannot be read is said by the reader, which knows more than typer.
    typer.Argument(
        metavar="INPUT",
        help="Files or folders with labels. Left out: the current folder.",
        show_default=False,
        readable=False,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        help="Where to write. Left out: kpkit-out/convert-DST/.",
        rich_help_panel=OUTPUT,
    ),
]
SkeletonName = Annotated[
    str | None,
    typer.Option(
        "--skeleton",
        metavar="NAME|FILE",
        help="Skeleton of the output: a name (see `kpkit skeletons`) or a .toml file.",
        autocompletion=complete.skeletons,
        rich_help_panel=SKELETON,
    ),
]
KeepSkeleton = Annotated[
    bool, typer.Option("--keep-skeleton", help="Keep the skeleton of the input.", rich_help_panel=SKELETON)
]
Sigmas = Annotated[
    str | None,
    typer.Option(
        "--sigmas",
        metavar="FILE|LIST",
        help="OKS sigmas, one a joint: numbers with commas between, or a file.",
        rich_help_panel=SKELETON,
    ),
]
Images = Annotated[
    Path | None,
    typer.Option("--images", metavar="DIR", help="Folder of the images, for their sizes.", rich_help_panel=IMAGES),
]
ImageSizes = Annotated[
    Path | None,
    typer.Option("--image-sizes", metavar="FILE.csv", help="Image sizes: path, width, height.", rich_help_panel=IMAGES),
]
CopyImages = Annotated[
    bool, typer.Option("--copy-images", help="Copy the images beside the output.", rich_help_panel=IMAGES)
]
LinkImages = Annotated[
    bool, typer.Option("--link-images", help="Link the images beside the output.", rich_help_panel=IMAGES)
]
Bbox = Annotated[
    Literal["auto", "annotated", "keypoints", "none"] | None,
    typer.Option(
        "--bbox",
        metavar="RULE",
        help="Person boxes: annotated, keypoints (the padded hull of the labelled joints), none, or auto (annotated "
        "where there is one, else keypoints). Left out: auto, unless the labels stay in their format.",
        rich_help_panel=BOXES,
    ),
]
BboxPad = Annotated[
    float,
    typer.Option(
        "--bbox-pad",
        metavar="SHARE",
        min=0,
        help="Padding of the hull, as a share of its size.",
        rich_help_panel=BOXES,
    ),
]
Strict = Annotated[
    bool,
    typer.Option("--strict", help="Exit with 1, and write nothing, if anything is lost.", rich_help_panel=OUTPUT),
]
ReportFile = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE.json", help="Write the report as JSON, too.", rich_help_panel=OUTPUT),
]
Force = Annotated[bool, typer.Option("--force", help="Replace an output that exists.", rich_help_panel=OUTPUT)]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Do everything but write; print what would be.", rich_help_panel=OUTPUT)
]
Scheduler = Annotated[
    str,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        help="Convert parts on a Dask cluster, tcp://HOST:PORT, instead of on this machine's processors.",
        rich_help_panel=OUTPUT,
    ),
]
Wait = Annotated[
    bool, typer.Option("--wait", help="Where another run writes the output: wait for it.", rich_help_panel=OUTPUT)
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume", help="Keep the parts that an earlier run of the same job finished.", rich_help_panel=OUTPUT
    ),
]
LowMemory = Annotated[
    bool, typer.Option("--low-memory", help="Rather little memory than speed.", rich_help_panel=OUTPUT)
]
PartSize = Annotated[
    int,
    typer.Option(
        "--part-size",
        metavar="N",
        min=0,
        max=10_000_000,
        help="Cut a native output into parts of at most N persons and N images. Left out: not cut, unless the input is "
        "large.",
        show_default=False,
        rich_help_panel=OUTPUT,
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        "--workers",
        metavar="N",
        min=0,
        help="Processes, where the input is read in parts; 0: one a processor.",
        rich_help_panel=OUTPUT,
    ),
]


@reporting
def convert(
    console: Console,
    source: Source,
    target: Target,
    inputs: Inputs = None,
    output: Output = None,
    skeleton: SkeletonName = None,
    keep_skeleton: KeepSkeleton = False,
    sigmas: Sigmas = None,
    images: Images = None,
    image_sizes: ImageSizes = None,
    image_list: ImageList = None,
    copy_images: CopyImages = False,
    link_images: LinkImages = False,
    bbox: Bbox = None,
    bbox_pad: BboxPad = 0.25,
    layout: Layout = None,
    strict: Strict = False,
    report: ReportFile = None,
    force: Force = False,
    dry_run: DryRun = False,
    low_memory: LowMemory = False,
    part_size: PartSize = 0,
    workers: Workers = 1,
    scheduler: Scheduler = "",
    wait: Wait = False,
    resume: Resume = False,
) -> None:
    """Convert labels from one format to another.

    Whatever the output cannot hold is counted and named. An output that exists is never replaced without `--force`.

    Examples:

    - `kpkit convert mpii coco` takes the MPII labels of the current folder
    - `kpkit convert coco six2 labels.json -o six2.json` names both ends
    """
    from kpkit.cli.report import print_report
    from kpkit.execute.local import cores
    from kpkit.pipelines.convert import ConvertJob, run

    job = ConvertJob(
        source=source,
        target=target,
        inputs=tuple(inputs or ()),
        output=output,
        skeleton=skeleton,
        keep_skeleton=keep_skeleton,
        images=images,
        image_sizes=image_sizes,
        copy_images=copy_images,
        link_images=link_images,
        image_list=image_list,
        layout=layout,
        bbox=bbox,
        bbox_pad=bbox_pad,
        sigmas=sigmas,
        strict=strict,
        report=report,
        force=force,
        dry_run=dry_run,
        low_memory=low_memory,
        part_size=part_size,
        workers=workers or cores(),
        scheduler=scheduler,
        wait=wait,
        resume=resume,
    )
    with console.progress() as progress:
        done = run(job, progress=progress)
    print_report(console, done)
