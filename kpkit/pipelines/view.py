"""Labels shown in FiftyOne: read, given their pictures and sizes, stored in bulk."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector, Issue
from kpkit.errors import RecordError, UsageError
from kpkit.pipelines.bulk import uncollected
from kpkit.pipelines.images import header_size
from kpkit.pipelines.load import LabelSource, Loaded, load_labels
from kpkit.pipelines.view_findings import FindingTags, finding_tags
from kpkit.pipelines.view_groups import groups_of
from kpkit.pipelines.view_heatmaps import heatmaps_of
from kpkit.qa import fiftyone_database, fiftyone_dataset
from kpkit.qa.fiftyone_documents import Shown
from kpkit.qa.fiftyone_fields import MISSING

Progress = Callable[[str, int, int], None]
_UNNAMEABLE = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True, kw_only=True)
class ViewJob:
    """What to show and under which name.

    name   "": made from the input's name        persistent  the dataset stays when the last program leaves FiftyOne
    force  replace a dataset of that name
    shards    folder of `kpkit heatmaps`, whose targets are laid over the pictures
    findings  run the rules of `validate` and tag what they find
    """

    source: LabelSource
    shards: Path | None = None
    findings: bool = True
    name: str = ""
    persistent: bool = False
    force: bool = False


@dataclass(kw_only=True)
class ViewReport:
    """What is in FiftyOne now.

    name      of the dataset            counts   images, instances and joints by flag
    samples   pictures stored           missing  of them without a file
    left_out  images without a size     views    saved with the dataset
    groups    source pictures whose copies stand together; 0: single pictures
    masks, heatmaps  pictures that have one       findings  tag -> persons and images
    """

    name: str
    labels: str
    format: str
    images: str
    persistent: bool
    samples: int = 0
    missing: int = 0
    left_out: int = 0
    groups: int = 0
    masks: int = 0
    heatmaps: int = 0
    findings: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    views: list[str] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def run(job: ViewJob, progress: Progress | None = None) -> ViewReport:
    """Store the labels as a FiftyOne dataset.

    Raises UsageError, InputError or RecordError where labels, pictures or database cannot be had, or the name is taken.
    """
    started = time.perf_counter()
    collector = Collector()
    loaded = load_labels(job.source, collector)
    name = job.name or default_name(loaded.path)
    shown, missing = _shown(loaded, _pictures(loaded), collector)
    found = finding_tags(loaded, collector.issues) if job.findings else FindingTags()
    shown = _with_extras(shown, found, job, loaded, collector)
    fiftyone = fiftyone_database.load()
    with fiftyone_dataset.new_dataset(fiftyone, name, force=job.force) as dataset, uncollected():
        stored = fiftyone_dataset.fill(fiftyone, dataset, shown, _info(job.source, loaded, shown), progress)
        views = fiftyone_dataset.save_views(fiftyone, dataset, found.views)
        dataset.persistent = job.persistent
    return ViewReport(
        name=name,
        labels=str(loaded.path),
        format=loaded.format.name,
        images=str(loaded.images),
        persistent=job.persistent,
        samples=stored,
        missing=missing,
        left_out=len(loaded.dataset.images) - stored,
        counts=loaded.dataset.counts(),
        groups=len({key for key, _ in shown.groups.values()}),
        masks=len(shown.masks),
        heatmaps=len(shown.heatmaps),
        findings=found.counts,
        views=views,
        issues=collector.issues,
        seconds=time.perf_counter() - started,
    )


def default_name(path: Path) -> str:
    """A name for the dataset of labels at `path`: that of the file, or of the folder for names that say nothing."""
    stem = path.name.split(".")[0]
    if stem in {"data", "labels", "annotations", "person_keypoints_default", ""}:
        parent = path.resolve().parent
        stem = (parent.parent if parent.name in {"annotations", "annot", "labels"} else parent).name
    return _UNNAMEABLE.sub("-", stem).strip("-.") or "kpkit"


def _pictures(loaded: Loaded) -> Path:
    """The folder of the pictures; UsageError where it was not found."""
    if loaded.images is not None:
        return loaded.images
    raise UsageError(
        "the pictures of these labels were not found",
        code="KP-IMAGES-WHERE",
        place=str(loaded.path),
        expected=", ".join(loaded.dataset.images.path[:1].tolist()) or "image paths in the labels",
        help="say where they are with --images DIR",
    )


def _shown(loaded: Loaded, root: Path, collector: Collector) -> tuple[Shown, int]:
    """The labels with absolute paths and sizes, and the number of pictures that are not there."""
    images = loaded.dataset.images
    base = os.path.abspath(root)
    files = [os.path.join(base, path) for path in images.path.tolist()]
    there = [os.path.isfile(file) for file in files]
    absent = [str(images.path[i]) for i, found in enumerate(there) if not found]
    collector.issue(
        "KP-IMAGE-MISSING",
        "pictures that are not there; their labels are stored without them",
        count=len(absent),
        places=absent[:5],
    )
    tags = {i: [MISSING] for i, found in enumerate(there) if not found}
    return Shown(
        dataset=loaded.dataset, files=files, sizes=_sizes(loaded.dataset, files, there, collector), image_tags=tags
    ), len(absent)


def _with_extras(shown: Shown, found: FindingTags, job: ViewJob, loaded: Loaded, collector: Collector) -> Shown:
    """What is shown beside the labels: findings, copies as groups, masks, targets."""
    groups = groups_of(loaded.dataset, loaded.path)
    image_tags = {row: [*tags] for row, tags in shown.image_tags.items()}
    for row, tags in found.images.items():
        image_tags.setdefault(row, []).extend(tags)
    heatmaps = heatmaps_of(job.shards, loaded.dataset, shown.sizes, collector) if job.shards is not None else {}
    return replace(
        shown,
        person_tags=found.persons,
        image_tags=image_tags,
        groups=groups.groups,
        masks=groups.masks,
        heatmaps=heatmaps,
    )


def _sizes(dataset: Dataset, files: list[str], there: list[bool], collector: Collector) -> NDArray[np.float64]:
    """[M,2] width and height, from the labels, else from the picture's header, else NaN."""
    images = dataset.images
    sizes = np.stack([images.width, images.height], axis=1).astype(np.float64)
    sizes[(sizes <= 0).any(axis=1)] = np.nan
    unknown: list[str] = []
    for row in np.flatnonzero(np.isnan(sizes[:, 0])).tolist():
        with contextlib.suppress(RecordError):
            sizes[row] = header_size(Path(files[row])) if there[row] else (np.nan, np.nan)
        if np.isnan(sizes[row, 0]):
            unknown.append(str(images.path[row]))
    collector.issue(
        "KP-SIZE-UNKNOWN",
        "images of unknown size cannot be shown and are left out",
        count=len(unknown),
        places=unknown[:5],
        help="give --images DIR or --image-sizes FILE.csv",
    )
    return sizes


