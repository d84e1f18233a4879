"""From arrays to COCO and 6-2: `python examples/quickstart.py [FOLDER]`.

A team has joints in numpy arrays. They become a dataset, the dataset a COCO file, the COCO file a 6-2 file; each step
says what it could not keep.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import kpkit


def main(folder: Path) -> None:
    """Write people.json (COCO) and people.six2.json into `folder`."""
    skeleton = kpkit.skeleton("coco17")
    # One person in one picture: shoulders, hips and knees; the left knee is behind something, the rest is not labelled.
    points = {
        "nose": (320.0, 80.0, 2),
        "left_shoulder": (360.0, 150.0, 2),
        "right_shoulder": (280.0, 150.0, 2),
        "left_hip": (345.0, 300.0, 2),
        "right_hip": (295.0, 300.0, 2),
        "left_knee": (350.0, 390.0, 1),
        "right_knee": (290.0, 390.0, 2),
    }
    xy = np.full((1, len(skeleton), 2), np.nan)
    visibility = np.zeros((1, len(skeleton)), np.uint8)
    for name, (x, y, flag) in points.items():
        joint = skeleton.keypoints.index(name)
        xy[0, joint], visibility[0, joint] = (x, y), flag

    dataset = kpkit.Dataset.build(
        skeleton=skeleton,
        images=kpkit.ImageTable.build(path=["street/0001.jpg"], width=[640], height=[480]),
        image_index=[0],
        xy=xy,
        visibility=visibility,
    )
    report = kpkit.write(dataset, folder / "people.json", "coco", force=True)
    print(f"COCO: {report.counts['labelled']} joints, {len(report.losses)} losses")

    report = kpkit.convert("coco", "six2", folder / "people.json", output=folder / "people.six2.json", force=True)
    for line in report.joints:
        print(f"6-2: {line.joint:15} {line.kind:12} {line.rule}")
    for loss in report.losses:
        print(f"lost: {loss.count} {loss.what}: {loss.why}")

    back = kpkit.read(folder / "people.six2.json")
    print(back.to_pandas()[["image", "head_x", "head_y", "left_knee_v"]].to_string(index=False))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
