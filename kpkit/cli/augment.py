"""`kpkit augment`: pictures and labels changed in step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpkit.cli import augment_options as options
from kpkit.cli import label_options
from kpkit.cli.command import reporting
from kpkit.cli.output import Console
from kpkit.cli.sizes import parse_size
from kpkit.errors import UsageError

if TYPE_CHECKING:
    from kpkit.augment.recipe import Recipe

RANGES = frozenset({"rotation", "scale", "shift", "crop", "occlusion"})
ITEMS_FAILED = 3


@reporting
def augment(
    console: Console,
    input: label_options.Input = None,
    output: options.Output = None,
    from_: label_options.From = None,
    to: options.To = None,
    recipe: options.RecipeName = "none",
    albumentations: options.Albumentations = None,
    rotation: options.Rotation = None,
    rotation_probability: options.RotationProbability = None,
    scale: options.Scale = None,
    shift: options.Shift = None,
    crop: options.Crop = None,
    distribution: options.Distribution = None,
    flip: options.Flip = None,
    flip_vertical: options.FlipVertical = None,
    transpose: options.Transpose = None,
    allow_unpaired: options.AllowUnpaired = False,
    border: options.Border = None,
    border_value: options.BorderValue = None,
    interpolation: options.Interpolation = None,
    input_size: options.InputSize = None,
    mode: options.Mode = None,
    warp: options.Warp = None,
    padding: options.Padding = None,
    half_body: options.HalfBody = None,
    half_body_joints: options.HalfBodyJoints = None,
    occlusion: options.Occlusion = None,
    occlusion_probability: options.OcclusionProbability = None,
    occlusion_shape: options.OcclusionShape = None,
    occlusion_fill: options.OcclusionFill = None,
    occlusion_value: options.OcclusionValue = None,
    occluders: options.Occluders = None,
    copies: options.Copies = 1,
    include_original: options.IncludeOriginal = False,
    seed: options.Seed = 0,
    workers: options.Workers = 1,
    scheduler: options.Scheduler = "",
    resume: options.Resume = False,
    wait: options.Wait = False,
    images: label_options.Images = None,
    image_sizes: label_options.ImageSizes = None,
    exif: options.Exif = "auto",
    max_pixels: options.MaxPixels = 100_000_000,
    quality: options.Quality = 95,
    image_format: options.ImageFormat = "jpg",
    drop_empty: options.DropEmpty = False,
    preview: options.Preview = None,
    force: options.Force = False,
    dry_run: options.DryRun = False,
) -> int:
    """Turn, scale, mirror, crop and cover pictures, their labels in step.

    Writes pictures, labels, occlusion masks, and augment.parquet: a row a person that says what was done.

    Examples:

    - `kpkit augment --occlusion 0.3` covers 30 % of each person, and does nothing else
    - `kpkit augment --recipe six2 --copies 5 --preview sheet.png`
    - `kpkit augment coco --recipe hrnet --input-size 384x288 --workers 0 -o crops`
    """
    given = dict(locals())
    from kpkit.cli.augment_report import print_augmented
    from kpkit.execute.local import cores
    from kpkit.pipelines.augment import AugmentJob, run

    job = AugmentJob(
        input=input,
        output=output,
        from_=from_ or "",
        to=to or "",
        recipe=recipe_of(recipe, given),
        copies=copies,
        include_original=include_original,
        seed=seed,
        workers=workers or cores(),
        scheduler=scheduler,
        resume=resume,
        wait=wait,
        quality=quality,
        image_format=image_format,
        images=images,
        image_sizes=image_sizes,
        exif=exif,
        max_pixels=max_pixels,
        drop_empty=drop_empty,
        allow_unpaired=allow_unpaired,
        preview=preview,
        force=force,
        dry_run=dry_run,
    )
    with console.progress() as progress:
        done = run(job, progress=progress)
    print_augmented(console, done)
    return ITEMS_FAILED if done.failures else 0


def recipe_of(name: str, given: dict[str, Any]) -> Recipe:
    """The recipe of that name with the flags that were given.

    given  option -> value, None where it was left out; names that are no field of a recipe are passed over
    """
    from dataclasses import fields

    from kpkit.augment.recipe import Recipe, load

    known = {field.name for field in fields(Recipe)} - {"name"}
    changes = {
        option: _value(option, value) for option, value in given.items() if option in known and value is not None
    }
    return load(name).with_changes(**changes)


def _value(option: str, value: Any) -> Any:
    if option in RANGES:
        return parse_range(value, f"--{option}")
    if option == "input_size":
        return parse_size(value, "--input-size")
    if option == "occlusion_shape":
        return tuple(shape.strip() for one in value for shape in one.split(",") if shape.strip())
    return str(value) if isinstance(value, Path) else value


def parse_range(text: str, option: str) -> tuple[float, float]:
    """Low and high from "0.2:0.4", or twice the same from "0.3"; UsageError, naming the option, for anything else."""
    parts = text.split(":")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) not in {1, 2}:
        raise UsageError(
            f"{option} is no range",
            expected="one number, or LOW:HIGH",
            got=text,
            help=f"e.g. {option} 0.2:0.4",
        )
    return numbers[0], numbers[-1]
