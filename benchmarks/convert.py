"""Measures conversions against other programs, each pair in turn, and prints one table.

    python convert.py --coco FILE [--pairs 5] [--peer-python PYTHON] [--only NAME]

Without --coco a file of 50,000 images and 151,027 persons is made first (make_coco.py). Nothing here is a test: what
a ratio means depends on the machine, so the output says which one it was.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import table
from measure import Task, alternate, run
from table import Row

PEERS = Path(__file__).resolve().parent / "peers"
SCRIPT = Path(sys.executable).with_name("kpkit")
KPKIT = [str(SCRIPT)] if SCRIPT.exists() else [sys.executable, "-m", "kpkit"]
COCO_SIZE, MPII_SIZE = (50_000, 151_027), (25_000, 37_500)


@dataclass(frozen=True)
class Bench:
    """What the comparisons need: a COCO file, how large an MPII file, how often, and where to work."""

    coco: Path
    mpii_size: tuple[int, int]
    pairs: int
    peer_python: str
    work: Path

    def ours(self, source: str, target: str, file: Path, *more: str) -> Task:
        """The `kpkit` program itself, as a user calls it."""
        command = [*KPKIT, "convert", source, target, str(file), *more, "-o"]
        return Task(lambda output: [*command, str(output)], "out" if target == "yolo-pose" else "out.json")

    def unchanged(self, *more: str) -> Task:
        """COCO to COCO."""
        return self.ours("coco", "coco", self.coco, *more)

    def peer(self, script: str, *arguments: str, python: str | None = None) -> Task:
        """A program of the folder `peers`; its last argument is where it writes."""
        command = [python or sys.executable, str(PEERS / script), *arguments]
        return Task(lambda output: [*command, str(output)])

    def has(self, package: str) -> bool:
        """Whether the interpreter of the peers has a package."""
        try:
            found = subprocess.run([self.peer_python, "-c", f"import {package}"], capture_output=True, check=False)
        except OSError:
            return False
        return found.returncode == 0

    def versus(self, what: str, ours: Task, peer: Task, least: float, pairs: int | None = None) -> Row:
        """One row of the table; a run ahead fills the page cache."""
        run(ours, self.work)
        return table.compared(what, *alternate(ours, peer, pairs or self.pairs, self.work), least)

    def foreign(self, what: str, package: str, ours: Task, peer: Task, least: float, pairs: int | None = None) -> Row:
        """As `versus`, where the other program needs a package."""
        return self.versus(what, ours, peer, least, pairs) if self.has(package) else table.missing(what, package)


def against_json(bench: Bench) -> Row:
    peer = bench.peer("stdlib_json.py", str(bench.coco))
    return bench.versus("COCO to COCO / json.load, json.dump", bench.unchanged(), peer, 8)


def against_hotcoco(bench: Bench) -> Row:
    peer = bench.peer("hotcoco_copy.py", str(bench.coco), python=bench.peer_python)
    return bench.foreign("COCO to COCO / hotcoco", "hotcoco", bench.unchanged(), peer, 1)


def against_datumaro(bench: Bench) -> Row:
    folder = bench.work / "coco"
    # The layout that it looks for; the folder of images may be empty.
    (folder / "annotations").mkdir(parents=True)
    (folder / "images").mkdir()
    (folder / "annotations" / "person_keypoints_train.json").symlink_to(bench.coco)
    peer = bench.peer("datumaro_convert.py", "coco_person_keypoints", str(folder), python=bench.peer_python)
    # It takes a minute: once is enough to tell a factor of thirty.
    return bench.foreign("COCO to COCO / Datumaro", "datumaro", bench.unchanged(), peer, 30, pairs=1)


def encoded_again(bench: Bench) -> Row:
    peer = bench.peer("stdlib_json.py", str(bench.coco))
    return bench.versus("COCO to COCO, as mpii16 / json", bench.unchanged("--skeleton", "mpii16"), peer, 4)


def yolo(bench: Bench) -> Row:
    peer = bench.peer("yolo_loop.py", str(bench.coco))
    return bench.versus("COCO to YOLO-pose / plain loop", bench.ours("coco", "yolo-pose", bench.coco), peer, 1.8)


def mpii(bench: Bench) -> Row:
    # Datumaro looks for the file in a folder.
    file = bench.work / "mpii" / "mpii_human_pose_v1_u12_1.mat"
    file.parent.mkdir()
    images, persons = bench.mpii_size
    script = PEERS.parent / "make_mpii.py"
    subprocess.run([sys.executable, script, file, "--images", str(images), "--persons", str(persons)], check=True)
    peer = bench.peer("datumaro_convert.py", "mpii", str(file.parent), python=bench.peer_python)
    return bench.foreign("MPII .mat to COCO / Datumaro", "datumaro", bench.ours("mpii", "coco", file), peer, 1.3)


def peak(bench: Bench) -> Row:
    return table.memory("COCO to COCO, peak memory", [run(bench.unchanged(), bench.work) for _ in range(3)], 600)


def low_memory(bench: Bench) -> Row:
    task = bench.unchanged("--low-memory")
    return table.memory("COCO to COCO, --low-memory", [run(task, bench.work) for _ in range(3)], 150)


def start(bench: Bench) -> Row:
    ours = Task(lambda _: [*KPKIT, "--help"])
    bare = Task(lambda _: [sys.executable, str(PEERS / "bare_typer.py"), "--help"])
    run(ours, bench.work)
    # Tenths of a second: more pairs cost nothing.
    return table.difference("kpkit --help / a bare typer app", *alternate(ours, bare, 3 * bench.pairs, bench.work), 0.1)


ROWS: dict[str, Callable[[Bench], Row]] = {
    "json": against_json,
    "hotcoco": against_hotcoco,
    "encode": encoded_again,
    "yolo": yolo,
    "mpii": mpii,
    "datumaro": against_datumaro,
    "memory": peak,
    "low-memory": low_memory,
    "help": start,
}


def main(arguments: Sequence[str] | None = None) -> None:
    given = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="kpkit-bench-", dir=given.work) as folder:
        work = Path(folder)
        coco = given.coco or work / "coco.json"
        if given.coco is None:
            images, persons = (str(number) for number in COCO_SIZE)
            script = PEERS.parent / "make_coco.py"
            subprocess.run([sys.executable, script, coco, "--images", images, "--persons", persons], check=True)
        bench = Bench(coco.resolve(), tuple(given.mpii_size), given.pairs, given.peer_python, work)
        print(*table.machine(given.peer_python), sep="\n")
        print(f"coco file: {coco.stat().st_size / 1e6:.0f} MB; pairs: {given.pairs}; load before: {table.load()}")
        rows = []
        for name in given.only or ROWS:
            print(f"{name} ...", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory(dir=work) as row:
                try:
                    rows.append(ROWS[name](replace(bench, work=Path(row))))
                except RuntimeError as error:
                    print(error, file=sys.stderr)
                    rows.append(table.failed(name))
        print(f"load after: {table.load()}", "", table.render(rows), sep="\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure conversions against other programs.")
    parser.add_argument("--coco", type=Path, help="a COCO person-keypoints file; left out: one is made")
    parser.add_argument("--pairs", type=int, default=5, help="how often each pair runs")
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter that has datumaro and hotcoco")
    parser.add_argument("--only", action="append", choices=[*ROWS], metavar="NAME", help=f"one of {', '.join(ROWS)}")
    parser.add_argument("--work", type=Path, help="folder for outputs; left out: the system's temporary folder")
    parser.add_argument(
        "--mpii-size", type=int, nargs=2, default=MPII_SIZE, metavar=("IMAGES", "PERSONS"), help="of the MPII file"
    )
    return parser


if __name__ == "__main__":
    main()
