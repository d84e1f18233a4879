"""Speed of the augmenter.

    python benchmarks/augment.py [--pairs 5] [--scenes 240] [--only NAME]

Rows: `memory` one image in memory against Albumentations; `profile` where a worker's time goes; `workers` two workers
against one; `growth` peak memory of a worker over the number of images. Pictures are kpkit's own drawn scenes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from table import load, machine

from kpkit.augment.draw import draw_image, stream
from kpkit.augment.occlusion import cover, covered, paint
from kpkit.augment.recipe import Recipe
from kpkit.augment.spatial import Labels, move
from kpkit.augment.warp import warp_image
from kpkit.core import catalog
from kpkit.core import visibility as vis
from kpkit.pipelines.demo import DemoJob
from kpkit.pipelines.demo import run as make_demo

WIDTH, HEIGHT = 640, 480
# Copies of every picture in the row on two workers: starting them should weigh as little as in real datasets.
COPIES = 18
_RUNS = itertools.count()
ROWS = ("memory", "profile", "workers", "growth")
CHILD = """
import json, sys
import cv2
from pathlib import Path
from kpkit.augment.recipe import preset
from kpkit.memory import collect_seldom, keep_freed
from kpkit.pipelines.augment import AugmentJob, run
labels, output, workers, copies, occlusion = sys.argv[1:]
recipe = preset("six2").with_changes(occlusion=float(occlusion)) if float(occlusion) else preset("six2")
job = AugmentJob(input=Path(labels), output=Path(output), recipe=recipe,
                 workers=int(workers), copies=int(copies), force=True)
# As the command and its workers do.
keep_freed()
collect_seldom()
cv2.setNumThreads(1)
report = run(job)
# Of this program alone: ru_maxrss goes on from the one that started it.
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"seconds": report.seconds, "profile": report.profile, "images": report.counts["images"],
                  "peak": peak}))
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--scenes", type=int, default=240)
    parser.add_argument("--only", choices=ROWS)
    options = parser.parse_args()
    wanted = [options.only] if options.only else list(ROWS)
    print("\n".join([*machine(sys.executable)[:2], f"load before: {load()}", ""]))
    print("| What | Result | at least |")
    print("|---|---|---|")
    if "memory" in wanted:
        print(
            _row("one 640x480 picture to 256x192 in memory: flip, affine, cutout, 17 points", *in_memory(options.pairs))
        )
    if wanted == ["memory"]:
        return
    with tempfile.TemporaryDirectory() as folder:
        labels = _scenes(Path(folder) / "vga", options.scenes, (480, 640))
        if "profile" in wanted:
            large = _scenes(Path(folder) / "hd", options.scenes, (720, 1280))
            for size, where in (("640x480", labels), ("1280x720, as MPII's", large)):
                for recipe, share in (("six2", 0.0), ("six2 and occlusion 0.3", 0.3)):
                    what = f"share of a worker's time in decode, warp and encode: {size}, {recipe}"
                    print(_row(what, *profile(where, Path(folder), share)))
        if "workers" in wanted:
            print(
                _row(
                    f"2 workers against 1, whole command ({COPIES * options.scenes:,} pictures)",
                    *two_workers(labels, Path(folder), options.pairs),
                )
            )
        if "growth" in wanted:
            print(_row("peak memory of a worker: 1 copy, and 20 copies", *growth(labels, Path(folder))))
    print(f"\nload after: {load()}")


def in_memory(pairs: int) -> tuple[str, str]:
    """Ours and Albumentations in turn; both give the picture, the points, and what is covered."""
    try:
        ours, peer = _our_way(), _their_way()
    except ImportError:
        return "albumentations: not installed", "5x"
    ratios, rates = [], []
    for _ in range(pairs):
        first, second = _rate(ours, 600), _rate(peer, 200)
        rates.append((first, second))
        ratios.append(first / second)
    ours_rate, peer_rate = (median(rate[i] for rate in rates) for i in (0, 1))
    text = (
        f"{ours_rate:,.0f}/s against {peer_rate:,.0f}/s: {median(ratios):.1f}x ({min(ratios):.1f} to {max(ratios):.1f})"
    )
    return text, "5x"


def _rate(function: Callable[[int], object], count: int) -> float:
    start = time.perf_counter()
    for i in range(count):
        function(i)
    return count / (time.perf_counter() - start)


