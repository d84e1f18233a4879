"""Writing YOLO-pose folders, and reading them back."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kpkit.core import catalog
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.report import Collector
from kpkit.core.skeleton import Skeleton
from kpkit.errors import KpkitError, OutputError, RecordError
from kpkit.formats.base import ReadOptions, WriteOptions
from kpkit.formats.coco import CocoFormat
from kpkit.formats.yolo_pose import YoloPoseFormat
from kpkit.formats.yolo_text import write_rows

PAIR = Skeleton(name="pair", keypoints=("left_hand", "right_hand"), flip_pairs=((0, 1),))


def build(paths: list[str] | None = None, **columns: Any) -> Dataset:
    """One image of 200 x 100 with one person, unless told otherwise."""
    paths = paths or ["a.jpg"]
    images = ImageTable.build(
        path=paths, width=[200] * len(paths), height=[100] * len(paths), split=columns.pop("split", None)
    )
    n = len(columns.get("image_index", [0]))
    given = {
        "skeleton": PAIR,
        "image_index": [0],
        "xy": [[[50, 50], [150, 50]]] * n,
        "visibility": [[2, 1]] * n,
        "bbox_xywh": [[80, 30, 40, 40]] * n,
    }
    return Dataset.build(images=images, **(given | columns))


def write(dataset: Dataset, path: Path, collector: Collector | None = None) -> Path:
    path.mkdir(exist_ok=True)
    YoloPoseFormat().write(dataset, path, WriteOptions(), collector or Collector())
    return path


def read(path: Path, **options: Any) -> Dataset:
    return YoloPoseFormat().read(path, ReadOptions(**options), Collector())


def refused(kind: type[KpkitError], dataset: Dataset, path: Path) -> KpkitError:
    with pytest.raises(kind) as caught:
        write(dataset, path)
    return caught.value


def labels(root: Path) -> dict[str, str]:
    return {file.relative_to(root).as_posix(): file.read_text() for file in sorted(root.rglob("*.txt"))}


def test_a_person_is_one_row_of_six_decimals(tmp_path: Path) -> None:
    write(build(), tmp_path)
    row = "0 0.500000 0.500000 0.200000 0.400000 0.250000 0.500000 2 0.750000 0.500000 1\n"
    assert labels(tmp_path) == {"labels/train/a.txt": row}


def test_the_yaml_says_what_trainers_ask_for(tmp_path: Path) -> None:
    write(build(["a.jpg", "b.jpg"], split=["train", "val"]), tmp_path)
    content = yaml.safe_load((tmp_path / "data.yaml").read_text())
    assert content["kpt_shape"] == [2, 3]
    assert content["flip_idx"] == [1, 0]
    assert content["names"] == {0: "person"}
    assert content["kpt_names"] == {0: ["left_hand", "right_hand"]}
    assert (content["train"], content["val"]) == ("images/train", "images/val")


def test_without_a_validation_split_the_training_images_stand_in(tmp_path: Path) -> None:
    write(build(), tmp_path)
    content = yaml.safe_load((tmp_path / "data.yaml").read_text())
    assert (content["train"], content["val"]) == ("images/train", "images/train")


def test_images_without_persons_get_an_empty_file(tmp_path: Path) -> None:
    write(build(["a.jpg", "b.jpg"]), tmp_path)
    assert labels(tmp_path)["labels/train/b.txt"] == ""
    assert len(read(tmp_path).images) == 2


@pytest.mark.parametrize(
    ("path", "split", "label"),
    [
        ("a.jpg", "", "labels/train/a.txt"),
        ("x/y/a.b.png", "val", "labels/val/x/y/a.b.txt"),
        ("images/test/a.jpg", "test", "labels/test/a.txt"),
        ("val2017/a.jpg", "", "labels/val2017/a.txt"),
        ("images/a.jpg", "hold-out", "labels/hold-out/a.txt"),
        ("./x//a", "", "labels/train/x/a.txt"),
        ("x\\a.jpg", "", "labels/train/x/a.txt"),
    ],
)
def test_labels_mirror_the_image_path(tmp_path: Path, path: str, split: str, label: str) -> None:
    write(build([path], split=[split]), tmp_path)
    assert list(labels(tmp_path)) == [label]
    again = read(tmp_path).images
    assert again.split.tolist() == [split]
    assert again.path.tolist() == [path.replace("\\", "/")]


def test_image_targets_stand_beside_the_labels() -> None:
    dataset = build(["x/a.png", "images/val/b.jpg"], split=["train", "val"])
    assert YoloPoseFormat().image_targets(dataset) == ["images/train/x/a.png", "images/val/b.jpg"]


def test_two_images_of_one_label_file_are_an_error_that_names_both(tmp_path: Path) -> None:
    error = refused(OutputError, build(["x/a.jpg", "x/a.png"]), tmp_path)
    assert error.got == "x/a.jpg and x/a.png"
    assert error.place == "labels/train/x/a.txt"


def test_an_image_listed_twice_has_its_persons_in_one_file(tmp_path: Path) -> None:
    collector = Collector()
    write(build(["a.jpg", "a.jpg"], image_index=[1, 0]), tmp_path, collector)
    assert labels(tmp_path)["labels/train/a.txt"].count("\n") == 2
    assert [(issue.code, issue.count) for issue in collector.issues] == [("KP-YOLO-SAME-IMAGE", 1)]


@pytest.mark.parametrize("path", ["../a.jpg", "/a.jpg", "x/../a.jpg", "", "C:/a.jpg"])
def test_names_that_leave_the_folder_are_refused(tmp_path: Path, path: str) -> None:
    refused(RecordError, build([path]), tmp_path / "out")
    assert labels(tmp_path) == {}


@pytest.mark.parametrize("split", ["..", "a/b", "/x", "."])
def test_splits_that_are_no_folder_names_are_refused(tmp_path: Path, split: str) -> None:
    refused(RecordError, build(split=[split]), tmp_path)


def test_an_unknown_image_size_is_an_error_that_names_both_options(tmp_path: Path) -> None:
    images = ImageTable.build(path=["a.jpg"])
    error = refused(RecordError, build().replace(images=images), tmp_path)
    assert "--images" in error.help
    assert "--image-sizes" in error.help
    assert error.place == "image a.jpg: instance 1"


def test_a_person_without_a_box_gets_the_hull_of_its_joints(tmp_path: Path) -> None:
    collector = Collector()
    write(build(bbox_xywh=None), tmp_path, collector)
    assert labels(tmp_path)["labels/train/a.txt"].startswith("0 0.500000 0.500000 0.500000 0.000000 ")
    assert [issue.code for issue in collector.issues] == ["KP-YOLO-BOX-MADE"]


def test_a_person_without_box_and_joints_is_an_error(tmp_path: Path) -> None:
    nothing = build(bbox_xywh=None, visibility=[[0, 0]], xy=np.full((1, 2, 2), np.nan))
    assert refused(RecordError, nothing, tmp_path).code == "KP-YOLO-NO-BOX"


def test_a_person_without_joints_has_all_columns_unless_its_row_had_five(tmp_path: Path) -> None:
    bare = build(
        image_index=[0, 0, 0],
        visibility=[[0, 0], [0, 0], [2, 0]],
        xy=[[[np.nan] * 2] * 2] * 2 + [[[1, 1], [np.nan] * 2]],
        extras={"yolo.columns": [None, 5, 5]},
    )
    write(bare, tmp_path)
    rows = labels(tmp_path)["labels/train/a.txt"].splitlines()
    assert [len(row.split()) for row in rows] == [11, 5, 11]


def test_coordinates_of_unlabelled_joints_are_written_back_while_they_are_unlabelled(tmp_path: Path) -> None:
    xy = np.array([[[50, 50], [np.nan, np.nan]]])
    ghosts = {"yolo.unlabelled_xy": [[[0, 0.9, 0.9], [1, 0.125, 0.75]]]}
    write(build(xy=xy, visibility=[[2, 0]], extras=ghosts), tmp_path)
    row = labels(tmp_path)["labels/train/a.txt"].split()
    assert row[5:] == ["0.250000", "0.500000", "2", "0.125000", "0.750000", "0"]
    assert read(tmp_path).extras["yolo.unlabelled_xy"].tolist() == [[[1, 0.125, 0.75]]]


@pytest.mark.parametrize(("flags", "dims"), [([[2, 0]], 2), ([[2, 1]], 3)])
def test_two_numbers_a_joint_come_back_while_nothing_is_lost(tmp_path: Path, flags: Any, dims: int) -> None:
    xy = np.where(np.array(flags)[..., None] > 0, [30.0, 40.0], np.nan)
    write(build(xy=xy, visibility=flags, meta={"yolo.kpt_dims": 2}), tmp_path)
    assert len(labels(tmp_path)["labels/train/a.txt"].split()) == 5 + 2 * dims
    assert read(tmp_path).visibility.tolist() == flags


def test_points_outside_the_image_are_written_as_they_are(tmp_path: Path) -> None:
    write(build(xy=[[[-25.77, 50], [2500, 50]]]), tmp_path)
    row = labels(tmp_path)["labels/train/a.txt"].split()
    assert (row[5], row[8]) == ("-0.128850", "12.500000")


def test_category_ids_come_back(tmp_path: Path) -> None:
    dataset = build(image_index=[0, 0, 0], category_id=[7, "dog", 3])
    write(dataset, tmp_path)
    assert [row[0] for row in labels(tmp_path)["labels/train/a.txt"].splitlines()] == ["1", "2", "0"]
    assert read(tmp_path).category_id.tolist() == [7, "dog", 3]


def test_classes_are_named_as_the_categories_of_a_coco_source(tmp_path: Path) -> None:
    names = [{"id": 4, "name": "dancer", "keypoints": ["a", "b"]}, {"id": 9, "name": "runner"}]
    rows = [
        {"id": i, "image_id": 1, "category_id": one, "keypoints": [1, 2, 2, 3, 4, 1], "bbox": [0, 0, 5, 5]}
        for i, one in enumerate((9, 4))
    ]
    image = {"id": 1, "file_name": "a.jpg", "width": 200, "height": 100}
    (tmp_path / "in.json").write_bytes(
        msgspec.json.encode({"images": [image], "annotations": rows, "categories": names})
    )
    write(CocoFormat().read(tmp_path / "in.json", ReadOptions(), Collector()), tmp_path / "out")
    assert yaml.safe_load((tmp_path / "out" / "data.yaml").read_text())["names"] == {0: "dancer", 1: "runner"}
    assert read(tmp_path / "out").category_id.tolist() == [9, 4]


def test_class_names_of_a_yolo_source_come_back(tmp_path: Path) -> None:
    meta = {"yolo.names": {"0": "dancer", "1": "runner", "2": "idle"}}
    write(build(image_index=[0, 0], category_id=[2, 1], meta=meta), tmp_path)
    again = read(tmp_path)
    assert again.meta == meta
    assert again.category_id.tolist() == [2, 1]


def test_more_than_ten_classes_are_written_and_read(tmp_path: Path) -> None:
    write(build(image_index=[0] * 12, category_id=list(range(1, 13))), tmp_path)
    assert read(tmp_path).category_id.tolist() == list(range(1, 13))


@pytest.mark.parametrize("name", ["coco17", "mpii16", "six2_knee", "body25"])
def test_catalog_skeletons_come_back_equal(tmp_path: Path, name: str) -> None:
    skeleton = catalog.skeleton(name)
    k = len(skeleton)
    write(build(skeleton=skeleton, xy=np.ones((1, k, 2)), visibility=np.full((1, k), 2)), tmp_path)
    assert read(tmp_path).skeleton == skeleton
    assert "kpkit" not in yaml.safe_load((tmp_path / "data.yaml").read_text())


def test_a_skeleton_of_ones_own_comes_back_with_edges_and_sigmas(tmp_path: Path) -> None:
    own = Skeleton(name="own", keypoints=("no", "null"), flip_pairs=(), edges=((0, 1),), sigmas=(0.1, 0.2))
    write(build(skeleton=own), tmp_path)
    assert read(tmp_path).skeleton == own


def test_an_edited_kpt_names_wins_over_what_the_writer_noted(tmp_path: Path) -> None:
    own = Skeleton(name="own", keypoints=("a", "b"), edges=((0, 1),))
    write(build(skeleton=own), tmp_path)
    file = tmp_path / "data.yaml"
    content = yaml.safe_load(file.read_text())
    content["kpt_names"][0] = ["nose", "tail"]
    file.write_text(yaml.safe_dump(content))
    assert read(tmp_path).skeleton.keypoints == ("nose", "tail")


def test_a_dataset_without_joints_or_without_persons_comes_back(tmp_path: Path) -> None:
    none = Skeleton(name="none", keypoints=())
    write(build(skeleton=none, xy=np.zeros((1, 0, 2)), visibility=np.zeros((1, 0))), tmp_path / "boxes")
    assert read(tmp_path / "boxes").bbox_xywh[0] == pytest.approx([80, 30, 40, 40])
    write(build().take([]), tmp_path / "empty")
    assert (len(read(tmp_path / "empty")), len(read(tmp_path / "empty").images)) == (0, 1)
    write(build().take([]).replace(images=ImageTable.build(path=[])), tmp_path / "nothing")
    assert (tmp_path / "nothing" / "data.yaml").is_file()


def test_names_that_are_not_utf8_survive(tmp_path: Path) -> None:
    path = b"caf\xe9, bar.jpg".decode(errors="surrogateescape")
    write(build([path]), tmp_path)
    assert read(tmp_path).images.path.tolist() == [path]


def test_the_folder_is_readable_without_images_and_sizes_given_by_hand_go_first(tmp_path: Path) -> None:
    write(build(), tmp_path)
    assert read(tmp_path).images.width.tolist() == [200]
    assert read(tmp_path, sizes={"a.jpg": (400, 100)}).images.width.tolist() == [400]


@pytest.mark.parametrize("line", ["a.jpg,x,5,labels/train/a.txt", "a.jpg,5", "../../a.jpg,200,100,labels/train/a.txt"])
def test_a_broken_list_of_sizes_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    write(build(), tmp_path)
    (tmp_path / "image-sizes.csv").write_text(f"image,width,height,label\n{line}\n")
    with pytest.raises(RecordError) as caught:
        read(tmp_path)
    assert caught.value.place.endswith("image-sizes.csv: line 2")


def test_equal_datasets_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(build(["b.jpg", "a.jpg"], image_index=[1, 0]), tmp_path / name)
    contents = [
        {f.name: f.read_bytes() for f in (tmp_path / name).rglob("*") if f.is_file()} for name in ("one", "two")
    ]
    assert contents[0] == contents[1]
    assert len(contents[0]) == 4


@given(
    hnp.arrays(np.float64, (3, 6), elements=st.floats(-20, 20) | st.integers(0, 64_000).map(lambda v: v / 100 / 640)),
    hnp.arrays(np.uint8, (3, 1), elements=st.integers(0, 2)),
    st.lists(st.integers(0, 12), min_size=3, max_size=3),
)
def test_text_is_what_six_decimals_of_each_number_are(values: Any, flags: Any, classes: list[int]) -> None:
    text = write_rows(np.array(classes), values[:, :4], values[:, None, 4:], flags, np.zeros(0, np.int64))
    for row in range(3):
        # What rounds to zero has no sign.
        numbers = " ".join(f"{value:.6f}".replace("-0.000000", "0.000000") for value in values[row])
        assert bytes(text.span(row, row + 1)).decode() == f"{classes[row]} {numbers} {flags[row, 0]}\n"
    assert bytes(text.span(0, 3)) == b"".join(bytes(text.span(row, row + 1)) for row in range(3))


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    m, n, k = draw(st.integers(1, 4)), draw(st.integers(0, 6)), draw(st.integers(1, 4))
    sides = st.lists(st.integers(1, 5000), min_size=m, max_size=m)
    flags = draw(hnp.arrays(np.uint8, (n, k), elements=st.integers(0, 2)))
    xy = draw(hnp.arrays(np.float64, (n, k, 2), elements=st.floats(-100, 6000)))
    low = draw(hnp.arrays(np.float64, (n, 4), elements=st.floats(0, 4000)))
    splits = draw(st.lists(st.sampled_from(["train", "val", "test"]), min_size=m, max_size=m))
    suffix = draw(st.sampled_from([".jpg", ".png", ""]))
    return Dataset.build(
        skeleton=Skeleton(name="any", keypoints=tuple(f"j{i}" for i in range(k))),
        images=ImageTable.build(
            path=[f"d{i % 2}/{i}{suffix}" for i in range(m)], width=draw(sides), height=draw(sides), split=splits
        ),
        image_index=draw(st.lists(st.integers(0, m - 1), min_size=n, max_size=n)),
        xy=np.where(flags[..., None] > 0, xy, np.nan),
        visibility=flags,
        bbox_xywh=low,
    )


@given(datasets())
def test_everything_it_keeps_comes_back(dataset: Dataset) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        again = read(write(dataset, folder))
    finally:
        shutil.rmtree(folder)
    row = {path: i for i, path in enumerate(again.images.path.tolist())}
    place = np.array([row[path] for path in dataset.images.path.tolist()])
    assert (again.images.width[place] == dataset.images.width).all()
    assert (again.images.split[place] == dataset.images.split).all()
    order = np.argsort(place[dataset.image_index], kind="stable")
    ours = dataset.take(order)
    size = np.stack((dataset.images.width, dataset.images.height), axis=1)[ours.image_index]
    assert again.image_index.tolist() == place[ours.image_index].tolist()
    assert again.visibility.tolist() == ours.visibility.tolist()
    assert np.nanmax(np.abs(again.xy - ours.xy) / size[:, None], initial=0) <= 5.01e-7
    assert np.max(np.abs(again.bbox_xywh - ours.bbox_xywh) / np.tile(size, 2), initial=0) <= 1.01e-6


def numbers(file: Path) -> list[list[float]]:
    return [[float(token) for token in line.split()] for line in file.read_text().splitlines()]


def test_cvats_coco_export_becomes_cvats_yolo_export(real_data: Path, tmp_path: Path) -> None:
    source = msgspec.json.decode((real_data / "data/coco/cvat_coco_keypoints_export_day4_excerpt.json").read_bytes())
    pictures = source["images"]
    row = {picture["id"]: i for i, picture in enumerate(pictures)}
    points = np.array([a["keypoints"] for a in source["annotations"]], float).reshape(-1, 17, 3)
    dataset = Dataset.build(
        skeleton=catalog.skeleton("coco17"),
        images=ImageTable.build(
            path=[one["file_name"] for one in pictures],
            width=[one["width"] for one in pictures],
            height=[one["height"] for one in pictures],
        ),
        image_index=[row[a["image_id"]] for a in source["annotations"]],
        xy=np.where(points[..., 2:] > 0, points[..., :2], np.nan),
        visibility=points[..., 2],
        bbox_xywh=[a["bbox"] for a in source["annotations"]],
    )
    write(dataset, tmp_path)
    theirs = sorted((real_data / "data/yolo_pose/day4").rglob("*.txt"))
    assert len(theirs) == 3
    for file in theirs:
        assert (tmp_path / "labels" / "train" / file.name).read_text().split() == file.read_text().split()


def test_coco8_pose_comes_back_with_its_box_rows(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "data/yolo_pose/coco8-pose"
    files = sorted(source.rglob("*.txt"))
    sizes = {file.stem: (640, 481 - i) for i, file in enumerate(files)}
    dataset = read(source.with_suffix(".yaml"), sizes=sizes)
    write(dataset, tmp_path)
    assert len(files) == 9
    assert sum(len(row) == 5 for file in files for row in numbers(file)) == 2
    for file in files:
        ours = numbers(tmp_path / "labels" / file.relative_to(source))
        theirs = numbers(file)
        assert [len(row) for row in ours] == [len(row) for row in theirs]
        for one, other in zip(ours, theirs, strict=True):
            assert one == pytest.approx(other, abs=1e-6)
