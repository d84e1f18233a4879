"""Labels brought back from FiftyOne: what was edited there goes into the file it came from, under another name."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector, Report
from kpkit.errors import InputError, UsageError
from kpkit.guard import check_free
from kpkit.pipelines.diff import compare
from kpkit.pipelines.io import write
from kpkit.pipelines.load import LabelSource, Loaded, load_labels
from kpkit.pipelines.view import digest
from kpkit.qa import fiftyone_database, fiftyone_dataset
from kpkit.qa.changes import Difference
from kpkit.qa.fiftyone_apply import apply
from kpkit.qa.fiftyone_documents import TRUNCATED_BIT
from kpkit.qa.fiftyone_fields import ADDED, TAGS_EXTRA
from kpkit.qa.fiftyone_pull import ImageEdit, PersonEdit, Pulled, pull, shown_persons

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class PullJob:
    """What to bring back and where to.

    name   of the dataset in FiftyOne
    output file or folder, of the format that was shown; None only in a dry run
    input  where the labels are now, if they moved
    """

    name: str
    output: Path | None = None
    input: Path | None = None
    force: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class TagChange:
    """Tags of a person or (person None) an image that differ from those in the labels."""

    image: str
    person: Any
    before: list[str]
    after: list[str]


@dataclass
class PullReport:
    """What was brought back.

    changed_source  the labels are not those that were shown
    difference      from the labels to the output        tags  that differ
    report          of the writing: losses, issues, files
    """

    name: str
    labels: str
    format: str
    changed_source: bool
    difference: Difference
    tags: list[TagChange]
    report: Report
    failed: int = 0
    seconds: float = field(default=0.0)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "name": self.name,
            "labels": self.labels,
            "format": self.format,
            "changed_source": self.changed_source,
            "counts": self.difference.counts(),
            "changes": [change.as_dict() for change in self.difference.changes()],
            "tags": [vars(one) for one in self.tags],
            "failed": self.failed,
            **{key: value for key, value in self.report.as_dict().items() if key not in {"counts", "seconds"}},
            "seconds": self.seconds,
        }


def run(job: PullJob) -> PullReport:
    """Compare FiftyOne's dataset with what was shown, apply what differs to the labels, and write them.

    Raises UsageError for a dataset that is not there or not kpkit's, InputError where the labels are gone.
    """
    started = time.perf_counter()
    if job.output is not None and not job.dry_run:
        check_free(job.output, force=job.force)
    fiftyone = fiftyone_database.load()
    dataset = fiftyone_dataset.load_ours(fiftyone, job.name)
    info = dict(dataset.info[ADDED])
    collector = Collector()
    loaded = _labels(info, job.input, collector)
    changed_source = digest(loaded.dataset) != info["digest"]
    pulled = pull(dataset, len(loaded.dataset.skeleton))
    gone = _gone(pulled, info)
    if changed_source:
        gone = _relocate(pulled, gone, loaded.dataset, collector)
    failed = _complain(pulled, collector)
    result = apply(loaded.dataset, pulled.images, gone)
    return PullReport(
        name=job.name,
        labels=str(loaded.path),
        format=loaded.format.name,
        changed_source=changed_source,
        difference=compare(loaded.dataset, result, by="id"),
        tags=_tag_changes(loaded.dataset, result),
        report=_write(job, loaded, result, info, collector),
        failed=failed,
        seconds=time.perf_counter() - started,
    )


def _labels(info: Mapping[str, Any], given: Path | None, collector: Collector) -> Loaded:
    """The labels that were shown, read as they were read then."""

    def path(name: str) -> Path | None:
        return Path(info[name]) if info.get(name) else None

    place = given or Path(info["labels"])
    if not place.exists():
        raise InputError(
            "the labels are no longer where they were shown from",
            code="KP-VIEW-SOURCE",
            place=str(place),
            help="name their new place: kpkit view INPUT --pull NAME -o OUT",
        )
    source = LabelSource(
        input=place,
        from_=str(info["format"]),
        skeleton=info.get("skeleton"),
        images=path("images"),
        image_sizes=path("image_sizes"),
        image_list=path("image_list"),
        layout=path("layout"),
    )
    loaded = load_labels(source, collector)
    if len(loaded.dataset.skeleton) != info["joints"]:
        raise UsageError(
            "the labels have other joints than those that were shown",
            code="KP-VIEW-SOURCE",
            place=str(place),
            expected=f"{info['joints']} joints",
            got=f"{len(loaded.dataset.skeleton)} ({loaded.dataset.skeleton.name})",
            help="name the labels that were shown: kpkit view INPUT --pull NAME -o OUT",
        )
    return loaded


def _gone(pulled: Pulled, info: Mapping[str, Any]) -> NDArray[np.int64]:
    """Rows of the images that were shown and that FiftyOne has no more."""
    here = np.array([image.image for image in pulled.images], np.int64)
    shown = np.setdiff1d(np.arange(info["images_shown"]), np.array(info["left_out"], np.int64))
    return np.setdiff1d(shown, here)


def _relocate(pulled: Pulled, gone: NDArray[np.int64], dataset: Dataset, collector: Collector) -> NDArray[np.int64]:
    """Bring edits to the rows of labels that are no longer those that were shown; returns the rows of gone images.

    Images are found by path, persons by path and id. What is not found, or was changed on both sides, is named.
    """
    images = {path: row for row, path in enumerate(dataset.images.path.tolist())}
    rows = {
        (int(image), json.dumps(key)): row
        for row, (image, key) in enumerate(zip(dataset.image_index.tolist(), dataset.instance_id.tolist(), strict=True))
    }
    collector.issue(
        "KP-VIEW-CHANGED",
        "the labels are no longer those that were shown; edits are brought to the persons of the same image and id",
        help="compare both with kpkit diff",
    )
    kept = []
    for image in pulled.images:
        place = images.get(image.path)
        if place is None:
            lost = sum(person.changed for person in image.persons)
            _lost(collector, image.path, "the image", lost)
            continue
        image.image = place
        image.persons = [
            person for i, person in enumerate(image.persons) if _moved(person, i, image, rows, dataset, collector)
        ]
        kept.append(image)
    pulled.images = kept
    if len(gone):
        # Which images these rows were is not known any more.
        collector.issue(
            "KP-VIEW-GONE", "images deleted in FiftyOne that stay, since the labels changed meanwhile", count=len(gone)
        )
    return np.zeros(0, np.int64)


def _moved(
    person: PersonEdit,
    number: int,
    image: ImageEdit,
    rows: Mapping[tuple[int, str], int],
    dataset: Dataset,
    collector: Collector,
) -> bool:
    """Give a person its row of today; False where there is none."""
    person.image = image.image
    if person.row < 0:
        return True
    row = rows.get((image.image, person.key))
    if row is None:
        _lost(collector, image.path, f"person {person.key}", int(person.changed))
        return False
    person.row = row
    xy, flags, _ = (values[number] for values in shown_persons(image.exact, len(dataset.skeleton)))
    for joint in {*person.xy, *person.words}:
        now = dataset.visibility[row, joint] + TRUNCATED_BIT * dataset.truncated[row, joint]
        if now != flags[joint] or not np.array_equal(dataset.xy[row, joint], xy[joint], equal_nan=True):
            collector.issue(
                "KP-VIEW-BOTH",
                "joints changed in the labels as well as in FiftyOne; FiftyOne's are taken",
                place=f"{image.path}: person {person.key}: {dataset.skeleton.keypoints[joint]}",
            )
    return True


def _lost(collector: Collector, path: str, what: str, count: int) -> None:
    collector.issue(
        "KP-VIEW-LOST",
        "edits of what is no longer in the labels; they are left out",
        place=f"{path}: {what}",
        count=count,
    )


def _complain(pulled: Pulled, collector: Collector) -> int:
    """Name what could not be understood; how many persons that were."""
    for trouble in pulled.troubles:
        collector.issue(
            "KP-VIEW-LABEL",
            f"a person's joints in FiftyOne cannot be understood and stay as they were: {trouble.what}",
            place=f"{trouble.path}: person {trouble.person}",
            severity="error",
        )
    collector.issue(
        "KP-VIEW-FOREIGN",
        "samples that were added in FiftyOne are left out: their place among the labels' images is not known",
        count=pulled.foreign,
    )
    return len(pulled.troubles)


def _tag_changes(before: Dataset, after: Dataset) -> list[TagChange]:
    found: list[TagChange] = []
    old_images = _tags(before.images.path.tolist(), before.images.extras, None)
    new_images = _tags(after.images.path.tolist(), after.images.extras, None)
    paths = before.images.path[before.image_index].tolist()
    old = _tags(paths, before.extras, before.instance_id.tolist())
    new = _tags(after.images.path[after.image_index].tolist(), after.extras, after.instance_id.tolist())
    for ours, theirs in ((old_images, new_images), (old, new)):
        for key in dict.fromkeys([*ours, *theirs]):
            if ours.get(key, []) != theirs.get(key, []):
                found.append(TagChange(key[0], key[1], ours.get(key, []), theirs.get(key, [])))
    return found


def _tags(paths: list[str], extras: Mapping[str, Any], ids: list[Any] | None) -> dict[tuple[str, Any], list[str]]:
    column = extras.get(TAGS_EXTRA)
    if column is None:
        return {}
    keys = zip(paths, ids if ids is not None else [None] * len(paths), strict=True)
    return {key: list(value) for key, value in zip(keys, column, strict=True) if value}


def _write(job: PullJob, loaded: Loaded, result: Dataset, info: Mapping[str, Any], collector: Collector) -> Report:
    """Write the labels in their own format, or only say what would be lost."""
    if job.dry_run or job.output is None:
        losses = loaded.format.losses(result, job.output or loaded.path)
        place = str(job.output or "")
        report = Report(command="view", output=place, dry_run=True, counts=result.counts(), losses=losses)
    else:
        layout = info.get("layout")
        report = write(result, job.output, loaded.format.name, force=job.force, layout=layout)
        report.command = "view"
    # What the labels already lack, the pull does not lose.
    lacking = {one.what: one.count for one in loaded.format.losses(loaded.dataset, job.output or loaded.path)}
    report.losses = [one for one in report.losses if one.count > lacking.get(one.what, 0)]
    report.inputs = [str(loaded.path)]
    report.issues = [*collector.issues, *report.issues]
    return report
