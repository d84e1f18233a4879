"""Small datasets with pictures for tests of the augmenter."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.coco_files import document, image, person

WIDTH, HEIGHT = 96, 64
LABELS = "annotations/person_keypoints_default.json"


def keypoints(seed: int, *, box: tuple[float, float, float, float] = (20, 10, 50, 44)) -> list[Any]:
    """Seventeen joints inside a box (x, y, w, h), all of them visible."""
    rng = np.random.default_rng(seed)
    x, y, w, h = box
    return [value for _ in range(17) for value in (round(x + w * rng.uniform(), 2), round(y + h * rng.uniform(), 2), 2)]


def somebody(id: Any, image_id: Any, seed: int, **fields: Any) -> dict[str, Any]:
    """A person of COCO whose joints are inside its box."""
    row = person(id, image_id, keypoints=keypoints(seed), bbox=[18, 8, 54, 48], area=1500, segmentation=[])
    return {**row, **fields}


def picture(seed: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """Smooth colours, different for each seed."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 9, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.uint8)


def encoded(image: NDArray[np.uint8], suffix: str = ".png") -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


def dataset(folder: Path, images: int = 3, persons: int = 2, suffix: str = ".png") -> Path:
    """A COCO dataset in `folder`: `images` pictures of `persons` people; returns the labels."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows, people = [], []
    for number in range(images):
        name = f"{number:03d}{suffix}"
        (folder / "images" / name).write_bytes(encoded(picture(number), suffix))
        rows.append(image(number + 1, file_name=name, width=WIDTH, height=HEIGHT))
        people += [somebody(10 * number + k + 1, number + 1, 10 * number + k) for k in range(persons)]
    return write_labels(folder, document(people, rows))


def write_labels(folder: Path, content: dict[str, Any]) -> Path:
    path = folder / LABELS
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def read_labels(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / LABELS).read_text(encoding="utf-8"))
    return loaded


def read_picture(path: Path) -> NDArray[np.uint8]:
    found = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    assert found is not None, path
    return found.astype(np.uint8)


def hashes(folder: Path, leave_out: Iterable[str] = ()) -> dict[str, str]:
    """Relative path -> SHA-256 of every file below a folder."""
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.relative_to(folder).as_posix() not in leave_out
    }


def rows(folder: Path) -> list[dict[str, Any]]:
    """augment.parquet as dicts, with its JSON columns parsed."""
    import pyarrow.parquet as pq

    found: list[dict[str, Any]] = pq.read_table(folder / "augment.parquet").to_pylist()
    for row in found:
        for name in ("drawn", "occluders", "occluded_by", "left_frame"):
            row[name] = json.loads(row[name])
    return found


def joints(annotation: dict[str, Any]) -> NDArray[np.float64]:
    """[17,3] x, y, flag of an annotation."""
    return np.array(annotation["keypoints"], np.float64).reshape(-1, 3)
