"""The native dataset gives back everything, bit for bit."""

from __future__ import annotations

import math
import pickle
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kpkit.core import catalog
from kpkit.core.dataset import INSTANCE_COLUMNS, Dataset, ImageTable
from kpkit.core.report import Collector
from kpkit.core.skeleton import Skeleton
from kpkit.core.table import as_column, as_ids
from kpkit.formats.base import ReadOptions, WriteOptions
from kpkit.formats.native import NativeFormat

IMAGE_COLUMNS = ("id", "path", "width", "height", "split")

ids = st.one_of(st.integers(-(2**70), 2**70), st.text(max_size=5), st.just("7"), st.just(7))
plain_ids = st.integers(-(2**63), 2**63 - 1)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
paths = st.text(st.characters(blacklist_characters="\\:\0", codec="utf-8"), min_size=1, max_size=8).filter(
    lambda path: ".." not in path and path[0] != "/"
)
any_float = st.floats(width=64)


def named(n: int) -> st.SearchStrategy[dict[str, Any]]:
    name = st.text(st.characters(min_codepoint=33, codec="utf-8"), min_size=1, max_size=8)
    column = st.lists(values, min_size=n, max_size=n).map(as_column)
    return st.dictionaries(name | st.sampled_from(["a", "a.b", "coco.segmentation"]), column, max_size=3)


def id_columns(n: int) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(plain_ids, min_size=n, max_size=n).map(as_ids),
        st.lists(ids, min_size=n, max_size=n).map(as_ids),
        st.lists(st.text(max_size=4), min_size=n, max_size=n).map(as_column),
        st.lists(plain_ids, min_size=n, max_size=n).map(as_column),
    )


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    m, k = draw(st.integers(0, 4)), draw(st.integers(0, 4))
    n = draw(st.integers(0, 5)) if m else 0
    flags = draw(hnp.arrays(np.uint8, (n, k), elements=st.integers(0, 2)))
    xy = draw(hnp.arrays(np.float64, (n, k, 2), elements=st.floats(allow_nan=False, allow_infinity=False)))
    sigmas = draw(st.none() | st.just(tuple(0.1 + i / 7 for i in range(k))))
    tracks = st.none() | plain_ids | ids
    images = ImageTable(
        id=draw(id_columns(m)),
        path=as_column(draw(st.lists(paths, min_size=m, max_size=m))),
        width=draw(hnp.arrays(np.int32, m)),
        height=draw(hnp.arrays(np.int32, m)),
        split=as_column(draw(st.lists(st.sampled_from(["", "train", "väl"]), min_size=m, max_size=m))),
        extras=draw(named(m)),
    )
    return Dataset(
        skeleton=Skeleton(name="any", keypoints=tuple(f"j{i}" for i in range(k)), sigmas=sigmas, description="ä"),
        images=images,
        image_index=draw(hnp.arrays(np.int64, n, elements=st.integers(0, max(m - 1, 0)))),
        instance_id=draw(id_columns(n)),
        category_id=draw(id_columns(n)),
        xy=np.where(flags[..., None] > 0, xy, np.nan),
        visibility=flags,
        truncated=draw(hnp.arrays(np.bool_, (n, k))) & (flags < 2),
        bbox_xywh=draw(hnp.arrays(np.float64, (n, 4), elements=any_float)),
        bbox_source=draw(hnp.arrays(np.uint8, n, elements=st.integers(0, 3))),
        area=draw(hnp.arrays(np.float64, n, elements=any_float)),
        area_source=draw(hnp.arrays(np.uint8, n, elements=st.integers(0, 3))),
        head_box=draw(hnp.arrays(np.float64, (n, 4), elements=any_float)),
        track_id=as_column(draw(st.lists(tracks, min_size=n, max_size=n))),
        score=draw(hnp.arrays(np.float64, n, elements=any_float)),
        is_crowd=draw(hnp.arrays(np.bool_, n)),
        extras=draw(named(n)),
        meta=draw(st.dictionaries(st.text(max_size=4), values, max_size=3)),
        provenance=tuple(draw(st.lists(st.fixed_dictionaries({"step": st.text(max_size=4)}), max_size=2))),
    )


