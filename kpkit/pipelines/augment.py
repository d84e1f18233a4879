"""`augment`: images and labels moved, covered and changed in step, with a row that says what was done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.augment.draw import stream
from kpkit.augment.images import MAX_PIXELS
from kpkit.augment.recipe import Recipe
from kpkit.core.boxes import with_boxes
from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector, Issue, Loss
from kpkit.errors import UsageError
from kpkit.execute import Failure, LocalPool, run_tasks
from kpkit.formats.base import Format, ReadOptions, WriteOptions
from kpkit.guard import check_free, contained, publish, resolve_inside, sync_file
from kpkit.pipelines.augment_labels import Fields, Made, assemble, fields_of, labels_of
from kpkit.pipelines.augment_masks import existing_masks
from kpkit.pipelines.augment_task import Done, ImageTask, Plan, augment_image
from kpkit.pipelines.find import find_input, get_format
from kpkit.pipelines.images import ImageSizes, locate_images
from kpkit.pipelines.io import file_sizes, read_with, write_into

SCHEMA_VERSION = 1
ROWS = "augment.parquet"
UPPER = ("head", "nose", "eye", "ear", "neck", "shoulder", "elbow", "wrist", "thorax", "hand")

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class AugmentJob:
    """What to augment and how; the fields are the options of `kpkit augment`.

    input     labels; None: the one candidate in `folder`      from_, to  formats; "" told by content, and kept
    output    folder; None: kpkit-out/augment-FORMAT            copies     augmented copies an image
    images    folder of the pictures; None: looked for beside the labels
    preview   PNG sheet of before and after                    drop_empty  leave out persons without a labelled joint
    """

    input: Path | None = None
    output: Path | None = None
    folder: Path = Path()
    from_: str = ""
    to: str = ""
    recipe: Recipe = field(default_factory=Recipe)
    copies: int = 1
    include_original: bool = False
    seed: int = 0
    workers: int = 1
    quality: int = 95
    image_format: str = "jpg"
    images: Path | None = None
    image_sizes: Path | None = None
    exif: str = "auto"
    max_pixels: int = MAX_PIXELS
    drop_empty: bool = False
    allow_unpaired: bool = False
    preview: Path | None = None
    force: bool = False
    dry_run: bool = False


@dataclass
class AugmentReport:
    """The account of one run.

    counts    what was written           failures  images that failed: key, code, message
    profile   seconds of all workers, by step
    """

    input: str
    output: str
    format: str
    recipe: dict[str, Any]
    recipe_hash: str
    dry_run: bool
    counts: dict[str, int] = field(default_factory=dict)
    left_frame: int = 0
    covered: int = 0
    losses: list[Loss] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)
    profile: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with the schema version."""
        from dataclasses import asdict

        return {"schema_version": SCHEMA_VERSION, "command": "augment", **asdict(self)}


def run(job: AugmentJob, progress: Progress | None = None) -> AugmentReport:
    """Carry out one augmentation.

    Raises UsageError, InputError or OutputError; nothing is written then. Images that fail are listed in the report,
    the others are written.
    """
    started = time.monotonic()
    tell = progress or (lambda stage, done, total: None)
    collector = Collector()
    path, source = find_input(job.input, job.from_, job.folder)
    target = get_format(job.to) if job.to else source
    output = job.output or job.folder / "kpkit-out" / f"augment-{target.name}"
    if not job.dry_run:
        check_free(output, force=job.force)
    dataset = _read(job, source, path, collector)
    _check(job, dataset, path)
    root = locate_images(dataset, path, job.images)
    report = AugmentReport(
        str(path), str(output), target.name, job.recipe.to_dict(), job.recipe.content_hash(), job.dry_run
    )
    with publish_or_skip(output, job) as folder:
        _run_into(job, dataset, root, folder, target, output, report, collector, tell)
    if not job.dry_run:
        report.files = file_sizes(output)
    report.issues = collector.issues
    report.seconds = time.monotonic() - started
    return report


def publish_or_skip(output: Path, job: AugmentJob) -> Any:
    """The folder to write into; in a dry run a temporary one that nobody keeps."""
    import tempfile

    if job.dry_run:
        return _Temporary(tempfile.TemporaryDirectory(prefix="kpkit-"))
    return publish(output, force=job.force, directory=True)