def digest(dataset: Dataset) -> str:
    """SHA-256 of what is shown of the labels: joints, flags, boxes, ids and image paths."""
    found = hashlib.sha256(dataset.skeleton.content_hash.encode())
    for column in (dataset.image_index, dataset.xy, dataset.visibility, dataset.truncated, dataset.bbox_xywh):
        found.update(np.ascontiguousarray(column).tobytes())
    for texts in (dataset.instance_id, dataset.images.path):
        found.update("\n".join(map(repr, texts.tolist())).encode("utf-8", "surrogatepass"))
    return found.hexdigest()


def _info(source: LabelSource, loaded: Loaded, shown: Shown) -> dict[str, Any]:
    """What a pull needs to read the same labels again."""

    def absolute(path: Path | None) -> str | None:
        return os.path.abspath(path) if path is not None else None

    return {
        "labels": os.path.abspath(loaded.path),
        "format": loaded.format.name,
        "digest": digest(loaded.dataset),
        "joints": len(loaded.dataset.skeleton),
        "images_shown": len(shown.files),
        "stored": int(np.isfinite(shown.sizes).all(axis=1).sum()),
        "left_out": np.flatnonzero(np.isnan(shown.sizes).any(axis=1)).tolist(),
        "skeleton": source.skeleton,
        "images": absolute(source.images),
        "image_sizes": absolute(source.image_sizes),
        "image_list": absolute(source.image_list),
        "layout": absolute(source.layout),
    }
