"""Speed of targets: rendering, writing shards, reading them back, each beside the straightforward way.

    python benchmarks/targets.py [--pairs 5] [--only NAME] [--persons 20000] [--coco FILE]

Rows: `render` kernels against HRNet's loop over persons and joints; `store` targets rendered and written into a shard,
against that loop and h5py's own gzip 4 in float32; `write` the same for whole `kpkit heatmaps` runs from labels on;
`read` shuffled batches against h5py's fancy indexing; `loader` PyTorch's DataLoader with two workers; `scale` one run
over all persons of --coco FILE. Ours and the other way take turns in one process; a ratio is taken pair by pair.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import h5py
import numpy as np
from make_coco import make
from table import load, machine

import kpkit
from kpkit.core import catalog
from kpkit.pipelines.heatmaps import run
from kpkit.pipelines.heatmaps_job import HeatmapsJob
from kpkit.pipelines.heatmaps_render import BLOCK
from kpkit.pipelines.load import LabelSource
from kpkit.targets import kernels
from kpkit.targets.base import StoredType
from kpkit.targets.make import make_codec
from kpkit.targets.shard_layout import IdentityTypes, layout_of
from kpkit.targets.shard_write import ShardWriter

ROWS = ("render", "store", "write", "read", "loader", "scale")
INPUT, HEATMAP, SIGMA = (256, 192), (64, 48), 2.0
# How much faster ours has to be than the loop and h5py's gzip, by type of the targets.
WRITES: dict[StoredType, float] = {"uint8": 20.0, "float16": 11.0, "float32": 6.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--only", choices=ROWS, action="append")
    parser.add_argument("--persons", type=int, default=20_000)
    parser.add_argument("--coco", type=Path)
    options = parser.parse_args()
    wanted = options.only or ROWS
    print("\n".join([*machine(sys.executable)[:2], f"load before: {load()}", ""]))
    print("| What | ours | other | times faster | at least | |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if "render" in wanted:
            render(options.pairs)
        labels = folder / "labels.json"
        if "store" in wanted:
            for dtype, least in WRITES.items():
                store(folder, dtype, least, options.pairs)
        if {"write", "read", "loader"} & set(wanted):
            make(labels, options.persons // 3, options.persons)
        if "write" in wanted:
            for dtype in WRITES:
                write(labels, folder, dtype, options.pairs)
        if "read" in wanted:
            read(labels, folder, options.pairs)
        if "loader" in wanted:
            loader(labels, folder)
        if "scale" in wanted and options.coco is not None:
            scale(options.coco, folder)
    print(f"\nload after: {load()}")


def loop(xy: np.ndarray, visibility: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rule of HRNet as its authors count it, a joint at a time: a Gaussian of 3 sigma around the rounded cell is
    made, clipped at the borders and put into the map."""
    n, k = visibility.shape
    height, width = HEATMAP
    maps, weights = np.zeros((n, k, height, width), np.float32), np.zeros((n, k), np.float32)
    size, reach = int(2 * 3 * SIGMA + 1), 3 * SIGMA
    center = size // 2
    for i in range(n):
        for j in range(k):
            if not visibility[i, j]:
                continue
            x, y = (int(value / 4 + 0.5) for value in xy[i, j])
            left, top, right, bottom = int(x - reach), int(y - reach), int(x + reach + 1), int(y + reach + 1)
            if left >= width or top >= height or right < 0 or bottom < 0:
                continue
            weights[i, j] = 1
            axis = np.arange(0, size, 1, np.float32)
            window = np.exp(-((axis - center) ** 2 + (axis[:, None] - center) ** 2) / (2 * SIGMA**2))
            gx, gy = slice(max(0, -left), min(right, width) - left), slice(max(0, -top), min(bottom, height) - top)
            ix, iy = slice(max(0, left), min(right, width)), slice(max(0, top), min(bottom, height))
            maps[i, j, iy, ix] = window[gy, gx]
    return maps, weights


