"""Native datasets that are damaged, hostile, or from the future."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from kpkit import resources
from kpkit.core import catalog
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.report import Collector
from kpkit.errors import FormatError, InputError, KpkitError
from kpkit.formats.base import ReadOptions, WriteOptions
from kpkit.formats.native import NativeFormat, verify
from kpkit.formats.native_document import Document
from kpkit.formats.native_parquet import footer_digest


def make(path: Path) -> Path:
    n = 40
    path.mkdir()
    dataset = Dataset.build(
        skeleton=catalog.skeleton("six2_knee"),
        images=ImageTable.build(path=["a.jpg", "b.jpg"], width=[10, 20], height=[10, 20]),
        image_index=np.arange(n) % 2,
        xy=np.random.default_rng(7).uniform(0, 10, (n, 8, 2)),
        visibility=np.full((n, 8), 2),
        extras={"x.y": [{"i": i} for i in range(n)]},
        provenance=({"step": "made"},),
    )
    NativeFormat().write(dataset, path, WriteOptions(final=path), Collector())
    return path


def read(path: Path) -> Dataset:
    return NativeFormat().read(path, ReadOptions(), Collector())


def refused(path: Path, kind: type[KpkitError] = FormatError) -> KpkitError:
    with pytest.raises(kind) as caught:
        read(path)
    assert caught.value.help
    return caught.value


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    file = path / "dataset.json"
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))
    return path


def exchange(path: Path, name: str, table: pa.Table, **options: Any) -> Path:
    """Put other columns into a file and make the description fit, as somebody who means harm would."""
    options = {"use_dictionary": False, "compression": "zstd"} | options
    pq.write_table(table, path / name, **options)
    size, digest = (path / name).stat().st_size, footer_digest(path / name)
    return edit(path, lambda d: d["files"].update({name: {"bytes": size, "footer_sha256": digest}}))


def test_the_description_is_what_its_schema_says(tmp_path: Path) -> None:
    schema = json.loads((resources.schemas_dir() / "json" / "native.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    document = json.loads((make(tmp_path / "x.kpk") / "dataset.json").read_text())
    Draft202012Validator(schema).validate(document)
    assert not Draft202012Validator(schema).is_valid(document | {"schema_version": 2})


def test_a_newer_dataset_is_refused_with_both_versions(tmp_path: Path) -> None:
    path = edit(make(tmp_path / "x.kpk"), lambda d: d.update(schema_version=3, kpkit_version="9.1"))
    error = refused(path)
    assert (error.expected, error.got) == ("at most 2", "3 (kpkit 9.1)")
    assert error.help == "pip install --upgrade kpkit"


@pytest.mark.parametrize("name", ["instances.parquet", "images.parquet"])
def test_missing_and_cut_files_are_named(tmp_path: Path, name: str) -> None:
    file = make(tmp_path / "x.kpk") / name
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    assert refused(tmp_path / "x.kpk").place == str(file)
    file.unlink()
    assert refused(tmp_path / "x.kpk").place == str(file)


def test_a_folder_without_a_description_and_no_folder_are_errors(tmp_path: Path) -> None:
    assert refused(tmp_path).got == "an empty folder"
    refused(tmp_path / "nowhere", InputError)


@given(st.data())
def test_a_changed_byte_is_noticed_or_changes_nothing(data: st.DataObject) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        path = make(folder / "x.kpk")
        before = read(path)
        file = path / data.draw(st.sampled_from(["instances.parquet", "images.parquet"]))
        content = bytearray(file.read_bytes())
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= data.draw(st.integers(1, 255))
        file.write_bytes(content)
        with pytest.raises(FormatError, match="was changed"):
            verify(path)
        try:
            after = read(path)
        except FormatError:
            return
        assert after.xy.tobytes() == before.xy.tobytes()
        assert after.images.path.tolist() == before.images.path.tolist()
        assert after.extras["x.y"].tolist() == before.extras["x.y"].tolist()
    finally:
        shutil.rmtree(folder)


def test_verify_accepts_what_was_written(tmp_path: Path) -> None:
    verify(make(tmp_path / "x.kpk"))


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(format="other"),
        lambda d: d.update(schema_version="1"),
        lambda d: d.pop("counts"),
        lambda d: d["counts"].update(instances=-1),
        lambda d: d["counts"].update(instances=10**18),
        lambda d: d["counts"].update(instances=39),
        lambda d: d["counts"].update(images=True),
        lambda d: d.update(skeleton=[]),
        lambda d: d["skeleton"].pop("name"),
        lambda d: d["skeleton"]["keypoints"].append("tail"),
        lambda d: d["skeleton"]["keypoints"].append("head"),
        lambda d: d.update(files={}),
        lambda d: d.update(meta=[]),
        lambda d: d.update(provenance=["x"]),
        lambda d: d.update(image_root=5),
        lambda d: d.update(instance_extras=["x.y", "x.y"]),
        lambda d: d.update(instance_extras=["nothing"]),
        lambda d: d.update(instance_extras=[5]),
        lambda d: d.update(source={}),
    ],
)
def test_a_description_that_does_not_fit_is_refused(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    error = refused(edit(make(tmp_path / "x.kpk"), change))
    assert str(tmp_path / "x.kpk") in error.place


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"format": "kpkit-native"', "[" * 100_000, "\xff\xfe"])
def test_a_description_that_is_no_json_is_refused(tmp_path: Path, text: str) -> None:
    path = make(tmp_path / "x.kpk")
    (path / "dataset.json").write_text(text, encoding="latin-1")
    assert "dataset.json" in refused(path).place


def columns(path: Path, name: str = "instances.parquet") -> pa.Table:
    return pq.read_table(path / name)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("keypoints", pa.array([[1.0] * 16] * 40, pa.list_(pa.float64()))),
        ("keypoints", pa.array([[1.0] * 14] * 40, pa.list_(pa.float64(), 14))),
        ("keypoints", pa.array([[1.0] * 16] * 39 + [None], pa.list_(pa.float64(), 16))),
        ("keypoints", pa.array([[None] * 16] * 40, pa.list_(pa.float64(), 16))),
        ("keypoints", pa.array([[1.0] * 16] * 40, pa.list_(pa.float32(), 16))),
        ("visibility", pa.array([[7] * 8] * 40, pa.list_(pa.uint8(), 8))),
        ("visibility", pa.array([[0] * 8] * 40, pa.list_(pa.uint8(), 8))),
        ("image_index", pa.array([2] * 40, pa.int64())),
        ("image_index", pa.array(["a"] * 40)),
        ("instance_id", pa.array([1.5] * 40)),
        ("instance_id", pa.array([None] * 40, pa.int64())),
        ("extra:x.y", pa.array([b"{"] * 40, pa.large_binary())),
        ("extra:x.y", pa.array(["{}"] * 40)),
    ],
)
def test_columns_of_another_kind_are_refused_by_name(tmp_path: Path, name: str, values: pa.Array) -> None:
    path = make(tmp_path / "x.kpk")
    table = columns(path)
    exchange(path, "instances.parquet", table.set_column(table.column_names.index(name), name, values))
    error = refused(path)
    assert "instances.parquet" in error.place


def test_a_missing_column_is_refused_by_name(tmp_path: Path) -> None:
    path = make(tmp_path / "x.kpk")
    exchange(path, "instances.parquet", columns(path).drop_columns(["visibility"]))
    assert "'visibility'" in refused(path).message


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "C:\\x", "a\0b"])
def test_image_paths_that_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    path = make(tmp_path / "x.kpk")
    table = columns(path, "images.parquet")
    changed = table.set_column(table.column_names.index("path"), "path", pa.array([name, "b.jpg"]))
    exchange(path, "images.parquet", changed)
    assert refused(path, InputError).place.endswith("images.parquet: path[0]")


def test_dictionaries_that_unpack_without_bound_are_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "x.kpk")
    exchange(path, "instances.parquet", columns(path), use_dictionary=True)
    assert refused(path).code == "KP-NATIVE-ENCODING"


def test_a_small_file_that_claims_gigabytes_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = make(tmp_path / "x.kpk")
    n = 40_000_000
    exchange(path, "images.parquet", pa.table({"id": pa.array(np.zeros(n, np.int64))}))
    edit(path, lambda d: d["counts"].update(images=n))
    error = refused(path)
    assert error.code == "KP-NATIVE-ABSURD"
    assert (path / "images.parquet").stat().st_size < 320_000


def test_a_source_section_without_its_checksum_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "x.kpk")
    (path / "source.json").write_text("{}")
    edit(path, lambda d: (d.update(source={}), d["files"].update({"source.json": {"bytes": 2}})))
    assert "source" in str(refused(path))


def test_a_very_large_description_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path / "x.kpk")
    monkeypatch.setattr("kpkit.formats.native_document.LIMIT", 100)
    with pytest.raises(FormatError, match="description"):
        Document(path)
