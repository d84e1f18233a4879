"""Labels that are validated part by part have the findings of the whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import kpkit
from kpkit.core import catalog
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.report import Collector
from kpkit.errors import KpkitError
from kpkit.formats.base import WriteOptions
from kpkit.formats.native import NativeFormat
from kpkit.pipelines.find import get_format
from kpkit.pipelines.load import LabelSource
from kpkit.pipelines.validate import ValidateJob, run
from tests.cluster import cluster
from tests.coco_files import category, document, image, person, points, save


def findings(path: Path, workers: int = 1, scheduler: str = "", **given: Any) -> dict[str, Any]:
    """All that is said, without the path."""
    source = LabelSource(input=path, **given)
    found = run(ValidateJob(source=source, workers=workers, scheduler=scheduler))
    told = found.as_dict()
    root = str(path)
    for one in told["findings"]:
        one["place"] = one["place"].replace(root, "")
    del told["path"]
    told["findings"].sort(key=str)
    return told


def in_parts(dataset: Dataset, path: Path, size: int) -> Path:
    path.mkdir()
    NativeFormat().write(dataset, path, WriteOptions(final=path, part_size=size), Collector())
    return path


def bodies(n: int = 400, seed: int = 3) -> Dataset:
    """Persons with limbs of usual lengths, of whom some have one far too long, or two joints on one spot."""
    rng = np.random.default_rng(seed)
    skeleton = catalog.skeleton("coco17")
    shape = np.array(
        [(50, 8), (54, 6), (46, 6), (57, 7), (43, 7), (66, 20), (34, 20), (80, 36), (20, 36), (82, 52), (18, 52),
         (60, 52), (40, 52), (62, 74), (38, 74), (62, 95), (38, 95)], np.float64)  # fmt: skip
    xy = shape + rng.normal(0, 1.5, (n, 17, 2)) + rng.uniform(0, 300, (n, 1, 2))
    for row in range(0, n, 37):
        xy[row, 9] += 200
    for row in range(5, n, 53):
        xy[row, 13] = xy[row, 14]
    m = n // 3
    return Dataset.build(
        skeleton=skeleton,
        images=ImageTable.build(path=[f"a/{i:04}.jpg" for i in range(m)], width=[640] * m, height=[480] * m),
        image_index=np.arange(n) * 7 % m,
        xy=xy,
        visibility=np.full((n, 17), 2),
        bbox_xywh=np.concatenate([xy.min(axis=1) - 5, np.ptp(xy, axis=1) + 10], axis=1),
        track_id=[row % 40 if row % 3 else None for row in range(n)],
    )


@pytest.mark.parametrize("size", [1, 7, 60, 10_000])
def test_findings_do_not_depend_on_the_parts(tmp_path: Path, size: int) -> None:
    dataset = bodies()
    kpkit.write(dataset, tmp_path / "whole.kpk")
    expected = findings(tmp_path / "whole.kpk")
    assert {"KP301", "KP403", "KP404"} <= expected["rules"].keys()
    assert findings(in_parts(dataset, tmp_path / "parts.kpk", size)) == expected


def faulty() -> dict[str, Any]:
    rows = [
        person(1),
        person(1),
        person(2, image_id=9),
        person(3, keypoints=[1, 2]),
        person(4, num_keypoints=3),
        person(5, keypoints=[9999, 3, 2] + [0] * 48, num_keypoints=1),
        person(6, keypoints=[7, 7, 0] + [5, 5, 1] * 16, num_keypoints=16),
        person(7, image_id=2, area=0),
        person(8, image_id=2, bbox=[0, 0, 0, 0]),
        person(9, image_id=3, keypoints=points(shift=3)),
    ]
    return document(rows, [image(1), image(2), image(2), image(3)], [category(), {"id": 2, "name": "left_elbow"}])


@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_large_coco_file_gives_in_parts_what_it_gives_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    path = save(tmp_path / "labels.json", faulty())
    expected = findings(path)
    assert len(expected["rules"]) > 6
    monkeypatch.setattr("kpkit.formats.coco.LARGE", 0)
    monkeypatch.setattr("kpkit.formats.coco_parts.DEFAULT_SIZE", size)
    assert findings(path) == expected


def test_a_file_with_nan_is_read_whole_and_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "labels.json", document([person(1, area=float("nan")), person(2, 2)], [image(1), image(2)]))
    expected = findings(path)
    monkeypatch.setattr("kpkit.formats.coco.LARGE", 0)
    assert findings(path) == expected


@pytest.mark.parametrize("content", [document([], []), document([]), document([person(keypoints=[0] * 51)])])
def test_a_dataset_without_labels_says_so_in_parts_too(tmp_path: Path, content: Any) -> None:
    path = save(tmp_path / "labels.json", content)
    kpkit.convert("coco", "native", path, output=tmp_path / "whole.kpk")
    kpkit.convert("coco", "native", path, output=tmp_path / "parts.kpk", part_size=1)
    expected = findings(tmp_path / "whole.kpk")
    assert "KP506" in expected["rules"]
    assert findings(tmp_path / "parts.kpk") == expected


def test_pictures_are_looked_at_once(tmp_path: Path) -> None:
    dataset = bodies(30)
    (tmp_path / "pictures" / "a").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "pictures" / "a" / "0003.jpg"), np.zeros((480, 600, 3), np.uint8))
    kpkit.write(dataset, tmp_path / "whole.kpk")
    expected = findings(tmp_path / "whole.kpk", images=tmp_path / "pictures")
    assert expected["rules"]["KP601"] == 9
    assert expected["rules"]["KP603"] == 1
    assert findings(in_parts(dataset, tmp_path / "parts.kpk", 4), images=tmp_path / "pictures") == expected


def test_too_many_tracks_are_said_and_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kpkit.pipelines.validate_parts.TRACKED", 100)
    told = findings(in_parts(bodies(), tmp_path / "parts.kpk", 60))
    assert "KP404" in told["unchecked"]
    assert "KP404" not in told["rules"]


def test_what_is_usual_may_come_from_some_parts_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kpkit.pipelines.validate_work.ASKED", 200)
    told = findings(in_parts(bodies(), tmp_path / "parts.kpk", 60))
    assert told["rules"]["KP403"] > 5


def test_real_labels_give_in_parts_what_they_give_whole(real_data: Path, tmp_path: Path) -> None:
    names = ("coco/val2017_subset_2213_manhph.json", "crowdpose", "posetrack18")
    paths = [real_data / "data" / names[0]]
    paths += [one for name in names[1:] for one in get_format("coco").discover(real_data / "data" / name)[:1]]
    for number, path in enumerate(paths):
        kpkit.convert("coco", "native", path, output=tmp_path / f"{number}.kpk")
        kpkit.convert("coco", "native", path, output=tmp_path / f"{number}-parts.kpk", part_size=50)
        assert findings(tmp_path / f"{number}-parts.kpk") == findings(tmp_path / f"{number}.kpk")


def test_findings_do_not_depend_on_workers(tmp_path: Path) -> None:
    path = in_parts(bodies(), tmp_path / "parts.kpk", 60)
    assert findings(path, workers=2) == findings(path)


def test_workers_name_the_places_of_a_large_coco_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kpkit.formats.coco.LARGE", 0)
    path = save(tmp_path / "labels.json", faulty())
    expected = findings(path)
    assert expected["findings"]
    assert findings(path, workers=2) == expected


def test_damaged_part_is_the_same_error_in_a_worker(tmp_path: Path) -> None:
    path = in_parts(bodies(), tmp_path / "parts.kpk", 60)
    victim = sorted(path.rglob("*instances*.parquet"))[1]
    victim.write_bytes(victim.read_bytes()[:-7])
    told = []
    for workers in (1, 2):
        with pytest.raises(KpkitError) as error:
            findings(path, workers=workers)
        told.append((error.value.code, str(error.value)))
    assert told[0] == told[1]
    assert victim.name in told[0][1]


def test_cluster_of_separate_processes_finds_the_same(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed")
    path = in_parts(bodies(), tmp_path / "parts.kpk", 60)
    with cluster(tmp_path) as running:
        assert findings(path, scheduler=running.address) == findings(path)
