"""Labels with pictures for tests of `kpkit view`: small enough to know every number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kpkit.pipelines.load import LabelSource
from kpkit.pipelines.view import ViewJob, ViewReport, run
from tests.coco_files import document, image, person, points, save


def labels(folder: Path, **changes: Any) -> Path:
    """Three pictures, four persons: all visible; half occluded; a crowd without joints; coordinates with decimals."""
    half = points()
    half[2:18:3] = [1] * 6
    odd = [value + 0.1 * (i % 3 < 2) + 1 / 3 for i, value in enumerate(points(shift=50))]
    odd[2::3] = [2] * 17
    persons = [
        person(7, 1),
        person(8, 1, keypoints=half, bbox=[8, 18, 40, 20]),
        person(
            9, 2, keypoints=[0] * 51, num_keypoints=0, iscrowd=1, segmentation={"counts": [307200], "size": [480, 640]}
        ),
        person(12, 3, keypoints=odd, bbox=[60.3, 20.25, 35.125, 17.7]),
    ]
    images = [image(1), image(2), image(3, width=333, height=217)]
    for one in images:
        (folder / "images").mkdir(parents=True, exist_ok=True)
        picture = np.full((one["height"], one["width"], 3), 90, np.uint8)
        cv2.imwrite(str(folder / "images" / one["file_name"]), picture)
    return save(folder / "annotations" / "person_keypoints_small.json", {**document(persons, images), **changes})


def show(path: Path, name: str, *, images: Path | None = None, **options: Any) -> ViewReport:
    """Store labels in FiftyOne under a name, replacing what an earlier test left there."""
    return run(ViewJob(source=LabelSource(input=path, images=images), name=name, force=True, **options))


def dataset_of(name: str) -> Any:
    """FiftyOne's dataset, as somebody in a notebook has it."""
    import fiftyone

    return fiftyone.load_dataset(name)


def label_of(name: str, person_id: Any, field: str = "keypoints") -> tuple[Any, Any]:
    """FiftyOne's sample and label of one person."""
    inner = {"keypoints": "keypoints", "persons": "detections", "occluded": "keypoints"}[field]
    for sample in dataset_of(name):
        for label in sample[field][inner]:
            if label.person == str(person_id):
                return sample, label
    raise AssertionError(f"no person {person_id} in {name}")
