"""Native datasets in parts: the same dataset whatever the parts, and one clear error for each that is damaged."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from kpkit import resources
from kpkit.core import catalog
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.report import Collector
from kpkit.errors import FormatError, InputError, KpkitError, UsageError
from kpkit.formats import native_index
from kpkit.formats.base import ReadOptions, WriteOptions
from kpkit.formats.native import NativeFormat, open_parts, verify
from tests.formats.test_native_roundtrip import assert_same, datasets


def write(dataset: Dataset, path: Path, size: int) -> Path:
    path.mkdir(parents=True)
    NativeFormat().write(dataset, path, WriteOptions(final=path, part_size=size), Collector())
    return path


def read(path: Path) -> Dataset:
    return NativeFormat().read(path, ReadOptions(), Collector())


def some(n: int = 40, m: int = 10, **columns: Any) -> Dataset:
    given = {
        "skeleton": catalog.skeleton("six2_knee"),
        "images": ImageTable.build(path=[f"{i}.jpg" for i in range(m)], width=[10] * m, height=[10] * m),
        # Not by image, as in COCO's own files.
        "image_index": np.arange(n) * 7 % m,
        "xy": np.random.default_rng(7).uniform(0, 10, (n, 8, 2)),
        "visibility": np.full((n, 8), 2),
        "extras": {"x.y": [{"i": i} if i < 9 else None for i in range(n)]},
    }
    return Dataset.build(**(given | columns))


@given(datasets(), st.integers(1, 6))
def test_parts_of_any_size_give_the_same_dataset(dataset: Dataset, size: int) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        assert_same(dataset, read(write(dataset, folder / "x.kpk", size)))
    finally:
        shutil.rmtree(folder)


@given(datasets(), st.integers(1, 6))
def test_the_parts_are_the_whole_cut_at_images(dataset: Dataset, size: int) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        parts = open_parts(write(dataset, folder / "x.kpk", size))
        assert parts is not None
        seen = 0
        for part in parts:
            assert part.first_image == seen
            seen += len(part.dataset.images)
            rows = part.rows
            assert len(part.dataset.images) <= size
            assert part.dataset.xy.tobytes() == dataset.xy[rows].tobytes()
            assert (part.dataset.image_index + part.first_image).tolist() == dataset.image_index[rows].tolist()
        assert (seen, parts.n, parts.m) == (len(dataset.images), len(dataset), len(dataset.images))
    finally:
        shutil.rmtree(folder)


def test_equal_datasets_give_equal_bytes(tmp_path: Path) -> None:
    one, two = write(some(), tmp_path / "one.kpk", 7), write(some(), tmp_path / "two.kpk", 7)
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert len(files) > 10
    assert all((one / file).read_bytes() == (two / file).read_bytes() for file in files)


def test_a_thousand_files_stand_in_a_folder_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_index, "PARTS_PER_FOLDER", 3)
    path = write(some(), tmp_path / "x.kpk", 4)
    assert sorted(one.name for one in (path / "parts").iterdir()) == ["000", "001", "002", "003"]
    assert max(len(list(one.glob("*.parquet"))) for one in (path / "parts").iterdir()) == 6
    assert_same(some(), read(path))
    assert 2 * 500 == 1000


def test_too_many_parts_are_refused_with_a_size_that_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_index, "MAX_PARTS", 4)
    with pytest.raises(UsageError, match="too many parts") as caught:
        write(some(), tmp_path / "x.kpk", 4)
    assert caught.value.help == "make them larger: --part-size 12"
    write(some(), tmp_path / "y.kpk", 12)


def test_the_description_and_the_index_are_what_the_schema_says(tmp_path: Path) -> None:
    schema = json.loads((resources.schemas_dir() / "json" / "native.schema.json").read_text())
    path = write(some(), tmp_path / "x.kpk", 7)
    document = json.loads((path / "dataset.json").read_text())
    Draft202012Validator(schema).validate(document)
    assert not Draft202012Validator(schema).is_valid(document | {"schema_version": 1})
    index = json.loads((path / "parts" / "000" / "index.json").read_text())
    Draft202012Validator({"$defs": schema["$defs"], "$ref": "#/$defs/index"}).validate(index)


def test_a_dataset_that_is_whole_has_no_parts_and_stays_readable(tmp_path: Path) -> None:
    path = write(some(), tmp_path / "x.kpk", 0)
    assert json.loads((path / "dataset.json").read_text())["schema_version"] == 1
    assert open_parts(path) is None
    assert_same(some(), read(path))


def test_every_byte_is_verified(tmp_path: Path) -> None:
    path = write(some(), tmp_path / "x.kpk", 7)
    verify(path)
    file = path / "parts" / "000" / "00003.instances.parquet"
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.write_bytes(content)
    with pytest.raises(FormatError, match="was changed") as caught:
        verify(path)
    assert caught.value.place == str(file)


def refused(path: Path, kind: type[KpkitError] = FormatError) -> KpkitError:
    with pytest.raises(kind) as caught:
        read(path)
    assert caught.value.help
    return caught.value


@pytest.mark.parametrize("name", ["00002.instances.parquet", "00002.images.parquet", "index.json"])
def test_a_missing_cut_or_changed_part_is_named(tmp_path: Path, name: str) -> None:
    path = write(some(), tmp_path / "x.kpk", 7)
    file = path / "parts" / "000" / name
    content = file.read_bytes()
    changed = bytearray(content)
    changed[-12] ^= 1
    for damaged in (content[:-1], bytes(changed), None):
        file.unlink() if damaged is None else file.write_bytes(damaged)
        assert refused(path).place == str(file)


def test_only_the_damaged_part_is_refused(tmp_path: Path) -> None:
    path = write(some(), tmp_path / "x.kpk", 7)
    (path / "parts" / "000" / "00002.instances.parquet").unlink()
    parts = open_parts(path)
    assert parts is not None
    assert len(parts[1].dataset) == 4
    with pytest.raises(FormatError, match="missing"):
        parts[2]


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    file = path / "dataset.json"
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))
    return path


def edit_index(path: Path, change: Callable[[list[dict[str, Any]]], object]) -> Path:
    """Change an index and make the description fit, as somebody who means harm would."""
    file = path / "parts" / "000" / "index.json"
    entries = json.loads(file.read_text())
    change(entries)
    content = json.dumps(entries).encode()
    file.write_bytes(content)
    stated = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return edit(path, lambda d: d["parts"]["folders"][0].update(stated))


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("parts"),
        lambda d: d.update(parts=[]),
        lambda d: d["parts"].update(count=10**9),
        lambda d: d["parts"].update(count=3),
        lambda d: d["parts"].update(count=0, folders=[]),
        lambda d: d["parts"].update(size=0),
        lambda d: d["parts"].update(path="../../etc"),
        lambda d: d["parts"]["folders"].append(d["parts"]["folders"][0]),
        lambda d: d["parts"]["folders"][0].update(path="/etc/passwd"),
        lambda d: d["parts"]["folders"][0].update(images=9),
        lambda d: d["parts"]["folders"][0].update(instances=-40),
        lambda d: d["parts"]["folders"][0].update(bytes=2**40),
        lambda d: d["parts"]["folders"][0].update(sha256="0" * 64),
        lambda d: d["counts"].update(instances=41),
    ],
)
def test_a_section_on_parts_that_lies_is_refused(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    error = refused(edit(write(some(), tmp_path / "x.kpk", 7), change))
    assert str(tmp_path / "x.kpk") in error.place


@pytest.mark.parametrize(
    "change",
    [
        lambda i: i.pop(),
        lambda i: i.append(i[0]),
        lambda i: i[0].update(images=i[0]["images"] + 1),
        lambda i: (i[0].update(instances=i[0]["instances"] + 1), i[1].update(instances=i[1]["instances"] - 1)),
        lambda i: (i[0].update(images=-1), i[1].update(images=i[0]["images"] + i[1]["images"] + 1)),
        lambda i: i[0].update(path="../../../etc/passwd"),
        lambda i: i[0]["images_file"].update(name="../../../etc/passwd"),
        lambda i: i[0].update(first_row=0),
        lambda i: i[0].update(first_row=-1),
        lambda i: i[0].update(first_row=10**30),
        lambda i: i.reverse(),
        lambda i: i[0]["instances_file"].update(footer_sha256="0" * 64),
    ],
)
def test_an_index_that_lies_is_refused(tmp_path: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    error = refused(edit_index(write(some(), tmp_path / "x.kpk", 7), change))
    assert str(tmp_path / "x.kpk" / "parts") in error.place


def test_persons_that_stand_in_two_parts_are_refused(tmp_path: Path) -> None:
    by_image = some(image_index=np.arange(40) // 4)
    path = write(by_image, tmp_path / "x.kpk", 8)
    edit_index(path, lambda i: i[1].update(first_row=i[0]["first_row"]))
    assert "stands in two parts" in refused(path).message


def test_rows_that_the_dataset_does_not_have_are_refused(tmp_path: Path) -> None:
    path = write(some(image_index=np.arange(40) // 4), tmp_path / "x.kpk", 8)
    edit_index(path, lambda i: i[1].update(first_row=39))
    error = refused(path)
    assert (error.expected, error.got) == ("0..39", "39..46")


def test_a_part_that_is_a_link_out_of_the_dataset_is_refused(tmp_path: Path) -> None:
    path = write(some(), tmp_path / "x.kpk", 7)
    file = path / "parts" / "000" / "00001.images.parquet"
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    assert refused(path).place == str(file)
    assert "leads outside" in refused(path).message


def test_a_folder_of_parts_that_is_a_link_out_of_the_dataset_is_refused(tmp_path: Path) -> None:
    path = write(some(), tmp_path / "x.kpk", 7)
    (path / "parts").rename(tmp_path / "elsewhere")
    (path / "parts").symlink_to(tmp_path / "elsewhere")
    assert "leads outside" in refused(path).message


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd"])
def test_image_paths_that_leave_the_folder_are_refused_in_parts_too(tmp_path: Path, name: str) -> None:
    images = ImageTable.build(path=["0.jpg", name, *[f"{i}.jpg" for i in range(2, 10)]])
    error = refused(write(some(images=images), tmp_path / "x.kpk", 7), InputError)
    assert error.place.endswith(".images.parquet: path[0]")
