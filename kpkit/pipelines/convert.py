"""`convert`: labels of one format as another, with an account of every joint."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kpkit.core import boxes, catalog
from kpkit.core.dataset import AREA_BBOX, Dataset
from kpkit.core.mapping import Mapping
from kpkit.core.remap import remap
from kpkit.core.report import Collector, Report
from kpkit.core.skeleton import Skeleton
from kpkit.errors import LossError, UsageError
from kpkit.formats.base import Format, ReadOptions, WriteOptions
from kpkit.formats.jsonrows import RowSource
from kpkit.formats.segmentation import segmentation_areas
from kpkit.guard import check_free, publish
from kpkit.pipelines.bulk import uncollected
from kpkit.pipelines.find import get_format, inputs_of
from kpkit.pipelines.images import ImageSizes, image_folder, place_images, with_sizes
from kpkit.pipelines.io import check_skeleton, file_sizes, read_with, write_into
from kpkit.pipelines.merge import merge
from kpkit.pipelines.sigmas import read_sigmas

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class ConvertJob:
    """What to convert and how; the fields are the options of `kpkit convert`.

    source, target  names of formats      inputs  files or folders; empty: look in `folder`
    output          file or folder; None: kpkit-out/convert-TARGET in `folder`
    bbox, bbox_pad  see kpkit.core.boxes; bbox None: "auto" where the target has boxes and the labels came from another
                    format
    part_size       persons or images in a part of a native output; 0: not cut, unless the input is large
    """

    source: str
    target: str
    inputs: tuple[Path, ...] = ()
    output: Path | None = None
    folder: Path = Path()
    skeleton: str | None = None
    keep_skeleton: bool = False
    images: Path | None = None
    image_sizes: Path | None = None
    copy_images: bool = False
    link_images: bool = False
    image_list: Path | None = None
    layout: Path | None = None
    bbox: str | None = None
    bbox_pad: float = 0.25
    sigmas: str | None = None
    strict: bool = False
    report: Path | None = None
    force: bool = False
    dry_run: bool = False
    low_memory: bool = False
    part_size: int = 0


def convert(source: str, target: str, *inputs: str | Path, output: str | Path | None = None, **options: Any) -> Report:
    """Convert label files; the Python face of `kpkit convert`.

    source, target  names of formats    inputs  files or folders; none: look in the current folder
    options         the other fields of ConvertJob

    Raises KpkitError; nothing is written then.
    """
    paths = {"images", "image_sizes", "image_list", "layout", "report", "folder"}
    given: dict[str, Any] = {name: Path(v) if name in paths and v is not None else v for name, v in options.items()}
    return run(
        ConvertJob(
            source=source,
            target=target,
            inputs=tuple(Path(path) for path in inputs),
            output=Path(output) if output is not None else None,
            **given,
        )
    )


@uncollected()
def run(job: ConvertJob, progress: Progress | None = None) -> Report:
    """Carry out one conversion: read, merge, remap, fill in boxes, write; returns the account of it.

    Raises UsageError, InputError, OutputError, or LossError under `strict`; the output is untouched then.
    """
    started = time.monotonic()
    tell = progress or (lambda stage, done, total: None)
    source, target = get_format(job.source), get_format(job.target)
    _check_options(job, target)
    output, in_folder = _output(job, target)
    if not job.dry_run:
        check_free(output, force=job.force, directory=in_folder or target.kind == "folder")
    collector = Collector()
    inputs = inputs_of(source, job.inputs, job.folder)
    _check_overlap(job, inputs, output)
    dataset = _read(job, source, target, inputs, collector, tell)
    mapping = catalog.mapping(dataset.skeleton, _target_skeleton(job, source, target, dataset))
    check_skeleton(target, mapping.target)
    # Boxes first: the joints that the new skeleton has no place for (a head, say) still belong to the person.
    mapped = remap(_complete(job, target, dataset, mapping, collector), mapping)
    report = Report(
        command="convert",
        inputs=[str(path) for path in inputs],
        output=str(output),
        dry_run=job.dry_run,
        source={"format": source.name, "variant": source.sniff(inputs[0]) or "", "skeleton": dataset.skeleton.name},
        target={"format": target.name, "skeleton": mapping.target.name},
        via=list(mapping.via),
        counts=mapped.dataset.counts(),
        joints=mapped.joints,
        losses=[
            *mapped.losses,
            *target.losses(mapped.dataset, output / target.default_output if in_folder else output),
        ],
    )
    refused = bool(report.losses) and job.strict
    if not (refused or job.dry_run):
        _write(job, target, mapped.dataset, output, in_folder, collector, tell)
        report.files = file_sizes(output)
    report.issues = collector.issues
    report.seconds = time.monotonic() - started
    if job.report is not None:
        write_report(report, job.report)
    if refused:
        raise _strict(report)
    return report


def write_report(report: Report, path: Path) -> None:
    """The report as JSON (schemas/json/report.schema.json), whole or not at all."""
    import json

    with publish(path, force=True) as temporary:
        temporary.write_text(json.dumps(report.as_dict(), indent=1) + "\n", encoding="utf-8")


def _check_options(job: ConvertJob, target: Format) -> None:
    if job.skeleton is not None and job.keep_skeleton:
        raise UsageError("--skeleton and --keep-skeleton exclude each other", code="KP-USAGE", help="leave one out")
    if job.copy_images and job.link_images:
        raise UsageError("--copy-images and --link-images exclude each other", code="KP-USAGE", help="leave one out")
    if job.part_size and not target.has_parts:
        raise UsageError(
            "only native datasets have parts",
            code="KP-USAGE",
            expected="kpkit convert SRC native --part-size N",
            got=f"{target.name} --part-size {job.part_size}",
            help="leave --part-size out",
        )


def _check_overlap(job: ConvertJob, inputs: list[Path], output: Path) -> None:
    """Raise UsageError where writing would take away what is read: an input in the output folder, or as report."""
    if output.is_dir():
        place = output.resolve()
        given = [*inputs, job.images, job.image_sizes, job.image_list, job.layout]
        inside = [
            one for one in given if one is not None and (one.resolve() == place or place in one.resolve().parents)
        ]
        if inside:
            raise UsageError(
                "the output folder holds an input, which --force would delete",
                code="KP-OUTPUT-INPUT",
                place=str(output),
                expected="a folder without inputs",
                got=str(inside[0]),
                help="choose another folder with -o",
            )
    if job.report is not None and job.report.resolve() in [one.resolve() for one in inputs]:
        raise UsageError(
            "the report would replace an input",
            code="KP-OUTPUT-INPUT",
            place=str(job.report),
            help="choose another file with --report",
        )


def _output(job: ConvertJob, target: Format) -> tuple[Path, bool]:
    """Where to write, and whether that is a folder in which the format has its usual place."""
    if job.output is None:
        return job.folder / "kpkit-out" / f"convert-{target.name}", target.default_output not in {"", "."}
    is_file = job.output.suffix.lower() in target.suffixes and target.kind == "file"
    in_folder = target.kind == "file" and not is_file
    if is_file and (job.copy_images or job.link_images):
        raise UsageError(
            "images can only be placed beside labels in a folder",
            code="KP-IMAGES-FOLDER",
            place=str(job.output),
            help="give -o a folder",
        )
    return job.output, in_folder


def _read(
    job: ConvertJob, source: Format, target: Format, inputs: list[Path], collector: Collector, tell: Progress
) -> Dataset:
    sizes = ImageSizes(job.images, job.image_sizes)
    options = ReadOptions(
        skeleton=catalog.skeleton(job.skeleton) if job.skeleton else None,
        image_list=job.image_list,
        layout=job.layout,
        sizes=sizes,
        low_memory=job.low_memory,
    )
    datasets = []
    for number, path in enumerate(inputs):
        tell("reading", number, len(inputs))
        datasets.append(read_with(source, path, options, collector))
    tell("reading", len(inputs), len(inputs))
    dataset = merge(datasets, [str(path) for path in inputs], collector)
    if job.sigmas is not None:
        dataset = dataset.replace(skeleton=read_sigmas(job.sigmas, dataset.skeleton))
    unknown = target.keeps.image_size and bool((dataset.images.width < 0).any())
    if unknown and job.images is None and dataset.image_root is not None:
        sizes = ImageSizes(Path(dataset.image_root), job.image_sizes)
    return with_sizes(dataset, sizes, collector)


def _target_skeleton(job: ConvertJob, source: Format, target: Format, dataset: Dataset) -> Skeleton:
    if job.skeleton is not None:
        return catalog.skeleton(job.skeleton)
    if job.keep_skeleton:
        return dataset.skeleton
    allowed = target.keeps.skeletons
    if allowed is not None:
        known = [catalog.skeleton(name) for name in allowed]
        return next((one for one in known if one.same_joints(dataset.skeleton)), known[0])
    if target.foreign_skeleton and source.fixed_joints:
        return catalog.skeleton(target.foreign_skeleton)
    return dataset.skeleton


def _complete(job: ConvertJob, target: Format, dataset: Dataset, mapping: Mapping, collector: Collector) -> Dataset:
    """Boxes and areas where the target has them and the labels came from elsewhere."""
    own_rows = dataset.source is not None and dataset.source.format == target.name and mapping.is_identity
    if job.bbox is None and (own_rows or not target.makes_boxes):
        return dataset
    dataset = boxes.with_boxes(dataset, job.bbox or "auto", job.bbox_pad, target.scale_boxes(dataset))
    made = dataset.bbox_source > 1
    collector.note(
        "KP-BBOX-MADE",
        f"person boxes made from their joints (hull + {job.bbox_pad:.0%}) or scale",
        count=int(np.count_nonzero(made)),
    )
    missing = np.flatnonzero(~np.isfinite(dataset.area))
    from_mask = None
    if len(missing) and isinstance(dataset.source, RowSource):
        from_mask = np.full(len(dataset), np.nan)
        from_mask[missing] = segmentation_areas(dataset.source, missing)
    dataset = boxes.with_areas(dataset, from_mask)
    collector.note("KP-AREA-MADE", "areas made: 0.53 x box", count=int((dataset.area_source == AREA_BBOX).sum()))
    return dataset


def _strict(report: Report) -> LossError:
    kinds = ", ".join(f"{loss.count} {loss.what}" for loss in report.losses)
    error = LossError(
        "the target cannot hold everything, and --strict was given; nothing was written",
        code="KP-LOSS",
        place=report.output,
        expected="no loss",
        got=kinds,
        help="leave --strict out to accept these losses, or choose 'native', which keeps everything",
    )
    error.report = report
    return error


def _write(
    job: ConvertJob,
    target: Format,
    dataset: Dataset,
    output: Path,
    in_folder: bool,
    collector: Collector,
    tell: Progress,
) -> None:
    tell("writing", 0, 1)
    folder = in_folder or target.kind == "folder"
    with publish(output, force=job.force, directory=folder) as temporary:
        options = WriteOptions(
            final=output / target.default_output if in_folder else output,
            low_memory=job.low_memory,
            part_size=job.part_size,
        )
        if in_folder:
            write_into(target, dataset, temporary, options, collector)
        else:
            target.write(dataset, temporary, options, collector)
        if job.copy_images or job.link_images:
            root = image_folder(job.images, dataset)
            places = target.image_targets(dataset)
            place_images(dataset, root, places, temporary, output, link=job.link_images, collector=collector)
    tell("writing", 1, 1)
