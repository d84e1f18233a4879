"""A small dataset for samples that are whole pictures: persons, a crowd, persons without joints, pictures of nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kpkit.pipelines.heatmaps import HeatmapsReport
from tests.augment_data import HEIGHT, WIDTH, dataset, read_labels, somebody, write_labels
from tests.coco_files import image, person
from tests.shard_data import shards

# Run lengths go down the columns: columns 0 to 11 of a picture.
CROWD = {"size": [HEIGHT, WIDTH], "counts": [0, HEIGHT * 12, HEIGHT * (WIDTH - 12)]}
# Columns 60 to 71, rows 8 to 23, as corners of pixels' centres.
OUTLINE = [[60, 8, 71, 8, 71, 23, 60, 23]]


def without_joints(id: int, image_id: int, **fields: Any) -> dict[str, Any]:
    """A person that nobody gave joints, in a box of 16 x 8 pixels."""
    row = {"keypoints": [0] * 51, "num_keypoints": 0, "bbox": [32, 40, 16, 8], "segmentation": []}
    return person(id, image_id, **(row | fields))


def pictures(folder: Path) -> Path:
    """Three pictures of two persons; in the first a crowd, in the second two without joints; two pictures of nobody."""
    dataset(folder, images=5, persons=2)
    content = read_labels(folder)
    people = [row for row in content["annotations"] if row["image_id"] <= 3]
    people.append(somebody(100, 1, 7, iscrowd=1, segmentation=CROWD, bbox=[0, 0, 12, HEIGHT]))
    people.append(without_joints(101, 2))
    people.append(without_joints(102, 2, segmentation=OUTLINE))
    people.append(without_joints(103, 4))
    content["annotations"] = people
    return write_labels(folder, content)


def sizeless(folder: Path) -> Path:
    """The same, without the sizes of the pictures and without run lengths that state one."""
    path = pictures(folder)
    content = read_labels(folder)
    content["images"] = [image(row["id"], file_name=row["file_name"]) for row in content["images"]]
    for row in content["images"]:
        del row["width"], row["height"]
    content["annotations"] = [row for row in content["annotations"] if not row["iscrowd"]]
    write_labels(folder, content)
    return path


def whole(labels: Path, output: Path, **options: Any) -> HeatmapsReport:
    """Make shards of whole pictures, as large as the pictures, which then only stand in the middle: 96 x 96."""
    return shards(labels, output, **({"codec": "bottomup", "input_size": (WIDTH, WIDTH), "dtype": "float32"} | options))


__all__ = ["CROWD", "OUTLINE", "pictures", "sizeless", "whole", "without_joints"]
