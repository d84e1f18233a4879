"""Reading MPII's .mat files: shift, codes, quirks, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from kpkit.core.report import Collector
from kpkit.errors import FormatError, InputError, KpkitError, RecordError, UsageError
from kpkit.formats.mpii import MpiiFormat
from kpkit.testing import differences
from kpkit.testing.restrict import EVERYTHING
from tests.mpii_files import EMPTY, entry, issues, point, points, rect, save, structs
from tests.mpii_files import read as read_in_child
from tests.mpii_files import read_here as read


def joint(dataset: Any, person: int, id: int) -> tuple[float, float, int]:
    x, y = dataset.xy[person, id].tolist()
    return x, y, int(dataset.visibility[person, id])


def refusal(path: Path, **options: Any) -> KpkitError:
    with pytest.raises(KpkitError) as caught:
        read(path, **options)
    return caught.value


def refusal_of_file(path: Path) -> KpkitError:
    with pytest.raises(KpkitError) as caught:
        read_in_child(path)
    return caught.value


def test_pixels_counted_from_one_become_pixels_counted_from_zero(tmp_path: Path) -> None:
    dataset = read(save(tmp_path / "m.mat", entry("a.jpg", rect(point(3, 10, 20.25)))))
    assert joint(dataset, 0, 3) == (9.0, 19.25, 2)
    assert dataset.head_box.tolist() == [[99.0, 49.0, 30.0, 40.0]]


def test_the_child_process_reads_the_same(tmp_path: Path) -> None:
    path = save(tmp_path / "m.mat", entry("a.jpg", rect(), {}, rect(point(8, 0.1, -5, EMPTY), part_occ1="1")))
    assert differences(read(path), read_in_child(path), EVERYTHING) == []


def test_an_error_of_the_child_process_names_the_file_once(tmp_path: Path) -> None:
    path = save(tmp_path / "m.mat", entry("a.jpg", rect()), img_train=np.array([[1, 1, 0]]))
    error = refusal_of_file(path)
    assert isinstance(error, FormatError)
    assert error.place == str(path)


def test_position_and_scale_are_kept_as_stored(tmp_path: Path) -> None:
    dataset = read(save(tmp_path / "m.mat", entry("a.jpg", rect(scale=3, objpos=structs([{"x": 7, "y": 8}])))))
    assert dataset.extras["mpii.scale"].tolist() == [3.0]
    assert dataset.extras["mpii.objpos"].tolist() == [[7.0, 8.0]]


def test_person_boxes_are_unknown_because_the_head_box_is_no_person_box(tmp_path: Path) -> None:
    assert np.isnan(read(save(tmp_path / "m.mat", entry("a.jpg", rect()))).bbox_xywh).all()


@pytest.mark.parametrize(
    ("stored", "canonical"), [(0, 1), (1, 2), ("0", 1), ("1", 2), (EMPTY, 2), (True, 2), (np.uint8(0), 1), (1.0, 2)]
)
def test_each_encoding_of_is_visible(tmp_path: Path, stored: Any, canonical: int) -> None:
    dataset = read(save(tmp_path / "m.mat", entry("a.jpg", rect(point(8, is_visible=stored)))))
    assert dataset.visibility[0].tolist() == [0] * 8 + [canonical] + [0] * 7


def test_empty_is_visible_is_counted_and_remembered(tmp_path: Path) -> None:
    collector = Collector()
    path = save(
        tmp_path / "m.mat", entry("a.jpg", rect(point(8, is_visible=EMPTY), point(9, is_visible=EMPTY), point(1)))
    )
    dataset = read(path, collector)
    assert issues(collector) == {"KP-MPII-VISIBLE-EMPTY": 2}
    assert dataset.extras["mpii.visible_unknown"].tolist() == [[8, 9]]


def test_a_missing_field_is_visible_counts_as_empty(tmp_path: Path) -> None:
    bare = {"x": 5, "y": 6, "id": 2}
    dataset = read(save(tmp_path / "m.mat", entry("a.jpg", rect(annopoints=points(bare)))))
    assert joint(dataset, 0, 2) == (4.0, 5.0, 2)


def test_small_integers_do_not_wrap(tmp_path: Path) -> None:
    small = point(0, np.uint8(0), np.uint8(255))
    dataset = read(save(tmp_path / "m.mat", entry("a.jpg", rect(small, x1=np.uint8(200), x2=np.uint16(300)))))
    assert joint(dataset, 0, 0) == (-1.0, 254.0, 2)
    assert dataset.head_box[0, 2] == 100.0


def test_points_are_taken_by_id_not_by_position(tmp_path: Path) -> None:
    dataset = read(save(tmp_path / "m.mat", entry("a.jpg", rect(point(15, 1, 1), point(0, 2, 2), point(7, 3, 3)))))
    assert [joint(dataset, 0, id)[0] for id in (15, 0, 7)] == [0.0, 1.0, 2.0]
    assert np.count_nonzero(dataset.visibility) == 3


def test_the_order_of_fields_does_not_matter(tmp_path: Path) -> None:
    other = {"is_visible": 0, "id": 4, "y": 30, "x": 40}
    path = save(tmp_path / "m.mat", entry("a.jpg", rect(point(4, 40, 30, 0)), {"annopoints": points(other)}))
    dataset = read(path)
    assert joint(dataset, 0, 4) == joint(dataset, 1, 4) == (39.0, 29.0, 1)


def test_a_joint_without_a_point_is_unlabelled(tmp_path: Path) -> None:
    dataset = read(save(tmp_path / "m.mat", entry("a.jpg", rect(point(3)))))
    assert np.isnan(dataset.xy[0, 4]).all()
    assert dataset.visibility[0, 4] == 0


def test_negative_coordinates_are_labels(tmp_path: Path) -> None:
    dataset = read(save(tmp_path / "m.mat", entry("a.jpg", rect(point(9, -12.5, 0)))))
    assert joint(dataset, 0, 9) == (-13.5, -1.0, 2)


def test_empty_slots_are_no_persons_and_keep_their_number(tmp_path: Path) -> None:
    collector = Collector()
    dataset = read(save(tmp_path / "m.mat", entry("a.jpg", {"x1": EMPTY}, rect(), {}, rect())), collector)
    assert dataset.extras["mpii.person_index"].tolist() == [2, 4]
    assert issues(collector)["KP-MPII-EMPTY-SLOT"] == 2


def test_persons_without_points_survive_without_labels(tmp_path: Path) -> None:
    test_person = {"scale": 2.0, "objpos": structs([{"x": 5, "y": 6}])}
    path = save(tmp_path / "m.mat", entry("a.jpg", rect()), entry("b.jpg", test_person), img_train=np.array([[1, 0]]))
    dataset = read(path)
    assert dataset.images.path[dataset.image_index].tolist() == ["a.jpg", "b.jpg"]
    assert dataset.visibility[1].sum() == 0
    assert dataset.images.split.tolist() == ["train", "test"]


def test_images_without_persons_survive(tmp_path: Path) -> None:
    dataset = read(save(tmp_path / "m.mat", entry("a.jpg"), entry("b.jpg", rect()), entry("c.jpg")))
    assert dataset.images.path.tolist() == ["a.jpg", "b.jpg", "c.jpg"]
    assert dataset.image_index.tolist() == [1]


def test_entries_of_one_image_are_one_image(tmp_path: Path) -> None:
    dataset = read(save(tmp_path / "m.mat", entry("a.jpg", rect()), entry("b.jpg", rect()), entry("a.jpg", rect())))
    assert dataset.images.path.tolist() == ["a.jpg", "b.jpg"]
    assert dataset.image_index.tolist() == [0, 1, 0]
    assert dataset.extras["mpii.annolist_index"].tolist() == [1, 2, 3]


def test_entries_of_one_image_that_disagree_are_reported(tmp_path: Path) -> None:
    collector = Collector()
    path = save(tmp_path / "m.mat", entry("a.jpg", rect()), entry("a.jpg", rect()), img_train=np.array([[1, 0]]))
    assert read(path, collector).images.split.tolist() == ["train"]
    assert issues(collector)["KP-MPII-ROWS-DISAGREE"] == 1


def test_fields_of_the_release_reach_the_dataset(tmp_path: Path) -> None:
    acts = structs(
        [{"cat_name": "sports", "act_name": EMPTY, "act_id": -1}, {"cat_name": "x", "act_name": "y", "act_id": 3}]
    )
    alone = np.empty((2, 1), object)
    alone[0, 0], alone[1, 0] = np.array([[2], [3]]), EMPTY
    videos = np.empty((1, 2), object)
    videos[0, 0], videos[0, 1] = "abc", "déf"
    path = save(
        tmp_path / "m.mat",
        entry("a.jpg", rect(), rect(), rect(), vididx=5, frame_sec=11),
        entry("b.jpg", rect()),
        act=acts.T,
        single_person=alone,
        video_list=videos,
        version="12",
    )
    dataset = read(path)
    assert dataset.images.extras["mpii.act"][0] == {"cat_name": "sports", "act_name": None, "act_id": -1}
    assert dataset.images.extras["mpii.vididx"].tolist() == [5, None]
    assert dataset.images.extras["mpii.frame_sec"].tolist() == [11, None]
    assert dataset.extras["mpii.single_person"].tolist() == [False, True, True, False]
    assert dataset.meta == {"mpii.video_list": ["abc", "déf"], "mpii.version": "12"}


def test_further_fields_of_a_person_are_kept_with_their_emptiness(tmp_path: Path) -> None:
    path = save(
        tmp_path / "m.mat", entry("a.jpg", rect(part_occ1="0", part_occ2=EMPTY, head_r11="3.6e-16", n=2.5), rect())
    )
    other = read(path).extras["mpii.other"]
    assert other[0] == {"part_occ1": "0", "part_occ2": None, "head_r11": "3.6e-16", "n": 2.5}
    assert other[1] == {"part_occ1": None, "part_occ2": None, "head_r11": None, "n": None}


def test_a_release_of_cells_reads_like_one_of_structs(tmp_path: Path) -> None:
    def cells(*values: Any) -> np.ndarray:
        found = np.empty((1, len(values)), object)
        found[0, :] = list(values)
        return found

    joints = cells(structs([point(0, 5, 6)]), structs([point(1, 7, 8, 0)]))
    person = structs([{"annopoints": structs([{"point": joints}]), "scale": 2.0}])
    annolist = cells(structs([{"image": structs([{"name": "a.jpg"}]), "annorect": person}]))
    scipy.io.savemat(tmp_path / "m.mat", {"RELEASE": structs([{"annolist": annolist}])})
    dataset = read(tmp_path / "m.mat")
    assert (joint(dataset, 0, 0), joint(dataset, 0, 1)) == ((4.0, 5.0, 2), (6.0, 7.0, 1))


def test_a_bare_annolist_takes_its_names_from_a_list(tmp_path: Path) -> None:
    path = save(tmp_path / "m.mat", entry(None, rect()), entry(None, rect()), bare=True)
    names = tmp_path / "names.txt"
    names.write_bytes(b"\xef\xbb\xbfa.jpg\r\nb.jpg\r\n\r\n")
    assert read(path, image_list=names).images.path.tolist() == ["a.jpg", "b.jpg"]


def test_a_bare_annolist_without_a_list_names_the_option(tmp_path: Path) -> None:
    error = refusal(save(tmp_path / "m.mat", entry(None, rect()), bare=True))
    assert isinstance(error, UsageError)
    assert "--image-list" in error.help


def test_a_list_of_another_length_names_both_counts(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("a.jpg\n")
    error = refusal(save(tmp_path / "m.mat", entry(None, rect()), entry(None, rect()), bare=True), image_list=names)
    assert isinstance(error, InputError)
    assert error.expected.startswith("2 names")
    assert error.got == "1 names"


@pytest.mark.parametrize(
    ("fields", "place", "got"),
    [
        ({"is_visible": 2}, "is_visible", "2"),
        ({"is_visible": "x"}, "is_visible", "'x'"),
        ({"is_visible": "10"}, "is_visible", "no single number"),
        ({"id": 16}, "id", "16"),
        ({"id": -1}, "id", "-1"),
        ({"id": 1.5}, "id", "1.5"),
        ({"id": EMPTY}, "id", "nothing ([])"),
        ({"x": np.nan}, "x", "nan"),
        ({"y": np.inf}, "y", "inf"),
        ({"y": EMPTY}, "y", "nothing ([])"),
        ({"x": "7"}, "x", "'7'"),
        ({"x": np.array([[1, 2]])}, "x", "no single number"),
        ({"x": 3 + 4j}, "x", "no single number"),
    ],
)
def test_a_wrong_point_is_named_to_the_field(tmp_path: Path, fields: dict[str, Any], place: str, got: str) -> None:
    wrong = {**point(3), **fields}
    path = save(tmp_path / "m.mat", entry("a.jpg"), entry("b.jpg", rect(), rect(point(0), point(1), wrong)))
    error = refusal(path)
    assert isinstance(error, RecordError)
    assert error.place == f"{path}: annolist(2).annorect(2).annopoints.point(3).{place}"
    assert error.got == got


def test_a_point_without_coordinates_is_refused(tmp_path: Path) -> None:
    error = refusal(save(tmp_path / "m.mat", entry("a.jpg", rect(annopoints=points({"id": 1, "y": 2})))))
    assert error.place.endswith("annopoints.point(1).x")
    assert error.got == "no such field"


def test_the_same_joint_twice_is_refused(tmp_path: Path) -> None:
    error = refusal(save(tmp_path / "m.mat", entry("a.jpg", rect(point(4), point(5), point(4, 30, 30)))))
    assert error.code == "KP-MPII-TWICE"
    assert error.place.endswith("annolist(1).annorect(1).annopoints.point(3).id")


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"x2": EMPTY}, "x2"),
        ({"y1": np.nan}, "y1"),
        ({"scale": "2"}, "scale"),
        ({"objpos": structs([{"x": 5}])}, "objpos.y"),
        ({"objpos": 5}, "objpos"),
        ({"annopoints": 5}, "annopoints"),
    ],
)
def test_a_wrong_person_is_named_to_the_field(tmp_path: Path, fields: dict[str, Any], place: str) -> None:
    error = refusal(save(tmp_path / "m.mat", entry("a.jpg", rect(**fields))))
    assert isinstance(error, RecordError)
    assert error.place.endswith(f"annolist(1).annorect(1).{place}")


def test_a_split_other_than_train_and_test_is_refused(tmp_path: Path) -> None:
    error = refusal(save(tmp_path / "m.mat", entry("a.jpg", rect()), img_train=np.array([[2]])))
    assert error.place.endswith("img_train(1)")


def test_a_release_whose_parts_have_different_lengths_is_refused(tmp_path: Path) -> None:
    error = refusal(save(tmp_path / "m.mat", entry("a.jpg", rect()), img_train=np.array([[1, 1, 0]])))
    assert isinstance(error, FormatError)
    assert (error.expected, error.got) == ("1 elements", "3")


def test_an_image_outside_the_dataset_is_refused(tmp_path: Path) -> None:
    error = refusal(save(tmp_path / "m.mat", entry("../../etc/passwd", rect())))
    assert error.code == "KP-PATH-OUTSIDE"
    assert error.place.endswith("annolist(1).image.name")


def test_collecting_errors_finds_all_of_them_and_keeps_the_rest(tmp_path: Path) -> None:
    collector = Collector("collect")
    path = save(tmp_path / "m.mat", entry("a.jpg", rect(point(0), point(77), point(2, is_visible=9)), rect(scale="x")))
    dataset = read(path, collector)
    assert issues(collector) == {"KP-MPII-POINT": 2, "KP-MPII-PERSON": 1}
    assert np.flatnonzero(dataset.visibility[0]).tolist() == [0]
    assert len(dataset) == 2


def test_what_is_passed_over_is_named(tmp_path: Path) -> None:
    collector = Collector()
    annolist = structs([entry("a.jpg", rect())])
    scipy.io.savemat(tmp_path / "m.mat", {"predictions": np.ones(3), "annolist": annolist})
    read(tmp_path / "m.mat", collector)
    assert [issue.message for issue in collector.issues] == ["passed over, no labels: predictions"]


def test_a_mat_file_without_mpii_labels_names_what_it_holds(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "m.mat", {"joints": np.ones(3), "names": "x"})
    error = refusal_of_file(tmp_path / "m.mat")
    assert isinstance(error, FormatError)
    assert error.got == "variables joints, names"
    assert error.place == str(tmp_path / "m.mat")
    assert MpiiFormat().sniff(tmp_path / "m.mat") is None


def test_a_matlab_7_3_file_says_how_to_save_it(tmp_path: Path) -> None:
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .".ljust(512) + b"\x89HDF\r\n\x1a\n" + b"RELEASE"
    (tmp_path / "m.mat").write_bytes(head)
    error = refusal_of_file(tmp_path / "m.mat")
    assert isinstance(error, FormatError)
    assert "-v7" in error.help
    assert MpiiFormat().sniff(tmp_path / "m.mat") == "MPII .mat (version 7.3)"


@pytest.mark.parametrize("content", [b"", b"\x00\x00\x00\x00", b"<html>", b"MATLAB 5.0 MAT-file"])
def test_a_file_that_is_no_mat_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.mat").write_bytes(content)
    assert isinstance(refusal_of_file(tmp_path / "m.mat"), FormatError)


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    assert isinstance(refusal_of_file(tmp_path / "none.mat"), InputError)


def test_image_sizes_given_by_the_user_are_taken(tmp_path: Path) -> None:
    dataset = read(save(tmp_path / "m.mat", entry("a.jpg"), entry("b.jpg")), sizes={"b.jpg": (640, 480)})
    assert dataset.images.width.tolist() == [-1, 640]
    assert dataset.images.height.tolist() == [-1, 480]


def test_the_folder_of_the_images_is_found_beside_the_labels(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "annot").mkdir()
    path = save(tmp_path / "annot" / "m.mat", entry("a.jpg"), entry("b.jpg"))
    assert read(path).image_root is None
    (tmp_path / "images" / "b.jpg").touch()
    assert read(path).image_root == str(tmp_path / "images")
