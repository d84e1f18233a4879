"""A hidden folder beside an output in which a long run keeps what it has finished, so that another can go on with it.

    .kpkit-work-NAME-FINGERPRINT/
        job.json    what the bytes depend on, and when the work began
        done.log    a record an item that is finished: length, CRC-32, then the item
        data/       what will be the output
        .run-*/     where the workers of the run make files

The name holds the job's fingerprint, and each run has a folder of its own in it: what a worker of an ended run may
still write never meets another run's files.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import time
import zlib
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np

from kpkit import storage
from kpkit.errors import KpkitError, OutputError
from kpkit.guard import WORK_DIGITS, WORK_PREFIX, output_error, publish, remove, work_folders
from kpkit.pipelines.fingerprint import fingerprint, unequal
from kpkit.pipelines.run_folder import end_runs, run_folder

JOB, LOG, DATA = "job.json", "done.log", "data"
SCHEMA_VERSION = 1
SYNC_SECONDS = 1.0
# Errors with such codes come of the machines.
NOT_THE_JOBS = ("KP-CLUSTER", "KP-WORKER")
_HEAD = struct.Struct("<II")


class WorkFolder:
    """The folder while one run works in it.

    data     where the output is made       making   where workers make files before they get their places there
    earlier  key -> what an earlier run put down for a finished item
    """

    def __init__(self, path: Path) -> None:
        self.path, self.data, self.making = path, path / DATA, path
        self.earlier: Mapping[str, bytes] = {}
        self._finished: Finished | None = None
        self.count = 0
        self._stream: IO[bytes] | None = None
        self._synced = 0.0

    def note(self, key: str, item: bytes) -> None:
        """Put down a finished item; it survives a kill at once, and a loss of power after a second."""
        record = msgspec.msgpack.encode((key, item))
        assert self._stream is not None
        self._stream.write(_HEAD.pack(len(record), zlib.crc32(record)) + record)
        self._stream.flush()
        self.count += 1
        if time.monotonic() - self._synced > SYNC_SECONDS:
            self.sync()

    def sync(self) -> None:
        """Have the disk hold every record."""
        if self._stream is not None:
            os.fsync(self._stream.fileno())
            self._synced = time.monotonic()

    def open(self, job: Mapping[str, Any]) -> None:
        """Make the folder, or take up what is there."""
        self.data.mkdir(parents=True, exist_ok=True)
        if not (self.path / JOB).exists():
            with publish(self.path / JOB, force=True) as temporary:
                temporary.write_text(json.dumps(job, indent=1), encoding="utf-8")
        self._stream = (self.path / LOG).open("ab")
        self.earlier = self._finished = Finished(self.path / LOG)
        # A record that was cut by a kill would hide all that follow it.
        self._stream.truncate(self._finished.end)
        self.count = len(self.earlier)

    def close(self) -> None:
        """Let go of the log."""
        if self._stream is not None:
            with contextlib.suppress(OSError, ValueError):
                self.sync()
            with contextlib.suppress(OSError):
                self._stream.close()
            self._stream = None
        if self._finished is not None:
            self._finished.close()


class Finished(Mapping[str, bytes]):
    """Items of a log by their keys, the last one of a key; they are read when they are asked for.

    end  where the last whole record ends
    """

    def __init__(self, path: Path) -> None:
        self._stream = path.open("rb")
        hashes, starts = array("q"), array("q", [0])
        for key, _, end in _records(self._stream):
            hashes.append(hash(key))
            starts.append(end)
        self.end = starts.pop()
        # Keys and items would take as much memory as a run has written.
        order = np.argsort(np.array(hashes, np.int64), kind="stable")
        self._hashes, self._starts = np.array(hashes, np.int64)[order], np.array(starts, np.int64)[order]

    def __getitem__(self, key: str) -> bytes:
        low, high = (int(np.searchsorted(self._hashes, hash(key), side)) for side in ("left", "right"))
        for start in reversed(self._starts[low:high].tolist()):
            found = self._record(start)
            if found[0] == key:
                return found[1]
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(self._record(start)[0] for start in sorted(self._starts.tolist())))

    def __len__(self) -> int:
        return len(np.unique(self._hashes))

    def close(self) -> None:
        """Let go of the log."""
        self._stream.close()

    def _record(self, start: int) -> tuple[str, bytes]:
        self._stream.seek(start)
        length, _ = _HEAD.unpack(self._stream.read(_HEAD.size))
        return msgspec.msgpack.decode(self._stream.read(length), type=tuple[str, bytes])


@contextlib.contextmanager
def work_folder(output: Path, parts: Mapping[str, Any], *, resume: bool, force: bool) -> Iterator[WorkFolder]:
    """The work folder of a job; removed when the block ends well, kept with what is finished when the run is ended.

    output  whose lock is held                      parts  what the bytes depend on, for the fingerprint
    resume  keep what an earlier run of the same job finished
    force   begin anew although there is something to resume

    Raises OutputError where that would throw finished items away unasked, or the place cannot be written.
    """
    mine = storage.stand_in(output).parent / f"{WORK_PREFIX}{output.name}-{fingerprint(parts)[:WORK_DIGITS]}"
    end_others(output, parts, resume=resume, force=force, mine=mine if resume else None)
    folder = WorkFolder(mine)
    try:
        folder.open({"schema_version": SCHEMA_VERSION, "began": time.strftime("%Y-%m-%d %H:%M:%S"), "parts": parts})
        with run_folder(mine) as folder.making:
            yield folder
    except BaseException as error:
        folder.close()
        if isinstance(error, OSError):
            known = output_error(error, output, folder.data)
            _keep_or_remove(folder, known)
            raise known from error
        _keep_or_remove(folder, error)
        raise
    folder.close()
    remove(mine)


def end_others(output: Path, parts: Mapping[str, Any], *, resume: bool, force: bool, mine: Path | None = None) -> None:
    """Remove the work folders of ended runs, but for `mine`.

    Raises OutputError where that would throw finished items away unasked; see `work_folder`.
    """
    for other in work_folders(output):
        if other == mine:
            continue
        if not force:
            _refuse_to_lose(other, output, parts, resume=resume)
        try:
            end_runs(other)
        except OSError as error:
            raise output_error(error, output) from error
        remove(other)


def begun(path: Path) -> tuple[int, dict[str, Any]]:
    """How many items a work folder holds, and what it says about its job; 0 and nothing where it cannot be read."""
    try:
        with (path / LOG).open("rb") as stream:
            count = len({key for key, _, _ in _records(stream)})
        document = json.loads((path / JOB).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0, {}
    return count, document if isinstance(document, dict) else {}


def _refuse_to_lose(other: Path, output: Path, parts: Mapping[str, Any], *, resume: bool) -> None:
    count, job = begun(other)
    if not count:
        return
    began = job.get("began", "")
    if not resume:
        raise OutputError(
            "an earlier run of this output was ended before it was done",
            code="KP-UNFINISHED",
            place=str(output),
            got=f"{count} finished items of a run begun {began}",
            help="go on with --resume, or begin anew with --force",
        )
    earlier = job.get("parts")
    differ = unequal(earlier, parts) if isinstance(earlier, dict) else []
    raise OutputError(
        "the run to resume was of another job",
        code="KP-RESUME-OTHER",
        place=str(output),
        expected="the same inputs, options and versions",
        got=f"others in {', '.join(differ)}" if differ else "another job",
        help="give the same options as then, or begin anew with --force",
    )


def _keep_or_remove(folder: WorkFolder, error: BaseException) -> None:
    """Kept is what a run finished that somebody or something ended; not that of a job which can never be done."""
    ended = not isinstance(error, KpkitError) or isinstance(error, OutputError) or error.code.startswith(NOT_THE_JOBS)
    if not (ended and folder.count):
        remove(folder.path)
        return
    items = "1 finished item is" if folder.count == 1 else f"{folder.count:,} finished items are"
    advice = "run the same command again with --resume"
    if isinstance(error, KpkitError):
        error.help = f"{error.help}; {advice}: {items} kept" if "--resume" not in error.help else error.help
    else:
        error.add_note(f"{items} kept: {advice}")


def _records(stream: IO[bytes]) -> Iterator[tuple[str, bytes, int]]:
    """(key, item, where its record ends) of every whole record."""
    end = 0
    while len(head := stream.read(_HEAD.size)) == _HEAD.size:
        length, crc = _HEAD.unpack(head)
        record = stream.read(length)
        if len(record) != length or zlib.crc32(record) != crc:
            return
        try:
            key, item = msgspec.msgpack.decode(record, type=tuple[str, bytes])
        except msgspec.MsgspecError:
            return
        end += _HEAD.size + length
        yield key, item, end
