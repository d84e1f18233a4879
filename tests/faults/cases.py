"""The commands that go through every fault, and what must hold afterwards."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import kpkit
from kpkit.cli.main import main
from kpkit.core.report import Collector
from kpkit.formats.base import WriteOptions
from kpkit.formats.native import NativeFormat
from tests.augment_data import LABELS, dataset, hashes

CUT = "cut.kpk"
INPUTS = {"annotations", "images", CUT}
IMAGES, PERSONS = 3, 1


@dataclass(frozen=True)
class Case:
    """A command line that is run in a folder with labels and pictures.

    whole  a file that stands in the output only when it is complete; "": the output itself
    """

    name: str
    command: tuple[str, ...]
    output: str = "out"
    resumes: bool = True
    whole: str = ""

    def arguments(self, *more: str) -> list[str]:
        return [*self.command, "-o", self.output, "--quiet", *more]

    def again(self) -> list[str]:
        """The command line that goes on after a fault."""
        return self.arguments("--resume") if self.resumes else self.arguments()

    def is_whole(self, folder: Path) -> bool:
        """Whether the folder shows a finished output."""
        return os.path.lexists(folder / self.output / self.whole if self.whole else folder / self.output)


CASES = [
    Case("convert to a file", ("convert", "coco", "coco", LABELS), "out.json", resumes=False),
    Case("convert to a folder", ("convert", "coco", "native", LABELS), "out.kpk", resumes=False),
    Case("augment", ("augment", LABELS, "--occlusion", "0.3", "--rotation", "-30:30")),
    Case("augment in parts", ("augment", CUT, "--occlusion", "0.3", "--rotation", "-30:30")),
    Case("heatmaps", ("heatmaps", LABELS, "--with-images", "--shard-size", "1"), whole="manifest.json"),
    Case("convert in parts", ("convert", "coco", "native", LABELS, "--part-size", "1"), "out.kpk"),
]
WITH_PICTURES = [case for case in CASES if case.command[0] in {"augment", "heatmaps"}]


@dataclass(frozen=True)
class Ran:
    code: int
    said: str


def prepare(folder: Path, images: int = IMAGES, persons: int = PERSONS) -> Path:
    """Labels, the same in three parts, and pictures."""
    labels = dataset(folder, images=images, persons=persons)
    cut = folder / CUT
    cut.mkdir()
    NativeFormat().write(kpkit.read(labels), cut, WriteOptions(final=cut, part_size=images // 3 * persons), Collector())
    return folder


def run(folder: Path, arguments: Sequence[str]) -> Ran:
    """A command line, in this process."""
    before = Path.cwd()
    said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = main(list(arguments))
    finally:
        os.chdir(before)
    said.seek(0)
    return Ran(code, said.read())


def content(folder: Path, case: Case) -> dict[str, str]:
    """Checksums of the output."""
    place = folder / case.output
    return hashes(place) if place.is_dir() else {"": str(place.read_bytes())}


def undisturbed(case: Case, folder: Path) -> dict[str, str]:
    """What an undisturbed run writes."""
    ran = run(prepare(folder), case.arguments())
    assert ran.code == 0, ran.said
    assert set(os.listdir(folder)) == {*INPUTS, case.output}
    return content(folder, case)


def assert_nothing_half(case: Case, folder: Path, expected: dict[str, str]) -> None:
    """Either there is no output, or it is the whole one."""
    if case.is_whole(folder):
        found = content(folder, case)
        differ = sorted(name for name in expected if found.get(name) != expected[name])
        assert not differ, differ
        # A run that was stopped at its very end may leave its notes, and the lock of the last file.
        assert set(found) - set(expected) <= {"progress.jsonl", ".kpkit-lock-manifest.json"}


def assert_goes_on(case: Case, folder: Path, expected: dict[str, str]) -> None:
    """After a fault nothing is half-visible, and the same command gives the same bytes and leaves nothing else."""
    assert_nothing_half(case, folder, expected)
    again = run(folder, ["clean", case.output] if case.is_whole(folder) else case.again())
    assert again.code == 0, again.said
    assert content(folder, case) == expected
    assert set(os.listdir(folder)) == {*INPUTS, case.output}


def renew(case: Case, folder: Path) -> None:
    """Away with everything but the inputs."""
    for name in set(os.listdir(folder)) - INPUTS:
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
