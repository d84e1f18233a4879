"""Small COCO documents for tests, and a comparison of JSON that sees what `==` does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kpkit.core import catalog

COCO17 = catalog.skeleton("coco17")
EDGES = [[a + 1, b + 1] for a, b in COCO17.edges]


def points(*, flag: int = 2, shift: float = 0) -> list[Any]:
    """51 numbers: joint k at (10 + 2k + shift, 20 + k)."""
    return [number for k in range(17) for number in (10 + 2 * k + shift, 20 + k, flag)]


def person(id: Any = 1, image_id: Any = 1, **fields: Any) -> dict[str, Any]:
    """An annotation with everything COCO's own have; `fields` replace or add."""
    row = {
        "segmentation": [[10.5, 20.0, 42.0, 20.0, 42.0, 36.25]],
        "num_keypoints": 17,
        "area": 455.91,
        "iscrowd": 0,
        "keypoints": points(),
        "image_id": image_id,
        "bbox": [10, 20.5, 32, 16],
        "category_id": 1,
        "id": id,
    }
    row.update(fields)
    return row


def image(id: Any = 1, **fields: Any) -> dict[str, Any]:
    """An image of 640 x 480 named after its id."""
    return {"license": 4, "file_name": f"{id:0>12}.jpg", "width": 640, "height": 480, "id": id, **fields}


def category(id: Any = 1, **fields: Any) -> dict[str, Any]:
    """COCO's person."""
    return {
        "supercategory": "person",
        "id": id,
        "name": "person",
        "keypoints": list(COCO17.keypoints),
        "skeleton": EDGES,
        **fields,
    }


def document(
    annotations: list[Any] | None = None, images: list[Any] | None = None, categories: list[Any] | None = None
) -> dict[str, Any]:
    """A whole file: one person in one image unless told otherwise."""
    return {
        "info": {"description": "made for a test", "year": 2017},
        "licenses": [{"id": 4, "name": "Attribution", "url": "x"}],
        "images": [image()] if images is None else images,
        "annotations": [person()] if annotations is None else annotations,
        "categories": [category()] if categories is None else categories,
    }


def save(path: Path, content: Any, **layout: Any) -> Path:
    """Write JSON as Python's json module does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, **layout), encoding="utf-8")
    return path


def load(path: Path) -> Any:
    """Read JSON as Python's json module does: integers stay int, other numbers are float."""
    return json.loads(path.read_text(encoding="utf-8"))


def difference(before: Any, after: Any, place: str = "$") -> str:
    """Where two JSON values differ, "" where they do not: 1 is not 1.0, true is not 1, and keys have an order."""
    if type(before) is not type(after):
        return f"{place}: {before!r} became {after!r}"[:300]
    if isinstance(before, dict):
        if list(before) != list(after):
            return f"{place}: keys {list(before)} became {list(after)}"
        found = (difference(before[key], after[key], f"{place}.{key}") for key in before)
        return next((one for one in found if one), "")
    if isinstance(before, list):
        if len(before) != len(after):
            return f"{place}: {len(before)} values became {len(after)}"
        found = (difference(a, b, f"{place}[{i}]") for i, (a, b) in enumerate(zip(before, after, strict=True)))
        return next((one for one in found if one), "")
    return "" if before == after else f"{place}: {before!r} became {after!r}"[:300]
