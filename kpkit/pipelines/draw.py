"""`draw`: labels over their pictures, one file an image or all on one sheet."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from kpkit.augment.images import encode_jpeg, encode_png
from kpkit.core.report import Collector, Issue, Severity
from kpkit.errors import OutputError, UsageError
from kpkit.execute import Failure, LocalPool, run_tasks
from kpkit.guard import check_free, publish
from kpkit.pipelines.draw_plan import Scene, complained, named, sampled, scenes_of, tasks
from kpkit.pipelines.draw_task import Drawn, Look, draw_image
from kpkit.pipelines.load import LabelSource, Loaded, load_labels
from kpkit.pipelines.validate import ValidateJob
from kpkit.pipelines.validate import run as run_validate
from kpkit.qa.draw import contact_sheet
from kpkit.qa.overlay import ascii_only

SHEET_SUFFIXES = (".png", ".jpg", ".jpeg")
# A sheet of more tiles is no picture to look at; ask for more with --sample.
TILES = 24
# What may have to be done to a picture, or cannot be drawn: severity and words.
NOTES: dict[str, tuple[Severity, str]] = {
    "16-bit": ("note", "16-bit pictures were scaled to 8 bits"),
    "exif-applied": ("note", "pictures were turned as their EXIF tag says"),
    "exif-ignored": ("note", "the EXIF turn of pictures was ignored: the labels mean the stored pixels"),
    "exif-undecided": (
        "warning",
        "an EXIF turn was ignored; the size does not tell whether the labels mean it (--exif)",
    ),
    "mask": ("warning", "masks that cannot be read, or are of another size than the picture; left out"),
}

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class DrawJob:
    """What to draw: the options of `kpkit draw`.

    output   a folder, or a .png or .jpg for a sheet          names   of images, or patterns; none: all with persons
    sample   how many images at most, chosen by `seed`; None: all, on a sheet TILES
    findings only what validate complains about; select, ignore as there
    tile     width, height of a sheet's tiles                 image_format  of overlays, jpg or png
    """

    source: LabelSource = field(default_factory=LabelSource)
    output: Path = Path("kpkit-out/draw")
    names: Sequence[str] = ()
    sample: int | None = None
    seed: int = 0
    findings: bool = False
    select: Sequence[str] = ()
    ignore: Sequence[str] = ()
    ids: bool = False
    boxes: bool = True
    masks: bool = True
    use_images: bool = True
    columns: int | None = None
    tile: tuple[int, int] = (320, 240)
    image_format: str = "jpg"
    quality: int = 92
    exif: str = "auto"
    max_pixels: int = 100_000_000
    workers: int = 1
    force: bool = False
    dry_run: bool = False


@dataclass
class DrawReport:
    """What was drawn.

    output    the sheet or folder; "" where nothing was drawn       images, persons  of the labels
    drawn     images that were        chosen  images that were to be       empty  images without persons, left out
    findings  drawn, by rule          failures  images that could not be drawn
    """

    input: str
    output: str
    sheet: bool
    dry_run: bool
    images: int
    persons: int
    chosen: int = 0
    drawn: int = 0
    empty: int = 0
    more: int = 0
    findings: dict[str, int] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def run(job: DrawJob, progress: Progress | None = None) -> DrawReport:
    """Draw.

    Raises UsageError, InputError or OutputError; nothing is written then. Images that fail are listed in the report,
    the others are drawn.
    """
    started = time.monotonic()
    sheet = job.output.suffix.lower() in SHEET_SUFFIXES
    if not job.dry_run:
        check_free(job.output, force=job.force, directory=not sheet)
    collector = Collector("collect")
    loaded, scenes, report = _choose(job, collector, sheet)
    root = _pictures(job, loaded)
    report.findings = _counted(scenes)
    if scenes and not job.dry_run:
        work = _Work(job, loaded, scenes, root, report, collector, progress or (lambda stage, done, total: None))
        (_draw_sheet if sheet else _draw_folder)(work)
    if not report.drawn and not job.dry_run:
        report.output = ""
    report.failures.sort(key=lambda failure: failure.key)
    report.issues = collector.issues
    report.seconds = time.monotonic() - started
    return report


def _choose(job: DrawJob, collector: Collector, sheet: bool) -> tuple[Loaded, list[Scene], DrawReport]:
    """The labels, the images to draw, and the report so far."""
    if job.findings:
        validation = run_validate(ValidateJob(source=job.source, select=job.select, ignore=job.ignore))
        loaded = validation.loaded
        every = scenes_of(loaded.dataset)
        scenes = complained(every, validation.findings())
    else:
        loaded = load_labels(job.source, collector)
        scenes = every = scenes_of(loaded.dataset)
    dataset = loaded.dataset
    report = DrawReport(str(loaded.path), str(job.output), sheet, job.dry_run, len(every), len(dataset))
    if job.names:
        scenes = named(scenes, dataset, job.names)
    elif not job.findings:
        report.empty = sum(not scene.persons for scene in scenes)
        scenes = [scene for scene in scenes if scene.persons]
    most = job.sample if job.sample is not None else TILES if sheet else len(scenes)
    report.more = max(0, len(scenes) - most) if job.sample is None else 0
    scenes = sampled(scenes, most, job.seed)
    report.chosen = len(scenes)
    return loaded, scenes, report


def _pictures(job: DrawJob, loaded: Loaded) -> Path | None:
    if not job.use_images:
        return None
    if loaded.images is None and len(loaded.dataset.images):
        raise UsageError(
            "the pictures of these labels were not found",
            code="KP-IMAGES-WHERE",
            place=str(loaded.path),
            help="say where they are with --images DIR, or draw on plain canvases with --no-images",
        )
    return loaded.images


def _counted(scenes: Sequence[Scene]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for scene in scenes:
        for one in scene.findings:
            counts[one.rule] = counts.get(one.rule, 0) + 1
    return dict(sorted(counts.items()))


@dataclass(frozen=True)
class _Work:
    job: DrawJob
    loaded: Loaded
    scenes: list[Scene]
    root: Path | None
    report: DrawReport
    collector: Collector
    tell: Progress


class _Nothing(Exception):  # noqa: N818 - no error: it leaves `publish` without a result
    """No image could be drawn: an empty folder would look like a result."""


def _draw_folder(work: _Work) -> None:
    job = work.job
    with contextlib.suppress(_Nothing), publish(job.output, force=job.force, directory=True) as folder:
        work.report.drawn = len(_each(work, folder))
        if not work.report.drawn:
            raise _Nothing


def _draw_sheet(work: _Work) -> None:
    job = work.job
    done = _each(work, None)
    shown = [scene.key for scene in work.scenes if scene.key in done]
    work.report.drawn = len(shown)
    if not shown:
        return
    tiles = [tile for key in shown if (tile := done[key].tile) is not None]
    cut_off = bool(work.loaded.dataset.truncated.any())
    captions = [ascii_only(key) for key in shown]
    picture = contact_sheet(tiles, captions, columns=job.columns, tile_size=job.tile, cut_off=cut_off)
    png = job.output.suffix.lower() == ".png"
    with publish(job.output, force=job.force) as temporary:
        temporary.write_bytes(encode_png(picture) if png else encode_jpeg(picture, job.quality))


def _each(work: _Work, folder: Path | None) -> dict[str, Drawn]:
    """What came of every image that worked."""
    job, scenes, report = work.job, work.scenes, work.report
    look = Look(
        skeleton=work.loaded.dataset.skeleton,
        folder=folder,
        tile=job.tile,
        boxes=job.boxes,
        ids=job.ids,
        quality=job.quality,
        exif=job.exif,
        max_pixels=job.max_pixels,
    )
    found: dict[str, Drawn] = {}
    items = tasks(work.loaded.dataset, scenes, work.root, job.image_format, masks=job.masks, failures=report.failures)
    work.tell("drawing", 0, len(scenes))
    with LocalPool(job.workers, _quiet_opencv) as pool:
        for number, (key, result) in enumerate(run_tasks(partial(draw_image, look), items, pool), start=1):
            if not isinstance(result, Failure):
                found[key] = result
            elif result.code == "KP-OUTPUT-WRITE":
                # A full disk is not this image's fault, and the next one would meet it, too.
                raise OutputError(result.message, code=result.code, place=str(job.output))
            else:
                report.failures.append(result)
            work.tell("drawing", number, len(scenes))
    for code, (severity, message) in NOTES.items():
        places = sorted(key for key, done in found.items() if code in done.notes)
        name = f"KP-DRAW-{code.upper()}"
        work.collector.issue(name, message, count=len(places), places=places[:5], severity=severity)
    return found


def _quiet_opencv() -> None:
    import cv2

    # One thread a worker: the pool has as many workers as were asked for.
    cv2.setNumThreads(1)
