"""`demo`: pictures of made-up people, labelled exactly, and what kpkit does with such labels.

    FOLDER/
      mpii/    mpii_human_pose_v1_u12_1.mat, images/      drawn and written first
      coco/    annotations/person_keypoints_default.json, images/
      six2/    labels.six2.json, images/
      native/  demo.kpk/
      augmented/  annotations/person_keypoints_default.json, images/, masks/, augment.parquet
      targets/  manifest.json, HDF5 files
      contact_sheet.png, augment_preview.png, targets.png, stats.html

Everything after mpii/ comes from mpii/ by the conversions that `kpkit convert` does, augmented/ from coco/ by
`kpkit augment`, and targets/ from augmented/ by `kpkit heatmaps`. The same job gives the same bytes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kpkit.augment.recipe import preset
from kpkit.core.dataset import Dataset
from kpkit.core.report import Report
from kpkit.errors import OutputError, UsageError
from kpkit.guard import publish
from kpkit.pipelines.augment import AugmentJob, AugmentReport
from kpkit.pipelines.augment import run as run_augment
from kpkit.pipelines.convert import ConvertJob
from kpkit.pipelines.convert import run as run_convert
from kpkit.pipelines.demo_labels import annotate, labelled, save_picture
from kpkit.pipelines.demo_looks import (
    PAGE,
    SAMPLES,
    SHARDS,
    TARGETS,
    count_findings,
    render_targets,
    view_commands,
    write_page,
)
from kpkit.pipelines.demo_sheet import draw_sheet
from kpkit.pipelines.heatmaps_job import HeatmapsReport
from kpkit.pipelines.io import read, write
from kpkit.synth.scenes import make_scene

SCHEMA_VERSION = 1
MPII_FILE = "mpii/mpii_human_pose_v1_u12_1.mat"
IMAGES = "mpii/images"
SHEET = "contact_sheet.png"
# Target format, output below the demo's folder, and the labels in it.
CONVERSIONS = (
    ("coco", "coco", "coco/annotations/person_keypoints_default.json"),
    ("six2", "six2", "six2/labels.six2.json"),
    ("native", "native/demo.kpk", "native/demo.kpk"),
)
RECIPE, OCCLUSION = "six2", 0.3
AUGMENTED, PREVIEW = "augmented", "augment_preview.png"
LOOKS = (
    f"kpkit heatmaps {AUGMENTED} --with-images -o {SHARDS}",
    f"kpkit shards show {SHARDS} --sample {SAMPLES} -o {TARGETS}",
    f"kpkit stats coco --compare {AUGMENTED} --html {PAGE}",
    "kpkit validate coco",
)
SUGGESTIONS = (
    "kpkit info coco/annotations/person_keypoints_default.json",
    "kpkit convert mpii coco",
    "kpkit convert coco yolo-pose coco --images coco/images --copy-images -o yolo",
)
SHOWN = {"MPII": MPII_FILE, "COCO": CONVERSIONS[0][2], "6-2": CONVERSIONS[1][2]}

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class DemoJob:
    """What to make: the options of `kpkit demo`. size is height, width in pixels."""

    folder: Path = Path("kpkit-demo")
    scenes: int = 24
    seed: int = 7
    size: tuple[int, int] = (480, 640)
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class DemoReport:
    """What was made.

    folder, scenes, seed, size  as asked for        counts  of the exact labels, as `Dataset.counts`
    made       the Report of writing the MPII labels
    converted  a Report for each conversion         augmented  the report of the augmentation
    targets    the report of rendering targets      rules, findings  of `validate`: how many looked, what by rule
    commands   all of these as command lines, run in `folder`
    sheet, preview, samples, page  paths of the contact sheet, of before and after, of targets, of the statistics
    suggestions     more command lines, run in `folder`
    seconds    all in all
    """

    folder: str
    scenes: int
    seed: int
    size: tuple[int, int]
    counts: dict[str, int]
    made: Report
    converted: list[Report]
    augmented: AugmentReport
    targets: HeatmapsReport
    rules: int
    findings: dict[str, int]
    commands: list[str] = field(default_factory=list)
    suggestions: list[str] = field(default_factory=list)
    sheet: str = ""
    preview: str = ""
    samples: str = ""
    page: str = ""
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON; the reports in it are as schemas/json/report.schema.json says."""
        plain = asdict(self) | {
            "made": self.made.as_dict(),
            "converted": [report.as_dict() for report in self.converted],
            "augmented": self.augmented.as_dict(),
            "targets": self.targets.as_dict(),
        }
        return {"schema_version": SCHEMA_VERSION, **plain}


