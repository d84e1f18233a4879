"""Speed of `kpkit heatmaps --with-images` on JPEGs, beside the straightforward way.

    KPKIT_REAL_DATA=DIR python benchmarks/target_images.py [--pairs 5] [--copies 50] [--only NAME]

Pictures are the four of COCO below DIR with their 14 persons, each file again under other names: `shared` all persons
of a picture in one file, `single` a file of its own for every person, `workers` two workers against one, with eight
times as many.

The other way takes person by person: decode the picture, warp, HRNet's loop over joints, and h5py's own gzip 4 for the
heatmap in float32 and for the crop. Ours is a whole run, from the labels to the manifest: targets in float16, the same
crops, labels, checksums, files synced. Both store the crops of all persons, and both let OpenCV have one thread. Ratios
are taken pair by pair, of wall time and, where one process does the work, of processor time.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import h5py
import numpy as np
from table import load, machine
from targets import HEATMAP, INPUT, SIGMA, loop

from kpkit.pipelines.heatmaps import run
from kpkit.pipelines.heatmaps_crops import straight
from kpkit.pipelines.heatmaps_job import HeatmapsJob, HeatmapsReport
from kpkit.pipelines.load import LabelSource

ROWS = {"shared": 4.0, "single": 1.6, "workers": 1.6}
# How many times as many persons two workers share.
LONGER = 8
LABELS, PICTURES = "data/coco/mmpose_test_coco.json", "data/images/coco"
PADDING = 1.25

Times = tuple[float, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--copies", type=int, default=50, help="how often each file stands in the dataset")
    parser.add_argument("--only", choices=ROWS, action="append")
    parser.add_argument("--compression", choices=("gzip", "none"), default="gzip")
    options = parser.parse_args()
    real = os.environ.get("KPKIT_REAL_DATA")
    if not real:
        sys.exit("KPKIT_REAL_DATA has to name the folder with the real pictures")
    print("\n".join([*machine(sys.executable)[:2], f"load before: {load()}", ""]))
    print(
        "| What | ours | other | times faster (wall) | times faster (CPU) | at least | |\n|---|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as temporary:
        for name in options.only or ROWS:
            # With a second of work there is nothing to share: starting workers takes a third of it.
            copies = options.copies * LONGER if name == "workers" else options.copies
            labels = dataset(Path(real), Path(temporary) / name, copies, alone=name == "single")
            if name == "workers":
                workers(labels, options.pairs, options.compression)
            else:
                beside(name, labels, options.pairs, options.compression)
    print(f"\nload after: {load()}")


def dataset(real: Path, folder: Path, copies: int, *, alone: bool) -> Path:
    """The four pictures and their persons, `copies` times; `alone`: no two persons in one file. Returns the labels."""
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    document = json.loads((real / LABELS).read_text())
    pictures = {image["id"]: image for image in document["images"]}
    persons = [one for one in document["annotations"] if one.get("num_keypoints") and not one.get("iscrowd")]
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for _ in range(copies):
        groups = [[one] for one in persons]
        if not alone:
            groups = [[one for one in persons if one["image_id"] == key] for key in pictures]
        for group in groups:
            source, number = pictures[group[0]["image_id"]], len(images) + 1
            name = f"{number:06d}.jpg"
            shutil.copyfile(real / PICTURES / source["file_name"], folder / "images" / name)
            images.append({**source, "id": number, "file_name": name})
            annotations += [
                {**one, "id": len(annotations) + k, "image_id": number, "segmentation": []}
                for k, one in enumerate(group, start=1)
            ]
    labels = folder / "annotations" / "person_keypoints_real.json"
    labels.write_text(json.dumps({**document, "images": images, "annotations": annotations}))
    return labels


def beside(name: str, labels: Path, pairs: int, compression: str) -> None:
    """Ours and the other way in turn, after one run of each."""
    folder = labels.parent.parent
    persons = len(json.loads(labels.read_text())["annotations"])
    ours = lambda: shards(labels, folder / "out", compression=compression)  # noqa: E731
    other = lambda: naive(labels, folder / "naive.h5")  # noqa: E731
    done, count = ours(), other()
    assert done.samples == persons == count
    same_crops(folder, done)
    rates = [(timed(ours, persons), timed(other, persons)) for _ in range(pairs)]
    kind = "persons share pictures" if name == "shared" else "one person a picture"
    told = f"JPEGs to shards with crops, {kind} ({persons:,} persons) / decode a person, warp, loop, h5py gzip 4"
    report(told, rates, ROWS[name])
    # Not of the first run, which loads the compiled kernels.
    done = ours()
    total = done.profile["total"]
    steps = ", ".join(f"{step} {seconds / total:.0%}" for step, seconds in done.profile.items() if step != "total")
    stored = (
        f"{done.bytes / persons / 1000:.0f} kB a sample, {(folder / 'naive.h5').stat().st_size / persons / 1000:.0f}"
    )
    print(f"| where ours spends its time | {steps}; {stored} kB the other way | | | | | |", flush=True)


def same_crops(folder: Path, done: HeatmapsReport) -> None:
    """Both sides cut the same pixels, the first person's at least."""
    with h5py.File(folder / "naive.h5") as other, h5py.File(folder / "out" / "shard-00000.h5") as ours:
        ids = ours["instance_id"][:16].tolist()
        for row, key in enumerate(ids):
            assert np.array_equal(ours["image"][row], other["image"][key - 1]), key


