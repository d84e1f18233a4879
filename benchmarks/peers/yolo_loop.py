"""COCO to YOLO-pose the plain way: a loop over images, a loop over their persons, one text file an image.

    python yolo_loop.py SOURCE.json TARGET_FOLDER

It skips crowds and persons without keypoints, and checks nothing.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

with open(sys.argv[1]) as source:
    content = json.load(source)
folder = Path(sys.argv[2])
folder.mkdir(parents=True)
of_image = defaultdict(list)
for person in content["annotations"]:
    of_image[person["image_id"]].append(person)
for image in content["images"]:
    width, height = image["width"], image["height"]
    lines = []
    for person in of_image[image["id"]]:
        if person.get("iscrowd") or not person.get("keypoints"):
            continue
        x, y, w, h = person["bbox"]
        row = [person["category_id"] - 1, (x + w / 2) / width, (y + h / 2) / height, w / width, h / height]
        joints = person["keypoints"]
        for k in range(0, len(joints), 3):
            row += [joints[k] / width, joints[k + 1] / height, joints[k + 2]]
        lines.append(("%g " * len(row)).rstrip() % tuple(row))
    with open(folder / (Path(image["file_name"]).stem + ".txt"), "w") as target:
        target.write("\n".join(lines))
