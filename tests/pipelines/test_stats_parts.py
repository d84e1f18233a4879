"""Statistics of labels that are read part by part are those of the whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kpkit.core.report import Collector
from kpkit.formats import coco
from kpkit.formats.base import WriteOptions
from kpkit.formats.native import NativeFormat
from kpkit.pipelines.load import LabelSource
from kpkit.pipelines.stats import StatsJob, run
from tests.coco_files import document, image, person, save
from tests.pipelines.test_validate_parts import bodies, in_parts


def numbers(path: Path) -> dict[str, Any]:
    found = run(StatsJob(source=LabelSource(input=path))).as_dict()
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
