"""The folder that shards are written into: whose it is, who works in it, what is finished in it.

A run writes `progress.jsonl`, a line a finished shard; the manifest takes its place at the end. Shards are made in a
folder of the run's own. A run that was killed leaves finished shards, that file and that folder, which the next sweeps.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO

from kpkit import storage
from kpkit.errors import FormatError, OutputError
from kpkit.guard import check_free, orphans, output_error, sync_file
from kpkit.lock import lock_path
from kpkit.pipelines.run_folder import end_runs, run_folder, runs
from kpkit.targets.manifest import KIND, Manifest, ShardEntry, read_manifest, write_manifest
from kpkit.targets.shard_layout import MANIFEST
from kpkit.targets.shard_write import TMP

PROGRESS = "progress.jsonl"
_SHARD = re.compile(r"(?:\d{3}/)?shard-\d{5}\.h5")


class ShardFolder:
    """The folder while one run works in it.

    earlier  path -> what an earlier run says about a shard that it finished
    making   where workers make shards
    """

    def __init__(self, path: Path, stream: IO[str], earlier: dict[str, ShardEntry], making: Path) -> None:
        self.path, self.earlier, self.making = path, earlier, making
        self._stream = stream

    def note(self, entry: ShardEntry) -> None:
        """Put down that a shard is finished; from now on it survives a kill."""
        _append(self._stream, asdict(entry))

    def finish(self, manifest: Manifest) -> None:
        """Sweep what is no part of it, write the manifest, and forget the progress. Raises OutputError."""
        end_runs(self.path)
        _sweep(self.path, everything=False)
        named = {entry.path for entry in manifest.shards}
        for file in _shards(self.path):
            if file.relative_to(self.path).as_posix() not in named:
                file.unlink()
        for folder in sorted(self.path.glob("[0-9][0-9][0-9]")):
            with contextlib.suppress(OSError):
                folder.rmdir()
        write_manifest(manifest, self.path)
        (self.path / PROGRESS).unlink()
        if os.name != "nt":
            sync_file(self.path)


def check_output(path: Path, *, resume: bool, force: bool) -> None:
    """Raise OutputError where the folder may not be written into."""
    if storage.is_remote(path):
        if not resume:
            check_free(path, force=force)
        path = storage.stand_in(path)
    if not os.path.lexists(path):
        return
    if not path.is_dir():
        raise OutputError(
            "a file stands where the folder should be",
            code="KP-OUTPUT-FOLDER",
            place=str(path),
            help="choose another name with -o",
        )
    if not any(path.iterdir()):
        return
    begun = (path / PROGRESS).exists()
    ours = begun or is_ours(path)
    if not ours:
        raise OutputError(
            "the folder holds something else than shards",
            code="KP-OUTPUT-EXISTS",
            place=str(path),
            help="choose another with -o",
        )
    if not (resume or force):
        raise OutputError(
            "an unfinished run is in this folder" if begun else "the output exists already",
            code="KP-OUTPUT-EXISTS",
            place=str(path),
            help="go on with --resume, or begin anew with --force" if begun else "add --force to replace it",
        )


def is_ours(path: Path) -> bool:
    """Whether the folder holds a manifest of shards, of whatever version."""
    try:
        with (path / MANIFEST).open("rb") as stream:
            return f'"kind": "{KIND}"'.encode() in stream.read(4096)
    except OSError:
        return False


def unfinished_files(path: Path) -> list[Path]:
    """What an ended run left in a folder of shards: notes, half-written files and, without a manifest, shards.

    Nothing where no run was ended.
    """
    if not (path / PROGRESS).is_file():
        return []
    shards = [] if is_ours(path) else _shards(path)
    return [path / PROGRESS, *runs(path), *_half_written(path), *shards]


@contextlib.contextmanager
def shard_folder(path: Path, *, resume: bool) -> Iterator[ShardFolder]:
    """Take the folder, made where it is missing; what an earlier run left is kept or, without `resume`, removed.

    path  whose lock is held

    Raises OutputError where it cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with (path / PROGRESS).open("a+", encoding="utf-8") as stream, run_folder(path) as making:
            earlier = _earlier(path, stream) if resume else {}
            _sweep(path, everything=not resume)
            _rewrite(stream, list(earlier.values()))
            (path / MANIFEST).unlink(missing_ok=True)
            yield ShardFolder(path, stream, earlier, making)
    except OSError as error:
        raise output_error(error, path) from error


def _earlier(path: Path, stream: IO[str]) -> dict[str, ShardEntry]:
    found: dict[str, ShardEntry] = {}
    if is_ours(path):
        with contextlib.suppress(FormatError):
            found = {entry.path: entry for entry in read_manifest(path).shards}
    stream.seek(0)
    for line in stream:
        # The last line may be torn, where the machine lost power.
        with contextlib.suppress(ValueError, TypeError):
            entry = ShardEntry(**json.loads(line))
            found[entry.path] = entry
    return found


def _sweep(path: Path, *, everything: bool) -> None:
    """Remove what killed runs left; with `everything`, what they finished, too."""
    for file in _half_written(path):
        file.unlink()
    if everything:
        (path / MANIFEST).unlink(missing_ok=True)
        for file in _shards(path):
            file.unlink()


def _half_written(path: Path) -> list[Path]:
    # Whoever asks holds the lock of the whole folder: that of the manifest is a killed run's.
    locks = [lock for lock in [lock_path(path / MANIFEST)] if lock.exists()]
    return [*path.glob(f"*{TMP}"), *path.glob(f"[0-9][0-9][0-9]/*{TMP}"), *orphans(path / MANIFEST), *locks]


def _shards(path: Path) -> list[Path]:
    files = [*path.glob("shard-*.h5"), *path.glob("[0-9][0-9][0-9]/shard-*.h5")]
    return sorted(file for file in files if _SHARD.fullmatch(file.relative_to(path).as_posix()))


def _rewrite(stream: IO[str], entries: Sequence[ShardEntry]) -> None:
    stream.seek(0)
    stream.truncate()
    for entry in entries:
        stream.write(json.dumps(asdict(entry)) + "\n")
    stream.flush()
    os.fsync(stream.fileno())


def _append(stream: IO[str], document: dict[str, object]) -> None:
    stream.write(json.dumps(document) + "\n")
    stream.flush()
    os.fsync(stream.fileno())
