"""The folder that an augmentation fills: hidden while it works, kept when it is ended early, named when it is whole."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpkit import storage
from kpkit.guard import check_free, claim, install
from kpkit.pipelines.augment_job import AugmentJob, AugmentReport
from kpkit.pipelines.augment_keep import pack, unpack
from kpkit.pipelines.augment_plan import Done
from kpkit.pipelines.augment_prepare import Work
from kpkit.pipelines.fingerprint import file_checksum, input_checksum, versions
from kpkit.pipelines.run_folder import end_runs
from kpkit.pipelines.work_folder import WorkFolder, work_folder

LIBRARIES = ("numpy", "opencv-python-headless", "pyarrow", "simplejpeg", "xxhash")
# What of a job says nothing about the bytes of single images.
ELSEWHERE = frozenset(
    {
        *("input", "output", "folder", "from_", "recipe", "workers", "images", "image_sizes", "preview", "force"),
        *("dry_run", "resume", "wait", "scheduler", "allow_unpaired"),
    }
)
SCRATCH = ".parts"
Progress = Callable[[str, int, int], None]


@dataclass
class Folder:
    """Where the output is made.

    making  where workers make files before they get their places
    work    puts down what is finished; None: nothing is kept (a dry run)
    """

    path: Path
    making: Path
    work: WorkFolder | None = None

    def earlier(self, key: str) -> Done | None:
        """What an earlier run made of an image."""
        item = None if self.work is None else self.work.earlier.get(key)
        return None if item is None else unpack(item)

    def scratch(self) -> Path:
        """An empty folder for what is needed until the labels are whole."""
        folder = (self.path if self.work is None else self.work.path) / SCRATCH
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def end_making(self) -> None:
        """All items are done: a worker that was given up, and comes late, makes no file any more. Raises OSError."""
        if self.work is not None:
            end_runs(self.work.path)

    def note(self, key: str, done: Done) -> None:
        """Put down that an image is done."""
        if self.work is None:
            return
        with contextlib.suppress(TypeError, OverflowError):  # a label that is no plain data: made again when resumed
            self.work.note(key, pack(done))


@contextlib.contextmanager
def output_folder(work: Work, report: AugmentReport, tell: Progress) -> Iterator[Folder]:
    """The folder to write into; it gets its name when the block ends well. In a dry run one that nobody keeps."""
    job = work.job
    if job.dry_run:
        with tempfile.TemporaryDirectory(prefix="kpkit-") as folder:
            yield Folder(Path(folder), Path(folder))
        return
    # Workers of a cluster have another current folder.
    output = work.output.absolute() if job.scheduler and not storage.is_remote(work.output) else work.output
    with claim(output, wait=job.wait, tell=lambda owner: tell(f"waiting for process {owner.pid}", 0, 0)):
        # Another run may have written it while this one read or waited.
        check_free(output, force=job.force)
        parts = job_parts(work, report.recipe_hash)
        with work_folder(output, parts, resume=job.resume, force=job.force) as kept:
            yield Folder(kept.data, kept.making, kept)
            kept.sync()
            install(kept.data, output, force=job.force)


def job_parts(work: Work, recipe_hash: str) -> dict[str, Any]:
    """What an augmentation's bytes depend on; the pictures are checked one by one."""
    job: AugmentJob = work.job
    pipeline = job.recipe.albumentations
    libraries = (*LIBRARIES, "albumentations") if pipeline else LIBRARIES
    return {
        "command": "augment",
        "labels": input_checksum(work.path),
        "image sizes": file_checksum(job.image_sizes) if job.image_sizes is not None else "",
        "recipe": job.recipe.to_dict(),
        "recipe hash": recipe_hash,
        "options": {name: value for name, value in vars(job).items() if name not in ELSEWHERE},
        "format": [work.source.name, work.target.name],
        "versions": versions(libraries),
    }