def same(one: Any, other: Any) -> bool:
    """Equal in type and value all the way down; NaN is equal to NaN and 0.0 is not -0.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return (math.isnan(one) and math.isnan(other)) or (
            one == other and math.copysign(1, one) == math.copysign(1, other)
        )
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


def assert_same_column(name: str, one: Any, other: Any) -> None:
    assert one.dtype == other.dtype, name
    assert one.shape == other.shape, name
    if one.dtype == object:
        assert same(one.tolist(), other.tolist()), name
    else:
        assert np.ascontiguousarray(one).tobytes() == np.ascontiguousarray(other).tobytes(), name


def assert_same(one: Dataset, other: Dataset) -> None:
    assert one.skeleton.to_dict() == other.skeleton.to_dict()
    for name in INSTANCE_COLUMNS:
        assert_same_column(name, getattr(one, name), getattr(other, name))
    for name in IMAGE_COLUMNS:
        assert_same_column(name, getattr(one.images, name), getattr(other.images, name))
    for ours, theirs in ((one.extras, other.extras), (one.images.extras, other.images.extras)):
        assert list(ours) == list(theirs)
        for name in ours:
            assert_same_column(name, ours[name], theirs[name])
    assert same(dict(one.meta), dict(other.meta))
    assert same(tuple(one.provenance), tuple(other.provenance))


def write(dataset: Dataset, path: Path) -> Path:
    path.mkdir()
    NativeFormat().write(dataset, path, WriteOptions(final=path), Collector())
    return path


def read(path: Path) -> Dataset:
    return NativeFormat().read(path, ReadOptions(), Collector())


def small(**columns: Any) -> Dataset:
    """Two persons in two images, with something in every kind of column."""
    given = {
        "skeleton": catalog.skeleton("six2_knee"),
        "images": ImageTable.build(path=["a.jpg", "b/c.png"], width=[10, -1], height=[20, -1], split=["train", ""]),
        "image_index": [0, 1],
        "xy": np.arange(32.0).reshape(2, 8, 2),
        "visibility": [[2] * 8, [1] * 8],
        "track_id": [None, 4],
        "extras": {"coco.attributes": [{"occluded": False}, None]},
    }
    return Dataset.build(**(given | columns))


@given(datasets())
def test_any_dataset_comes_back_bit_for_bit(dataset: Dataset) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        assert_same(dataset, read(write(dataset, folder / "x.kpk")))
    finally:
        shutil.rmtree(folder)


def test_the_number_7_and_the_text_7_stay_apart(tmp_path: Path) -> None:
    again = read(write(small(instance_id=[7, "7"]), tmp_path / "x.kpk"))
    assert again.instance_id.tolist() == [7, "7"]


def test_every_nan_and_the_sign_of_zero_survive(tmp_path: Path) -> None:
    odd = np.array([0x7FF8_0000_0000_0001, 0x8000_0000_0000_0000], np.uint64).view(np.float64)
    again = read(write(small(score=odd), tmp_path / "x.kpk"))
    assert again.score.tobytes() == odd.tobytes()


def test_names_that_are_not_utf8_survive(tmp_path: Path) -> None:
    name = b"caf\xe9.jpg".decode(errors="surrogateescape")
    images = ImageTable.build(path=[name, "b.jpg"])
    assert read(write(small(images=images), tmp_path / "x.kpk")).images.path.tolist() == [name, "b.jpg"]


def test_more_rows_than_one_group_come_back(tmp_path: Path) -> None:
    n = 40_000
    flags = np.tile(np.arange(3, dtype=np.uint8), (n, 1))
    xy = np.where(flags[..., None] > 0, np.arange(n * 6.0).reshape(n, 3, 2), np.nan)
    dataset = Dataset.build(
        skeleton=Skeleton(name="three", keypoints=("a", "b", "c")),
        images=ImageTable.build(path=["a.jpg"]),
        image_index=np.zeros(n, np.int64),
        xy=xy,
        visibility=flags,
        extras={"x.y": [None] * (n - 1) + [[1, 2]]},
    )
    assert_same(dataset, read(write(dataset, tmp_path / "x.kpk")))


def test_equal_datasets_give_equal_bytes(tmp_path: Path) -> None:
    one, two = write(small(), tmp_path / "one.kpk"), write(small(), tmp_path / "two.kpk")
    for file in sorted(one.iterdir()):
        assert file.read_bytes() == (two / file.name).read_bytes()
    assert len(list(one.iterdir())) == 3


def test_a_native_dataset_of_a_native_dataset_is_the_same(tmp_path: Path) -> None:
    one = write(small(), tmp_path / "one.kpk")
    two = write(read(one), tmp_path / "two.kpk")
    assert all(file.read_bytes() == (two / file.name).read_bytes() for file in one.iterdir())


def test_the_image_folder_is_found_from_wherever_the_dataset_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos").mkdir()
    write(small(image_root=str(tmp_path / "photos")), tmp_path / "x.kpk")
    monkeypatch.chdir(tmp_path / "photos")
    root = read(Path("..") / "x.kpk").image_root
    assert root is not None
    assert Path(root).samefile(tmp_path / "photos")


def test_the_description_may_be_named_instead_of_the_folder(tmp_path: Path) -> None:
    assert_same(small(), read(write(small(), tmp_path / "x.kpk") / "dataset.json"))


def test_tables_are_ordinary_parquet(tmp_path: Path) -> None:
    import pandas as pd

    write(small(), tmp_path / "x.kpk")
    table = pd.read_parquet(tmp_path / "x.kpk" / "instances.parquet")
    assert table["keypoints"][0].tolist() == list(range(16))
    assert table["visibility"][1].tolist() == [1] * 8


def test_sniff_and_discover_know_a_native_dataset(tmp_path: Path) -> None:
    write(small(), tmp_path / "x.kpk")
    (tmp_path / "empty.kpk").mkdir()
    native = NativeFormat()
    assert native.sniff(tmp_path / "x.kpk") == "native dataset"
    assert native.sniff(tmp_path / "empty.kpk") is None
    assert native.sniff(tmp_path / "nothing.kpk") is None
    assert native.discover(tmp_path) == [tmp_path / "x.kpk"]


def test_nothing_is_lost(tmp_path: Path) -> None:
    dataset = small(score=[0.5, 0.25], is_crowd=[True, False], meta={"coco.info": {"year": 2017}})
    assert NativeFormat().losses(dataset, tmp_path) == []


def test_a_dataset_that_was_read_travels_to_another_process(tmp_path: Path) -> None:
    assert_same(small(), pickle.loads(pickle.dumps(read(write(small(), tmp_path / "x.kpk")))))
