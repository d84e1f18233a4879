"""What a job of `heatmaps` cannot mean, said before anything is rendered."""

from __future__ import annotations

from pathlib import Path

from kpkit.augment.recipe import Recipe
from kpkit.core.report import Collector
from kpkit.errors import UsageError
from kpkit.pipelines.augment_plan import check_paired
from kpkit.pipelines.heatmaps_job import PADDING, HeatmapsJob
from kpkit.pipelines.heatmaps_people import People


def usable_recipe(job: HeatmapsJob) -> Recipe | None:
    """The job's recipe. Raises UsageError for one that cannot be rendered into shards."""
    recipe = job.recipe
    if recipe is not None and recipe.albumentations:
        raise UsageError(
            "a pipeline of your own changes pictures before they are cropped",
            code="KP-HEATMAPS-PIPELINE",
            got=recipe.albumentations,
            help="run 'kpkit augment' with it, and 'kpkit heatmaps' on what that writes",
        )
    return recipe


def check_job(job: HeatmapsJob, recipe: Recipe | None, people: People, path: Path) -> None:
    """Raise UsageError for what the job cannot mean together, or with these labels."""
    skeleton = people.dataset.skeleton
    if not len(people):
        raise UsageError(
            "no person here can become a sample",
            code="KP-HEATMAPS-EMPTY",
            place=str(path),
            expected="persons with a labelled joint",
            got="; ".join(f"{loss.count} {loss.why}" for loss in people.losses) or "no persons",
        )
    if recipe is None and (job.copies != 1 or job.include_original):
        raise UsageError(
            "copies of a crop differ by a recipe",
            code="KP-USAGE",
            help="add --recipe, e.g. --recipe hrnet --copies 4",
        )
    if recipe is not None and job.copies < 1:
        raise UsageError("a recipe makes copies", code="KP-USAGE", expected="--copies 1 or more", got=str(job.copies))
    mirrors = job.flip_copies or (recipe is not None and (recipe.flip or recipe.flip_vertical or recipe.transpose))
    if mirrors and not job.allow_unpaired:
        check_paired(skeleton, path)


def check_pictures(job: HeatmapsJob, recipe: Recipe | None, people: People, path: Path, collector: Collector) -> None:
    """The same for samples that are whole pictures; what of them cannot be held is noted."""
    if job.padding != PADDING:
        raise UsageError(
            "a whole picture has no box that could be padded",
            code="KP-HEATMAPS-PADDING",
            help="leave --padding out; the picture is fitted into --input-size",
        )
    unsized = [] if job.with_images else people.unsized()
    if unsized:
        raise UsageError(
            "whole pictures are fitted into the input by their sizes, which the labels do not state",
            code="KP-HEATMAPS-SIZE",
            place=str(path),
            got=f"{len(unsized)} pictures without, e.g. {unsized[0]}",
            help="give --images DIR or --image-sizes FILE.csv, or store the pictures: --with-images",
        )
    if recipe is not None and recipe.half_body > 0:
        what = "half bodies are crops of one person; this part of the recipe is left out"
        collector.note("KP-HEATMAPS-HALF-BODY", what, place=recipe.name)
    collector.issue(
        "KP-HEATMAPS-BARE",
        "crowds and persons without joints have neither outline nor box: mask_miss cannot cover them",
        count=people.bare,
    )
    collector.issue(
        "KP-HEATMAPS-REGION",
        "regions where nobody is labelled (ignore_regions) are no polygons, and are left out of mask_miss",
        count=people.bad_regions,
    )