def run(job: DemoJob, progress: Progress | None = None) -> DemoReport:
    """Make the demo's folder, whole or not at all.

    Raises UsageError for a number that makes no scene, OutputError where the folder exists or cannot be written.
    """
    started = time.monotonic()
    tell = progress or (lambda stage, done, total: None)
    if job.scenes < 1:
        raise UsageError("a demo needs a scene", code="KP-DEMO-SCENES", expected="1 or more", got=str(job.scenes))
    _check_free(job)
    with publish(job.folder, force=job.force, directory=True) as building:
        truth = _draw(job, building, tell)
        made = write(truth, building / MPII_FILE, "mpii")
        converted = [_convert(building, *names, number, tell) for number, names in enumerate(CONVERSIONS)]
        tell("converting", len(CONVERSIONS), len(CONVERSIONS))
        shown = {title: read(building / labels) for title, labels in SHOWN.items()}
        save_picture(draw_sheet(truth, shown, building / IMAGES), building / SHEET)
        augmented = _augment(building, tell)
        tell("looking", 0, 1)
        targets = render_targets(building, AUGMENTED)
        rules, findings = count_findings(building, "coco")
        write_page(building, "coco", AUGMENTED)
        tell("looking", 1, 1)
    reports: list[Report | AugmentReport | HeatmapsReport] = [made, *converted, augmented, targets]
    for report in reports:
        _rename(report, str(building), str(job.folder))
    return DemoReport(
        folder=str(job.folder),
        scenes=job.scenes,
        seed=job.seed,
        size=job.size,
        counts=truth.counts(),
        made=made,
        converted=converted,
        augmented=augmented,
        targets=targets,
        rules=rules,
        findings=findings,
        commands=[*(_command(name, output) for name, output, _ in CONVERSIONS), _augment_command(), *LOOKS],
        suggestions=[*SUGGESTIONS, *view_commands("coco")],
        sheet=str(job.folder / SHEET),
        preview=str(job.folder / PREVIEW),
        samples=str(job.folder / TARGETS),
        page=str(job.folder / PAGE),
        seconds=time.monotonic() - started,
    )


def _check_free(job: DemoJob) -> None:
    """Only an older demo (or an empty folder) is replaced: DIR may be anything, and all of it would go."""
    if not os.path.lexists(job.folder):
        return
    ours = job.folder.is_dir() and (not any(job.folder.iterdir()) or (job.folder / MPII_FILE).is_file())
    if job.force and ours:
        return
    raise OutputError(
        "the folder exists already" if ours else "this exists already, and is no folder that kpkit demo made",
        code="KP-OUTPUT-EXISTS",
        place=str(job.folder),
        help="add --force to replace it, or name another folder: kpkit demo DIR" if ours else "name another folder",
    )


def _draw(job: DemoJob, folder: Path, tell: Progress) -> Dataset:
    """Write the pictures, return their labels."""
    images = folder / IMAGES
    images.mkdir(parents=True)
    height, width = job.size
    people, names = [], []
    for index in range(job.scenes):
        tell("drawing", index, job.scenes)
        scene = make_scene(job.seed, index, width, height)
        names.append(f"scene_{index:04d}.jpg")
        save_picture(scene.image, images / names[-1])
        people.append(labelled(scene))
    tell("drawing", job.scenes, job.scenes)
    return annotate(people, names)


def _convert(folder: Path, target: str, output: str, labels: str, number: int, tell: Progress) -> Report:
    tell("converting", number, len(CONVERSIONS))
    return run_convert(
        ConvertJob(
            source="mpii",
            target=target,
            folder=folder,
            output=folder / output,
            images=folder / IMAGES,
            copy_images=True,
        )
    )


def _command(target: str, output: str) -> str:
    return f"kpkit convert mpii {target} --images {IMAGES} --copy-images -o {output}"


def _augment(folder: Path, tell: Progress) -> AugmentReport:
    return run_augment(
        AugmentJob(
            folder=folder / "coco",
            output=folder / AUGMENTED,
            recipe=preset(RECIPE).with_changes(occlusion=OCCLUSION),
            preview=folder / PREVIEW,
        ),
        tell,
    )


def _augment_command() -> str:
    return f"kpkit augment coco --recipe {RECIPE} --occlusion {OCCLUSION} --preview {PREVIEW} -o {AUGMENTED}"


def _rename(report: Report | AugmentReport | HeatmapsReport, building: str, folder: str) -> None:
    """The folder was built under another name than it has now."""
    if isinstance(report, Report):
        report.inputs = [path.replace(building, folder) for path in report.inputs]
    else:
        for name in ("input", "preview", "rows"):
            if hasattr(report, name):
                setattr(report, name, getattr(report, name).replace(building, folder))
    report.output = report.output.replace(building, folder)
    for issue in report.issues:
        issue.places = [place.replace(building, folder) for place in issue.places]
