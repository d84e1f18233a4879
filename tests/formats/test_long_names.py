"""Names of images that no file system takes: labels are labels, whatever the pictures are called."""

from __future__ import annotations

from pathlib import Path

from kpkit.core.report import Collector
from kpkit.formats.base import ReadOptions
from kpkit.formats.six2 import Six2Format

LONG = "a" * 4000 + ".jpg"


def test_a_name_too_long_for_the_file_system_is_read_like_any_other(tmp_path: Path) -> None:
    labels = tmp_path / "labels.six2.csv"
    joints = (
        "head",
        "left_shoulder",
        "right_shoulder",
        "left_hip",
        "right_hip",
        "torso_center",
        "left_knee",
        "right_knee",
    )
    header = ",".join(["image", "width", "height", "person_id", *(f"{j}_{c}" for j in joints for c in "xyv")])
    labels.write_text(f"{header}\n{LONG},640,480,1,{','.join(['10,20,1'] * 8)}\n", encoding="utf-8")

    dataset = Six2Format().read(labels, ReadOptions(), Collector())

    assert dataset.images.path.tolist() == [LONG]
    assert dataset.image_root is None
