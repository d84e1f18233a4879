"""The options of `kpkit augment`: one for every field of a recipe, and those of the run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from kpkit.cli import complete

RECIPE, GEOMETRY, TOPDOWN = "Recipe", "Geometry", "Top-down crops"
OCCLUSION, RUN, PICTURES, OUTPUT = "Occlusion", "Run", "Pictures", "Output"

Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        help="Folder to write. Left out: kpkit-out/augment-FORMAT/.",
        rich_help_panel=OUTPUT,
    ),
]
To = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="NAME",
        help="Format of the output; the skeleton stays. Left out: that of the input.",
        autocompletion=complete.formats,
        rich_help_panel=OUTPUT,
    ),
]
DropEmpty = Annotated[
    bool,
    typer.Option("--drop-empty", help="Leave out persons without a labelled joint.", rich_help_panel=OUTPUT),
]
Preview = Annotated[
    Path | None,
    typer.Option(
        "--preview", metavar="FILE.png", help="Draw a sheet of before and after, with labels.", rich_help_panel=OUTPUT
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace an output that exists.", rich_help_panel=OUTPUT)]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Do everything but write; print what would be. A preview is still drawn.",
        rich_help_panel=OUTPUT,
    ),
]

RecipeName = Annotated[
    str,
    typer.Option(
        "--recipe",
        metavar="NAME|FILE",
        help="A preset (none, six2, hrnet, simplebaseline) or a .toml file; the flags below win over it.",
        autocompletion=complete.recipes,
        rich_help_panel=RECIPE,
    ),
]
Albumentations = Annotated[
    Path | None,
    typer.Option(
        "--albumentations",
        metavar="FILE",
        help="A pipeline of your own, as albumentations.save writes it (YAML or JSON).",
        rich_help_panel=RECIPE,
    ),
]

Rotation = Annotated[
    str | None,
    typer.Option(
        "--rotation",
        metavar="LOW:HIGH",
        help="Turn by so many degrees, clockwise: -30:30, or one number.",
        rich_help_panel=GEOMETRY,
    ),
]
RotationProbability = Annotated[
    float | None,
    typer.Option("--rotation-probability", metavar="P", help="How often it turns at all.", rich_help_panel=GEOMETRY),
]
Scale = Annotated[
    str | None,
    typer.Option(
        "--scale",
        metavar="LOW:HIGH",
        help="Factor by which people grow (of crops: the region), e.g. 0.8:1.2.",
        rich_help_panel=GEOMETRY,
    ),
]
Shift = Annotated[
    str | None,
    typer.Option(
        "--shift", metavar="LOW:HIGH", help="Move by a share of the frame, e.g. -0.1:0.1.", rich_help_panel=GEOMETRY
    ),
]
Crop = Annotated[
    str | None,
    typer.Option(
        "--crop", metavar="LOW:HIGH", help="Keep a share of the frame's sides, e.g. 0.8:1.", rich_help_panel=GEOMETRY
    ),
]
Distribution = Annotated[
    Literal["uniform", "normal"] | None,
    typer.Option(
        "--distribution",
        metavar="NAME",
        help="uniform over the ranges, or normal: clipped as HRNet draws scale and rotation.",
        rich_help_panel=GEOMETRY,
    ),
]
Flip = Annotated[
    float | None,
    typer.Option("--flip", metavar="P", help="Probability of a mirror, left and right.", rich_help_panel=GEOMETRY),
]
FlipVertical = Annotated[
    float | None,
    typer.Option(
        "--flip-vertical", metavar="P", help="Probability of a mirror, top and bottom.", rich_help_panel=GEOMETRY
    ),
]
Transpose = Annotated[
    float | None,
    typer.Option("--transpose", metavar="P", help="Probability of x and y exchanged.", rich_help_panel=GEOMETRY),
]
AllowUnpaired = Annotated[
    bool,
    typer.Option(
        "--allow-unpaired", help="Mirror although a left or right joint has no partner.", rich_help_panel=GEOMETRY
    ),
]
Border = Annotated[
    Literal["constant", "reflect", "replicate"] | None,
    typer.Option(
        "--border",
        metavar="NAME",
        help="What lies outside the picture: constant, reflect, replicate.",
        rich_help_panel=GEOMETRY,
    ),
]
BorderValue = Annotated[
    int | None,
    typer.Option("--border-value", metavar="0..255", help="Grey value of a constant border.", rich_help_panel=GEOMETRY),
]
Interpolation = Annotated[
    Literal["linear", "cubic", "nearest"] | None,
    typer.Option("--interpolation", metavar="NAME", help="linear, cubic or nearest.", rich_help_panel=GEOMETRY),
]
InputSize = Annotated[
    str | None,
    typer.Option(
        "--input-size",
        metavar="HEIGHTxWIDTH",
        help="Size of the output pictures, e.g. 256x192 (height first). Whole images are fitted into it.",
        rich_help_panel=GEOMETRY,
    ),
]

Mode = Annotated[
    Literal["image", "topdown"] | None,
    typer.Option(
        "--mode",
        metavar="NAME",
        help="image: whole pictures; topdown: one crop a person at --input-size.",
        rich_help_panel=TOPDOWN,
    ),
]
Warp = Annotated[
    Literal["hrnet", "udp"] | None,
    typer.Option("--warp", metavar="NAME", help="How a crop is made: hrnet or udp.", rich_help_panel=TOPDOWN),
]
Padding = Annotated[
    float | None,
    typer.Option(
        "--padding", metavar="FACTOR", help="How much larger than its box a crop is.", rich_help_panel=TOPDOWN
    ),
]
HalfBody = Annotated[
    float | None,
    typer.Option(
        "--half-body",
        metavar="P",
        help="Probability of a crop around the upper or lower half.",
        rich_help_panel=TOPDOWN,
    ),
]
HalfBodyJoints = Annotated[
    int | None,
    typer.Option(
        "--half-body-joints", metavar="N", help="Only for persons with more labelled joints.", rich_help_panel=TOPDOWN
    ),
]

Occlusion = Annotated[
    str | None,
    typer.Option(
        "--occlusion",
        metavar="LOW:HIGH",
        help="Cover so much of each person's box: 0.3, or 0.2:0.4.",
        rich_help_panel=OCCLUSION,
    ),
]
OcclusionProbability = Annotated[
    float | None,
    typer.Option("--occlusion-probability", metavar="P", help="How many persons it meets.", rich_help_panel=OCCLUSION),
]
OcclusionShape = Annotated[
    list[str] | None,
    typer.Option(
        "--occlusion-shape",
        metavar="NAME",
        help="rectangle, ellipse, polygon; several with commas, or repeated.",
        rich_help_panel=OCCLUSION,
    ),
]
OcclusionFill = Annotated[
    Literal["mean", "constant", "noise", "patch"] | None,
    typer.Option(
        "--occlusion-fill",
        metavar="NAME",
        help="mean of the picture, constant, noise, or patch (of another picture).",
        rich_help_panel=OCCLUSION,
    ),
]
OcclusionValue = Annotated[
    int | None,
    typer.Option(
        "--occlusion-value", metavar="0..255", help="Grey value of a constant fill.", rich_help_panel=OCCLUSION
    ),
]
Occluders = Annotated[
    int | None,
    typer.Option("--occluders", metavar="N", help="Shapes a person, at most.", rich_help_panel=OCCLUSION),
]

Copies = Annotated[
    int, typer.Option("--copies", metavar="N", min=0, help="Augmented copies a picture.", rich_help_panel=RUN)
]
IncludeOriginal = Annotated[
    bool, typer.Option("--include-original", help="Write the unchanged pictures, too.", rich_help_panel=RUN)
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed",
        metavar="S",
        min=0,
        help="Another seed, other draws; the same seed, the same bytes.",
        rich_help_panel=RUN,
    ),
]
Workers = Annotated[
    int,
    typer.Option("--workers", metavar="N", min=0, help="Processes; 0: one a processor.", rich_help_panel=RUN),
]

Scheduler = Annotated[
    str,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        help="Work on a Dask cluster, tcp://HOST:PORT, instead of on this machine's processors.",
        rich_help_panel=RUN,
    ),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on with a run of the same job that was ended early.", rich_help_panel=RUN),
]
Wait = Annotated[
    bool,
    typer.Option("--wait", help="Where another run writes the output: wait for it.", rich_help_panel=RUN),
]

Exif = Annotated[
    Literal["auto", "apply", "ignore"],
    typer.Option(
        "--exif",
        metavar="RULE",
        help="Turn pictures as their EXIF tag says: apply, ignore, or auto (what gives the labels' size).",
        rich_help_panel=PICTURES,
    ),
]
MaxPixels = Annotated[
    int,
    typer.Option(
        "--max-pixels",
        metavar="N",
        min=1,
        help="Refuse larger pictures before they are decoded.",
        rich_help_panel=PICTURES,
    ),
]
Quality = Annotated[
    int,
    typer.Option("--quality", metavar="1..100", min=1, max=100, help="Of the JPEGs written.", rich_help_panel=PICTURES),
]
ImageFormat = Annotated[
    Literal["jpg", "png"],
    typer.Option("--image-format", metavar="jpg|png", help="Format of the pictures written.", rich_help_panel=PICTURES),
]
