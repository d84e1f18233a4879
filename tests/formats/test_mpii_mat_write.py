"""Writing MPII's .mat: the official layout, read back by scipy and by ourselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from kpkit.core import catalog
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.report import Collector
from kpkit.formats.mpii import MpiiFormat
from kpkit.testing import differences
from kpkit.testing.restrict import EVERYTHING
from tests.mpii_files import EMPTY, entry, issues, point, read, rect, save, structs, write


def release(path: Path) -> Any:
    return scipy.io.loadmat(path, squeeze_me=True, struct_as_record=False)["RELEASE"]


def whole(folder: Path) -> Path:
    """A file with everything the official one has."""
    alone = np.empty((4, 1), object)
    alone[:, 0] = [np.array([[1], [3]]), EMPTY, 1, EMPTY]
    videos = np.empty((1, 2), object)
    videos[0, :] = ["abc", "def"]
    acts = structs([{"cat_name": "sports", "act_name": "judo", "act_id": 7}, *[{"act_id": -1}] * 3])
    test_person = {"scale": 2.0, "objpos": structs([{"x": 5, "y": 6}])}
    return save(
        folder / "official.mat",
        entry("a.jpg", rect(point(8, is_visible=EMPTY), point(1, 0.1, -7.3)), {}, rect(part_occ1="0", n=3), {}),
        entry("b.jpg"),
        entry("c.jpg", test_person, vididx=3, frame_sec=11.5),
        entry("a.jpg", rect(x1=0.3, y1=0.1, x2=10.7, y2=33.3)),
        img_train=np.array([[1, 1, 0, 1]]),
        act=acts.T,
        single_person=alone,
        video_list=videos,
        version="12",
    )


def foreign(**columns: Any) -> Dataset:
    """One person from elsewhere: joint 0 visible, joint 5 occluded, 0-based."""
    xy, visibility = np.full((1, 16, 2), np.nan), np.zeros((1, 16), np.uint8)
    xy[0, 0], xy[0, 5] = (10, 20), (30, 60)
    visibility[0, 0], visibility[0, 5] = 2, 1
    columns = {"image_index": [0], "xy": xy, "visibility": visibility, **columns}
    columns.setdefault("images", ImageTable.build(path=["a.jpg"]))
    return Dataset.build(skeleton=catalog.skeleton("mpii16"), **columns)


def test_everything_of_the_official_file_comes_back_equal(tmp_path: Path) -> None:
    dataset = read(whole(tmp_path))
    back = read(write(dataset, tmp_path / "again.mat"))
    assert differences(dataset, back, EVERYTHING) == []
    assert MpiiFormat().losses(dataset, tmp_path / "again.mat") == []


def test_numbers_of_the_file_come_back_to_the_bit(tmp_path: Path) -> None:
    numbers = [0.1, -7.3, 1 / 3, 128.00000000000003, 1e-9, 5]
    joints = [point(id, x, 1.0) for id, x in enumerate(numbers)]
    path = save(tmp_path / "m.mat", entry("a.jpg", rect(*joints, x1=0.1, y1=1 / 3, x2=0.7, y2=1e-3, scale=1 / 7)))
    person = release(write(read(path), tmp_path / "again.mat")).annolist.annorect
    assert [one.x for one in person.annopoints.point] == numbers
    assert (person.x1, person.y1, person.x2, person.y2, person.scale) == (0.1, 1 / 3, 0.7, 1e-3, 1 / 7)


def test_a_moved_joint_is_written_where_it_is_now(tmp_path: Path) -> None:
    dataset = read(save(tmp_path / "m.mat", entry("a.jpg", rect(point(9, 0.1, 0.1)))))
    moved = dataset.replace(xy=dataset.xy + 5, head_box=dataset.head_box + 1)
    person = release(write(moved, tmp_path / "again.mat")).annolist.annorect
    assert person.annopoints.point.x == pytest.approx(5.1)
    assert person.x1 == 101


def test_the_layout_is_the_official_one(tmp_path: Path) -> None:
    write(read(whole(tmp_path)), tmp_path / "again.mat")
    found = scipy.io.loadmat(tmp_path / "again.mat")["RELEASE"]
    assert found.shape == (1, 1)
    assert found["annolist"][0, 0].shape == (1, 4)
    assert found["annolist"][0, 0].dtype.names == ("image", "annorect", "frame_sec", "vididx")
    assert found["img_train"][0, 0].tolist() == [[1, 1, 0, 1]]
    assert found["act"][0, 0].shape == found["single_person"][0, 0].shape == (4, 1)
    first = found["annolist"][0, 0][0, 0]
    assert first["annorect"].shape == (1, 4)
    assert first["annorect"].dtype.names[:7] == ("x1", "y1", "x2", "y2", "annopoints", "scale", "objpos")
    points = first["annorect"][0, 0]["annopoints"][0, 0]["point"]
    assert points.dtype.names == ("x", "y", "id", "is_visible")
    assert [one["id"].item() for one in points[0]] == [1, 8]
    assert points[0, 1]["is_visible"].size == 0
    assert first["annorect"][0, 1]["scale"].size == 0


def test_visibility_is_written_as_numbers(tmp_path: Path) -> None:
    path = save(tmp_path / "m.mat", entry("a.jpg", rect(point(0, is_visible="0"), point(1, is_visible="1"))))
    points = release(write(read(path), tmp_path / "again.mat")).annolist.annorect.annopoints.point
    assert [(one.id, one.is_visible) for one in points] == [(0, 0), (1, 1)]


def test_a_flag_that_changed_is_written_though_it_was_empty(tmp_path: Path) -> None:
    dataset = read(save(tmp_path / "m.mat", entry("a.jpg", rect(point(8, is_visible=EMPTY)))))
    occluded = dataset.replace(visibility=np.minimum(dataset.visibility, 1))
    assert release(write(occluded, tmp_path / "again.mat")).annolist.annorect.annopoints.point.is_visible == 0


def test_some_of_the_persons_keep_their_slots(tmp_path: Path) -> None:
    dataset = read(whole(tmp_path))
    back = read(write(dataset.take([1, 3]), tmp_path / "again.mat"))
    assert back.extras["mpii.annolist_index"].tolist() == [1, 4]
    assert back.extras["mpii.person_index"].tolist() == [3, 1]
    assert back.images.path.tolist() == dataset.images.path.tolist()


def test_some_of_the_images_are_numbered_anew_and_the_report_says_so(tmp_path: Path) -> None:
    dataset = read(whole(tmp_path))
    kept = dataset.take([2]).replace(images=dataset.images.take(np.array([2])), image_index=np.array([0]))
    collector = Collector()
    back = read(write(kept, tmp_path / "again.mat", collector))
    assert issues(collector) == {"KP-MPII-RENUMBERED": 1}
    assert back.images.path.tolist() == ["c.jpg"]
    assert back.extras["mpii.annolist_index"].tolist() == [1]


def test_labels_from_elsewhere_get_position_from_their_box_and_no_head(tmp_path: Path) -> None:
    write(foreign(bbox_xywh=[[5, 10, 40, 100]]), tmp_path / "m.mat")
    person = release(tmp_path / "m.mat").annolist.annorect
    assert (person.scale, person.objpos.x, person.objpos.y) == (0.5, 26, 61)
    assert [(one.x, one.y, one.is_visible) for one in person.annopoints.point] == [(11, 21, 1), (31, 61, 0)]
    assert person.x1.size == 0
    assert np.isnan(read(tmp_path / "m.mat").head_box).all()


def test_a_person_of_whom_nothing_is_known_survives(tmp_path: Path) -> None:
    nothing = foreign(xy=np.full((1, 16, 2), np.nan), visibility=np.zeros((1, 16)))
    assert len(read(write(nothing, tmp_path / "m.mat"))) == 1


def test_splits_beyond_train_and_test_survive(tmp_path: Path) -> None:
    images = ImageTable.build(path=["a.jpg", "b.jpg", "c.jpg"], split=["val", "", "test"])
    write(foreign(images=images), tmp_path / "m.mat")
    assert read(tmp_path / "m.mat").images.split.tolist() == ["val", "", "test"]
    assert release(tmp_path / "m.mat").img_train.tolist() == [1, 1, 0]


def test_without_any_split_none_is_made_up(tmp_path: Path) -> None:
    write(foreign(), tmp_path / "m.mat")
    assert "img_train" not in release(tmp_path / "m.mat")._fieldnames


def test_coordinates_that_the_shift_may_change_are_counted_as_lost() -> None:
    fine, whole = np.full((1, 16, 2), np.nan), np.zeros((1, 16), np.uint8)
    fine[0, 0], whole[0, 0] = (1e-12, 7.123456789), 2
    lost = MpiiFormat().losses(foreign(xy=fine, visibility=whole), Path("m.mat"))
    assert [(loss.what, loss.count) for loss in lost] == [("coordinates", 1)]


def test_crowd_regions_are_left_out(tmp_path: Path) -> None:
    back = read(write(foreign(is_crowd=[True]), tmp_path / "m.mat"))
    assert (len(back), len(back.images)) == (0, 1)


def test_what_only_the_json_says_is_counted_as_lost() -> None:
    dataset = foreign(extras={"mpii.json_other": [{"a": 1}], "mpii.unlabelled_xy": [{"3": [5.0, 6.0]}]})
    lost = {loss.what for loss in MpiiFormat().losses(dataset, Path("m.mat"))}
    assert lost == {"mpii.json_other", "mpii.unlabelled_xy"}
