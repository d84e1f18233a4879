"""The demo's last part: what training gets, and what one looks at before: targets, rules, statistics."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from kpkit.pipelines.heatmaps import run as run_heatmaps
from kpkit.pipelines.heatmaps_job import HeatmapsJob, HeatmapsReport
from kpkit.pipelines.load import LabelSource
from kpkit.pipelines.shards_show import show
from kpkit.pipelines.stats import measure
from kpkit.pipelines.validate import ValidateJob
from kpkit.pipelines.validate import run as run_validate
from kpkit.qa.report import Side, render

SHARDS, TARGETS, PAGE = "targets", "targets.png", "stats.html"
SAMPLES = 12


def render_targets(folder: Path, labels: str) -> HeatmapsReport:
    """Shards of the labels with crops, and a picture of some samples beside them."""
    job = HeatmapsJob(source=LabelSource(input=folder / labels), output=folder / SHARDS, with_images=True)
    report = run_heatmaps(job)
    show(folder / SHARDS, folder / TARGETS, samples=SAMPLES)
    return report


def count_findings(folder: Path, labels: str) -> tuple[int, dict[str, int]]:
    """How many rules of `validate` looked at the labels, and what they found, by rule."""
    validation = run_validate(ValidateJob(source=LabelSource(input=folder / labels)))
    return len(validation.rules) - len(validation.unchecked), validation.counts


def write_page(folder: Path, before: str, after: str) -> None:
    """Statistics of two datasets as a page that names them as seen from the folder."""
    sides = []
    for labels in (before, after):
        measured = measure(LabelSource(input=folder / labels))
        for issue in measured.issues:
            issue.places = [place.replace(f"{folder}/", "") for place in issue.places]
        path = Path(measured.path).relative_to(folder).as_posix()
        sides.append(Side(path, measured.format, measured.stats, measured.issues))
    (folder / PAGE).write_text(render(sides), encoding="utf-8")


def view_commands(labels: str) -> list[str]:
    """How to look at labels in FiftyOne, where that is installed; it is not loaded to find out."""
    return [f"kpkit view {labels}"] if importlib.util.find_spec("fiftyone") is not None else []
