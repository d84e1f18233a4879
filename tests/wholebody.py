"""Real people with 133 joints: COCO-WholeBody's example, all its parts in one row of a COCO file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PARTS = (("keypoints", 17), ("foot_kpts", 6), ("face_kpts", 68), ("lefthand_kpts", 21), ("righthand_kpts", 21))
FEET = tuple(f"{side}_{part}" for side in ("left", "right") for part in ("big_toe", "small_toe", "heel"))


def write_wholebody(real_data: Path, path: Path) -> dict[str, Any]:
    """Write the file; returns what it holds. Flags that stand as scores are visible where they are above 0."""
    source = json.loads((real_data / "data" / "coco_wholebody" / "example_gt.json").read_text())
    category = next(one for one in source["categories"] if one["name"] == "person")
    names = [
        *category["keypoints"][:17],
        *FEET,
        *(f"face_{number}" for number in range(68)),
        *(f"{side}_hand_{number}" for side in ("left", "right") for number in range(21)),
    ]
    rows = []
    for row in source["annotations"]:
        values: list[float] = []
        for name, count in PARTS:
            values += row.get(name) or [0] * (3 * count)
        for flag in range(2, len(values), 3):
            values[flag] = 2 if values[flag] > 0 else 0
            if not values[flag]:
                values[flag - 2 : flag] = 0, 0
        kept = {key: row[key] for key in ("id", "image_id", "bbox", "area", "iscrowd")}
        labelled = sum(flag > 0 for flag in values[2::3])
        rows.append({**kept, "category_id": 1, "num_keypoints": labelled, "keypoints": values})
    content = {
        "images": source["images"],
        "annotations": rows,
        "categories": [{"id": 1, "name": "person", "keypoints": names, "skeleton": category.get("skeleton", [])}],
    }
    path.write_text(json.dumps(content))
    return content
