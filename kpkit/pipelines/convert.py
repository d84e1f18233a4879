"""`convert`: labels of one format as another, with an account of every joint."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector, Report
from kpkit.errors import LossError, UsageError
from kpkit.formats.base import Format, WriteOptions
from kpkit.guard import check_free, claim, publish, work_folders
from kpkit.pipelines.bulk import uncollected
from kpkit.pipelines.convert_job import ConvertJob, Place, Progress
from kpkit.pipelines.convert_parts import Streamed
from kpkit.pipelines.convert_steps import convert_dataset, read_options
from kpkit.pipelines.find import get_format, inputs_of
from kpkit.pipelines.images import image_folder, place_images
from kpkit.pipelines.io import file_sizes, read_with, write_into
from kpkit.pipelines.merge import merge


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
    tell = progress or (lambda stage, done, total: None)
    source, target = get_format(job.source), get_format(job.target)
    _check_options(job, target)
    if job.scheduler:
        job = _absolute(job)
    output, in_folder = _output(job, target)
    if job.dry_run:
        return _run(job, source, target, output, in_folder, tell)
    folder = in_folder or target.kind == "folder"
    check_free(output, force=job.force, directory=folder)
    with claim(output, wait=job.wait, tell=lambda owner: tell(f"waiting for process {owner.pid}", 0, 0)):
        # What was waited for may have written it.
        check_free(output, force=job.force, directory=folder)
        if not (job.resume or job.force):
            _end_others(job, (source, target), [], output)
        return _run(job, source, target, output, in_folder, tell)


def _run(job: ConvertJob, source: Format, target: Format, output: Path, in_folder: bool, tell: Progress) -> Report:
    started = time.monotonic()
    collector = Collector()
    inputs = inputs_of(source, job.inputs, job.folder)
    _check_overlap(job, inputs, output)
    report = Report(
        command="convert",
        inputs=[str(path) for path in inputs],
        output=str(output),
        dry_run=job.dry_run,
        source={"format": source.name, "variant": source.sniff(inputs[0]) or ""},
        target={"format": target.name},
    )
    place = Place(output, in_folder, in_folder or target.kind == "folder")
    streamed = Streamed.plan(job, (source, target), inputs, place, collector)
    if streamed is not None:
        streamed.run(report, collector, tell)
        return _finished(job, report, collector, started)
    if not job.dry_run:
        _end_others(job, (source, target), inputs, output)
    if job.resume:
        collector.note(
            "KP-RESUME-WHOLE", "this conversion is not done part by part: there was nothing to keep, and it began anew"
        )
    dataset = _read(job, source, inputs, collector, tell)
    done = convert_dataset(job, source, target, dataset, place.labels(target, output), collector)
    report.source["skeleton"], report.target["skeleton"] = done.mapping.source.name, done.mapping.target.name
    report.via = list(done.mapping.via)
    report.counts, report.joints, report.losses = done.dataset.counts(), done.joints, done.losses
    if not (job.dry_run or (report.losses and job.strict)):
        _write(job, target, done.dataset, place, collector, tell)
        report.files = file_sizes(output)
    return _finished(job, report, collector, started)


def _end_others(job: ConvertJob, formats: tuple[Format, Format], inputs: list[Path], output: Path) -> None:
    """Remove what runs that were ended left to go on from, where nothing is finished in it or `force` is given.

    Raises OutputError elsewhere.
    """
    if not work_folders(output):
        return
    from kpkit.pipelines.convert_keep import job_parts
    from kpkit.pipelines.work_folder import end_others

    parts = job_parts(job, formats, inputs, 0, 1) if job.resume else {}
    end_others(output, parts, resume=job.resume, force=job.force)


def _absolute(job: ConvertJob) -> ConvertJob:
    """The same with absolute paths: workers of a cluster have another current folder."""
    names = ("output", "folder", "images", "image_sizes", "image_list", "layout", "report")
    given = {name: path.absolute() for name in names if (path := getattr(job, name)) is not None}
    return replace(job, inputs=tuple(path.absolute() for path in job.inputs), **given)


def _finished(job: ConvertJob, report: Report, collector: Collector, started: float) -> Report:
    """The account, closed and written; LossError under `strict`, where nothing was written then."""
    report.issues = collector.issues
    report.seconds = time.monotonic() - started
    if job.report is not None:
        write_report(report, job.report)
    if report.losses and job.strict:
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


def _read(job: ConvertJob, source: Format, inputs: list[Path], collector: Collector, tell: Progress) -> Dataset:
    options = read_options(job)
    datasets = []
    for number, path in enumerate(inputs):
        tell("reading", number, len(inputs))
        datasets.append(read_with(source, path, options, collector))
    tell("reading", len(inputs), len(inputs))
    return merge(datasets, [str(path) for path in inputs], collector)


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
    job: ConvertJob, target: Format, dataset: Dataset, place: Place, collector: Collector, tell: Progress
) -> None:
    tell("writing", 0, 1)
    options = WriteOptions(final=place.labels(target, place.output), low_memory=job.low_memory, part_size=job.part_size)
    with publish(place.output, force=job.force, directory=place.is_folder) as temporary:
        if place.inside:
            write_into(target, dataset, temporary, options, collector)
        else:
            target.write(dataset, temporary, options, collector)
        if job.copy_images or job.link_images:
            root = image_folder(job.images, dataset)
            places = target.image_targets(dataset)
            place_images(dataset, root, places, temporary, place.output, link=job.link_images, collector=collector)
    tell("writing", 1, 1)


__all__ = ["ConvertJob", "Progress", "convert", "run", "write_report"]
