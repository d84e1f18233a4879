"""6-2 through COCO and back: what COCO cannot say goes along in an extra key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import kpkit
from kpkit.core import catalog

COMBINATIONS = [[10.5, 20, 0], [None, None, 0], [10, 20, 1], [10, 20, 2], [None, None, 2]]


@pytest.mark.parametrize("skeleton", ["six2_knee", "six2_ankle"])
def test_all_five_combinations_come_back_from_coco_with_the_skeleton_kept(skeleton: str, tmp_path: Path) -> None:
    joints = catalog.skeleton(skeleton).keypoints
    persons = [
        {"person_id": n, "joints": {name: COMBINATIONS[(n + k) % 5] for k, name in enumerate(joints)}}
        for n in range(1, 6)
    ]
    images = [{"image": "a.jpg", "width": 640, "height": 480, "persons": persons}]
    source = tmp_path / "source.six2.json"
    source.write_text(json.dumps({"format": "kpkit-six2", "version": 1, "skeleton": skeleton, "images": images}))
    kpkit.convert("six2", "coco", source, output=tmp_path / "coco.json", keep_skeleton=True)
    kpkit.convert("coco", "six2", tmp_path / "coco.json", output=tmp_path / "back.json", keep_skeleton=True)
    back = json.loads((tmp_path / "back.json").read_text())
    assert back["skeleton"] == skeleton
    assert [one["joints"] for one in back["images"][0]["persons"]] == [one["joints"] for one in persons]


def test_cocos_digits_are_not_six2s(tmp_path: Path) -> None:
    joints = {"head": [1, 2, 0], "left_hip": [3, 4, 1], "right_hip": [5, 6, 2]}
    images = [{"image": "a.jpg", "width": 640, "height": 480, "persons": [{"person_id": 1, "joints": joints}]}]
    source = tmp_path / "source.six2.json"
    source.write_text(json.dumps({"format": "kpkit-six2", "version": 1, "skeleton": "six2_knee", "images": images}))
    kpkit.convert("six2", "coco", source, output=tmp_path / "coco.json", keep_skeleton=True)
    keypoints = json.loads((tmp_path / "coco.json").read_text())["annotations"][0]["keypoints"]
    digits = dict(zip(catalog.skeleton("six2_knee").keypoints, keypoints[2::3], strict=True))
    assert (digits["head"], digits["left_hip"], digits["right_hip"]) == (1, 2, 1)
