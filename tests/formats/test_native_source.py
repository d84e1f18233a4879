"""COCO's raw rows inside a native dataset: COCO comes back byte for byte, by way of Parquet."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from kpkit.core import catalog
from kpkit.core.dataset import Dataset
from kpkit.core.remap import remap
from kpkit.core.report import Collector
from kpkit.errors import FormatError
from kpkit.formats.base import ReadOptions, WriteOptions
from kpkit.formats.coco import CocoFormat
from kpkit.formats.jsonrows import RowSource
from kpkit.formats.native import NativeFormat

NAMES = list(catalog.skeleton("coco17").keypoints)


def coco_file(path: Path, persons: int = 3, **top: Any) -> Path:
    content = {
        "info": {"year": 2017.0, "note": "kept"},
        "images": [
            {"id": 10 + i, "file_name": f"{i}.jpg", "width": 640, "height": 480, "license": i} for i in range(3)
        ],
        "annotations": [
            {
                "segmentation": [[1.0, 2, 3.50, 4, 5, 6]],
                "id": 100 + i,
                "image_id": 10 + i % 3,
                "category_id": 1,
                "keypoints": [i, 7, 0] + [20 + i, 30.5, 2] * 16,
                "num_keypoints": 16,
                "bbox": [1, 2, 30, 40],
                "area": 600.25,
                "iscrowd": 0,
                "attributes": {"i": i},
            }
            for i in range(persons)
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": NAMES, "skeleton": []}],
        **top,
    }
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1))
    return path


def read_coco(path: Path) -> Dataset:
    return CocoFormat().read(path, ReadOptions(), Collector())


def through_native(dataset: Dataset, path: Path, part_size: int = 0) -> Dataset:
    path.mkdir()
    NativeFormat().write(dataset, path, WriteOptions(final=path, part_size=part_size), Collector())
    return NativeFormat().read(path, ReadOptions(), Collector())


def coco_bytes(dataset: Dataset, path: Path) -> bytes:
    CocoFormat().write(dataset, path, WriteOptions(final=path), Collector())
    return path.read_bytes()


def change_ids(dataset: Dataset) -> Dataset:
    ids = dataset.instance_id.copy()
    ids[1] = 999
    return dataset.replace(instance_id=ids)


def occlude(dataset: Dataset) -> Dataset:
    return dataset.replace(visibility=np.where(dataset.visibility == 2, 1, dataset.visibility).astype(np.uint8))


def move_to_another_image(dataset: Dataset) -> Dataset:
    return dataset.replace(image_index=np.roll(dataset.image_index, 1))


def drop_images(dataset: Dataset) -> Dataset:
    assert dataset.source is not None
    images = dataset.images.take(np.array([2]))
    source = dataset.source.take(np.arange(len(dataset)), np.array([2]))
    return dataset.replace(images=images, image_index=np.zeros(len(dataset), np.int64), source=source)


def to_six2(dataset: Dataset) -> Dataset:
    return remap(dataset, catalog.mapping(dataset.skeleton, catalog.skeleton("six2_knee"))).dataset


def add_new(dataset: Dataset) -> Dataset:
    assert dataset.source is not None
    new = dataset.take([0, 0, 2])
    return new.replace(source=dataset.source.take(np.array([0, -1, 2]), np.array([0, -1, 2])))


CHANGES = [
    lambda d: d,
    change_ids,
    occlude,
    move_to_another_image,
    drop_images,
    to_six2,
    add_new,
    lambda d: d.take([2, 0]),
    lambda d: d.take([]),
    lambda d: d.take([1, 1, 1]),
]


@pytest.mark.parametrize("part_size", [0, 1, 2, 100])
@pytest.mark.parametrize("change", CHANGES)
def test_coco_written_from_native_is_coco_written_directly(tmp_path: Path, change: Any, part_size: int) -> None:
    dataset = change(read_coco(coco_file(tmp_path / "in.json")))
    again = through_native(dataset, tmp_path / "x.kpk", part_size)
    assert coco_bytes(again, tmp_path / "b.json") == coco_bytes(dataset, tmp_path / "a.json")
    assert again.source is not None
    assert dataset.source is not None
    assert again.source.extra_counts() == dataset.source.extra_counts()


@pytest.mark.parametrize("part_size", [0, 1])
def test_unchanged_coco_comes_back_byte_for_byte(tmp_path: Path, part_size: int) -> None:
    direct = coco_bytes(read_coco(coco_file(tmp_path / "in.json", persons=7)), tmp_path / "direct.json")
    again = through_native(read_coco(tmp_path / "in.json"), tmp_path / "x.kpk", part_size)
    assert coco_bytes(again, tmp_path / "out.json") == direct
    rows = msgspec.json.decode(direct)["annotations"]
    assert rows == msgspec.json.decode((tmp_path / "in.json").read_bytes())["annotations"]


def test_changes_after_native_are_written_and_the_rest_is_kept(tmp_path: Path) -> None:
    again = change_ids(through_native(read_coco(coco_file(tmp_path / "in.json")), tmp_path / "x.kpk"))
    rows = msgspec.json.decode(coco_bytes(again, tmp_path / "out.json"))["annotations"]
    assert [row["id"] for row in rows] == [100, 999, 102]
    assert [row["attributes"] for row in rows] == [{"i": 0}, {"i": 1}, {"i": 2}]


def test_detections_come_back(tmp_path: Path) -> None:
    rows = [
        {"image_id": 10 + i % 2, "category_id": 1, "keypoints": [5, 6, 0.5] * 17, "score": 0.9, "x": i}
        for i in range(3)
    ]
    file = tmp_path / "results.json"
    file.write_bytes(msgspec.json.encode(rows))
    dataset = read_coco(file)
    for name, change in (("same", lambda d: d), ("changed", occlude)):
        again = through_native(change(dataset), tmp_path / f"{name}.kpk")
        assert coco_bytes(again, tmp_path / "b.json") == coco_bytes(change(dataset), tmp_path / "a.json")


def test_raw_rows_stay_in_their_file_until_they_are_needed(tmp_path: Path) -> None:
    again = through_native(read_coco(coco_file(tmp_path / "in.json")), tmp_path / "x.kpk")
    assert isinstance(again.source, RowSource)
    (tmp_path / "x.kpk" / "instances.parquet").write_bytes(b"gone")
    assert len(again.take([0, 1])) == 2
    with pytest.raises(FormatError, match="replaced"):
        again.source.rows.get(0)


def test_rows_of_many_groups_are_found_in_any_order(tmp_path: Path) -> None:
    dataset = read_coco(coco_file(tmp_path / "in.json", persons=17_000))
    again = through_native(dataset, tmp_path / "x.kpk")
    assert isinstance(again.source, RowSource)
    order = np.array([16_999, 0, 16_384, 16_383, 1, 2, 3], np.int64)
    joined = b"".join(bytes(piece) for piece in again.source.rows.chunks(order))
    assert [row["id"] - 100 for row in msgspec.json.decode(b"[" + joined + b"]")] == order.tolist()
    assert again.source.rows.get(16_500) == dataset.source.rows.get(16_500)  # type: ignore[union-attr]


@pytest.mark.parametrize("part_size", [0, 2])
def test_a_source_travels_to_another_process(tmp_path: Path, part_size: int) -> None:
    again = through_native(read_coco(coco_file(tmp_path / "in.json")), tmp_path / "x.kpk", part_size)
    expected = coco_bytes(again, tmp_path / "a.json")
    assert coco_bytes(pickle.loads(pickle.dumps(again)), tmp_path / "b.json") == expected


def test_real_coco_files_come_back_byte_for_byte(real_data: Path, tmp_path: Path) -> None:
    for name in ("val2017_subset_2213_manhph", "cocomini_person_keypoints_val2017", "mmpose_test_coco"):
        dataset = read_coco(real_data / "data" / "coco" / f"{name}.json")
        for part_size in (0, 100):
            again = through_native(dataset, tmp_path / f"{name}-{part_size}.kpk", part_size)
            assert coco_bytes(again, tmp_path / "b.json") == coco_bytes(dataset, tmp_path / "a.json")
