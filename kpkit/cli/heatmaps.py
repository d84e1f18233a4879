"""`kpkit heatmaps`: targets for training, in checked shards."""

from __future__ import annotations

import ast
import re
from typing import Any

from kpkit.cli import augment_options, label_options
from kpkit.cli import heatmaps_options as options
from kpkit.cli.command import reporting
from kpkit.cli.output import Console
from kpkit.cli.sizes import parse_size
from kpkit.errors import UsageError

ITEMS_FAILED = 3
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


@reporting
def heatmaps(
    console: Console,
    input: label_options.Input = None,
    output: options.Output = None,
    from_: label_options.From = None,
    skeleton: label_options.SkeletonName = None,
    images: label_options.Images = None,
    image_sizes: label_options.ImageSizes = None,
    image_list: label_options.ImageList = None,
    layout: label_options.Layout = None,
    codec: options.CodecName = "msra",
    sigma: options.Sigma = None,
    codec_option: options.CodecOption = None,
    input_size: options.InputSize = None,
    heatmap_size: options.HeatmapSize = None,
    occluded_target: options.OccludedTarget = "ignore",
    spatial_weights: options.SpatialWeights = "none",
    dtype: options.DType = "float16",
    store: options.Store = "heatmaps",
    compression: options.Compression = "gzip",
    shard_size: options.ShardSize = "4096",
    with_images: options.WithImages = False,
    recipe: options.RecipeName = None,
    copies: options.Copies = 1,
    include_original: options.IncludeOriginal = False,
    flip_copies: options.FlipCopies = False,
    padding: options.Padding = 1.25,
    allow_unpaired: options.AllowUnpaired = False,
    exif: augment_options.Exif = "auto",
    max_pixels: augment_options.MaxPixels = 100_000_000,
    seed: augment_options.Seed = 0,
    workers: augment_options.Workers = 1,
    scheduler: augment_options.Scheduler = "",
    resume: options.Resume = False,
    wait: augment_options.Wait = False,
    force: options.Force = False,
    dry_run: options.DryRun = False,
) -> int:
    """Render heatmaps and other targets into HDF5 shards.

    One sample a person (and copy): target, weights, joints, and the matrix back to the source picture. With the codec
    bottomup it is a whole picture with all its persons. Read them with kpkit.ShardDataset, kpkit.torch.ShardDataset, or
    any HDF5 library.

    Examples:

    - `kpkit heatmaps coco -o shards` renders 64x48 heatmaps for 256x192 crops
    - `kpkit heatmaps --with-images --recipe hrnet --copies 4 --workers 0`
    - `kpkit heatmaps --codec simcc --dtype float32 --store params`
    - `kpkit heatmaps --codec bottomup --input-size 512x512 --with-images`
    """
    given = dict(locals())
    from kpkit.augment.recipe import load
    from kpkit.cli.heatmaps_report import print_heatmaps
    from kpkit.execute.local import cores
    from kpkit.pipelines.heatmaps import HeatmapsJob, run

    samples, size = parse_shard_size(shard_size)
    job = HeatmapsJob(
        source=label_options.source_of(given),
        output=output,
        codec=codec,
        codec_parameters=parse_parameters(codec_option or [], sigma),
        input_size=parse_size(input_size, "--input-size") if input_size else None,
        heatmap_size=parse_size(heatmap_size, "--heatmap-size") if heatmap_size else None,
        dtype=dtype,
        store=store,
        compression=compression,
        shard_samples=samples,
        shard_bytes=size,
        with_images=with_images,
        recipe=load(recipe) if recipe else None,
        copies=copies,
        include_original=include_original,
        flip_copies=flip_copies,
        occluded_target=occluded_target,
        spatial_weights=spatial_weights,
        padding=padding,
        seed=seed,
        workers=workers or cores(),
        exif=exif,
        max_pixels=max_pixels,
        allow_unpaired=allow_unpaired,
        scheduler=scheduler,
        resume=resume,
        wait=wait,
        force=force,
        dry_run=dry_run,
    )
    with console.progress() as progress:
        done = run(job, progress=progress)
    print_heatmaps(console, done)
    return ITEMS_FAILED if done.failures else 0


def parse_shard_size(text: str) -> tuple[int, int]:
    """(samples, bytes) from "4096" or "256MB", one of them 0; UsageError for anything else."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:([kmg])i?b|(b))?\s*", text.lower())
    if match is not None:
        number, unit, plain = float(match.group(1)), match.group(2), match.group(3)
        if unit or plain:
            if number * UNITS[unit or ""] >= 1:
                return 0, int(number * UNITS[unit or ""])
        elif number >= 1 and number == int(number):
            return int(number), 0
    raise UsageError(
        "--shard-size is no size",
        expected="a number of samples, or bytes with a unit",
        got=text,
        help="e.g. --shard-size 4096, or --shard-size 256MB",
    )


def parse_parameters(pairs: list[str], sigma: str | None) -> dict[str, Any]:
    """Parameters of a codec from NAME=VALUE: numbers, true and false, lists, and words."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals and value):
            raise UsageError(
                "--codec-option names a parameter and its value",
                expected="NAME=VALUE",
                got=pair,
                help="e.g. --codec-option compat=hrnet",
            )
        found[name.strip().replace("-", "_")] = _plain(value.strip())
    if sigma is not None:
        found["sigma"] = _plain(sigma)
    return found


def _plain(text: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return value if isinstance(value, int | float | list | tuple) else text
