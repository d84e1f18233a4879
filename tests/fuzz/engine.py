"""Feeds damaged inputs to a reader and counts what becomes of them."""

from __future__ import annotations

import collections
import contextlib
import random
import shutil
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from kpkit.core.report import Collector
from kpkit.errors import KpkitError
from kpkit.formats.base import WriteOptions
from kpkit.pipelines.convert import convert
from kpkit.pipelines.find import all_formats
from tests.fuzz.mutate import mutate
from tests.fuzz.readers import DOCUMENT, Reader

SECONDS = 10
_KINDS = {".json": "json", ".mat": "binary", ".parquet": "binary", ".h5": "binary"}


@dataclass
class Crash:
    """An input that brought something else than a dataset or a KpkitError."""

    number: int
    file: str
    error: str
    trace: str
    data: bytes


@dataclass
class Outcome:
    """What became of the inputs: how many were read, and how many refused with which code."""

    accepted: int = 0
    refused: collections.Counter[str] = field(default_factory=collections.Counter)
    crashes: list[Crash] = field(default_factory=list)

    @property
    def inputs(self) -> int:
        """All of them."""
        return self.accepted + self.refused.total() + len(self.crashes)


@dataclass(frozen=True)
class Damaged:
    """One damaged input: `path` is what a reader is given, `file` the file in it that was damaged."""

    path: Path
    file: Path


def run(reader: Reader, inputs: int, folder: Path, seed: int = 0, conversions: int = 0) -> Outcome:
    """Damage, read, and use what was read, `inputs` times.

    conversions  for so many of the refused inputs, convert is tried too and must leave nothing
    """
    outcome = Outcome()
    sound = _made(folder / "sound")
    seeds = reader.seeds(sound)
    others = [one for one in all_formats() if one.name != reader.format] if reader.format else []
    for number in range(inputs):
        rng = random.Random(f"{reader.name}/{seed}/{number}")
        with damaged(reader, rng.choice(seeds), rng, folder / "damaged") as one:
            try:
                with time_limit(SECONDS):
                    _use(reader, one.path, rng)
                    if rng.random() < 0.05:
                        for other in others:
                            other.sniff(one.path)
                outcome.accepted += 1
            except KpkitError as error:
                outcome.refused[error.code] += 1
                if conversions and reader.name == reader.format:
                    conversions -= 1
                    _convert_leaves_nothing(reader, one.path, folder / "converted")
            except Exception as error:  # the very thing that is looked for
                name = one.file.relative_to(one.path).as_posix() if one.path.is_dir() else ""
                outcome.crashes.append(
                    Crash(number, name, f"{type(error).__name__}: {error}"[:300], _trace(error), one.file.read_bytes())
                )
    return outcome


@contextmanager
def damaged(reader: Reader, seed: Path, rng: random.Random, folder: Path) -> Iterator[Damaged]:
    """A sound input with one file damaged. The copy stays in `folder` and is sound again afterwards, for the next."""
    path = folder / seed.parent.name / seed.name
    if not path.exists():
        _made(path.parent)
        shutil.copytree(seed, path) if seed.is_dir() else shutil.copyfile(seed, path)
    inner = Path()
    if seed.is_dir():
        inner = rng.choice(sorted(one.relative_to(seed) for one in seed.rglob("*") if _wanted(one, reader)))
    file = path / inner
    file.write_bytes(mutate(rng, file.read_bytes(), _KINDS.get(file.suffix, "text")))
    if reader.mend is not None:
        reader.mend(path)
    try:
        yield Damaged(path, file)
    finally:
        for changed in {inner, Path(DOCUMENT)} if reader.mend is not None else {inner}:
            if changed == inner or (seed / changed).exists():
                shutil.copyfile(seed / changed, path / changed)


def _wanted(file: Path, reader: Reader) -> bool:
    return file.is_file() and file.name.endswith(reader.damaged)


def replay(reader: Reader, path: Path) -> None:
    """Read one input as the fuzzer does, in both modes; KpkitErrors are as good as datasets."""
    for collect in (False, True):
        try:
            with time_limit(SECONDS):
                _use(reader, path, random.Random(0), collect=collect, thorough=True)
        except KpkitError:
            continue


def _use(
    reader: Reader, path: Path, rng: random.Random, *, collect: bool | None = None, thorough: bool = False
) -> None:
    """Sniff, read, and for some of what is read without a fault: count losses and write it again."""
    collect = rng.random() < 0.3 if collect is None else collect
    if not reader.format:
        reader.read(path, Collector())
        return
    one = reader.sound()
    one.sniff(path)
    dataset = reader.read(path, Collector("collect" if collect else "raise"))
    if dataset is None or collect or (not thorough and rng.random() < 0.85):
        return
    out = path.parent / "again"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    final = out / ("labels" + (one.suffixes[0] if one.suffixes else ""))
    for target in all_formats():
        target.losses(dataset, final)
    if one.kind == "folder":
        final.mkdir()
    # What the disk refuses (a name that is too long) becomes an OutputError in whoever publishes.
    with contextlib.suppress(OSError):
        one.write(dataset, final, WriteOptions(final=final), Collector())


def _convert_leaves_nothing(reader: Reader, path: Path, folder: Path) -> None:
    """Converting an input that was refused: an error, and nothing beside what was there."""
    target = folder / "out"
    folder.mkdir(exist_ok=True)
    try:
        convert(reader.format, reader.target, path, output=target)
    except KpkitError:
        left = sorted(one.name for one in folder.iterdir())
        if left:
            raise AssertionError(f"a failed conversion left {left}") from None
    else:
        # Refused in one mode of reading only; then there is an output, and it is whole.
        shutil.rmtree(target)


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """TimeoutError after so many seconds, where the platform has alarms."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"more than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _trace(error: Exception) -> str:
    return "".join(traceback.format_exception(error)[-12:])


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
