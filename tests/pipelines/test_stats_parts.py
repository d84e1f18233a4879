"""Statistics of labels that are read part by part are those of the whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kpkit
from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector
from kpkit.errors import KpkitError
from kpkit.formats import coco
from kpkit.formats.base import WriteOptions
from kpkit.formats.native import NativeFormat
from kpkit.pipelines import heatmaps_columns
from kpkit.pipelines.load import LabelSource
from kpkit.pipelines.stats import StatsJob, run
from tests.cluster import cluster
from tests.coco_files import document, image, person, save
from tests.pipelines import test_heatmaps_parts as kinds
from tests.pipelines.test_validate_parts import bodies, in_parts


def numbers(path: Path, **given: Any) -> dict[str, Any]:
    found = run(StatsJob(source=LabelSource(input=path), **given)).as_dict()
    del found["path"]
    return found


def whole(path: Path) -> Path:
    path.mkdir()
    NativeFormat().write(bodies(), path, WriteOptions(final=path), Collector())
    return path


@pytest.mark.parametrize("size", [1, 7, 60, 1000])
def test_statistics_do_not_depend_on_how_a_dataset_is_cut(tmp_path: Path, size: int) -> None:
    expected = numbers(whole(tmp_path / "whole.kpk"))
    assert expected["counts"]["persons"] == 400
    assert numbers(in_parts(bodies(), tmp_path / "parts.kpk", size)) == expected


def test_a_large_coco_file_has_the_statistics_of_a_small_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [image(i) for i in range(1, 6)]
    # Persons of one image do not stand together in the file, some are crowds, some have no area.
    persons = [person(i, image_id=1 + i * 3 % 5, iscrowd=int(i % 7 == 0)) for i in range(1, 30)]
    for one in persons[::4]:
        del one["area"]
    path = save(tmp_path / "labels.json", document(persons, images))
    expected = numbers(path)
    assert expected["counts"]["instances"] == 29
    monkeypatch.setattr(coco, "LARGE", 1)
    assert numbers(path) == expected


def test_wrong_records_are_named_in_parts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    persons = [person(i) for i in range(1, 9)]
    persons[3]["keypoints"] = [1, 2, 3]
    path = save(tmp_path / "labels.json", document(persons))
    expected = numbers(path)
    assert expected["issues"]
    monkeypatch.setattr(coco, "LARGE", 1)
    assert numbers(path) == expected


def test_real_labels_have_in_parts_the_statistics_of_the_whole(
    real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = real_data / "data/coco/val2017_subset_2213_manhph.json"
    expected = numbers(path)
    assert expected["counts"]["persons"] > 1000
    monkeypatch.setattr(coco, "LARGE", 1)
    assert numbers(path) == expected


@pytest.mark.parametrize("size", [1, 7, 60])
def test_persons_of_all_kinds_and_a_file_named_twice_are_counted_alike(tmp_path: Path, size: int) -> None:
    dataset = kinds.bodies()
    kpkit.write(dataset, tmp_path / "whole.kpk")
    expected = numbers(tmp_path / "whole.kpk")
    assert expected["counts"]["persons"] == int((~dataset.is_crowd).sum())
    assert expected["counts"]["images"] < expected["counts"]["image_rows"]
    assert numbers(in_parts(dataset, tmp_path / "parts.kpk", size)) == expected


def test_numbers_do_not_depend_on_workers_or_on_where_joints_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = in_parts(kinds.bodies(), tmp_path / "parts.kpk", 40)
    expected = numbers(path)
    monkeypatch.setattr(heatmaps_columns, "HELD", 1)
    monkeypatch.setattr("kpkit.pipelines.stats_parts.PERSONS", 16)
    assert numbers(path) == expected
    assert numbers(path, workers=2) == expected


def test_mean_shapes_of_groups_come_from_the_first_persons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"left_hand_{k}" for k in range(8)] + [f"face_{k}" for k in range(9)]
    dataset: Dataset = bodies().replace(skeleton=kpkit.Skeleton("groups", tuple(names)))
    kpkit.write(dataset, tmp_path / "whole.kpk")
    for module in ("kpkit.qa.joint_groups", "kpkit.pipelines.stats_parts"):
        monkeypatch.setattr(f"{module}.ENOUGH", 20)
    monkeypatch.setattr("kpkit.pipelines.stats_parts.PERSONS", 16)
    expected = run(StatsJob(source=LabelSource(input=tmp_path / "whole.kpk"))).measured.stats.shapes
    parts = in_parts(dataset, tmp_path / "parts.kpk", 40)
    found = run(StatsJob(source=LabelSource(input=parts))).measured.stats.shapes
    assert np.isfinite(expected).any()
    assert np.array_equal(found, expected, equal_nan=True)


def test_missing_part_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = in_parts(kinds.bodies(), tmp_path / "parts.kpk", 40)
    victim = sorted(path.rglob("*.instances.parquet"))[1]
    victim.unlink()
    for workers in (1, 2):
        with pytest.raises(KpkitError, match=victim.name):
            numbers(path, workers=workers)


def test_cluster_of_separate_processes_gives_the_same_numbers(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed")
    path = in_parts(kinds.bodies(), tmp_path / "parts.kpk", 40)
    with cluster(tmp_path) as running:
        assert numbers(path, scheduler=running.address) == numbers(path)
