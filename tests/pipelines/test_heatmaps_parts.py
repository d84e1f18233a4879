"""Labels in parts give the shards of the whole; the plan finds persons by their rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kpkit
from kpkit.core import catalog
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.report import Collector
from kpkit.errors import OutputError
from kpkit.formats import coco
from kpkit.formats.base import WriteOptions
from kpkit.formats.native import NativeFormat
from kpkit.pipelines import heatmaps_columns
from kpkit.pipelines.heatmaps import HeatmapsJob, run
from kpkit.pipelines.heatmaps_columns import PersonColumns
from kpkit.pipelines.load import LabelSource
from tests.coco_files import document, image, person, save


def bodies(n: int = 300, seed: int = 5) -> Dataset:
    """Persons of all kinds: crowds, without joints, without boxes, with one id in one image, covered before."""
    rng = np.random.default_rng(seed)
    visibility = rng.integers(0, 3, (n, 17))
    visibility[rng.random(n) < 0.1] = 0
    xy = np.where(visibility[..., None] > 0, rng.uniform(0, 400, (n, 17, 2)), np.nan)
    box = np.concatenate([rng.uniform(0, 300, (n, 2)), rng.uniform(20, 90, (n, 2))], axis=1)
    box[rng.random(n) < 0.3] = np.nan
    m = n // 4
    covered = np.full(n, None, object)
    covered[7] = {"left_knee": 1}
    return Dataset.build(
        skeleton=catalog.skeleton("coco17"),
        # Names of files are not in the order of the table, and two rows name one file.
        images=ImageTable.build(
            path=[f"{(i * 31) % (m - 1):04}.jpg" for i in range(m)], width=[640] * m, height=[480] * m
        ),
        image_index=rng.integers(0, m, n),
        instance_id=[*range(n - 40), *([3] * 40)],
        xy=xy,
        visibility=visibility,
        bbox_xywh=box,
        is_crowd=rng.random(n) < 0.1,
        extras={"augment.occluded_by": covered},
    )


def shards(path: Path, output: Path, **given: Any) -> dict[str, bytes]:
    """Every file of the output."""
    options = {"store": "params", "shard_samples": 32} | given
    run(HeatmapsJob(source=LabelSource(input=path), output=output, **options))
    return {str(file.relative_to(output)): file.read_bytes() for file in output.rglob("*") if file.is_file()}


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_shards_do_not_depend_on_how_the_labels_are_cut(tmp_path: Path, size: int) -> None:
    dataset = bodies()
    kpkit.write(dataset, tmp_path / "whole.kpk")
    parts = tmp_path / "parts.kpk"
    parts.mkdir()
    NativeFormat().write(dataset, parts, WriteOptions(final=parts, part_size=size), Collector())
    expected = shards(tmp_path / "whole.kpk", tmp_path / "a")
    assert len(expected) > 4
    assert shards(parts, tmp_path / "b") == expected


def test_labels_on_disk_give_the_bytes_of_labels_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kpkit.write(bodies(), tmp_path / "whole.kpk")
    expected = shards(tmp_path / "whole.kpk", tmp_path / "a")
    monkeypatch.setattr(heatmaps_columns, "HELD", 1)
    assert shards(tmp_path / "whole.kpk", tmp_path / "b") == expected


def test_large_coco_file_gives_the_shards_of_one_that_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [person(i, image_id=1 + i % 9) for i in range(60)]
    images = [image(i, file_name=f"{9 - i}.jpg") for i in range(1, 10)]
    path = save(tmp_path / "labels.json", document(rows, images=images))
    expected = shards(path, tmp_path / "a", shard_samples=16)
    monkeypatch.setattr(coco, "LARGE", 1)
    assert shards(path, tmp_path / "b", shard_samples=16) == expected


def test_left_out_persons_are_counted_over_all_parts(tmp_path: Path) -> None:
    dataset = bodies()
    parts = tmp_path / "parts.kpk"
    parts.mkdir()
    NativeFormat().write(dataset, parts, WriteOptions(final=parts, part_size=20), Collector())
    found = run(HeatmapsJob(source=LabelSource(input=parts), output=tmp_path / "out", store="params"))
    left_out = {loss.why: loss.count for loss in found.losses}
    assert left_out["crowds have no joints of one person"] == int(dataset.is_crowd.sum())
    assert found.persons + sum(left_out.values()) == len(dataset)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert manifest["left_out"] == left_out


@given(st.permutations(range(40)), st.lists(st.integers(0, 39)), st.sampled_from([1, 7, 40]))
def test_columns_come_back_for_any_rows_in_any_order(order: list[int], wanted: list[int], cut: int) -> None:
    values = np.random.default_rng(1).normal(size=(40, 3))
    columns = PersonColumns({"a": (np.float64, (3,)), "b": (np.uint8, ())})
    for first in range(0, 40, cut):
        rows = np.array(sorted(order[first : first + cut]), np.int64)
        columns.put(rows, {"a": values[rows], "b": rows})
    found = columns.take(np.array(wanted, np.int64))
    assert np.array_equal(found["a"], values[wanted])
    assert found["b"].tolist() == wanted


def test_no_room_for_temporary_files_is_said_with_their_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heatmaps_columns, "HELD", 1)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    kpkit.write(bodies(), tmp_path / "whole.kpk")
    with pytest.raises(OutputError) as error:
        shards(tmp_path / "whole.kpk", tmp_path / "a")
    assert str(tmp_path / "gone") in str(error.value)
