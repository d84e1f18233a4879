"""6-2 written and read back: whatever a file of ours holds comes back equal."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpkit import resources
from kpkit.core import catalog
from kpkit.core.dataset import AREA_SOURCES, BBOX_SOURCES, INSTANCE_COLUMNS, Dataset, ImageTable
from kpkit.core.report import Collector
from kpkit.errors import UsageError
from kpkit.formats.base import ReadOptions, WriteOptions
from kpkit.formats.six2 import Six2Format

NAN = float("nan")

# flag and coordinates in the file -> canonical visibility, truncated; the five legal combinations.
LEGAL: dict[str, tuple[list[Any], tuple[int, bool]]] = {
    "not visible, coordinates": ([10.5, 20, 0], (1, False)),
    "not visible, none": ([None, None, 0], (0, False)),
    "visible": ([10.5, 20, 1], (2, False)),
    "truncated, coordinates": ([10.5, 20, 2], (1, True)),
    "truncated, none": ([None, None, 2], (0, True)),
}

coordinates = st.floats(-1e6, 1e6) | st.integers(-50, 4000).map(float)
ids = st.integers(-(2**63), 2**64) | st.sampled_from(["007", "a,b", 'say "x"', "line\nbreak", "č", " 7 "])
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
json_values = st.recursive(
    st.booleans() | st.integers(-100, 100) | texts, lambda inner: st.lists(inner, max_size=3), max_leaves=4
)


@st.composite
def joints(draw: st.DrawFn, k: int) -> list[tuple[float, float, int, bool]]:
    states = draw(
        st.lists(st.sampled_from([(0, False), (0, True), (1, False), (1, True), (2, False)]), min_size=k, max_size=k)
    )
    points = draw(st.lists(st.tuples(coordinates, coordinates), min_size=k, max_size=k))
    return [(*(point if v else (NAN, NAN)), v, t) for point, (v, t) in zip(points, states, strict=True)]


def optional(values: st.SearchStrategy[Any], missing: Any) -> st.SearchStrategy[Any]:
    return values | st.just(missing)


boxes = st.lists(coordinates, min_size=4, max_size=4)


@st.composite
def datasets(draw: st.DrawFn, for_csv: bool = False) -> Dataset:
    """Any 6-2 dataset that the variant claims to keep, persons ordered as their images are."""
    skeleton = catalog.skeleton(draw(st.sampled_from(["six2_knee", "six2_ankle"])))
    m = draw(st.integers(1, 4))
    image_index = sorted(draw(st.lists(st.integers(0, m - 1), max_size=5)))
    n = len(image_index)
    points = np.array([draw(joints(len(skeleton))) for _ in range(n)], float).reshape(n, len(skeleton), 4)

    def column(values: st.SearchStrategy[Any], rows: int) -> Any:
        return draw(st.lists(values, min_size=rows, max_size=rows))

    value = texts if for_csv else json_values
    names = st.sampled_from(
        ["six2.note", "six2.head_x", "six2.image.note", "six2.bbox", "six2.person_id", "six2.extras"]
    )

    def extras(rows: int) -> dict[str, Any]:
        found = {name: column(optional(value, None), rows) for name in draw(st.sets(names, max_size=2))}
        return {name: values for name, values in found.items() if any(one is not None for one in values)}

    images = ImageTable.build(
        path=[f"images/{i} ä.jpg" for i in range(m)],
        width=column(optional(st.integers(1, 9000), -1), m),
        height=column(optional(st.integers(1, 9000), -1), m),
        id=None if for_csv else column(ids, m),
        split=None if for_csv else column(st.sampled_from(["", "train", "val"]), m),
        extras=extras(m),
    )
    rest: dict[str, Any] = {}
    if not for_csv:
        box, area = column(optional(boxes, [NAN] * 4), n), np.array(column(optional(coordinates, NAN), n), float)
        sources = column(st.integers(1, len(BBOX_SOURCES) - 1), n), column(st.integers(1, len(AREA_SOURCES) - 1), n)
        rest = {
            "area": area,
            "area_source": np.where(np.isnan(area), 0, sources[1]),
            "bbox_source": [0 if np.isnan(one[0]) else source for one, source in zip(box, sources[0], strict=True)],
            "head_box": column(optional(boxes, [NAN] * 4), n),
            "track_id": column(optional(ids, None), n),
            "score": column(optional(coordinates, NAN), n),
            "is_crowd": column(st.booleans(), n),
            "category_id": column(st.integers(1, 3) | texts, n),
            "meta": draw(st.dictionaries(names, json_values, max_size=2)),
        }
    else:
        box = column(optional(boxes, [NAN] * 4), n)
    return Dataset.build(
        skeleton=skeleton,
        images=images,
        image_index=image_index,
        xy=points[..., :2],
        visibility=points[..., 2],
        truncated=points[..., 3],
        instance_id=column(ids, n),
        bbox_xywh=box,
        extras=extras(n),
        **rest,
    )


def same_column(one: Any, other: Any) -> bool:
    if one.dtype == object:
        return [(type(v), v) for v in one] == [(type(v), v) for v in other]
    return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def assert_same(one: Dataset, other: Dataset) -> None:
    """Equal in every column; provenance and the folder are not content."""
    assert one.skeleton == other.skeleton
    assert one.meta == other.meta
    for name in ("id", "path", "width", "height", "split"):
        assert same_column(getattr(one.images, name), getattr(other.images, name)), f"images.{name}"
    for name in INSTANCE_COLUMNS:
        assert same_column(getattr(one, name), getattr(other, name)), name
    for mine, theirs in ((one.extras, other.extras), (one.images.extras, other.images.extras)):
        assert {name: values.tolist() for name, values in mine.items()} == {n: v.tolist() for n, v in theirs.items()}


def write(dataset: Dataset, path: Path, collector: Collector | None = None) -> Path:
    temporary = path.with_name("temporary")
    temporary.unlink(missing_ok=True)
    Six2Format().write(dataset, temporary, WriteOptions(final=path), collector or Collector())
    temporary.replace(path)
    return path


def read(path: Path, mode: Any = "raise") -> Dataset:
    return Six2Format().read(path, ReadOptions(), Collector(mode))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("six2")


@given(dataset=datasets())
def test_json_gives_back_every_column(dataset: Dataset, folder: Path) -> None:
    path = write(dataset, folder / "labels.json")
    assert_same(read(path), dataset)


@given(dataset=datasets())
def test_json_that_we_write_fits_its_schema(dataset: Dataset, folder: Path) -> None:
    path = write(dataset, folder / "schema.json")
    jsonschema.validate(json.loads(path.read_text("utf-8")), resources.json_schema("six2"))


@given(dataset=datasets(for_csv=True))
def test_csv_gives_back_what_it_claims_to_keep(dataset: Dataset, folder: Path) -> None:
    path = write(dataset, folder / "labels.csv")
    assert_same(read(path), dataset)


@given(dataset=datasets(for_csv=True))
def test_a_second_csv_has_the_bytes_of_the_first(dataset: Dataset, folder: Path) -> None:
    first = write(dataset, folder / "first.csv").read_bytes()
    assert write(read(folder / "first.csv"), folder / "second.csv").read_bytes() == first


@given(dataset=datasets())
def test_a_second_json_has_the_bytes_of_the_first(dataset: Dataset, folder: Path) -> None:
    first = write(dataset, folder / "first.json").read_bytes()
    assert write(read(folder / "first.json"), folder / "second.json").read_bytes() == first


def json_with(joint: object, tmp_path: Path, skeleton: str = "six2_knee") -> Path:
    person = {"person_id": 1, "joints": {"left_hip": joint}}
    path = tmp_path / "labels.json"
    document = {
        "format": "kpkit-six2",
        "version": 1,
        "skeleton": skeleton,
        "images": [{"image": "a.jpg", "persons": [person]}],
    }
    path.write_text(json.dumps(document))
    return path


def csv_with(joint: list[Any], tmp_path: Path, skeleton: str = "six2_knee") -> Path:
    names = catalog.skeleton(skeleton).keypoints
    cells = {f"{name}_{field}": "" for name in names for field in "xyv"}
    values = zip("xyv", joint, strict=True)
    cells.update({f"left_hip_{field}": "" if value is None else value for field, value in values})
    path = tmp_path / "labels.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", "width", "height", "person_id", *cells])
        writer.writerow(["a.jpg", 640, 480, 1, *cells.values()])
    return path


@pytest.mark.parametrize("make", [json_with, csv_with])
@pytest.mark.parametrize("skeleton", ["six2_knee", "six2_ankle"])
@pytest.mark.parametrize("name", LEGAL)
def test_each_legal_combination_is_read_as_the_table_says(make: Any, skeleton: str, name: str, tmp_path: Path) -> None:
    joint, (visibility, truncated) = LEGAL[name]
    dataset = read(make(joint, tmp_path, skeleton))
    k = dataset.skeleton.index("left_hip")
    assert (dataset.visibility[0, k], bool(dataset.truncated[0, k])) == (visibility, truncated)
    expected = [NAN, NAN] if joint[0] is None else joint[:2]
    np.testing.assert_array_equal(dataset.xy[0, k], expected)


@pytest.mark.parametrize("suffix", [".json", ".csv"])
@pytest.mark.parametrize("name", LEGAL)
def test_each_legal_combination_is_written_as_it_was(suffix: str, name: str, tmp_path: Path) -> None:
    joint, _ = LEGAL[name]
    written = write(read(json_with(joint, tmp_path)), tmp_path / f"out{suffix}")
    if suffix == ".json":
        person = json.loads(written.read_text())["images"][0]["persons"][0]
        assert person["joints"]["left_hip"] == joint
    else:
        row = next(iter(csv.DictReader(written.read_text().splitlines())))
        assert [row[f"left_hip_{field}"] for field in "xyv"] == ["" if value is None else str(value) for value in joint]


@pytest.mark.parametrize("make", [json_with, csv_with])
def test_flag_2_is_truncated_and_never_cocos_visible(make: Any, tmp_path: Path) -> None:
    dataset = read(make([10, 20, 2], tmp_path))
    k = dataset.skeleton.index("left_hip")
    assert (dataset.visibility[0, k], dataset.truncated[0, k]) == (1, True)


@pytest.mark.parametrize("suffix", [".json", ".csv"])
def test_a_visible_joint_is_written_as_flag_1_and_an_occluded_one_as_0(suffix: str, tmp_path: Path) -> None:
    skeleton = catalog.skeleton("six2_knee")
    visibility = np.array([[2, 1, 0, 0, 0, 0, 0, 0]])
    xy = np.where(visibility[..., None] > 0, [5.0, 5.0], NAN)
    images = ImageTable.build(path=["a.jpg"])
    path = write(
        Dataset.build(skeleton=skeleton, images=images, image_index=[0], xy=xy, visibility=visibility),
        tmp_path / f"x{suffix}",
    )
    text = path.read_text()
    assert ('"head":[5,5,1],"left_shoulder":[5,5,0]' if suffix == ".json" else ",5,5,1,5,5,0,") in text


def test_other_joints_than_six2s_are_refused_with_the_way_out(tmp_path: Path) -> None:
    skeleton = catalog.skeleton("coco17")
    images = ImageTable.build(path=["a.jpg"])
    dataset = Dataset.build(
        skeleton=skeleton, images=images, image_index=[], xy=np.zeros((0, 17, 2)), visibility=np.zeros((0, 17))
    )
    with pytest.raises(UsageError, match="coco17") as caught:
        write(dataset, tmp_path / "x.json")
    assert "--skeleton six2_knee" in caught.value.help


def test_persons_of_one_image_stand_together_in_json_and_in_order_in_csv(tmp_path: Path) -> None:
    skeleton = catalog.skeleton("six2_knee")
    images = ImageTable.build(path=["a.jpg", "b.jpg"])
    dataset = Dataset.build(
        skeleton=skeleton, images=images, image_index=[1, 0, 1], xy=np.full((3, 8, 2), NAN), visibility=np.zeros((3, 8))
    )
    assert read(write(dataset, tmp_path / "x.json")).instance_id.tolist() == [2, 1, 3]
    from_csv = read(write(dataset, tmp_path / "x.csv"))
    assert from_csv.instance_id.tolist() == [1, 2, 3]
    assert from_csv.images.path[from_csv.image_index].tolist() == ["b.jpg", "a.jpg", "b.jpg"]
