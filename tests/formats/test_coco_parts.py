"""A COCO file read part by part says and gives what the ordinary reader does."""

from __future__ import annotations

import json
import pickle
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kpkit
from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector
from kpkit.errors import InputError, KpkitError
from kpkit.formats import coco_parts, coco_plan
from kpkit.formats.base import ReadOptions
from kpkit.formats.coco import CocoFormat
from kpkit.formats.coco_parts import CocoParts
from kpkit.formats.native_join import join
from tests.coco_files import category, document, image, person, points, save
from tests.formats.test_coco_bad_input import RECORDS, SYNTAX, damaged
from tests.formats.test_native_roundtrip import assert_same


def whole(path: Path, mode: Any = "raise") -> tuple[Dataset, list[Any]]:
    collector = Collector(mode)
    return CocoFormat().read(path, ReadOptions(), collector), said(collector)


def in_parts(path: Path, size: int, mode: Any = "raise") -> tuple[Dataset, list[Any]]:
    collector = Collector(mode)
    parts = CocoParts(path, ReadOptions(), collector, size)
    return join([ref.load(collector) for ref in parts.refs()], parts.n, str(path)), said(collector)


def said(collector: Collector) -> list[Any]:
    return [(one.code, one.message, one.count, one.severity, one.places, one.help) for one in collector.issues]


FIELDS = [
    {},
    {"keypoints": points()[:3] + [7, 7, 0] + [0] * 45, "num_keypoints": 1},
    {"keypoints": [-5.5, 3, 1] + [0] * 48, "num_keypoints": 3},
    {"keypoints": [9999, 3, 2, 0, 0, 2] + [0] * 45, "num_keypoints": 2},
    {"num_keypoints": 5},
    {"kpkit": {"head_box": [1, 2, 3, 4], "extras": {"b": 1}}, "note": "x"},
    {"kpkit": {"truncated": ["nose"], "extras": {"a": [1], "b": None}}, "keypoints": [0] * 51, "num_keypoints": 0},
    {"iscrowd": 1, "segmentation": {"size": [480, 640], "counts": [4, 2, 307194]}},
    {"track_id": 7, "score": 0.25},
    {"track_id": "seven"},
]


@st.composite
def files(draw: st.DrawFn) -> dict[str, Any]:
    """Documents in any order, with everything that is kept, merged or reported."""
    ids = draw(st.lists(st.integers(1, 30) | st.sampled_from(["a", "b"]), unique=True, max_size=6))
    images = [image(one, **draw(st.sampled_from([{}, {"width": 0}, {"kpkit": {"split": "val"}}]))) for one in ids]
    rows = []
    for number in range(draw(st.integers(0, 12)) if ids else 0):
        rows.append(person(number, draw(st.sampled_from(ids)), **draw(st.sampled_from(FIELDS))))
    rows = draw(st.permutations(rows + draw(st.lists(st.sampled_from(rows), max_size=2)) if rows else rows))
    images = draw(st.permutations(images + draw(st.lists(st.sampled_from(images), max_size=2)) if images else images))
    content = document(rows, images) | {"kpkit": {"meta": {"a": 1}}}
    return {key: content[key] for key in draw(st.permutations(list(content)))}


@given(files(), st.integers(1, 8))
def test_parts_of_any_size_are_the_dataset_and_say_what_its_reader_says(content: dict[str, Any], size: int) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        path = save(folder / "labels.json", content)
        (expected, issues), (found, issues_found) = whole(path), in_parts(path, size)
        order = list(expected.extras)
        assert set(order) == set(found.extras)
        assert_same(expected, found.replace(extras={name: found.extras[name] for name in order}))
        assert issues_found == issues
    finally:
        shutil.rmtree(folder)


