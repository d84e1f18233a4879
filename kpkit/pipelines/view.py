"""Labels shown in FiftyOne: read, given their pictures and sizes, stored in bulk."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
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
from kpkit.qa import fiftyone_app, fiftyone_database, fiftyone_dataset
from kpkit.qa.fiftyone_documents import Shown
from kpkit.qa.fiftyone_fields import ADDED, MISSING
from kpkit.qa.fiftyone_pull import is_edited, pull

Progress = Callable[[str, int, int], None]
_UNNAMEABLE = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True, kw_only=True)
class ViewJob:
    """What to show and under which name.

    name   "": made from the input's name        persistent  the dataset stays when the last program leaves FiftyOne
    force  replace a dataset of that name
    """

    source: LabelSource
    name: str = ""
    persistent: bool = False
    force: bool = False


@dataclass(kw_only=True)
class ViewReport:
    """What is in FiftyOne now.

    name      of the dataset            counts   images, instances and joints by flag
    samples   pictures stored           missing  of them without a file
    left_out  images without a size     views    saved with the dataset
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
    if loaded.images is None:
        raise UsageError(
            "the pictures of these labels were not found",
            code="KP-IMAGES-WHERE",
            place=str(loaded.path),
            expected=f"e.g. {loaded.dataset.images.path[0]}"
            if len(loaded.dataset.images)
            else "image paths in the labels",
            help="say where they are with --images DIR",
        )
    shown, missing = _shown(loaded, loaded.images, collector)
    name = job.name or default_name(loaded.path)
    fiftyone = fiftyone_database.load()
    with fiftyone_dataset.new_dataset(fiftyone, name, force=job.force) as dataset, uncollected():
        stored = fiftyone_dataset.fill(fiftyone, dataset, shown, _info(job.source, loaded, shown), progress)
        views = fiftyone_dataset.save_views(fiftyone, dataset, [])
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
        views=views,
        issues=collector.issues,
        seconds=time.perf_counter() - started,
    )


@dataclass(frozen=True, kw_only=True)
class AppJob:
    """Where the App is served.

    port     None: the first free one from 5151 on      remote  no browser is opened here
    address  one of this machine's; 127.0.0.1 cannot be reached from elsewhere
    """

    port: int | None = None
    address: str = fiftyone_app.ADDRESS
    remote: bool = False


@contextlib.contextmanager
def open_app(name: str, job: AppJob) -> Iterator[OpenApp]:
    """Serve a dataset in FiftyOne's App.

    Raises UsageError where the port is taken, InputError where the App does not start.
    """
    fiftyone = fiftyone_database.load()
    port = fiftyone_app.free_port(job.port, job.address)
    dataset = fiftyone.load_dataset(name)
    with fiftyone_app.serve(fiftyone, dataset, port=port, address=job.address, remote=job.remote) as session:
        yield OpenApp(name, fiftyone_app.url(job.address, port, name), port, session, job.remote)


@dataclass(frozen=True)
class OpenApp:
    """A dataset in FiftyOne's App: its name, where a browser finds it, and FiftyOne's session."""

    name: str
    url: str
    port: int
    session: Any
    remote: bool

    def wait(self) -> None:
        """Until all browser windows are closed, or, where none was opened here, until interrupted."""
        fiftyone_app.wait(self.session, remote=self.remote)


def keep_if_edited(name: str) -> bool:
    """Keep a dataset beyond the end of this program if anything was edited in it; whether that is so.

    FiftyOne deletes what is not persistent, and with it an afternoon's work.
    """
    fiftyone = fiftyone_database.load()
    if not fiftyone.dataset_exists(name):
        return False
    dataset = fiftyone_dataset.load_ours(fiftyone, name)
    dataset.reload()
    info = dataset.info[ADDED]
    found = pull(dataset, int(info["joints"]))
    if not dataset.persistent and is_edited(found, int(info["stored"])):
        dataset.persistent = True
        return True
    return False


def delete(name: str) -> None:
    """Delete a dataset that kpkit made from FiftyOne; the labels and pictures stay where they are.

    Raises UsageError where there is none, or another program made it.
    """
    fiftyone_dataset.load_ours(fiftyone_database.load(), name).delete()


def default_name(path: Path) -> str:
    """A name for the dataset of labels at `path`: that of the file, or of the folder for names that say nothing."""
    stem = path.name.split(".")[0]
    if stem in {"data", "labels", "annotations", "person_keypoints_default", ""}:
        parent = path.resolve().parent
        stem = (parent.parent if parent.name in {"annotations", "annot", "labels"} else parent).name
    return _UNNAMEABLE.sub("-", stem).strip("-.") or "kpkit"


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