class _Temporary:
    def __init__(self, folder: Any) -> None:
        self._folder = folder

    def __enter__(self) -> Path:
        return Path(self._folder.__enter__())

    def __exit__(self, *error: Any) -> None:
        self._folder.__exit__(*error)


def _read(job: AugmentJob, source: Format, path: Path, collector: Collector) -> Dataset:
    sizes = ImageSizes(job.images, job.image_sizes)
    dataset = read_with(source, path, ReadOptions(sizes=sizes), collector)
    # Occluders and crops need a box; persons without one get the hull of their joints, and the labels say so.
    return with_boxes(dataset, "auto", 0.25, source.scale_boxes(dataset))


def _check(job: AugmentJob, dataset: Dataset, path: Path) -> None:
    if not len(dataset.images):
        raise UsageError("the labels name no image", code="KP-AUGMENT-EMPTY", place=str(path))
    if job.copies < 1 and not job.include_original:
        raise UsageError("nothing to make", code="KP-USAGE", help="ask for --copies 1 or more, or --include-original")
    mirrors = job.recipe.flip or job.recipe.flip_vertical or job.recipe.transpose or job.recipe.albumentations
    problems = dataset.skeleton.lateral_issues()
    if mirrors and problems and not job.allow_unpaired:
        raise UsageError(
            f"the skeleton '{dataset.skeleton.name}' cannot be mirrored: {problems[0]}",
            code="KP-UNPAIRED",
            place=str(path),
            expected="a partner for every left and right joint",
            got=f"{len(problems)} joints without",
            help="name the joints left_... and right_..., give --skeleton, or accept it with --allow-unpaired",
        )


def _run_into(
    job: AugmentJob,
    dataset: Dataset,
    root: Path,
    folder: Path,
    target: Format,
    output: Path,
    report: AugmentReport,
    collector: Collector,
    tell: Progress,
) -> None:
    fields = fields_of(dataset)
    plan = _plan(job, dataset, folder)
    done = _work(job, dataset, root, plan, fields, report, tell)
    made = [Made(out, row, [rows[i] for i in out.persons]) for row, rows, result in done for out in result.outputs]
    _notes(done, collector)
    augmented = assemble(dataset, made, fields, collector, drop_empty=job.drop_empty)
    report.counts = augmented.counts()
    report.left_frame = sum(len(row.left_frame) for m in made for row in m.output.rows)
    report.covered = sum(len(row.occluded_by) for m in made for row in m.output.rows)
    report.losses = target.losses(augmented, output / target.default_output)
    for _, _, result in done:
        for step, seconds in result.seconds.items():
            report.profile[step] = report.profile.get(step, 0.0) + seconds
    if job.dry_run:
        return
    from kpkit.pipelines.augment_files import place_images, write_rows

    place_images(folder, augmented, target)
    write_into(target, augmented, folder, WriteOptions(final=output / target.default_output), collector)
    write_rows([row for m in made for row in m.output.rows if row.instance_id], folder / ROWS)
    sync_file(folder / ROWS)
    if job.preview is not None:
        from kpkit.pipelines.augment_preview import write_preview

        write_preview(dataset, root, augmented, made, folder, job.preview, force=job.force)


def _plan(job: AugmentJob, dataset: Dataset, folder: Path) -> Plan:
    names = dataset.skeleton.keypoints
    upper = np.array([any(part in name.lower() for part in UPPER) for name in names], bool)
    return Plan(
        recipe=job.recipe,
        recipe_hash=job.recipe.content_hash(),
        seed=job.seed,
        skeleton=dataset.skeleton,
        upper=upper,
        folder=folder,
        copies=max(job.copies, 0),
        include_original=job.include_original,
        quality=job.quality,
        image_format=job.image_format,
        exif=job.exif,
        max_pixels=job.max_pixels,
    )


def _work(
    job: AugmentJob,
    dataset: Dataset,
    root: Path,
    plan: Plan,
    fields: Fields,
    report: AugmentReport,
    tell: Progress,
) -> list[tuple[int, list[int], Done]]:
    """(image row, its instance rows, what came of it) of every image that worked, ordered by image path."""
    order = np.argsort(dataset.images.path.astype(str), kind="stable").tolist()
    persons = _persons(dataset)
    keys = {str(row): row for row in order}
    found: dict[int, Done] = {}
    items = _items(job, dataset, root, order, persons, fields, plan)
    with LocalPool(job.workers, _quiet_opencv) as pool:
        for number, (key, result) in enumerate(run_tasks(partial(augment_image, plan), items, pool), start=1):
            if isinstance(result, Failure):
                path = str(dataset.images.path[keys[key]])
                report.failures.append(Failure(path, result.code, result.message, result.attempts))
                _discard(plan.folder, path)
            else:
                found[keys[key]] = result
            tell("augmenting", number, len(order))
    report.failures.sort(key=lambda failure: failure.key)
    return [(row, persons[row], found[row]) for row in order if row in found]