@given(files(), st.integers(1, 8))
def test_a_file_converted_in_parts_is_the_file_converted_whole(content: dict[str, Any], size: int) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        path = save(folder / "labels.json", content)
        kpkit.convert("coco", "coco", path, output=folder / "whole.json")
        streamed = kpkit.convert("coco", "native", path, output=folder / "streamed.kpk", part_size=size)
        kpkit.write(kpkit.read(path), folder / "at-once.kpk")
        assert_same(kpkit.read(folder / "at-once.kpk"), kpkit.read(folder / "streamed.kpk"))
        back = kpkit.convert("native", "coco", folder / "streamed.kpk", output=folder / "back.json")
        kpkit.convert("native", "coco", folder / "at-once.kpk", output=folder / "back-at-once.json")
        assert (folder / "back.json").read_bytes() == (folder / "back-at-once.json").read_bytes()
        assert streamed.counts == back.counts
        assert streamed.joints == back.joints
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every COCO file counts as a large one, and blocks and parts are small."""
    monkeypatch.setattr("kpkit.formats.coco.LARGE", 0)
    monkeypatch.setattr(coco_parts, "DEFAULT_SIZE", 2)
    monkeypatch.setattr(coco_plan, "CHECKED_AT_ONCE", 1)


@pytest.mark.usefixtures("streamed")
@pytest.mark.parametrize("name", [*SYNTAX, *RECORDS])
def test_the_files_the_ordinary_reader_refuses_are_refused(name: str, tmp_path: Path) -> None:
    content = (SYNTAX.get(name) or RECORDS[name])[0]
    path = tmp_path / "labels.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(KpkitError) as caught:
        kpkit.convert("coco", "coco", path, output=tmp_path / "made" / "out.json")
    place = caught.value.place.replace(f"{tmp_path}/", "")
    assert place.startswith("labels.json")
    # The scanner looks for objects only, and finds these faults as faults of the text.
    if name in RECORDS and name not in {"a row is null", "annotations is null"}:
        assert (caught.value.code, place) == RECORDS[name][1][:2]
    assert [one.name for one in tmp_path.iterdir()] == ["labels.json"]


@given(damaged())
def test_a_damaged_file_gives_in_parts_what_it_gives_whole(content: bytes) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        path = folder / "labels.json"
        path.write_bytes(content)
        try:
            expected = whole(path)
        except KpkitError:
            with pytest.raises(KpkitError) as caught:
                in_parts(path, 1)
            assert caught.value.place.startswith(str(path))
            return
        found = in_parts(path, 1)
        assert found[0].xy.tobytes() == expected[0].xy.tobytes()
        assert found[1] == expected[1]
    finally:
        shutil.rmtree(folder)


def test_errors_are_collected_and_the_rest_is_read(tmp_path: Path) -> None:
    rows = [
        person(1),
        person(2, image_id=9),
        person(3, keypoints=[1, 2]),
        person(4, bbox="x"),
        person(5, category_id=3),
        person(6, keypoints=[1, 2, 7] + [0] * 48),
        person(1, area=1),
        {"id": 8},
        person(9, image_id=2),
    ]
    path = save(tmp_path / "labels.json", document(rows, [image(1), image(2), image(2, width=5)]))
    (expected, issues), (found, issues_found) = whole(path, "collect"), in_parts(path, 2, "collect")
    assert_same(expected, found)
    assert sorted(issues_found) == sorted(issues)
    assert len(issues) > 7


def test_every_place_outside_an_image_is_named_where_all_are_asked_for(tmp_path: Path) -> None:
    rows = [person(n, keypoints=[9999, 3, 2] * (n % 2) + [0] * (51 - 3 * (n % 2))) for n in range(3000)]
    path = save(tmp_path / "labels.json", document(rows))
    found = []
    for size in (0, 100):
        collector = Collector("collect", places_kept=None)
        if size:
            CocoParts(path, ReadOptions(), collector, size)
        else:
            CocoFormat().read(path, ReadOptions(), collector)
        found.append([one for one in said(collector) if one[0] == "KP-JOINT-OUTSIDE"])
    assert found[0] == found[1]
    assert len(found[0][0][4]) == 1500


@pytest.mark.parametrize("after", [1, 1023, 1024, 1025, 1500])
def test_something_else_between_two_rows_is_refused_wherever_it_stands(tmp_path: Path, after: int) -> None:
    rows = [json.dumps(person(n)).encode() for n in range(1600)]
    rows.insert(after, b"null")
    path = tmp_path / "labels.json"
    empty = json.dumps(document([])).encode()
    path.write_bytes(empty.replace(b'"annotations": []', b'"annotations": [' + b", ".join(rows) + b"]"))
    with pytest.raises(InputError) as caught:
        CocoParts(path, ReadOptions(), Collector(), 100)
    assert caught.value.place.startswith(str(path))


def test_a_reference_is_small_and_loads_in_another_process(tmp_path: Path) -> None:
    path = save(
        tmp_path / "labels.json", document([person(n, 1 + n % 50) for n in range(200)], list(map(image, range(1, 51))))
    )
    refs = list(CocoParts(path, ReadOptions(), Collector(), 20).refs())
    assert max(len(pickle.dumps(ref)) for ref in refs) < 6000
    loaded = [pickle.loads(pickle.dumps(ref)).load(Collector()) for ref in refs]
    assert_same(whole(path)[0], join(loaded, 200, ""))


def test_a_file_that_changes_between_its_parts_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "labels.json", document([person(n, n) for n in (1, 2)], [image(1), image(2)]))
    first, second = CocoParts(path, ReadOptions(), Collector(), 1).refs()
    first.load(Collector())
    path.write_bytes(path.read_bytes().replace(b"455.91", b"455.9100"))
    with pytest.raises(InputError, match="changed while it was read") as caught:
        second.load(Collector())
    assert caught.value.place == str(path)
    path.unlink()
    with pytest.raises(InputError, match="no such file"):
        second.load(Collector())


def test_result_lists_and_small_files_are_read_whole(tmp_path: Path) -> None:
    results = save(tmp_path / "results.json", [{"image_id": 1, "category_id": 1, "keypoints": points(), "score": 1}])
    small = save(tmp_path / "labels.json", document())
    assert CocoFormat().parts(results, ReadOptions(), Collector(), 5) is None
    assert CocoFormat().parts(small, ReadOptions(), Collector()) is None
    assert CocoFormat().parts(tmp_path / "none.json", ReadOptions(), Collector()) is None


def test_two_skeletons_are_refused_as_by_the_ordinary_reader(tmp_path: Path) -> None:
    other = category(2, keypoints=["a", "b"], skeleton=[])
    path = save(tmp_path / "labels.json", document(categories=[category(), other]))
    with pytest.raises(KpkitError) as caught:
        CocoParts(path, ReadOptions(), Collector(), 1)
    assert caught.value.code == "KP-COCO-TWO-SKELETONS"


def test_real_files_give_the_same_in_parts(real_data: Path) -> None:
    for name in ("val2017_subset_2213_manhph", "cocomini_person_keypoints_val2017", "mmpose_test_coco"):
        path = real_data / "data" / "coco" / f"{name}.json"
        (expected, issues), (found, issues_found) = whole(path), in_parts(path, 50)
        assert_same(expected, found)
        assert issues_found == issues