def render(pairs: int) -> None:
    """Batches of 8 stay in a processor's own cache; of 64, as trainers take them, they do not."""
    for batch in (8, 64):
        xy, flags = joints(batch)
        codec = make_codec("msra", catalog.skeleton("coco17"), INPUT, sigma=SIGMA)
        expected, _ = loop(xy, flags)
        points = codec.prepare(xy, flags)
        # What no renderer can beat here: handing out the arrays and writing zeros into them.
        zeros = repeated(partial(np.full, expected.shape, 0, np.float32), 2048 // batch)
        limit = median(one[0] for one in turns(zeros, 2048, int, 1, pairs))
        print(f"| writing zeros, batches of {batch} | {limit:,.0f}/s | | | | |")
        other = repeated(partial(loop, xy, flags), 512 // batch)
        for name, least in (("numba", 20.0), ("numpy", 5.0)):
            if name == "numba" and kernels.available() != "numba":
                print("| rendering 17x64x48, numba | not installed | | | | |")
                continue
            with kernels.use(name):
                error = float(np.abs(codec.encode(xy, flags)[0]["heatmaps"] - expected).max())
                said = f"{batch} at once, {name} (error {error:.0e}) / loop"
                ours = repeated(partial(codec.render, points), 2048 // batch)
                report(
                    f"rendering 17x64x48, {said}", turns(ours, 2048, other, 512, pairs), least if batch == 8 else None
                )
                ours = repeated(partial(codec.encode, xy, flags), 2048 // batch)
                report(f"the same with placing the joints, {said}", turns(ours, 2048, other, 512, pairs), None)


def repeated(function: Callable[[], object], times: int) -> Callable[[], None]:
    """A function that runs the given one so often, and lets each result go."""

    def run_all() -> None:
        for _ in range(times):
            function()

    return run_all


def joints(persons: int) -> tuple[np.ndarray, np.ndarray]:
    """Joints all over the input, all visible."""
    xy = np.random.default_rng(7).uniform((8, 8), (INPUT[1] - 8, INPUT[0] - 8), (persons, 17, 2))
    return xy, np.full((persons, 17), 2, np.uint8)


def store(folder: Path, dtype: StoredType, least: float, pairs: int) -> None:
    """Joints in memory to a file on the disk; ours is a shard, synced, with its checksum."""
    codec = make_codec("msra", catalog.skeleton("coco17"), INPUT, sigma=SIGMA)
    xy, flags = joints(6400)
    whole = layout_of(codec, dtype, "heatmaps", IdentityTypes())
    layout = {name: whole[name] for name in ("keypoints", "visibility", "weights", "heatmaps")}

    def ours() -> None:
        with ShardWriter(folder / "ours.h5", layout, len(xy), "gzip", {}) as writer:
            for first in range(0, len(xy), BLOCK):
                rows = slice(first, first + BLOCK)
                arrays, weights = codec.encode(xy[rows], flags[rows], dtype=dtype)
                writer.append(
                    {**arrays, "weights": weights, "keypoints": xy[rows].astype("f4"), "visibility": flags[rows]}
                )
            writer.finish()

    ours()
    with h5py.File(folder / "ours.h5") as file:
        stored = file["heatmaps"]
        values = stored[:64].astype(np.float32) * np.float32(stored.attrs["scale"])
        error = float(np.abs(values - loop(xy[:64], flags[:64])[0]).max())
    ratios = turns(ours, len(xy), lambda: naive(folder, xy[:400], flags[:400]), 400, pairs)
    report(f"targets to HDF5, {dtype} (error {error:.0e}) / loop and h5py gzip 4", ratios, least)


def naive(folder: Path, xy: np.ndarray, flags: np.ndarray) -> None:
    """The loop, a person at a time, into one float32 array with h5py's gzip 4."""
    with h5py.File(folder / "naive.h5", "w") as file:
        shape = (len(xy), 17, *HEATMAP)
        target = file.create_dataset(
            "heatmaps", shape, "f4", chunks=(1, *shape[1:]), compression="gzip", compression_opts=4
        )
        for i in range(len(xy)):
            target[i] = loop(xy[i : i + 1], flags[i : i + 1])[0][0]


def write(labels: Path, folder: Path, dtype: str, pairs: int) -> None:
    """The same for a whole command: reading labels, cutting persons out, planning and checking are in ours only."""
    persons = shards(labels, folder / "out", dtype)
    xy, flags = joints(400)
    ratios = turns(lambda: shards(labels, folder / "out", dtype), persons, lambda: naive(folder, xy, flags), 400, pairs)
    report(f"kpkit heatmaps, from the labels on, {dtype} / loop and h5py gzip 4", ratios, None)


def shards(labels: Path, output: Path, dtype: str = "float16") -> int:
    """A whole run; how many samples it wrote."""
    job = HeatmapsJob(
        source=LabelSource(input=labels), output=output, dtype=dtype, codec_parameters={"sigma": SIGMA}, force=True
    )
    return run(job).samples


def read(labels: Path, folder: Path, pairs: int) -> None:
    shards(labels, folder / "out")
    first = sorted((folder / "out").glob("*.h5"))[0]
    rng = np.random.default_rng(7)
    with kpkit.ShardDataset(folder / "out", names=["heatmaps", "weights"]) as data, h5py.File(first) as file:
        n = len(file["heatmaps"])

        def ours() -> None:
            for _ in range(20):
                data.read(rng.choice(n, 64, replace=False))

        def fancy() -> None:
            for _ in range(2):
                file["heatmaps"][np.sort(rng.choice(n, 64, replace=False))]

        report("shuffled batches of 64 / h5py fancy indexing", turns(ours, 1280, fancy, 128, pairs), 10.0)


def loader(labels: Path, folder: Path) -> None:
    try:
        import torch

        import kpkit.torch
    except (ImportError, kpkit.MissingExtraError):
        print("| DataLoader, 2 workers | torch is not installed | | | | |")
        return
    shards(labels, folder / "out")
    data = kpkit.torch.ShardDataset(folder / "out", names=["heatmaps", "weights"], dtype="float16")
    batches = torch.utils.data.DataLoader(data, 64, shuffle=True, num_workers=2, collate_fn=data.collate)
    rates = []
    for _ in range(3):
        start = count = 0.0
        for batch in batches:
            # The first batch has waited for the workers to start.
            start, count = (start or time.perf_counter()), count + (len(batch["weights"]) if start else 0)
        rates.append(count / (time.perf_counter() - start))
    said = "met" if median(rates) >= 10_000 else "NOT MET"
    print(f"| DataLoader, 2 workers, shuffled | {median(rates):,.0f}/s | | | 10,000/s | {said} |")


def scale(coco: Path, folder: Path) -> None:
    start = time.perf_counter()
    count = shards(coco, folder / "all")
    seconds = time.perf_counter() - start
    size = sum(file.stat().st_size for file in (folder / "all").rglob("*.h5"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    text = f"{seconds:.1f} s, {count / seconds:,.0f}/s, {size / count:,.0f} bytes a sample, {peak:,.0f} MB peak"
    said = "met" if peak <= 1000 else "NOT MET"
    print(f"| {count:,} samples of {coco.name}, float16 | {text} | | | at most 1,000 MB | {said} |")


def turns(
    ours: Callable[[], object], count: int, other: Callable[[], object], other_count: int, pairs: int
) -> list[tuple[float, float]]:
    """(ours, other) samples a second, in turn; one run of each goes ahead."""
    ours()
    other()
    return [(rate(ours, count), rate(other, other_count)) for _ in range(pairs)]


def rate(function: Callable[[], object], count: int) -> float:
    start = time.perf_counter()
    function()
    return count / (time.perf_counter() - start)


def report(what: str, rates: list[tuple[float, float]], least: float | None) -> None:
    ratios = [ours / other for ours, other in rates]
    mine, theirs = (median(one[i] for one in rates) for i in (0, 1))
    text = f"{median(ratios):.1f}x ({min(ratios):.1f} to {max(ratios):.1f})"
    said = "" if least is None else "met" if median(ratios) >= least else "NOT MET"
    mark = "" if least is None else f"{least:g}x"
    print(f"| {what} | {mine:,.0f}/s | {theirs:,.0f}/s | {text} | {mark} | {said} |", flush=True)


if __name__ == "__main__":
    main()