def _quiet_opencv() -> None:
    import cv2

    # One thread a worker: the pool has as many workers as were asked for.
    cv2.setNumThreads(1)


def _persons(dataset: Dataset) -> list[list[int]]:
    """Instance rows of each image, ordered by instance id."""
    rows: list[list[int]] = [[] for _ in range(len(dataset.images))]
    for row, image in enumerate(dataset.image_index.tolist()):
        rows[image].append(row)
    ids = dataset.instance_id
    return [sorted(one, key=lambda row: (isinstance(ids[row], str), ids[row])) for one in rows]


def _items(
    job: AugmentJob,
    dataset: Dataset,
    root: Path,
    order: list[int],
    persons: list[list[int]],
    fields: Fields,
    plan: Plan,
) -> Iterator[tuple[str, ImageTask | Any]]:
    stems = _stems([str(path) for path in dataset.images.path])
    for row in order:
        key = str(dataset.images.path[row])
        wh = (int(dataset.images.width[row]), int(dataset.images.height[row]))
        rows: NDArray[np.int64] = np.array(persons[row], np.int64)
        mask, own = existing_masks(fields, row, persons[row], root)
        yield (
            str(row),
            ImageTask(
                key=key,
                stem=stems[row],
                file=resolve_inside(root, key, place=f"image {key}"),
                size_wh=wh if min(wh) > 0 else None,
                ids=dataset.instance_id[rows].tolist(),
                labels=labels_of(dataset, rows, fields),
                mask=mask,
                own_masks=own,
                patch=_patch_file(plan, key, dataset, root),
            ),
        )


def _patch_file(plan: Plan, key: str, dataset: Dataset, root: Path) -> Path | None:
    """Another picture of the dataset, chosen by the image's own stream."""
    if plan.recipe.occlusion is None or plan.recipe.occlusion_fill != "patch":
        return None
    others = sorted({str(path) for path in dataset.images.path} - {key}) or [key]
    chosen = others[int(stream(plan.seed, key, 0, "patch").integers(len(others)))]
    return resolve_inside(root, chosen, place=f"image {chosen}")


def _stems(paths: list[str]) -> list[str]:
    """Output names without ending; two pictures that differ in the ending alone keep it in their names."""
    plain = [str(PurePosixPath(contained(path, place=f"image {path}")).with_suffix("")) for path in paths]
    times: dict[str, int] = {}
    for stem in plain:
        times[stem] = times.get(stem, 0) + 1
    return [
        stem if times[stem] == 1 else f"{stem}_{PurePosixPath(path).suffix.lstrip('.')}"
        for stem, path in zip(plain, paths, strict=True)
    ]


def _discard(folder: Path, path: str) -> None:
    """Remove what a failed image may have written."""
    stem = PurePosixPath(path).with_suffix("")
    for kind in ("images", "masks"):
        for file in (folder / kind / stem.parent).glob(f"{stem.name}*__c*"):
            file.unlink()


def _notes(done: list[tuple[int, list[int], Done]], collector: Collector) -> None:
    words = {
        "16-bit": "16-bit pictures were scaled to 8 bits",
        "exif-applied": "pictures were turned as their EXIF tag says, which gives the labels' size",
        "exif-ignored": "the EXIF turn of pictures was ignored: the labels mean the stored pixels",
        "exif-undecided": "an EXIF turn was ignored; the size does not tell whether the labels mean it (--exif)",
    }
    for code, message in words.items():
        count = sum(code in result.notes for _, _, result in done)
        collector.issue(f"KP-IMAGE-{code.upper()}", message, count=count, severity="note")
    unboxed = sum(result.unboxed for _, _, result in done)
    collector.issue("KP-AUGMENT-NO-BOX", "persons without a box or a labelled joint have no crop", count=unboxed)
