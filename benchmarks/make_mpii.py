"""Makes an MPII file (RELEASE in MATLAB 5 form) of any size with kpkit's own writer.

    python make_mpii.py OUT.mat [--images 25000] [--persons 37500] [--seed 0]

Every person has a head rectangle, a scale and a position; one joint in ten is not labelled. The same seed makes the
same bytes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import kpkit

# Ankles, knees and hips from right to left, pelvis, thorax, neck, head, then the arms: shares of the person's box.
BODY = np.array(
    [
        (0.38, 0.95), (0.38, 0.74), (0.40, 0.52), (0.60, 0.52), (0.62, 0.74), (0.62, 0.95), (0.50, 0.52), (0.50, 0.22),
        (0.50, 0.17), (0.50, 0.02), (0.18, 0.50), (0.20, 0.36), (0.32, 0.20), (0.68, 0.20), (0.80, 0.36), (0.82, 0.50),
    ]
)  # fmt: skip
WIDTH, HEIGHT = 1280, 720
UNLABELLED = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description="Make an MPII file of any size.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", type=int, default=25_000)
    parser.add_argument("--persons", type=int, default=37_500)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    make(given.out, given.images, given.persons, given.seed)


def make(path: Path, images: int, persons: int, seed: int = 0) -> None:
    """Write the file; what is there is replaced."""
    rng = np.random.default_rng(seed)
    extent = rng.uniform((60, 150), (300, 700), (persons, 2))
    corner = rng.uniform(0, 1, (persons, 2)) * ((WIDTH, HEIGHT) - extent)
    joints = BODY + rng.normal(0, 0.02, (persons, len(BODY), 2))
    xy = np.round(corner[:, None] + extent[:, None] * joints)
    visibility = rng.choice(3, (persons, len(BODY)), p=(UNLABELLED, 0.15, 0.85 - UNLABELLED)).astype(np.uint8)
    xy[visibility == 0] = np.nan
    head = np.round(np.concatenate((corner + extent * (0.4, 0), extent * (0.2, 0.15)), axis=1))
    dataset = kpkit.Dataset.build(
        skeleton=kpkit.skeleton("mpii16"),
        images=kpkit.ImageTable.build(
            path=[f"{row + 1:09d}.jpg" for row in range(images)],
            width=[WIDTH] * images,
            height=[HEIGHT] * images,
            split=["train"] * images,
        ),
        image_index=np.sort(rng.integers(0, images, persons)),
        xy=xy,
        visibility=visibility,
        bbox_xywh=np.concatenate((corner, extent), axis=1),
        head_box=head,
    )
    kpkit.write(dataset, path, format="mpii", force=True)


if __name__ == "__main__":
    main()
