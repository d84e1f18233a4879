"""Reading YOLO-pose folders: layouts, joints, sizes, and rows that are wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kpkit.core import catalog
from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector
from kpkit.core.skeleton import Skeleton
from kpkit.errors import FormatError, InputError, KpkitError, RecordError, UsageError
from kpkit.formats.base import ReadOptions
from kpkit.formats.yolo_pose import YoloPoseFormat

YAML = "kpt_shape: [2, 3]\nflip_idx: [1, 0]\nnames: {0: person}\nkpt_names: {0: [left_hand, right_hand]}\n"
ROW = "0 0.5 0.5 0.2 0.4 0.25 0.5 2 0.75 0.5 1\n"
SIZE = {"a.jpg": (200, 100)}


def make(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def read(path: Path, collector: Collector | None = None, **options: Any) -> Dataset:
    return YoloPoseFormat().read(path, ReadOptions(**({"sizes": SIZE} | options)), collector or Collector())


def codes(collector: Collector) -> dict[str, int]:
    return {issue.code: issue.count for issue in collector.issues}


def refused(kind: type[KpkitError], path: Path, **options: Any) -> KpkitError:
    with pytest.raises(kind) as caught:
        read(path, **options)
    return caught.value


def test_coordinates_are_multiplied_by_the_image_size(tmp_path: Path) -> None:
    dataset = read(make(tmp_path, {"data.yaml": YAML, "labels/train/a.txt": ROW}))
    assert dataset.xy.tolist() == [[[50.0, 50.0], [150.0, 50.0]]]
    assert dataset.bbox_xywh[0] == pytest.approx([80.0, 30.0, 40.0, 40.0])
    assert dataset.visibility.tolist() == [[2, 1]]


def test_joint_names_and_flip_pairs_come_from_the_yaml(tmp_path: Path) -> None:
    skeleton = read(make(tmp_path, {"data.yaml": YAML, "labels/train/a.txt": ROW})).skeleton
    assert skeleton.keypoints == ("left_hand", "right_hand")
    assert skeleton.flip_pairs == ((0, 1),)


def test_flags_written_as_floats_are_read(tmp_path: Path) -> None:
    row = ROW.replace(" 2 ", " 2.000000 ").replace(" 1\n", " 1.000000\n")
    dataset = read(make(tmp_path, {"data.yaml": YAML, "labels/train/a.txt": row}))
    assert dataset.visibility.tolist() == [[2, 1]]


@pytest.mark.parametrize(
    ("label", "image", "split"),
    [
        ("labels/train/a.txt", "images/train/a.jpg", "train"),
        ("train/labels/a.txt", "train/images/a.jpg", "train"),
        ("val2017/a.txt", "val2017/a.jpg", "val2017"),
        ("labels/a.txt", "images/a.jpg", ""),
        ("a.txt", "a.jpg", ""),
        ("deep/labels/test/b/a.txt", "deep/images/test/b/a.jpg", "test"),
    ],
)
def test_image_and_split_follow_from_the_place_of_the_label(tmp_path: Path, label: str, image: str, split: str) -> None:
    images = read(make(tmp_path, {"data.yaml": YAML, label: ROW})).images
    assert (images.path.tolist(), images.split.tolist()) == ([image], [split])


def test_the_real_image_gives_the_name(tmp_path: Path) -> None:
    make(tmp_path, {"data.yaml": YAML, "labels/train/a.txt": ROW, "images/train/a.PNG": "", "images/train/a.txt": ""})
    dataset = read(tmp_path, sizes={"a": (200, 100)})
    assert dataset.images.path.tolist() == ["images/train/a.PNG"]
    assert dataset.image_root == str(tmp_path)


def test_an_unseen_image_is_called_jpg_and_that_is_said(tmp_path: Path) -> None:
    collector = Collector()
    dataset = read(make(tmp_path, {"data.yaml": YAML, "labels/a.txt": ROW}), collector, sizes={"a": (200, 100)})
    assert dataset.images.path.tolist() == ["images/a.jpg"]
    assert codes(collector)["KP-YOLO-IMAGE-NAME"] == 1


def test_a_name_among_the_sizes_gives_the_image_its_ending(tmp_path: Path) -> None:
    dataset = read(make(tmp_path, {"data.yaml": YAML, "labels/a.txt": ROW}), sizes={"x/a.webp": (200, 100)})
    assert dataset.images.path.tolist() == ["images/a.webp"]


def test_images_without_labels_are_images_without_persons(tmp_path: Path) -> None:
    make(tmp_path, {"data.yaml": YAML, "labels/train/a.txt": ROW, "images/train/a.jpg": "", "images/train/b.jpg": ""})
    dataset = read(tmp_path)
    assert dataset.images.path.tolist() == ["images/train/a.jpg", "images/train/b.jpg"]
    assert dataset.image_index.tolist() == [0]


def test_lists_and_notes_at_the_root_are_no_labels(tmp_path: Path) -> None:
    make(tmp_path, {"data.yaml": YAML, "a.txt": ROW, "train.txt": "./a.jpg\n", "README.roboflow.txt": "hello\n"})
    assert read(tmp_path).images.path.tolist() == ["a.jpg"]


@pytest.mark.parametrize("name", ["set", "set.yaml"])
def test_a_yaml_beside_the_folder_describes_it(tmp_path: Path, name: str) -> None:
    make(tmp_path, {"set.yaml": YAML + "path: C:/somewhere/else\n", "set/train/a.txt": ROW})
    collector = Collector()
    dataset = read(tmp_path / name, collector)
    assert dataset.images.path.tolist() == ["train/a.jpg"]
    assert ("KP-YOLO-PATH" in codes(collector)) == (name == "set.yaml")


def test_the_path_of_the_yaml_is_followed_where_it_exists(tmp_path: Path) -> None:
    make(tmp_path, {"conf/my.yaml": YAML + "path: ../elsewhere\n", "elsewhere/labels/train/a.txt": ROW})
    assert len(read(tmp_path / "conf" / "my.yaml")) == 1


def test_a_path_above_the_yaml_is_not_searched(tmp_path: Path) -> None:
    make(tmp_path, {"conf/my.yaml": YAML + f"path: {tmp_path}\n", "conf/labels/a.txt": ROW, "labels/train/b.txt": ROW})
    assert read(tmp_path / "conf" / "my.yaml").images.path.tolist() == ["images/a.jpg"]


def test_two_yaml_files_in_a_folder_are_an_error_that_names_them(tmp_path: Path) -> None:
    make(tmp_path, {"one.yaml": YAML, "two.yaml": YAML, "labels/a.txt": ROW})
    assert refused(FormatError, tmp_path).got == "one.yaml, two.yaml"


def test_unknown_sizes_are_an_error_that_names_both_options(tmp_path: Path) -> None:
    make(tmp_path, {"data.yaml": YAML, "labels/train/a.txt": ROW, "labels/train/empty.txt": ""})
    error = refused(InputError, tmp_path, sizes={})
    assert error.exit_code == 2
    assert "--images" in error.help
    assert "--image-sizes" in error.help
    assert error.got == "none for 1 of 2 images"


def test_an_image_without_persons_needs_no_size(tmp_path: Path) -> None:
    dataset = read(make(tmp_path, {"data.yaml": YAML, "labels/train/empty.txt": "\n\n"}), sizes={})
    assert dataset.images.width.tolist() == [-1]
    assert len(dataset) == 0


def test_the_size_with_the_nearest_path_is_taken(tmp_path: Path) -> None:
    make(tmp_path, {"data.yaml": YAML, "labels/train/a.txt": ROW, "labels/val/a.txt": ROW})
    dataset = read(tmp_path, sizes={"val/a.jpg": (10, 20), "train/a.jpg": (30, 40)})
    assert dataset.images.width.tolist() == [30, 10]


def test_sizes_that_contradict_each_other_are_not_used(tmp_path: Path) -> None:
    make(tmp_path, {"data.yaml": YAML, "labels/train/a.txt": ROW})
    refused(InputError, tmp_path, sizes={"x/a.jpg": (10, 20), "y/a.jpg": (30, 40)})


def test_without_a_yaml_the_skeleton_has_to_be_named(tmp_path: Path) -> None:
    make(tmp_path, {"labels/train/a.txt": ROW})
    assert "--skeleton" in refused(UsageError, tmp_path).help
    hands = Skeleton(name="hands", keypoints=("a", "b"))
    assert read(tmp_path, skeleton=hands).skeleton == hands


def test_a_skeleton_of_another_length_is_refused_with_the_line(tmp_path: Path) -> None:
    make(tmp_path, {"labels/train/a.txt": ROW})
    error = refused(RecordError, tmp_path, skeleton=catalog.skeleton("coco17"))
    assert error.place.endswith("labels/train/a.txt: line 1")
    assert (error.expected[:2], error.got) == ("56", "11")


def test_seventeen_unnamed_joints_with_cocos_flip_index_are_coco(tmp_path: Path) -> None:
    coco = catalog.skeleton("coco17")
    row = "0 0.5 0.5 0.2 0.4" + " 0.5 0.5 2" * 17 + "\n"
    yaml = f"kpt_shape: [17, 3]\nflip_idx: {coco.flip_index.tolist()}\n"
    collector = Collector()
    assert read(make(tmp_path, {"data.yaml": yaml, "labels/a.txt": row}), collector).skeleton == coco
    assert "KP-YOLO-COCO17" in codes(collector)


def test_other_unnamed_joints_get_numbers_and_the_flip_pairs_of_the_file(tmp_path: Path) -> None:
    yaml = "kpt_shape: [2, 3]\nflip_idx: [1, 0]\n"
    skeleton = read(make(tmp_path, {"data.yaml": yaml, "labels/a.txt": ROW})).skeleton
    assert skeleton.keypoints == ("kp0", "kp1")
    assert skeleton.flip_pairs == ((0, 1),)


@pytest.mark.parametrize("flip", ["[1, 1]", "[0]", "[5, 0]", "['a', 0]", "7"])
def test_a_flip_index_that_does_not_pair_is_a_finding(tmp_path: Path, flip: str) -> None:
    yaml = YAML.replace("[1, 0]", flip)
    collector = Collector()
    assert read(make(tmp_path, {"data.yaml": yaml, "labels/a.txt": ROW}), collector).skeleton.flip_pairs == ()
    assert "KP-YOLO-FLIP" in codes(collector)


def test_box_rows_in_a_pose_folder_are_persons_without_joints(tmp_path: Path) -> None:
    dataset = read(make(tmp_path, {"data.yaml": YAML, "labels/a.txt": "0 0.5 0.5 0.2 0.4\n" + ROW}))
    assert dataset.visibility.tolist() == [[0, 0], [2, 1]]
    assert np.isnan(dataset.xy[0]).all()
    assert dataset.extras["yolo.columns"].tolist() == [5, None]


def test_two_numbers_a_joint_mean_visible_or_at_the_origin_unlabelled(tmp_path: Path) -> None:
    yaml = YAML.replace("[2, 3]", "[2, 2]")
    collector = Collector()
    dataset = read(make(tmp_path, {"data.yaml": yaml, "labels/a.txt": "0 0.5 0.5 0.2 0.4 0.25 0.5 0 0\n"}), collector)
    assert dataset.visibility.tolist() == [[2, 0]]
    assert codes(collector)["KP-YOLO-NO-FLAGS"] == 1


def test_coordinates_of_unlabelled_joints_are_kept_aside_and_counted(tmp_path: Path) -> None:
    row = ROW.replace("0.75 0.5 1", "0.75 0.5 0")
    collector = Collector()
    dataset = read(make(tmp_path, {"data.yaml": YAML, "labels/a.txt": row}), collector)
    assert dataset.visibility.tolist() == [[2, 0]]
    assert np.isnan(dataset.xy[0, 1]).all()
    assert dataset.extras["yolo.unlabelled_xy"].tolist() == [[[1, 0.75, 0.5]]]
    assert codes(collector)["KP-YOLO-GHOST"] == 1


@pytest.mark.parametrize(("x", "code"), [("0.1000005", "KP-YOLO-BOX-ROUNDED"), ("0.09", "KP-YOLO-BOX-OUTSIDE")])
def test_boxes_beyond_the_image_are_kept_and_counted(tmp_path: Path, x: str, code: str) -> None:
    collector = Collector()
    row = f"0 {x} 0.5 0.200002 0.4 0.25 0.5 2 0.75 0.5 1\n"
    dataset = read(make(tmp_path, {"data.yaml": YAML, "labels/a.txt": row}), collector)
    assert dataset.bbox_xywh[0, 0] == pytest.approx((float(x) - 0.100001) * 200)
    assert codes(collector)[code] == 1


def test_classes_are_categories_counted_from_one(tmp_path: Path) -> None:
    yaml = YAML.replace("{0: person}", "[dancer, runner]")
    dataset = read(make(tmp_path, {"data.yaml": yaml, "labels/a.txt": ROW + "1" + ROW[1:]}))
    assert dataset.category_id.tolist() == [1, 2]
    assert dataset.meta["yolo.names"] == {"0": "dancer", "1": "runner"}


@pytest.mark.parametrize(
    ("row", "code", "detail"),
    [
        ("0 0.5 0.5 0.2 0.4 0.25 0.5 2 0.75 0.5", "KP-YOLO-LENGTH", "10"),
        ("0 0.5 0.5 0.2 0.4 0.25 0.5 2 0.75 0.5 x", "KP-YOLO-NUMBER", "'x'"),
        ("0 0.5 0.5 0.2 0.4 0.25 0.5 2 0.75 1_0 1", "KP-YOLO-NUMBER", "'1_0'"),
        ("0 0.5 0.5 0.2 0.4 0.25 0.5 2 0.75 0.5 3", "KP-YOLO-VISIBILITY", "3 (joint 1, column 11)"),
        ("0 0.5 0.5 0.2 0.4 0.25 0.5 2 0.75 nan 1", "KP-YOLO-NUMBER", "0 0.5 0.5 0.2 0.4 0.25 0.5 2 ..."),
        ("-1 0.5 0.5 0.2 0.4 0.25 0.5 2 0.75 0.5 1", "KP-YOLO-CLASS", "-1 0.5"),
        ("0.5 0.5 0.5 0.2 0.4 0.25 0.5 2 0.75 0.5 1", "KP-YOLO-CLASS", "0.5 0.5"),
        ("0 0.5 0.5 -0.2 0.4 0.25 0.5 2 0.75 0.5 1", "KP-YOLO-BOX", "-0.2"),
    ],
)
def test_a_wrong_row_is_named_with_its_line_and_the_others_are_kept(
    tmp_path: Path, row: str, code: str, detail: str
) -> None:
    make(tmp_path, {"data.yaml": YAML, "labels/a.txt": f"{ROW}\n{row}\r\n{ROW}"})
    error = refused(RecordError, tmp_path)
    assert error.code == code
    assert "a.txt: line 3" in error.place
    assert detail in error.got
    collector = Collector("collect")
    assert len(read(tmp_path, collector)) == 2
    assert codes(collector)[code] == 1


@pytest.mark.parametrize(
    "yaml",
    [
        "kpt_shape: [17]",
        "kpt_shape: [-1, 3]",
        "kpt_shape: [2, 4]",
        "kpt_shape: [100000000, 3]",
        "kpt_shape: x",
        "kpt_shape: [2, 3]\nnames: 5",
        "kpt_shape: [2, 3]\nkpt_names: {0: [a, b], 1: [a, c]}",
        "kpt_shape: [2, 3]\nkpt_names: [a, a]\nflip_idx: [0, 1]",
        "kpt_shape: [2, 3]\nnames: &a [x]\nother: *a",
        "kpt_shape: [2, 3]\nnames: [x",
        "kpt_shape: [2, 3]\nnames: " + "[" * 3000,
        "kpt_shape: [2, 3]\nx: !!python/object/apply:os.system [echo]",
        "kpt_shape: [2, 3]\nx: \x01",
    ],
)
def test_a_hostile_or_broken_yaml_is_an_error_with_its_name(tmp_path: Path, yaml: str) -> None:
    make(tmp_path, {"data.yaml": yaml + "\n", "labels/a.txt": ROW})
    assert "data.yaml" in refused(KpkitError, tmp_path).place


def test_a_large_yaml_is_refused(tmp_path: Path) -> None:
    make(tmp_path, {"data.yaml": YAML + "#" * (1 << 20), "labels/a.txt": ROW})
    assert refused(FormatError, tmp_path).expected == "at most 1 MB"


def test_a_missing_folder_and_one_without_labels_are_errors(tmp_path: Path) -> None:
    refused(InputError, tmp_path / "nowhere")
    refused(FormatError, tmp_path, skeleton=catalog.skeleton("coco17"))


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    make(tmp_path, {"data.yaml": YAML, "labels/train/a.txt": ROW})
    (tmp_path / "labels" / "train" / "again").symlink_to(tmp_path, target_is_directory=True)
    assert len(read(tmp_path)) == 1


def test_sniff_knows_yaml_folders_and_bare_labels(tmp_path: Path) -> None:
    make(
        tmp_path, {"one/data.yaml": YAML, "two/labels/train/a.txt": ROW, "three/notes.txt": "1 2 3\n", "x.yaml": "a: 1"}
    )
    sniff = YoloPoseFormat().sniff
    assert sniff(tmp_path / "one") == "YOLO-pose folder"
    assert sniff(tmp_path / "one" / "data.yaml") == "YOLO-pose data.yaml"
    assert sniff(tmp_path / "two") == "YOLO-pose labels without data.yaml"
    assert [sniff(tmp_path / name) for name in ("three", "x.yaml", "nowhere")] == [None, None, None]


def test_discover_finds_the_yaml_or_else_the_folder(tmp_path: Path) -> None:
    make(tmp_path, {"one/data.yaml": YAML, "two/labels/train/a.txt": ROW})
    discover = YoloPoseFormat().discover
    assert discover(tmp_path) == [tmp_path / "one" / "data.yaml"]
    assert discover(tmp_path / "two") == [tmp_path / "two"]


def test_many_files_are_read_in_order(tmp_path: Path) -> None:
    rows = {f"labels/train/{i:04d}.txt": ROW.replace("0.25", f"{i / 1000:.3f}") * (i % 3) for i in range(300)}
    dataset = read(make(tmp_path, {"data.yaml": YAML} | rows), sizes={f"{i:04d}": (1000, 100) for i in range(300)})
    assert dataset.image_index.tolist() == [i for i in range(300) for _ in range(i % 3)]
    assert dataset.xy[:, 0, 0] == pytest.approx(dataset.image_index.astype(float))