def _sample() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    smooth = cv2.resize(rng.integers(0, 256, (48, 64, 3), np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return smooth, rng.uniform((180, 90), (420, 400), (17, 2))


def _our_way() -> Callable[[int], object]:
    image, xy = _sample()
    skeleton = catalog.skeleton("coco17")
    recipe = Recipe(input_size=(256, 192), rotation=(-30, 30), scale=(0.8, 1.2), flip=0.5, occlusion=(0.3, 0.3))
    labels = Labels(
        xy=xy[None],
        visibility=np.full((1, 17), 2, np.uint8),
        truncated=np.zeros((1, 17), bool),
        bbox_xywh=np.array([[180.0, 90.0, 240.0, 310.0]]),
        head_box=np.full((1, 4), np.nan),
        area=np.array([40000.0]),
        polygons=[[]],
    )

    def once(i: int) -> object:
        drawn = draw_image(recipe, 7, "picture", i, (WIDTH, HEIGHT))
        warped = warp_image(image, drawn.matrix, drawn.out_wh, recipe)
        moved = move(labels, drawn.matrix, drawn.out_wh, skeleton, mirrored=drawn.mirrored).labels
        hidden = cover(moved.bbox_xywh, drawn.out_wh, recipe, lambda _: stream(7, "picture#1", i, "occlusion"))
        painted = paint(warped, hidden.mask, recipe, None, pieces=hidden.pieces, in_place=warped is not image)
        return painted, moved.xy, vis.occlude(moved.visibility, covered(moved.xy, hidden.mask))

    return once


def _their_way() -> Callable[[int], object]:
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations as album

    image, xy = _sample()
    holes = {"num_holes_range": (1, 1), "hole_height_range": (0.3, 0.6), "hole_width_range": (0.3, 0.6)}
    compose = album.Compose(
        [
            album.HorizontalFlip(p=0.5),
            album.Affine(rotate=(-30, 30), scale=(0.8, 1.2), p=1),
            album.RandomCrop(256, 192, p=1),
            album.CoarseDropout(**holes, p=1),
        ],
        keypoint_params=album.KeypointParams(format="xy", remove_invisible=False),
    )

    def once(i: int) -> object:
        compose.set_random_seed(i)
        return compose(image=image, mask=np.zeros((HEIGHT, WIDTH), np.uint8), keypoints=xy)

    return once


def profile(labels: Path, folder: Path, occlusion: float) -> tuple[str, str]:
    """Shares of a worker's time, by step; one copy of every picture."""
    steps = _augment(labels, folder, 1, 1, occlusion)["profile"]
    total = steps.pop("total")
    main = sum(steps.get(name, 0.0) for name in ("decode", "warp", "encode")) / total
    each = ", ".join(f"{name} {seconds / total:.0%}" for name, seconds in steps.items())
    return f"{main:.0%} ({each}, rest {1 - sum(steps.values()) / total:.0%})", "85 %"


def two_workers(labels: Path, folder: Path, pairs: int) -> tuple[str, str]:
    """Wall time of the command with one and with two workers, in turn."""
    ratios = []
    for _ in range(pairs):
        one = _augment(labels, folder, 1, COPIES)["seconds"]
        two = _augment(labels, folder, 2, COPIES)["seconds"]
        ratios.append(one / two)
    return f"{median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})", "1.6x"


def growth(labels: Path, folder: Path) -> tuple[str, str]:
    """Peak memory for few and for many pictures, of one process that is worker and parent in one."""
    few, many = (_augment(labels, folder, 1, copies) for copies in (1, 20))
    text = ", ".join(f"{one['images']:,} pictures {one['peak'] / 1024:.0f} MB" for one in (few, many))
    return text, "at most 400 MB"


def _augment(labels: Path, folder: Path, workers: int, copies: int, occlusion: float = 0.3) -> dict:
    # In a folder of its own, and nothing is removed before the end: before ext4 makes a file, it looks at all that were
    # deleted there in the last five minutes, and what an earlier run left is no part of this one's time.
    output = folder / f"out{next(_RUNS)}"
    command = [sys.executable, "-c", CHILD, str(labels), str(output), str(workers), str(copies), str(occlusion)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def _scenes(folder: Path, count: int, size: tuple[int, int]) -> Path:
    make_demo(DemoJob(folder=folder, scenes=count, size=size))
    return folder / "coco" / "annotations" / "person_keypoints_default.json"


def _row(what: str, result: str, least: str) -> str:
    return f"| {what} | {result} | {least} |"


if __name__ == "__main__":
    # Both sides on one thread: a training loader runs many of them.
    cv2.setNumThreads(1)
    main()
