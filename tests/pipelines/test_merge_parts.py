"""Several COCO files become the parts of one dataset, the same as if they were merged in memory."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kpkit
from kpkit.core.report import Collector
from kpkit.errors import KpkitError, RecordError, UsageError
from kpkit.formats.base import ReadOptions, WriteOptions
from kpkit.formats.coco import CocoFormat
from kpkit.formats.native import NativeFormat
from kpkit.pipelines.merge import merge
from tests.coco_files import category, document, image, person, points, save
from tests.formats.test_coco_parts import files
from tests.formats.test_native_roundtrip import assert_same
from tests.pipelines.test_convert_parts import account, tree


def merged_whole(paths: list[Path], folder: Path, size: int) -> Path:
    """Merged in memory and cut then."""
    collector = Collector()
    datasets = [CocoFormat().read(path, ReadOptions(), collector) for path in paths]
    folder.mkdir()
    final = folder.parent / "out.kpk"
    together = merge(datasets, [str(path) for path in paths], collector)
    NativeFormat().write(together, folder, WriteOptions(final=final, part_size=size), collector)
    return folder


def shared(number: int) -> dict[str, Any]:
    """A file that shares ids and images with its neighbours, in an order of its own."""
    images = [image(n, file_name=f"{n + 5 * number}.jpg", shot=number) for n in range(1, 11)]
    rows = [person(100 - n, 1 + n * 3 % 10, keypoints=points(shift=number), note=[number, n]) for n in range(25)]
    return document(rows, images[::-1]) | {"kpkit": {"meta": {"a": 1}}}


@given(st.lists(files(), min_size=2, max_size=3), st.integers(1, 8))
def test_parts_of_any_size_are_the_merged_dataset(contents: list[dict[str, Any]], size: int) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        paths = [save(folder / f"{number}.json", content) for number, content in enumerate(contents)]
        expected = merged_whole(paths, folder / "whole.kpk", size)
        kpkit.convert("coco", "native", *paths, output=folder / "out.kpk", part_size=size)
        assert_same(kpkit.read(expected), kpkit.read(folder / "out.kpk"))
        for name in ("whole", "out"):
            kpkit.convert("native", "coco", folder / f"{name}.kpk", output=folder / f"{name}.json")
        assert (folder / "out.json").read_bytes() == (folder / "whole.json").read_bytes()
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_workers_gives_the_bytes_and_the_report_of_the_whole(
    tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [save(tmp_path / f"{number}.json", shared(number)) for number in range(4)]
    whole = kpkit.convert("coco", "coco", *paths, output=tmp_path / "whole.json")
    assert {issue.code for issue in whole.issues} == {"KP-MERGE-IMAGE", "KP-MERGE-IMAGE-ID", "KP-MERGE-PERSON-ID"} | {
        "KP-MERGE-IMAGE-FIELDS"
    }
    monkeypatch.setattr("kpkit.formats.coco.LARGE", 0)
    parts = kpkit.convert("coco", "coco", *paths, output=tmp_path / "parts.json", workers=workers)
    assert (tmp_path / "parts.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
    parts.issues = [issue for issue in parts.issues if issue.code != "KP-PARTS"]
    assert account(parts) == account(whole)
    kpkit.convert("coco", "native", *paths, output=tmp_path / "out.kpk", part_size=7, workers=workers)
    assert tree(tmp_path / "out.kpk") == tree(merged_whole(paths, tmp_path / "whole.kpk", 7))


@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_file_that_is_wrong_is_named(tmp_path: Path, workers: int) -> None:
    contents = [shared(0), shared(1), shared(2)]
    contents[1]["annotations"][3]["keypoints"] = [1]
    contents[2]["annotations"][0]["image_id"] = 99
    paths = [save(tmp_path / f"{number}.json", content) for number, content in enumerate(contents)]
    with pytest.raises(RecordError) as caught:
        kpkit.convert("coco", "native", *paths, output=tmp_path / "out.kpk", part_size=7, workers=workers)
    assert caught.value.place == f"{paths[1]}: annotations[3].keypoints"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["0.json", "1.json", "2.json"]


@pytest.mark.parametrize(
    ("second", "kind"),
    [
        (document(categories=[category(keypoints=["a", "b"], skeleton=[])]) | {"annotations": []}, UsageError),
        (document(categories=[category(name="dog")]), RecordError),
        ([{"image_id": 1, "category_id": 1, "keypoints": points(), "score": 1}], UsageError),
    ],
)
def test_what_cannot_be_merged_whole_cannot_be_merged_in_parts(
    tmp_path: Path, second: Any, kind: type[KpkitError]
) -> None:
    paths = [save(tmp_path / "0.json", shared(0)), save(tmp_path / "1.json", second)]
    errors = []
    for size in (0, 7):
        with pytest.raises(kind) as caught:
            kpkit.convert("coco", "native", *paths, output=tmp_path / "out.kpk", part_size=size)
        errors.append(caught.value.as_dict())
    assert errors[0] == errors[1]


def test_numbers_at_the_end_of_their_range_get_new_ids(tmp_path: Path) -> None:
    contents = [document([person(2**63 - 1)]), document([person(2**63 - 1)])]
    paths = [save(tmp_path / f"{number}.json", content) for number, content in enumerate(contents)]
    kpkit.convert("coco", "native", *paths, output=tmp_path / "out.kpk", part_size=1)
    assert kpkit.read(tmp_path / "out.kpk").instance_id.tolist() == [2**63 - 1, 2**63]
