"""`kpkit view` against FiftyOne's own importer of COCO, on the same file, in turn.

    python benchmarks/view.py [--images 5000] [--persons 14941] [--pairs 5] [--work DIR]

Pictures are empty files, for both: neither side reads them, the labels give their sizes. A `mongod` of the benchmark's
own serves both, on a free port of 127.0.0.1. Whole processes are measured, FiftyOne's loading (some seconds) included.
kpkit stores boxes, joints, flags and exact pixels, and runs the rules of `validate`; FiftyOne stores boxes and joints.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import measure
from measure import Spread, Task, alternate, ratios
from table import machine

TOP = Path(__file__).resolve().parents[1]
HERE = Path(__file__).parent
LEAST = 3.0


def made(work: Path, images: int, persons: int) -> tuple[Path, Path]:
    """A COCO file and the folder of its empty pictures."""
    labels, folder = work / "labels.json", work / "images"
    command = [sys.executable, str(HERE / "make_coco.py"), str(labels), "--images", str(images)]
    measure.subprocess.run([*command, "--persons", str(persons)], check=True, stdout=measure.subprocess.DEVNULL)
    folder.mkdir()
    for image in json.loads(labels.read_bytes())["images"]:
        (folder / image["file_name"]).touch()
    return labels, folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--persons", type=int, default=14941)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--work", type=Path, help="folder for the files; left out: a temporary one")
    options = parser.parse_args()
    sys.path.insert(0, str(TOP))
    from tests import fiftyone_server

    with tempfile.TemporaryDirectory(dir=options.work) as folder, fiftyone_server.serve() as uri:
        work = Path(folder)
        labels, images = made(work, options.images, options.persons)
        path = f"{TOP}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        measure.ENVIRONMENT.update(FIFTYONE_DATABASE_URI=uri, FIFTYONE_DO_NOT_TRACK="true", PYTHONPATH=path)
        common = ["view", str(labels), "--images", str(images), "--name", "ours", "--force", "--no-launch", "--quiet"]
        ours = Task(lambda out: [sys.executable, "-m", "kpkit", *common])
        peer = Task(
            lambda out: [sys.executable, str(HERE / "peers" / "fiftyone_import.py"), str(labels), str(images), "peer"]
        )
        alternate(ours, peer, 1, work)  # compiles, and warms the database
        first, second = alternate(ours, peer, options.pairs, work)
    report(options.images, options.persons, first, second)


def report(images: int, persons: int, ours: list[measure.Run], peer: list[measure.Run]) -> None:
    for line in machine(sys.executable):
        print(line)
    print(f"\n{persons:,} persons in {images:,} images, {len(ours)} pairs, whole processes\n")
    print("| | median | least | greatest |\n|---|---|---|---|")
    wall, cpu = ratios(ours, peer)
    rows = {
        "kpkit view, s": Spread.of([run.wall for run in ours]),
        "FiftyOne's importer, s": Spread.of([run.wall for run in peer]),
        "times faster (wall)": wall,
        "times faster (CPU)": cpu,
    }
    for name, spread in rows.items():
        print(f"| {name} | {spread.middle:.2f} | {spread.least:.2f} | {spread.greatest:.2f} |")
    print(f"\nat least {LEAST:g} times: {'met' if wall.middle >= LEAST else 'NOT MET'}")


if __name__ == "__main__":
    main()
