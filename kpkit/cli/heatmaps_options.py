"""The options of `kpkit heatmaps`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from kpkit.cli import complete

TARGETS, SHARDS, SAMPLES, RUN = "Targets", "Shards", "Samples", "Run"

Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        help="Folder to write. Left out: kpkit-out/heatmaps-FORMAT/.",
        rich_help_panel=SHARDS,
    ),
]
CodecName = Annotated[
    str,
    typer.Option(
        "--codec",
        metavar="NAME",
        help="Rule of the targets: msra (the default), unbiased, udp, megvii, simcc, paf; bottomup for whole pictures.",
        autocompletion=complete.codecs,
        rich_help_panel=TARGETS,
    ),
]
CodecOption = Annotated[
    list[str] | None,
    typer.Option(
        "--codec-option",
        metavar="NAME=VALUE",
        help="A parameter of the codec, e.g. compat=hrnet; repeated for several.",
        rich_help_panel=TARGETS,
    ),
]
Sigma = Annotated[
    str | None,
    typer.Option(
        "--sigma",
        metavar="CELLS|adaptive|box",
        help="Width of the targets: a number, by joint (adaptive), or by the size of the person's box.",
        rich_help_panel=TARGETS,
    ),
]
InputSize = Annotated[
    str | None,
    typer.Option(
        "--input-size",
        metavar="HEIGHTxWIDTH",
        help="Size of the input in pixels, height first. Left out: the recipe's, else 256x192; bottomup: 512x512.",
        rich_help_panel=TARGETS,
    ),
]
HeatmapSize = Annotated[
    str | None,
    typer.Option(
        "--heatmap-size",
        metavar="HEIGHTxWIDTH",
        help="Cells of a heatmap, height first. Left out: a quarter of the input.",
        rich_help_panel=TARGETS,
    ),
]
OccludedTarget = Annotated[
    Literal["ignore", "absent", "keep"],
    typer.Option(
        "--occluded-target",
        metavar="RULE",
        help="Covered joints: ignore (target 0, weight 0), absent (target 0, weight 1), or keep.",
        rich_help_panel=TARGETS,
    ),
]
SpatialWeights = Annotated[
    Literal["none", "center"],
    typer.Option(
        "--spatial-weights",
        metavar="RULE",
        help="Weights by place, stored once a shard: none, or center (half as much again in the middle).",
        rich_help_panel=TARGETS,
    ),
]
DType = Annotated[
    Literal["float16", "float32", "uint8"],
    typer.Option("--dtype", metavar="NAME", help="Of the targets: float16, float32, uint8.", rich_help_panel=SHARDS),
]
Store = Annotated[
    Literal["heatmaps", "params"],
    typer.Option(
        "--store",
        metavar="WHAT",
        help="heatmaps, or params: centre and width of each, rendered when they are read.",
        rich_help_panel=SHARDS,
    ),
]
Compression = Annotated[
    Literal["gzip", "zstd", "none"],
    typer.Option(
        "--compression",
        metavar="NAME",
        help="gzip, which every HDF5 library reads; zstd, which needs a plug-in (extra `zstd`); none.",
        rich_help_panel=SHARDS,
    ),
]
ShardSize = Annotated[
    str,
    typer.Option(
        "--shard-size",
        metavar="N|BYTES",
        help="Samples a shard, or its bytes before compression: 4096, 256MB.",
        rich_help_panel=SHARDS,
    ),
]
WithImages = Annotated[
    bool, typer.Option("--with-images", help="Store the crops' pixels, too.", rich_help_panel=SAMPLES)
]
RecipeName = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        metavar="NAME|FILE",
        help="Augment crops: a preset (six2, hrnet, simplebaseline) or a .toml file.",
        autocompletion=complete.recipes,
        rich_help_panel=SAMPLES,
    ),
]
Copies = Annotated[
    int,
    typer.Option("--copies", metavar="N", min=1, help="Augmented copies a person (--recipe).", rich_help_panel=SAMPLES),
]
IncludeOriginal = Annotated[
    bool,
    typer.Option("--include-original", help="Store the straight crop, too, beside copies.", rich_help_panel=SAMPLES),
]
FlipCopies = Annotated[
    bool, typer.Option("--flip-copies", help="Store every sample a second time, mirrored.", rich_help_panel=SAMPLES)
]
Padding = Annotated[
    float,
    typer.Option(
        "--padding", metavar="FACTOR", min=0.1, help="How much larger than its box a crop is.", rich_help_panel=SAMPLES
    ),
]
AllowUnpaired = Annotated[
    bool,
    typer.Option(
        "--allow-unpaired", help="Mirror although a left or right joint has no partner.", rich_help_panel=SAMPLES
    ),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Keep the shards that an earlier run of the same job finished.", rich_help_panel=RUN),
]
Force = Annotated[bool, typer.Option("--force", help="Replace shards that are there.", rich_help_panel=RUN)]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Read and check everything; print what would be.", rich_help_panel=RUN)
]
