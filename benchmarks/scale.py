"""Measures how commands grow with the number of persons, and prints one table and the exponents.

    python scale.py [--persons 1000 10000 100000 1000000] [--workers 1 2 4] [--only JOB] [--plot FILE.png] [--work DIR]

A made COCO file of each size (make_coco.py; about 1.2 kB a person) goes to native and back, is validated, and gives
shards; the file that comes back must be the one that went in. Augment works on labels of the same proportions whose
pictures are all one small one (64 x 64 pixels, many names for one file): what grows with the labels is measured, not
what pictures cost. Nothing here is a test: what a time means depends on the machine, so the output says which one it
was. The exponent is the slope of time over persons, both as logarithms, from 10,000 persons on: below that, starting
Python is most of it.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import make_coco
import numpy as np
import scale_plot
import table
from measure import TreeRun, run_tree

SCRIPT = Path(sys.executable).with_name("kpkit")
KPKIT = [str(SCRIPT)] if SCRIPT.exists() else [sys.executable, "-m", "kpkit"]
IMAGES_A_PERSON = 0.331
STEADY = 10_000
FINDINGS = 1
# Pixels a side of the pictures that are augmented, and how many names one file has: file systems limit that.
SIDE, NAMES_A_FILE = 64, 30_000
MOST_MB, MOST_EXPONENT = 500, 1.05


@dataclass(frozen=True)
class Files:
    """What one size works on: the made COCO file, and what the jobs make of it.

    pictures   a folder with labels in parts and their pictures      augmented  what augment makes of it
    """

    coco: Path
    native: Path
    back: Path
    shards: Path
    pictures: Path
    augmented: Path

    @property
    def small(self) -> Path:
        """The labels of the pictures."""
        return self.pictures / "small.kpk"


@dataclass(frozen=True)
class Job:
    """A command to measure.

    command  its arguments for the files and a number of workers, None where it has no workers and more are asked for
    output   what it writes, None for nothing
    needs    what it works on, which is made without measuring where no job before it did
    """

    name: str
    command: Callable[[Files, int], list[str] | None]
    output: Callable[[Files], Path] | None
    needs: Literal["coco", "native", "pictures"] = "native"


@dataclass(frozen=True)
class Measured:
    """One run: of which job, how large, how many workers; and what it wrote."""

    job: str
    persons: int
    workers: int
    run: TreeRun
    files: int
    bytes: int


def jobs() -> list[Job]:
    """All jobs, each working on what those before it made."""
    return [
        Job("convert coco native", _to_native, lambda files: files.native, needs="coco"),
        Job("convert native coco", _to_coco, lambda files: files.back),
        Job("validate native", _validate, None),
        Job("heatmaps native --store params", _heatmaps, lambda files: files.shards),
        Job("augment native", _augment, lambda files: files.augmented, needs="pictures"),
    ]


def _to_native(files: Files, workers: int) -> list[str]:
    size = ["--part-size", "16384", "--workers", str(workers)]
    return ["convert", "coco", "native", str(files.coco), "-o", str(files.native), *size]


def _to_coco(files: Files, workers: int) -> list[str]:
    return ["convert", "native", "coco", str(files.native), "-o", str(files.back), "--workers", str(workers)]


def _validate(files: Files, workers: int) -> list[str] | None:
    return ["validate", str(files.native), "--quiet"] if workers == 1 else None


def _heatmaps(files: Files, workers: int) -> list[str]:
    given = ["--store", "params", "--workers", str(workers)]
    return ["heatmaps", str(files.native), "-o", str(files.shards), *given]


def _augment(files: Files, workers: int) -> list[str]:
    given = ["--occlusion", "0.3", "--flip", "0.5", "--workers", str(workers), "--quiet"]
    return ["augment", str(files.small), "--images", str(files.pictures), "-o", str(files.augmented), *given]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how commands grow with the number of persons.")
    parser.add_argument("--persons", type=int, nargs="+", default=[1000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--only", action="append", choices=[job.name.replace(" ", "-") for job in jobs()])
    parser.add_argument("--plot", type=Path, help="a PNG of time over persons")
    parser.add_argument("--work", type=Path, help="where files are made; made files stay there for the next run")
    given = parser.parse_args()
    wanted = [job for job in jobs() if given.only is None or job.name.replace(" ", "-") in given.only]
    print("python benchmarks/scale.py " + " ".join(sys.argv[1:]))
    print("\n".join(table.machine(sys.executable)[:2]))
    print(f"load before: {table.load()}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        work = given.work or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        found = list(measure(wanted, sorted(given.persons), sorted(given.workers), work))
    print(f"load after: {table.load()}\n")
    print(render(found))
    print()
    print(render_exponents(found))
    if given.plot is not None:
        scale_plot.draw([(one.job, one.persons, one.workers, one.run.wall) for one in found], given.plot)


def measure(wanted: Sequence[Job], persons: Sequence[int], workers: Sequence[int], work: Path) -> Iterator[Measured]:
    """Run every job at every size with every number of workers.

    Raises RuntimeError where a command fails, or where the COCO file does not come back.
    """
    for size in persons:
        files = _files(size, work)
        for job in wanted:
            _make(job, size, files, work / "log.txt")
            for count in workers:
                command = job.command(files, count)
                if command is None:
                    continue
                output = None if job.output is None else job.output(files)
                if output is not None:
                    _remove(output)
                run = run_tree([*KPKIT, *command], work / "log.txt", fine=(0, FINDINGS))
                many, total = (0, 0) if output is None else _size(output)
                if output == files.back and not filecmp.cmp(files.coco, files.back, shallow=False):
                    raise RuntimeError(f"{files.back} is not {files.coco}")
                one = Measured(job.name, size, count, run, many, total)
                print(
                    f"  {size:>9,} persons, {count} workers: {job.name} {run.wall:.1f} s", file=sys.stderr, flush=True
                )
                yield one
        for output in (files.native, files.back, files.shards, files.pictures, files.augmented):
            _remove(output)


def _make(job: Job, persons: int, files: Files, log: Path) -> None:
    """What a job works on."""
    images = _images_of(persons)
    if job.needs != "pictures" and not files.coco.exists():
        make_coco.make(files.coco, images, persons)
    if job.needs == "native" and not files.native.exists():
        run_tree([*KPKIT, *_to_native(files, 2)], log)
    if job.needs == "pictures" and not files.pictures.exists():
        files.pictures.mkdir()
        labels = files.pictures / "small.json"
        make_coco.make(labels, images, persons, sides=(SIDE, SIDE))
        size = ["--part-size", "16384", "--workers", "2"]
        run_tree([*KPKIT, "convert", "coco", "native", str(labels), "-o", str(files.small), *size], log)
        labels.unlink()
        _make_pictures(files.pictures, images)


def _make_pictures(folder: Path, images: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (4, 4, 3), np.uint8)
    picture = cv2.imencode(".jpg", cv2.resize(noise, (SIDE, SIDE)))[1].tobytes()
    for number in range(images):
        path = folder / f"{number + 1:012d}.jpg"
        if number % NAMES_A_FILE == 0:
            first = path
            path.write_bytes(picture)
        else:
            os.link(first, path)


def _images_of(persons: int) -> int:
    return max(1, round(persons * IMAGES_A_PERSON))


def _files(persons: int, work: Path) -> Files:
    names = (".kpk", "-back.json", "-shards", "-pictures", "-augmented")
    return Files(work / f"{persons}.json", *(work / f"{persons}{name}" for name in names))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _size(path: Path) -> tuple[int, int]:
    files = [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else [path]
    return len(files), sum(one.stat().st_size for one in files)


def render(found: Sequence[Measured]) -> str:
    """All runs as a table in Markdown."""
    head = ("Job", "persons", "workers", "time", "CPU", "persons a second", "peak of a process", "files", "written")
    rows = [
        (
            one.job,
            f"{one.persons:,}",
            str(one.workers),
            f"{one.run.wall:.1f} s",
            f"{one.run.cpu:.1f} s",
            f"{one.persons / one.run.wall:,.0f}",
            f"{one.run.peak / 1e6:.0f} MB",
            f"{one.files:,}" if one.files else "",
            f"{one.bytes / 1e6:,.1f} MB" if one.files else "",
        )
        for one in found
    ]
    return _markdown(head, rows)


def render_exponents(found: Sequence[Measured]) -> str:
    """The exponents of each job and number of workers, and its greatest peak."""
    rows = []
    for job, workers in dict.fromkeys((one.job, one.workers) for one in found):
        of_job = [one for one in found if (one.job, one.workers) == (job, workers)]
        peak = max(one.run.peak for one in of_job) / 1e6
        wall = exponent([(one.persons, one.run.wall) for one in of_job], STEADY)
        cpu = [(one.persons, one.run.cpu) for one in of_job]
        last = max(persons for persons, _ in cpu) // 10
        said = "" if wall is None else "met" if wall <= MOST_EXPONENT and peak <= MOST_MB else "NOT MET"
        slopes = (wall, exponent(cpu, STEADY), exponent(cpu, max(last, STEADY)))
        texts = [f"{one:.3f}" if one is not None else "" for one in slopes]
        rows.append((job, str(workers), *texts, f"{peak:.0f} MB", said))
    head = ("Job", "workers", "exponent of time", "of CPU time", "of CPU time, last tenfold", "greatest peak")
    return _markdown((*head, f"at most {MOST_EXPONENT} and {MOST_MB} MB"), rows)


def exponent(points: Sequence[tuple[int, float]], least: int) -> float | None:
    """The slope of log time over log persons, from `least` persons on; None for fewer than two sizes."""
    steady = [(persons, time) for persons, time in points if persons >= least]
    if len(steady) < 2:
        return None
    x, y = np.log(np.array(steady, float)).T
    return float(np.polyfit(x, y, 1)[0])


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


if __name__ == "__main__":
    main()
