"""Labels for rules: upright people who face the camera, and defects that are put into such labels one at a time."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kpkit.pipelines.load import LabelSource
from kpkit.pipelines.validate import ValidateJob, Validation, run
from tests.coco_files import COCO17, category, image, save

NAMES = COCO17.keypoints
# x and y of each joint of somebody who faces the camera, in shares of the box.
BODY = {
    "nose": (0.50, 0.08), "left_eye": (0.54, 0.06), "right_eye": (0.46, 0.06), "left_ear": (0.58, 0.07),
    "right_ear": (0.42, 0.07), "left_shoulder": (0.68, 0.20), "right_shoulder": (0.32, 0.20),
    "left_elbow": (0.78, 0.36), "right_elbow": (0.22, 0.36), "left_wrist": (0.84, 0.50), "right_wrist": (0.16, 0.50),
    "left_hip": (0.60, 0.52), "right_hip": (0.40, 0.52), "left_knee": (0.62, 0.74), "right_knee": (0.38, 0.74),
    "left_ankle": (0.62, 0.95), "right_ankle": (0.38, 0.95),
}  # fmt: skip
PERSONS = 60


def people() -> dict[str, Any]:
    """A sound file: 30 images of two people each, 60 persons."""
    rng = np.random.default_rng(5)
    images = [image(i + 1) for i in range(PERSONS // 2)]
    rows = [_person(rng, i) for i in range(PERSONS)]
    return {"info": {}, "licenses": [], "images": images, "annotations": rows, "categories": [category()]}


def _person(rng: np.random.Generator, i: int) -> dict[str, Any]:
    height = float(rng.uniform(200, 400))
    x, y, w = 20.0 + 310 * (i % 2), float(rng.uniform(10, 60)), 0.6 * height
    shares = np.array([BODY[name] for name in NAMES]) + rng.normal(0, 0.006, (17, 2))
    points = np.round(shares * (w, height) + (x, y), 1)
    return {
        "id": 100 + i,
        "image_id": 1 + i // 2,
        "category_id": 1,
        "bbox": [x, round(y, 1), round(w, 1), round(height, 1)],
        "area": round(0.5 * w * height, 1),
        "iscrowd": 0,
        "num_keypoints": 17,
        "keypoints": [value for px, py in points.tolist() for value in (px, py, 2)],
    }


def validated(path: Path, **options: Any) -> Validation:
    return run(ValidateJob(source=LabelSource(input=path, images=options.pop("images", None)), **options))


def found_in(path: Path, **options: Any) -> set[tuple[str, Any, str]]:
    """What was found, as (rule, id of the person, joint)."""
    return {(one.rule, one.instance_id, one.joint) for one in validated(path, **options).findings()}


@dataclass(frozen=True)
class Defect:
    """name, what it does to a document and a row of it, and what must be found: rule, whose id, joint."""

    name: str
    seed: Callable[[dict[str, Any], dict[str, Any]], None]
    rule: str
    person: str = "row"
    joint: str = ""


def put(row: dict[str, Any], joint: str, *xyv: Any) -> None:
    """Set one joint; a joint that was not labelled becomes visible."""
    at = 3 * NAMES.index(joint)
    row["num_keypoints"] += int(row["keypoints"][at + 2] == 0)
    row["keypoints"][at : at + 3] = (
        [*xyv, 2][:3] if len(xyv) == 2 else [*xyv, *row["keypoints"][at + len(xyv) : at + 3]]
    )


def exchange(row: dict[str, Any], *parts: str) -> None:
    """Exchange left and right of these joints; of all where none is named."""
    before = list(row["keypoints"])
    for part in parts or ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle"):
        a, b = 3 * NAMES.index(f"left_{part}"), 3 * NAMES.index(f"right_{part}")
        row["keypoints"][a : a + 3], row["keypoints"][b : b + 3] = before[b : b + 3], before[a : a + 3]


def _twin(document: dict[str, Any], row: dict[str, Any], **changed: Any) -> None:
    document["annotations"].append({**copy.deepcopy(row), **changed})


def _unlabel(row: dict[str, Any], joint: str) -> None:
    at = 3 * NAMES.index(joint) + 2
    row["num_keypoints"] -= int(row["keypoints"][at] > 0)
    row["keypoints"][at] = 0


def _ghost(document: dict[str, Any], row: dict[str, Any]) -> None:
    put(row, "left_wrist", 33, 44)
    _unlabel(row, "left_wrist")


def _shift(document: dict[str, Any], row: dict[str, Any]) -> None:
    x, y, w, h = row["bbox"]
    put(row, "left_ankle", round(x - 0.4 * max(w, h), 1), y)


def _lateral(document: dict[str, Any], row: dict[str, Any]) -> None:
    names = list(document["categories"][0]["keypoints"])
    names[names.index("right_ear")] = "chin"
    document["categories"][0]["keypoints"] = names


def _edge(document: dict[str, Any], row: dict[str, Any]) -> None:
    document["categories"][0]["skeleton"] = [*document["categories"][0]["skeleton"], [0, 18]]


def _joint_categories(document: dict[str, Any], row: dict[str, Any]) -> None:
    document["categories"] += [{"id": 50 + i, "name": name, "supercategory": ""} for i, name in enumerate(NAMES)]


# Keypoint defects a linter must find, each put into one person who has all joints.
DEFECTS = [
    Defect("num_keypoints wrong", lambda d, r: r.update(num_keypoints=r["num_keypoints"] - 1), "KP101"),
    Defect("length not 3K", lambda d, r: r["keypoints"].pop(), "KP102"),
    Defect("v not in 0..2", lambda d, r: put(r, "left_knee", 200, 210, 3), "KP103", joint="left_knee"),
    Defect("v above 0 at the origin", lambda d, r: put(r, "right_hip", 0, 0, 2), "KP104", joint="right_hip"),
    Defect("v = 0 with coordinates", _ghost, "KP105", joint="left_wrist"),
    Defect("duplicated annotation id", lambda d, r: _twin(d, r, bbox=[1, 2, 30, 40]), "KP106"),
    Defect("record twice", lambda d, r: _twin(d, r), "KP107"),
    Defect("duplicated image", lambda d, r: d["images"].append(dict(d["images"][0])), "KP108", person="none"),
    Defect(
        "duplicated image id",
        lambda d, r: d["images"].append({**d["images"][0], "file_name": "other.jpg"}),
        "KP109",
        person="none",
    ),
    Defect("unknown image", lambda d, r: r.update(image_id=987654321), "KP110"),
    Defect("unknown category", lambda d, r: r.update(category_id=77), "KP111"),
    Defect("NaN", lambda d, r: put(r, "nose", float("nan")), "KP112", joint="nose"),
    Defect("a field lacks", lambda d, r: r.pop("image_id") and None, "KP113"),
    Defect("a field is text", lambda d, r: r.update(bbox="wide"), "KP113"),
    Defect("joint off the image", lambda d, r: put(r, "left_elbow", 5000, 50), "KP201", joint="left_elbow"),
    Defect("joint far outside its box", _shift, "KP202", joint="left_ankle"),
    Defect("zero area", lambda d, r: r.update(area=0), "KP203"),
    Defect("missing area", lambda d, r: r.pop("area") and None, "KP203"),
    Defect("missing box", lambda d, r: r.pop("bbox") and None, "KP204"),
    Defect(
        "two joints on one spot",
        lambda d, r: put(r, "right_wrist", *r["keypoints"][3 * 8 : 3 * 8 + 2]),
        "KP301",
        joint="right_wrist",
    ),
    Defect("duplicated person", lambda d, r: _twin(d, r, id=555), "KP302", person="555"),
    Defect("all left and right swapped", lambda d, r: exchange(r), "KP401"),
    Defect("wrists swapped", lambda d, r: exchange(r, "wrist"), "KP402", joint="left_wrist"),
    Defect("skeleton edge out of range", _edge, "KP501", person="none"),
    Defect("lateral name without its partner", _lateral, "KP502", person="none", joint="left_ear"),
    Defect("names of joints as categories", _joint_categories, "KP503", person="none"),
]


def expected(defect: Defect, row: dict[str, Any]) -> tuple[str, Any, str]:
    """What must be found once the defect is in `row`."""
    person = {"row": row.get("id"), "none": None, "555": 555}[defect.person]
    return defect.rule, person, defect.joint


def seeded(document: dict[str, Any], position: int, defect: Defect, path: Path) -> tuple[str, Any, str]:
    """Write a copy of the document with the defect in one person; returns what must be found."""
    changed = copy.deepcopy(document)
    row = changed["annotations"][position]
    wanted = expected(defect, row)
    defect.seed(changed, row)
    save(path, changed)
    return wanted


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
