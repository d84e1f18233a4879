"""`kpkit augment --albumentations`: what holds for the whole run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kpkit.augment.recipe import Recipe
from kpkit.errors import InputError, UsageError
from kpkit.pipelines.augment import AugmentJob, run
from tests.augment_data import HEIGHT, LABELS, WIDTH, dataset, read_labels

albumentations = pytest.importorskip("albumentations", reason="needs the extra 'albumentations'")


def _augment(folder: Path, pipeline: Path, **options: object) -> object:
    recipe = Recipe(albumentations=str(pipeline))
    return run(AugmentJob(input=folder / LABELS, output=folder / "out", recipe=recipe, **options))  # type: ignore[arg-type]  # options of a job


def test_refused_pipeline_is_one_error_before_the_first_picture(tmp_path: Path) -> None:
    dataset(tmp_path)
    pipeline = tmp_path / "mine.yaml"
    pipeline.write_text(
        "transform: {__class_fullname__: Compose, transforms: [{__class_fullname__: RandomGridShuffle, p: 1.0}]}"
    )
    with pytest.raises(UsageError, match="RandomGridShuffle is refused"):
        _augment(tmp_path, pipeline)
    assert not (tmp_path / "out").exists()


def test_missing_pipeline_is_one_error(tmp_path: Path) -> None:
    dataset(tmp_path)
    with pytest.raises(InputError) as caught:
        _augment(tmp_path, tmp_path / "none.yaml")
    assert "none.yaml" in caught.value.place


def test_resized_pictures_keep_their_joints_on_their_pixels(tmp_path: Path) -> None:
    """Edge to edge, x' = (x + 0.5) s - 0.5; Albumentations' own points are half a pixel off at twice the size."""
    dataset(tmp_path, images=2, persons=1)
    pipeline = albumentations.Compose([albumentations.Resize(2 * HEIGHT, 2 * WIDTH, p=1)])
    albumentations.save(pipeline, tmp_path / "mine.json")
    _augment(tmp_path, tmp_path / "mine.json")
    before = sorted(read_labels(tmp_path)["annotations"], key=lambda one: one["image_id"])
    after = read_labels(tmp_path / "out")["annotations"]
    for one, other in zip(before, after, strict=True):
        source, moved = (np.reshape(person["keypoints"], (-1, 3)) for person in (one, other))
        labelled = moved[:, 2] > 0
        assert labelled.any()
        np.testing.assert_allclose(moved[labelled, :2], (source[labelled, :2] + 0.5) * 2 - 0.5, atol=0.01)
