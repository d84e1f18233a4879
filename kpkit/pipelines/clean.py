"""`clean`: what runs that were killed left beside an output and in it; what a run at work holds is let be."""

from __future__ import annotations

import contextlib
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kpkit.guard import OLD_PREFIX, output_error, recover, remove, unfinished, work_folders
from kpkit.lock import check_unlocked, lock_path, locked
from kpkit.pipelines.heatmaps_folder import unfinished_files
from kpkit.pipelines.work_folder import begun

SCHEMA_VERSION = 1


@dataclass
class Leftover:
    """One file or folder: what it is, how large, and what is done with it; `files` where only these of a folder."""

    path: str
    what: str
    bytes: int
    restored: bool = False
    files: list[str] = field(default_factory=list)

    def remove(self) -> None:
        """Remove it; of an output that is begun, what the ended run wrote."""
        for path in self.files or [self.path]:
            remove(Path(path))
        if self.files:
            with contextlib.suppress(OSError):
                os.rmdir(self.path)


@dataclass
class CleanReport:
    """What was found beside an output, and removed unless it was a dry run."""

    output: str
    dry_run: bool
    leftovers: list[Leftover] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with the schema version."""
        return {"schema_version": SCHEMA_VERSION, "command": "clean", **asdict(self)}


def run(output: Path, *, dry_run: bool = False) -> CleanReport:
    """Find what is left of killed runs, and remove it.

    Raises OutputError where a run is at work on the output: its host and process number are named.
    """
    report = CleanReport(str(output), dry_run)
    check_unlocked(output)
    stale = lock_path(output)
    if os.path.lexists(stale):
        report.leftovers.append(Leftover(str(stale), "lock of a process that is gone", _size(stale)))
    if dry_run:
        report.leftovers += _found(output)
    elif output.parent.is_dir():
        try:
            with locked(output):
                report.leftovers += _found(output)
                recover(output)
                for one in report.leftovers:
                    if not one.restored and one.path != str(stale):
                        one.remove()
        except OSError as error:
            raise output_error(error, output, stale) from error
    return report


def _found(output: Path) -> list[Leftover]:
    found = []
    for path in unfinished(output):
        restored = path.name.startswith(OLD_PREFIX) and not os.path.lexists(output)
        what = "the output itself, put aside by a run that would replace it" if restored else "half-written output"
        found.append(Leftover(str(path), what, _size(path), restored))
    for path in work_folders(output):
        count, job = begun(path)
        since = f" of a run begun {job['began']}" if "began" in job else ""
        found.append(Leftover(str(path), f"{count:,} finished items{since}", _size(path)))
    files = unfinished_files(output)
    if files:
        shards = sum(file.suffix == ".h5" for file in files)
        what = f"{shards:,} finished shards, and notes, of a run that was ended"
        found.append(Leftover(str(output), what, sum(map(_size, files)), files=[str(file) for file in files]))
    return found


def _size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if not path.is_dir() or path.is_symlink():
        return path.lstat().st_size
    return sum(os.lstat(os.path.join(folder, name)).st_size for folder, _, files in os.walk(path) for name in files)
