"""HRNet's json: shift, flags, what is refused, and the spelling of what is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kpkit.core import catalog
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.report import Collector
from kpkit.errors import FormatError, KpkitError, RecordError, UsageError
from kpkit.formats.mpii import MpiiFormat
from tests.mpii_files import entry, issues, person, read, rect, save, save_json, write


def refusal(path: Path) -> KpkitError:
    with pytest.raises(KpkitError) as caught:
        read(path)
    return caught.value


def foreign(**columns: Any) -> Dataset:
    """One person from elsewhere: joints 0 (visible) and 5 (occluded), 0-based."""
    xy, visibility = np.full((1, 16, 2), np.nan), np.zeros((1, 16), np.uint8)
    xy[0, 0], xy[0, 5] = (10, 20), (30.12345678, 60)
    visibility[0, 0], visibility[0, 5] = 2, 1
    columns = {"image_index": [0], "xy": xy, "visibility": visibility, **columns}
    return Dataset.build(skeleton=catalog.skeleton("mpii16"), images=ImageTable.build(path=["a.jpg"]), **columns)


def written(dataset: Dataset, folder: Path, collector: Collector | None = None) -> Any:
    return json.loads(write(dataset, folder / "out.json", collector).read_text())


def test_pixels_counted_from_one_become_pixels_counted_from_zero(tmp_path: Path) -> None:
    dataset = read(save_json(tmp_path / "v.json", person()))
    assert dataset.xy[0, 3].tolist() == [12.5, 25.0]


def test_the_shift_leaves_no_noise_in_the_decimals(tmp_path: Path) -> None:
    joints = [[128.0321, 0.1]] * 16
    assert read(save_json(tmp_path / "v.json", person(joints=joints))).xy[0, 0].tolist() == [127.0321, -0.9]


def test_labelled_joints_are_read_as_visible_and_the_report_says_that_this_is_unknown(tmp_path: Path) -> None:
    collector = Collector()
    dataset = read(save_json(tmp_path / "v.json", person(labelled=[0, 7]), person(labelled=[3])), collector)
    assert dataset.visibility.sum(axis=1).tolist() == [4, 2]
    assert np.flatnonzero(dataset.visibility[0]).tolist() == [0, 7]
    assert issues(collector) == {"KP-MPII-VISIBILITY-UNKNOWN": 3}


def test_centre_and_scale_are_kept_as_stored(tmp_path: Path) -> None:
    dataset = read(save_json(tmp_path / "v.json", person(), person(center=[-1.0, -1.0], scale=-1.0)))
    assert dataset.extras["mpii.scale"].tolist() == [1.25, None]
    assert dataset.extras["mpii.objpos"].tolist() == [[50.0, 60.0], None]


def test_persons_of_one_image_share_it(tmp_path: Path) -> None:
    dataset = read(save_json(tmp_path / "v.json", person("b.jpg"), person("a.jpg"), person("b.jpg")))
    assert dataset.images.path.tolist() == ["b.jpg", "a.jpg"]
    assert dataset.image_index.tolist() == [0, 1, 0]


def test_files_of_the_test_set_have_persons_without_joints(tmp_path: Path) -> None:
    bare = {"image": "a.jpg", "scale": 2.0, "center": [3.0, 4.0]}
    path = save_json(tmp_path / "t.json", bare)
    dataset = read(path)
    assert dataset.visibility.sum() == 0
    assert written(dataset, tmp_path) == [bare]
    assert MpiiFormat().sniff(path) == "MPII HRNet json"


def test_coordinates_of_an_unlabelled_joint_are_reported_kept_aside_and_written_back(tmp_path: Path) -> None:
    ghost = person(labelled=range(1, 16))
    ghost["joints"][0] = [7.5, 8.0]
    collector = Collector()
    dataset = read(save_json(tmp_path / "v.json", ghost), collector)
    assert dataset.visibility[0, 0] == 0
    assert np.isnan(dataset.xy[0, 0]).all()
    assert issues(collector)["KP-MPII-UNLABELLED-XY"] == 1
    assert written(dataset, tmp_path) == [ghost]


def test_a_joint_labelled_since_then_is_written_instead_of_what_was_aside(tmp_path: Path) -> None:
    ghost = person(labelled=range(1, 16))
    ghost["joints"][0] = [7.5, 8.0]
    dataset = read(save_json(tmp_path / "v.json", ghost))
    xy, visibility = dataset.xy.copy(), dataset.visibility.copy()
    xy[0, 0], visibility[0, 0] = (99, 98), 2
    record = written(dataset.replace(xy=xy, visibility=visibility), tmp_path)[0]
    assert record["joints"][0] == [100.0, 99.0]
    assert record["joints_vis"][0] == 1


def test_labelled_at_minus_one_is_reported(tmp_path: Path) -> None:
    odd = person()
    odd["joints"][2] = [-1.0, -1.0]
    collector = Collector()
    dataset = read(save_json(tmp_path / "v.json", odd), collector)
    assert dataset.xy[0, 2].tolist() == [-2.0, -2.0]
    assert issues(collector)["KP-MPII-MINUS-ONE"] == 1


def test_further_fields_are_kept_aside_and_written_back(tmp_path: Path) -> None:
    records = [person(head_size=3.5, tags=["x", None]), person("b.jpg")]
    collector = Collector()
    dataset = read(save_json(tmp_path / "v.json", *records), collector)
    assert issues(collector)["KP-MPII-JSON-OTHER"] == 1
    assert written(dataset, tmp_path) == records


@pytest.mark.parametrize(
    ("fields", "place", "expected"),
    [
        ({"joints": [[1.0, 2.0]] * 15}, "joints", "16 joints"),
        ({"joints": [[1.0, 2.0]] * 3 + [[1.0, 2.0, 3.0]] + [[1.0, 2.0]] * 12}, "joints[3]", "array of length 2"),
        ({"joints": [[1.0, "2"]] + [[1.0, 2.0]] * 15}, "joints[0][1]", "float"),
        ({"joints": None}, "joints", "joints and joints_vis together, or neither"),
        ({"joints_vis": [1] * 17}, "joints_vis", "16 flags"),
        ({"joints_vis": [1] * 15 + [2]}, "joints_vis[15]", "0 or 1"),
        ({"scale": "1"}, "scale", "float"),
        ({"center": [1.0]}, "center", "array of length 2"),
        ({"image": 5}, "image", "str"),
    ],
)
def test_a_wrong_record_is_named_to_the_field(
    tmp_path: Path, fields: dict[str, Any], place: str, expected: str
) -> None:
    path = save_json(tmp_path / "v.json", person(), person(), person(**fields))
    error = refusal(path)
    assert isinstance(error, RecordError)
    assert error.place == f"{path}: [2].{place}"
    assert error.expected == expected


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    record = person()
    del record["scale"]
    error = refusal(save_json(tmp_path / "v.json", record))
    assert error.place.endswith(": [0]")
    assert "scale" in error.expected


def test_a_record_that_is_no_object_is_named(tmp_path: Path) -> None:
    assert refusal(save_json(tmp_path / "v.json", person(), 5)).place.endswith(": [1]")


def test_collecting_errors_finds_all_of_them_and_keeps_the_rest(tmp_path: Path) -> None:
    collector = Collector("collect")
    path = save_json(
        tmp_path / "v.json", person(scale="x"), person("b.jpg"), person(joints_vis=[1]), person("../c.jpg")
    )
    dataset = read(path, collector)
    assert issues(collector)["KP-MPII-JSON-RECORD"] == 2
    assert issues(collector)["KP-PATH-OUTSIDE"] == 1
    assert dataset.images.path.tolist()[0] == "b.jpg"


@pytest.mark.parametrize(
    "text", ['[{"image": "a.jpg", "scale": NaN}]', '[{"joints_vis": [', '{"joints_vis": []}', '"joints_vis"', ""]
)
def test_text_that_is_no_list_of_persons_is_a_format_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "v.json").write_text(text)
    error = refusal(tmp_path / "v.json")
    assert isinstance(error, FormatError)
    assert str(tmp_path / "v.json") in error.place


def test_an_image_outside_the_dataset_is_refused(tmp_path: Path) -> None:
    error = refusal(save_json(tmp_path / "v.json", person(), person("/etc/passwd")))
    assert error.place.endswith(": [1].image")


def test_what_was_read_is_written_to_the_byte(tmp_path: Path) -> None:
    path = save_json(tmp_path / "v.json", person(scale=4.718488), person("b.jpg", labelled=[2, 9]))
    write(read(path), tmp_path / "out.json")
    assert (tmp_path / "out.json").read_bytes() == path.read_bytes()


def test_a_person_from_elsewhere_gets_scale_and_centre_from_its_box(tmp_path: Path) -> None:
    collector = Collector()
    record = written(foreign(bbox_xywh=[[5, 10, 40, 100]]), tmp_path, collector)[0]
    assert record["scale"] == 0.5
    assert record["center"] == [26.0, 61.0]
    assert record["joints"][5] == [31.1235, 61.0]
    assert record["joints_vis"] == [1, 0, 0, 0, 0, 1] + [0] * 10
    assert list(record) == ["joints_vis", "joints", "image", "scale", "center"]
    assert issues(collector) == {"KP-MPII-POSITION": 1}


def test_without_a_box_the_hull_of_the_joints_takes_its_place(tmp_path: Path) -> None:
    record = written(foreign(), tmp_path)[0]
    assert record["scale"] == 0.2
    assert record["center"] == [21.06172839, 41.0]


def test_a_person_of_whom_nothing_is_known_is_written_as_missing(tmp_path: Path) -> None:
    collector = Collector()
    nothing = foreign(xy=np.full((1, 16, 2), np.nan), visibility=np.zeros((1, 16)))
    assert written(nothing, tmp_path, collector) == [{"image": "a.jpg", "scale": -1.0, "center": [-1.0, -1.0]}]
    assert issues(collector)["KP-MPII-JSON-NOWHERE"] == 1


def test_decimals_are_rounded_by_their_decimal_digits(tmp_path: Path) -> None:
    xy = np.full((1, 16, 2), np.nan)
    xy[0, 0] = (0.34465, 5)
    raw = np.array([{"0": [0.34465, 6.0]}], object)
    dataset = foreign(
        xy=np.where(np.isnan(xy), xy, xy - [1, 0]), visibility=[[2] + [0] * 15], extras={"mpii.raw_xy": raw}
    )
    assert written(dataset, tmp_path)[0]["joints"][0] == [0.3447, 6.0]


def test_crowd_regions_are_left_out_and_counted_as_lost(tmp_path: Path) -> None:
    crowd = foreign(is_crowd=[True])
    assert written(crowd, tmp_path) == []
    assert {loss.what for loss in MpiiFormat().losses(crowd, Path("a.json"))} >= {"is_crowd", "visibility 1"}


def test_labels_of_another_skeleton_are_refused_with_the_option_that_helps(tmp_path: Path) -> None:
    coco = catalog.skeleton("coco17")
    other = Dataset.build(skeleton=coco, images=ImageTable.build(path=[]), image_index=[], xy=[], visibility=[])
    with pytest.raises(UsageError) as caught:
        write(other, tmp_path / "out.json")
    assert "--skeleton mpii16" in caught.value.help


def test_the_json_loses_what_only_the_mat_file_says() -> None:
    dataset = foreign(extras={"mpii.annolist_index": [3], "mpii.scale": [1.23456789], "mpii.objpos": [[1, 2]]})
    lost = {loss.what: loss.count for loss in MpiiFormat().losses(dataset, Path("a.json"))}
    assert lost == {"visibility 1": 1, "coordinates": 1, "mpii.annolist_index": 1, "mpii.scale": 1}
    assert MpiiFormat().losses(dataset, Path("a.mat")) == []


def test_other_lists_are_not_taken_for_persons(tmp_path: Path) -> None:
    for text in ('[{"image_id": 1, "keypoints": []}]', '[{"image": "a"}]', "[1]", '{"images": []}', "x"):
        (tmp_path / "v.json").write_text(text)
        assert MpiiFormat().sniff(tmp_path / "v.json") is None
    assert MpiiFormat().sniff(tmp_path / "none.json") is None


def test_labels_are_found_at_their_usual_places(tmp_path: Path) -> None:
    official = save(tmp_path / "mpii_human_pose_v1_u12_1.mat", entry("a.jpg", rect()))
    (tmp_path / "annot").mkdir()
    train = save_json(tmp_path / "annot" / "train.json", person())
    (tmp_path / "annot" / "settings.json").write_text('{"images": "here"}')
    (tmp_path / "release").mkdir()
    inner = save(tmp_path / "release" / "mpii_human_pose_v1_u12_1.mat", entry("a.jpg", rect()))
    assert MpiiFormat().discover(tmp_path) == sorted([official, train, inner])