def workers(labels: Path, pairs: int, compression: str) -> None:
    """One and two workers in turn; wall time alone."""
    folder = labels.parent.parent
    size = max(1, len(json.loads(labels.read_text())["annotations"]) // 8)

    def go(number: int) -> Callable[[], HeatmapsReport]:
        return lambda: shards(labels, folder / "out", workers=number, shard_samples=size, compression=compression)

    persons = go(1)().samples
    go(2)()
    rates = [(timed(go(2), persons), timed(go(1), persons)) for _ in range(pairs)]
    report(f"two workers / one ({persons:,} persons share pictures)", rates, ROWS["workers"], processor=False)


def shards(labels: Path, output: Path, **options: Any) -> HeatmapsReport:
    """A whole run."""
    source = LabelSource(input=labels, images=labels.parent.parent / "images")
    parameters = {"sigma": SIGMA}
    done = run(
        HeatmapsJob(source=source, output=output, codec_parameters=parameters, with_images=True, force=True, **options)
    )
    assert not done.failures, done.failures[0]
    return done


def naive(labels: Path, output: Path) -> int:
    """A person at a time, as scripts do it; how many there were."""
    cv2.setNumThreads(1)
    document = json.loads(labels.read_text())
    names = {image["id"]: image["file_name"] for image in document["images"]}
    persons = document["annotations"]
    shapes = {"heatmaps": ((17, *HEATMAP), "f4"), "image": ((*INPUT, 3), "u1")}
    with h5py.File(output, "w") as file:
        made = {
            name: file.create_dataset(
                name, (len(persons), *shape), kind, chunks=(1, *shape), compression="gzip", compression_opts=4
            )
            for name, (shape, kind) in shapes.items()
        }
        for i, person in enumerate(persons):
            picture = cv2.imread(str(labels.parent.parent / "images" / names[person["image_id"]]))
            matrix = straight(np.array([person["bbox"]], float), INPUT, PADDING, "hrnet")[0]
            joints = np.array(person["keypoints"], float).reshape(17, 3)
            xy = joints[:, :2] @ matrix[:, :2].T + matrix[:, 2]
            made["image"][i] = cv2.warpAffine(picture, matrix, INPUT[::-1], flags=cv2.INTER_LINEAR)
            made["heatmaps"][i] = loop(xy[None], joints[None, :, 2])[0][0]
    return len(persons)


def timed(function: Callable[[], object], count: int) -> Times:
    """Persons a second of wall time, and of this process's own time."""
    start, used = time.perf_counter(), time.process_time()
    function()
    return count / (time.perf_counter() - start), count / (time.process_time() - used)


def report(what: str, rates: list[tuple[Times, Times]], least: float, *, processor: bool = True) -> None:
    wall, cpu = ([ours[i] / other[i] for ours, other in rates] for i in (0, 1))
    mine, theirs = (median(pair[i][0] for pair in rates) for i in (0, 1))
    said = (
        "met" if median(wall) >= least else "met in CPU time only" if processor and median(cpu) >= least else "NOT MET"
    )
    times = spread(cpu) if processor else ""
    print(f"| {what} | {mine:,.0f}/s | {theirs:,.0f}/s | {spread(wall)} | {times} | {least:g}x | {said} |", flush=True)


def spread(values: list[float]) -> str:
    return f"{median(values):.1f}x ({min(values):.1f} to {max(values):.1f})"


if __name__ == "__main__":
    main()
