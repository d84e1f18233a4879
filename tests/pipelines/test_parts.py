"""Commands read labels part by part, and what they see together is the dataset."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import kpkit
from kpkit.core import catalog
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.partition import Part
from kpkit.core.report import Collector
from kpkit.errors import FormatError, InputError
from kpkit.pipelines.io import write
from kpkit.pipelines.load import LabelSource
from kpkit.pipelines.parts import open_labels


def dataset(n: int = 30, m: int = 9) -> Dataset:
    return Dataset.build(
        skeleton=catalog.skeleton("six2_knee"),
        images=ImageTable.build(path=[f"{i}.jpg" for i in range(m)]),
        image_index=np.arange(n) * 4 % m,
        xy=np.arange(16.0 * n).reshape(n, 8, 2),
        visibility=np.full((n, 8), 2),
    )


def ids_in_order(parts: list[Part]) -> list[int]:
    found = {int(row): one for part in parts for row, one in zip(part.rows, part.dataset.instance_id, strict=True)}
    return [int(found[row]) for row in sorted(found)]


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    kpkit.convert("native", "native", _whole(tmp_path), output=tmp_path / "cut.kpk", part_size=8)
    return tmp_path / "cut.kpk"


def _whole(folder: Path) -> Path:
    write(dataset(), folder / "whole.kpk")
    return folder / "whole.kpk"


def test_a_partitioned_dataset_is_read_part_by_part(cut: Path) -> None:
    labels = open_labels(LabelSource(input=cut), Collector())
    parts = list(labels.parts(Collector()))
    assert labels.streamed
    assert len(labels) == len(parts) > 3
    assert max(len(part.dataset) for part in parts) <= 8
    assert ids_in_order(parts) == list(range(1, 31))
    assert (labels.source.n, labels.source.m) == (30, 9)


def test_a_whole_dataset_is_one_part_or_as_many_as_asked_for(tmp_path: Path) -> None:
    path = _whole(tmp_path)
    assert len(open_labels(LabelSource(input=path), Collector())) == 1
    labels = open_labels(LabelSource(input=path), Collector(), size=8)
    parts = list(labels.parts(Collector()))
    assert not labels.streamed
    assert len(labels) == len(parts) > 3
    assert ids_in_order(parts) == list(range(1, 31))


def test_a_part_is_loaded_in_another_process_from_a_small_reference(cut: Path) -> None:
    references = [pickle.dumps(ref) for ref in open_labels(LabelSource(input=cut), Collector()).refs()]
    assert max(map(len, references)) < 1000
    parts = [pickle.loads(one).load(Collector()) for one in references]
    assert ids_in_order(parts) == list(range(1, 31))


def test_sizes_are_given_to_the_images_of_every_part(cut: Path, tmp_path: Path) -> None:
    table = tmp_path / "sizes.csv"
    table.write_text("path,width,height\n" + "".join(f"{i}.jpg,{10 + i},20\n" for i in range(9)))
    labels = open_labels(LabelSource(input=cut, image_sizes=table), Collector())
    widths = [width for part in labels.parts(Collector()) for width in part.dataset.images.width.tolist()]
    assert widths == list(range(10, 19))


def test_a_dataset_that_takes_the_place_of_another_is_not_mixed_with_it(cut: Path) -> None:
    refs = list(open_labels(LabelSource(input=cut), Collector()).refs())
    refs[0].load(Collector())
    write(dataset(5), cut, force=True)
    with pytest.raises(FormatError, match="replaced"):
        refs[1].load(Collector())


def test_a_missing_input_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        open_labels(LabelSource(input=tmp_path / "nothing.kpk"), Collector())
