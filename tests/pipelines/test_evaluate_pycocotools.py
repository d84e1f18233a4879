"""`eval` gives pycocotools' numbers: jittered copies of real files, read by either from the same bytes."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from kpkit.core import catalog
from kpkit.pipelines.evaluate import EvalJob, run
from kpkit.pipelines.load import LabelSource
from kpkit.qa.oks_scores import NUMBERS

FILES = (
    "coco/cocomini_person_keypoints_val2017.json",
    "coco/val2017_subset_2213_manhph.json",
    "coco_wholebody/example_gt.json",
    "coco/mmpose_test_coco.json",
    "coco/from_label_studio_test.json",
    "crowdpose/crowdpose_val.json",
)
MOST_IMAGES = 25
HOTCOCO = importlib.util.find_spec("hotcoco") is not None


@pytest.fixture(scope="module")
def documents(real_data: Path) -> list[dict[str, Any]]:
    return [json.loads((real_data / "data" / name).read_text()) for name in FILES]


def some_of(document: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """A few of the images of a file, with all their annotations."""
    ids = sorted({image["id"] for image in document["images"]})
    chosen = set(rng.choice(ids, min(len(ids), int(rng.integers(1, MOST_IMAGES))), replace=False).tolist())
    return {
        **document,
        "images": [image for image in document["images"] if image["id"] in chosen],
        "annotations": [one for one in document["annotations"] if one["image_id"] in chosen],
    }


def jittered(truth: dict[str, Any], k: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Detections: most persons moved a little or a lot, some twice, some missing, some where nobody is."""
    results = []
    digits, whole, boxes = int(rng.integers(1, 6)), rng.random() < 0.3, rng.random() < 0.3
    persons = truth["annotations"]
    for person in [*persons, *(persons[i] for i in rng.integers(0, len(persons), len(persons) // 3))]:
        if rng.random() < 0.1:
            continue
        x, y, w, h = person["bbox"]
        points = np.array(person["keypoints"], float).reshape(k, 3)[:, :2]
        blank = (points == 0).all(axis=1)
        points[blank] = np.array([x, y]) + rng.random((int(blank.sum()), 2)) * [w, h]
        points += rng.normal(0, 1, points.shape) * np.sqrt(w * h) * rng.choice([0.0, 0.01, 0.05, 0.3])
        points = np.round(points) if whole else points
        triplets = np.column_stack([points, rng.random(k)]).reshape(-1).tolist()
        one = {
            "image_id": person["image_id"],
            "category_id": person["category_id"],
            "keypoints": [int(value) if whole and i % 3 < 2 else value for i, value in enumerate(triplets)],
            "score": round(float(rng.random()), digits),
        }
        if boxes:
            one["bbox"] = [x, y, w * float(rng.uniform(0.5, 2)), h]
        results.append(one)
    if rng.random() < 0.1:  # more than the twenty that count
        results += [{**one, "score": float(rng.random())} for one in results[:2] for _ in range(25)]
    return results


def by_pycocotools(truth: Path, results: Path, sigmas: tuple[float, ...]) -> dict[str, float | None]:
    with contextlib.redirect_stdout(io.StringIO()):
        ground = COCO(str(truth))
        evaluation = COCOeval(ground, ground.loadRes(str(results)), "keypoints")
        evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    values = (None if value == -1 else value for value in evaluation.stats.tolist())
    return dict(zip(NUMBERS, values, strict=True))


def completed(truth: dict[str, Any]) -> dict[str, Any]:
    """What pycocotools cannot do without: areas by the field's rule, and counts that are right."""
    persons = [
        {
            "area": 0.53 * one["bbox"][2] * one["bbox"][3],
            **one,
            "num_keypoints": sum(flag > 0 for flag in one["keypoints"][2::3]),
        }
        for one in truth["annotations"]
    ]
    return {**truth, "annotations": persons}


def compare(documents: list[dict[str, Any]], folder: Path, seed: int, *, hotcoco: bool = False) -> bool:
    """Hold one seeded case against pycocotools; False where the case has nothing to evaluate."""
    rng = np.random.default_rng(seed)
    number = seed % len(FILES)
    skeleton = catalog.skeleton("crowdpose14" if "crowdpose" in FILES[number] else "coco17")
    truth = some_of(documents[number], rng)
    if not truth["annotations"]:
        return False
    results = jittered(truth, len(skeleton), rng)
    if not results:
        return False
    for name, content in (("truth", truth), ("completed", completed(truth)), ("results", results)):
        (folder / f"{name}.json").write_text(json.dumps(content))
    expected = by_pycocotools(folder / "completed.json", folder / "results.json", skeleton.sigmas)
    sides = {"truth": LabelSource(input=folder / "truth.json"), "found": LabelSource(input=folder / "results.json")}
    assert run(EvalJob(**sides, metric="oks")).oks["values"] == expected, f"seed {seed}"
    if hotcoco:
        faster = run(EvalJob(**sides, metric="oks", engine="hotcoco")).oks["values"]
        assert faster == pytest.approx(expected, abs=1e-12, nan_ok=True), f"seed {seed}"
    return True


def test_the_numbers_are_those_of_pycocotools(documents, tmp_path):
    compared = [compare(documents, tmp_path, seed) for seed in range(24)]
    assert sum(compared) > 20


@pytest.mark.slow
def test_the_numbers_are_those_of_pycocotools_in_a_thousand_cases(documents, tmp_path):
    compared = seed = 0
    while compared < 1000:
        compared += compare(documents, tmp_path, seed)
        seed += 1


@pytest.mark.skipif(not HOTCOCO, reason="the engine hotcoco is not installed")
def test_hotcoco_gives_the_same_numbers(documents, tmp_path):
    compared = [compare(documents, tmp_path, seed, hotcoco=True) for seed in range(100, 124)]
    assert sum(compared) > 20
