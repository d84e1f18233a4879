"""What is only suspicious is kept as it is, counted, and its first places are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kpkit
from kpkit.core.report import Collector, Issue
from tests.coco_files import category, document, image, load, person, points, save


def noticed(folder: Path, content: Any, **options: Any) -> list[Issue]:
    """The issues of reading; writing back must change nothing."""
    path = save(folder / "labels.json", content)
    report = kpkit.convert("coco", "coco", path, output=folder / "out.json", **options)
    assert load(folder / "out.json") == content
    return report.issues


def places(issue: Issue) -> list[str]:
    return [place.split("labels.json: ")[1] for place in issue.places]


def with_joint(joint: int, *xyv: float) -> list[Any]:
    values = points()
    values[3 * joint : 3 * joint + 3] = xyv
    return values


def test_nothing_is_said_about_a_sound_file(tmp_path):
    assert noticed(tmp_path, document([person(), person(2, keypoints=points(flag=1))])) == []


@pytest.mark.parametrize("xyv", [(5, 0, 0), (0, 5.5, 0), (-3, 0, 0)])
def test_coordinates_on_an_unlabelled_joint(tmp_path, xyv):
    rows = [person(), person(2, keypoints=with_joint(3, *xyv), num_keypoints=16)]
    (issue,) = noticed(tmp_path, document(rows))
    assert (issue.code, issue.severity, issue.count) == ("KP-COCO-GHOST", "warning", 1)
    assert places(issue) == ["annotations[1].keypoints[9] (left_ear)"]


def test_a_labelled_joint_at_the_origin(tmp_path):
    (issue,) = noticed(tmp_path, document([person(keypoints=with_joint(16, 0, 0, 1))]))
    assert (issue.code, issue.count) == ("KP-COCO-ORIGIN", 1)
    assert places(issue) == ["annotations[0].keypoints[48] (right_ankle)"]


def test_an_unlabelled_joint_at_the_origin_is_usual(tmp_path):
    assert noticed(tmp_path, document([person(keypoints=with_joint(16, 0, 0, 0), num_keypoints=16)])) == []


@pytest.mark.parametrize("stated", [0, 16, 18, 51])
def test_a_wrong_number_of_keypoints(tmp_path, stated):
    (issue,) = noticed(tmp_path, document([person(), person(2, num_keypoints=stated)]))
    assert (issue.code, issue.count) == ("KP-COCO-NUM-KEYPOINTS", 1)
    assert places(issue) == ["annotations[1].num_keypoints"]


@pytest.mark.parametrize("xy", [(-1, 5), (5, -0.5), (641, 5), (5, 480.5)])
def test_a_joint_outside_its_image(tmp_path, xy):
    (issue,) = noticed(tmp_path, document([person(), person(2, keypoints=with_joint(2, *xy, 2))]))
    assert (issue.code, issue.count) == ("KP-JOINT-OUTSIDE", 1)
    assert places(issue) == ["annotations[1].keypoints[6] (right_eye)"]


@pytest.mark.parametrize("xy", [(0, 0.5), (640, 480), (639.9, 0)])
def test_a_joint_on_the_border_is_inside(tmp_path, xy):
    assert noticed(tmp_path, document([person(keypoints=with_joint(2, *xy, 2))])) == []


def test_no_joint_is_outside_an_image_of_unknown_size(tmp_path):
    content = document([person(keypoints=with_joint(2, 9999, 5, 2))], [{"id": 1, "file_name": "a.jpg"}])
    assert [issue.code for issue in noticed(tmp_path, content)] == ["KP-SIZE-UNKNOWN"]


def test_an_unlabelled_joint_outside_is_no_joint(tmp_path):
    content = document([person(keypoints=with_joint(2, 9999, 5, 0), num_keypoints=16)])
    assert [issue.code for issue in noticed(tmp_path, content)] == ["KP-COCO-GHOST"]


def test_places_are_right_beyond_the_first_block_and_few(tmp_path):
    """Rows are decoded some thousand at a time; a merged row lies before the faults."""
    rows = [person(), person()]
    rows += [person(n, num_keypoints=16, keypoints=with_joint(5, -2, 5, 2)) for n in range(2, 9000)]
    path = save(tmp_path / "labels.json", document(rows))
    collector = Collector()
    kpkit.read(path, collector=collector)
    issues = {issue.code: issue for issue in collector.issues}
    assert issues["KP-COCO-NUM-KEYPOINTS"].count == 8998
    assert issues["KP-JOINT-OUTSIDE"].count == 8998
    assert places(issues["KP-JOINT-OUTSIDE"]) == [
        f"annotations[{n}].keypoints[15] (left_shoulder)" for n in range(2, 7)
    ]
    assert places(issues["KP-COCO-NUM-KEYPOINTS"])[0] == "annotations[2].num_keypoints"


def test_a_single_fault_in_a_late_block_is_named_by_its_row(tmp_path):
    rows = [person(n) for n in range(9000)]
    rows[8500] = person(8500, keypoints=with_joint(5, 700, 5, 2))
    collector = Collector()
    kpkit.read(save(tmp_path / "labels.json", document(rows)), collector=collector)
    assert [places(issue) for issue in collector.issues] == [["annotations[8500].keypoints[15] (left_shoulder)"]]


@pytest.mark.parametrize("edge", [[0, 1], [17, 18], [-1, 2], [3, 3]])
def test_an_edge_that_joins_no_two_joints_is_left_out_and_written_back(tmp_path, edge):
    (issue,) = noticed(tmp_path, document(categories=[category(skeleton=[[1, 2], edge])]))
    assert issue.code == "KP-SKELETON-EDGE"
    assert places(issue) == [f"categories[0].skeleton[1] = {edge}"]
    assert kpkit.read(tmp_path / "labels.json").skeleton.edges == ((0, 1),)


def test_a_left_joint_without_a_right_one(tmp_path):
    rows = [person(keypoints=points()[:6], num_keypoints=2)]
    issues = noticed(tmp_path, document(rows, categories=[category(keypoints=["head", "left_hand"], skeleton=[])]))
    assert [issue.code for issue in issues] == ["KP-SKELETON-LATERAL"]
    assert "left_hand" in issues[0].message


def test_an_image_of_impossible_size_has_none(tmp_path):
    content = document(images=[image(1, width=0, height=-3)])
    assert [issue.code for issue in noticed(tmp_path, content)] == ["KP-SIZE-UNKNOWN"]
    assert kpkit.read(tmp_path / "labels.json").images.width.tolist() == [-1]


def test_crowds_have_no_joints_and_keep_their_region(tmp_path):
    crowd = person(2, iscrowd=1, keypoints=[0] * 51, num_keypoints=0, segmentation={"size": [4, 4], "counts": [3, 13]})
    assert noticed(tmp_path, document([person(), crowd])) == []
    dataset = kpkit.read(tmp_path / "labels.json")
    assert dataset.is_crowd.tolist() == [False, True]
    assert np.isnan(dataset.xy[1]).all()


def test_a_place_outside_the_file_is_never_made_up(tmp_path):
    """Faults are counted in whole, places are a sample of five."""
    rows = [person(n, keypoints=with_joint(0, 0, 0, 2)) for n in range(7)]
    (issue,) = noticed(tmp_path, document(rows))
    assert issue.count == 7
    assert places(issue) == [f"annotations[{n}].keypoints[0] (nose)" for n in range(5)]
