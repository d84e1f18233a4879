"""Makes a COCO person-keypoints file of any size: made-up numbers in the proportions of real files.

    python make_coco.py OUT.json [--images 50000] [--persons 151027] [--seed 0] [--sides 320 640]

Polygons of 30 to 100 corners, one person in a hundred a crowd with a run-length mask, two in five without keypoints,
integer keypoints: about 1 kB a person. The same seed makes the same bytes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

JOINTS = (
    ("nose", 0.50, 0.08), ("left_eye", 0.54, 0.06), ("right_eye", 0.46, 0.06), ("left_ear", 0.58, 0.07),
    ("right_ear", 0.42, 0.07), ("left_shoulder", 0.68, 0.20), ("right_shoulder", 0.32, 0.20),
    ("left_elbow", 0.80, 0.36), ("right_elbow", 0.20, 0.36), ("left_wrist", 0.82, 0.50), ("right_wrist", 0.18, 0.50),
    ("left_hip", 0.60, 0.52), ("right_hip", 0.40, 0.52), ("left_knee", 0.62, 0.74), ("right_knee", 0.38, 0.74),
    ("left_ankle", 0.62, 0.95), ("right_ankle", 0.38, 0.95),
)  # fmt: skip
EDGES = (
    (16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9), (8, 10), (9, 11),
    (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7),
)  # fmt: skip
BODY = np.array([joint[1:] for joint in JOINTS])
CROWD, WITHOUT_KEYPOINTS = 0.01, 0.44
SIDES = (320, 640)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a COCO person-keypoints file of any size.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--persons", type=int, default=151_027)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sides", type=int, nargs=2, default=SIDES, help="least and greatest width and height")
    given = parser.parse_args()
    make(given.out, given.images, given.persons, given.seed, tuple(given.sides))


def make(path: Path, images: int, persons: int, seed: int = 0, sides: tuple[int, int] = SIDES) -> None:
    """Write the file; each image holds at least one person while there are enough of them.

    sides  least and greatest width and height of an image, pixels
    """
    rng = np.random.default_rng(seed)
    sizes = rng.integers(sides[0], sides[1] + 1, (images, 2))
    spare = rng.integers(0, images, max(0, persons - images))
    image_of = np.sort(np.concatenate((np.arange(min(images, persons)), spare)))
    category = {
        "supercategory": "person",
        "id": 1,
        "name": "person",
        "keypoints": [name for name, _, _ in JOINTS],
        "skeleton": EDGES,
    }
    top = {"info": {"description": "made up, for benchmarks"}, "licenses": [], "categories": [category]}
    with path.open("w", encoding="ascii") as stream:
        stream.write(_compact(top)[:-1])
        stream.write(',"images":[')
        stream.writelines(_separated(_image(i, sizes[i]) for i in range(images)))
        stream.write('],"annotations":[')
        people = (_person(rng, row, image, sizes[image]) for row, image in enumerate(image_of.tolist()))
        stream.writelines(_separated(people))
        stream.write("]}")


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _separated(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    comma = ""
    for row in rows:
        yield comma + _compact(row)
        comma = ","


def _image(row: int, size: Any) -> dict[str, Any]:
    name = f"{row + 1:012d}.jpg"
    return {
        "license": 1,
        "file_name": name,
        "coco_url": f"http://images.example.org/train/{name}",
        "height": int(size[1]),
        "width": int(size[0]),
        "date_captured": "2020-01-01 12:00:00",
        "id": row + 1,
    }


def _person(rng: np.random.Generator, row: int, image: int, size: Any) -> dict[str, Any]:
    extent = size * rng.uniform(0.1, 0.9, 2)
    corner = (size - extent) * rng.uniform(0, 1, 2)
    crowd = rng.random() < CROWD
    keypoints = np.zeros((len(BODY), 3), np.int64)
    if not crowd and rng.random() >= WITHOUT_KEYPOINTS:
        keypoints[:, :2] = np.clip(corner + extent * (BODY + rng.normal(0, 0.03, BODY.shape)), 1, size - 1)
        keypoints[:, 2] = rng.choice(3, len(BODY), p=(0.35, 0.1, 0.55))
        keypoints[keypoints[:, 2] == 0] = 0
    return {
        "segmentation": _runs(rng, size) if crowd else _polygons(rng, corner, extent),
        "num_keypoints": int(np.count_nonzero(keypoints[:, 2])),
        "area": round(float(extent.prod()) * 0.6, 5),
        "iscrowd": int(crowd),
        "keypoints": keypoints.ravel().tolist(),
        "image_id": image + 1,
        "bbox": np.round((*corner, *extent), 2).tolist(),
        "category_id": 1,
        "id": row + 1,
    }


def _polygons(rng: np.random.Generator, corner: Any, extent: Any) -> list[list[float]]:
    corners = int(rng.integers(30, 100))
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    circle = np.stack((np.cos(angle), np.sin(angle)), axis=1) * rng.uniform(0.7, 1, (corners, 1))
    return [np.round(corner + extent * (circle + 1) / 2, 2).ravel().tolist()]


def _runs(rng: np.random.Generator, size: Any) -> dict[str, Any]:
    pixels = int(size[0]) * int(size[1])
    ends = np.sort(rng.choice(pixels - 1, 159, replace=False)) + 1
    return {"counts": np.diff(ends, prepend=0, append=pixels).tolist(), "size": [int(size[1]), int(size[0])]}


if __name__ == "__main__":
    main()
