"""Speed of targets: rendering, writing shards, reading them back, each beside the straightforward way.

    python benchmarks/targets.py [--pairs 5] [--only NAME] [--persons 20000] [--coco FILE]

Rows: `render` kernels against a loop over persons and joints; `write` whole `kpkit heatmaps` runs (labels read, targets
rendered, shards synced) against that loop and h5py's own gzip 4 in float32; `read` shuffled batches against h5py's
fancy indexing; `loader` PyTorch's DataLoader with two workers; `scale` one run over all persons of --coco FILE.
Ours and the other way take turns in one process; a ratio is taken pair by pair.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
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
from kpkit.pipelines.load import LabelSource
from kpkit.targets import kernels
from kpkit.targets.make import make_codec

BATCH = 64
ROWS = ("render", "write", "read", "loader", "scale")
INPUT, HEATMAP, SIGMA = (256, 192), (64, 48), 2.0
# How much faster ours has to be than the loop and h5py's gzip, by type of the targets.
WRITES = {"uint8": 20.0, "float16": 11.0, "float32": 6.0}


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
        if {"write", "read", "loader"} & set(wanted):
            make(labels, options.persons // 3, options.persons)
        if "write" in wanted:
            for dtype, least in WRITES.items():
                write(labels, folder, dtype, least, options.pairs)
        if "read" in wanted:
            read(labels, folder, options.pairs)
        if "loader" in wanted:
            loader(labels, folder)
        if "scale" in wanted and options.coco is not None:
            scale(options.coco, folder)
    print(f"\nload after: {load()}")


def loop(xy: np.ndarray, visibility: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rule of HRNet, a joint at a time: window of 3 sigma around the rounded cell, clipped at the borders."""
    n, k = visibility.shape
    height, width = HEATMAP
    maps, weights = np.zeros((n, k, height, width), np.float32), np.zeros((n, k), np.float32)
    size, reach = int(2 * 3 * SIGMA + 1), 3 * SIGMA
    axis = np.arange(0, size, 1, np.float32)
    center = size // 2
    window = np.exp(-((axis - center) ** 2 + (axis[:, None] - center) ** 2) / (2 * SIGMA**2))
    for i in range(n):
        for j in range(k):
            if not visibility[i, j]:
                continue
            x, y = (int(value / 4 + 0.5) for value in xy[i, j])
            left, top, right, bottom = int(x - reach), int(y - reach), int(x + reach + 1), int(y + reach + 1)
            if left >= width or top >= height or right < 0 or bottom < 0:
                continue
            weights[i, j] = 1
            gx, gy = slice(max(0, -left), min(right, width) - left), slice(max(0, -top), min(bottom, height) - top)
            ix, iy = slice(max(0, left), min(right, width)), slice(max(0, top), min(bottom, height))
            maps[i, j, iy, ix] = window[gy, gx]
    return maps, weights


def render(pairs: int) -> None:
    rng = np.random.default_rng(7)
    # A batch as trainers take it; much larger ones measure how fast the system hands out memory.
    xy = rng.uniform((8, 8), (INPUT[1] - 8, INPUT[0] - 8), (BATCH, 17, 2))
    flags = np.full((BATCH, 17), 2, np.uint8)
    codec = make_codec("msra", catalog.skeleton("coco17"), INPUT, sigma=SIGMA)
    expected, _ = loop(xy, flags)

    def ours() -> None:
        for _ in range(32):
            codec.encode(xy, flags)

    for name, least in (("numba", 20.0), ("numpy", 5.0)):
        if name == "numba" and kernels.available() != "numba":
            print("| rendering 17x64x48, numba | not installed | | | | |")
            continue
        with kernels.use(name):
            error = float(np.abs(codec.encode(xy, flags)[0]["heatmaps"] - expected).max())
            ratios = turns(ours, 32 * BATCH, lambda: [loop(xy, flags) for _ in range(4)], 4 * BATCH, pairs)
        report(f"rendering 17x64x48, {name} (error {error:.0e}) / loop", ratios, least)


def write(labels: Path, folder: Path, dtype: str, least: float, pairs: int) -> None:
    persons = shards(labels, folder / "out", dtype)
    rng = np.random.default_rng(7)
    xy, flags = rng.uniform((8, 8), (184, 248), (400, 17, 2)), np.full((400, 17), 2, np.uint8)

    def naive() -> None:
        with h5py.File(folder / "naive.h5", "w") as file:
            shape = (len(xy), 17, *HEATMAP)
            target = file.create_dataset(
                "heatmaps", shape, "f4", chunks=(1, *shape[1:]), compression="gzip", compression_opts=4
            )
            for i in range(len(xy)):
                target[i] = loop(xy[i : i + 1], flags[i : i + 1])[0][0]

    ratios = turns(lambda: shards(labels, folder / "out", dtype), persons, naive, len(xy), pairs)
    report(f"labels to shards, {dtype} / loop and h5py gzip 4", ratios, least)


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


def report(what: str, rates: list[tuple[float, float]], least: float) -> None:
    ratios = [ours / other for ours, other in rates]
    mine, theirs = (median(one[i] for one in rates) for i in (0, 1))
    text = f"{median(ratios):.1f}x ({min(ratios):.1f} to {max(ratios):.1f})"
    said = "met" if median(ratios) >= least else "NOT MET"
    print(f"| {what} | {mine:,.0f}/s | {theirs:,.0f}/s | {text} | {least:g}x | {said} |", flush=True)


if __name__ == "__main__":
    main()
