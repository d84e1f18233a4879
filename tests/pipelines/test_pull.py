"""Labels shown in FiftyOne and brought back: what was edited there comes back, and nothing else moves by a bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kpkit
from kpkit.core import catalog
from kpkit.pipelines.pull import PullJob, PullReport, run
from tests.coco_files import difference, load, person, save
from tests.fiftyone_labels import dataset_of, label_of, labels, show

pytestmark = [
    pytest.mark.usefixtures("fiftyone_uri"),
    # FiftyOne's and its dependencies' own; nothing of ours.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
COCO17 = catalog.skeleton("coco17")
NOSE, LEFT_WRIST = 0, COCO17.index("left_wrist")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = labels(tmp_path)
    show(found, "pull")
    return found


def pull(path: Path, **options: Any) -> tuple[PullReport, Any]:
    """The report and the labels written, as JSON."""
    out = path.with_name("mended.json")
    report = run(PullJob(name="pull", output=out, force=True, **options))
    return report, load(out)


def rows_changed(path: Path, after: Any) -> list[int]:
    """Ids of annotations that are not what they were."""
    old = {row["id"]: row for row in load(path)["annotations"]}
    new = {row["id"]: row for row in after["annotations"]}
    return sorted(key for key in old.keys() | new.keys() if difference(old.get(key), new.get(key)))


def test_untouched_labels_come_back_byte_for_byte(path):
    _, after = pull(path)
    assert difference(load(path), after) == ""
    kpkit.write(kpkit.read(path), path.with_name("plain.json"), "coco")
    assert path.with_name("plain.json").read_bytes() == path.with_name("mended.json").read_bytes()


def test_a_tag_and_an_edited_point_are_the_only_differences(path):
    sample, label = label_of("pull", 12)
    label.points[LEFT_WRIST] = (123.4 / 333, 77.7 / 217)
    sample.save()
    sample, label = label_of("pull", 7)
    label.tags.append("kpkit:ok")
    sample.save()
    report, after = pull(path)
    [change] = list(report.difference.changes())
    assert (change.kind, change.person, change.joint, change.after) == ("moved", 12, "left_wrist", [123.4, 77.7])
    [tag] = report.tags
    assert (tag.image, tag.person, tag.before, tag.after) == ("000000000001.jpg", 7, [], ["kpkit:ok"])
    assert rows_changed(path, after) == [7, 12]
    rows = {row["id"]: row for row in after["annotations"]}
    before = {row["id"]: row for row in load(path)["annotations"]}
    expected = before[12]["keypoints"].copy()
    expected[3 * LEFT_WRIST : 3 * LEFT_WRIST + 2] = [123.4, 77.7]
    assert difference({**before[12], "keypoints": expected}, rows[12]) == ""
    assert difference({**before[7], "kpkit": {"extras": {"fiftyone.tags": ["kpkit:ok"]}}}, rows[7]) == ""


def test_a_person_tagged_drop_is_left_out_with_nobody_else(path):
    sample, label = label_of("pull", 8, "persons")
    label.tags.append("kpkit:drop")
    sample.save()
    report, after = pull(path)
    assert [row["id"] for row in after["annotations"]] == [7, 9, 12]
    assert report.difference.counts() == {"person gone": 1}
    assert rows_changed(path, after) == [8]


def test_a_person_tagged_swap_has_left_and_right_exchanged_and_the_tag_is_done(path):
    sample, label = label_of("pull", 8)
    label.tags += ["kpkit:swap", "seen"]
    sample.save()
    pull(path)
    before, after = kpkit.read(path), kpkit.read(path.with_name("mended.json"))
    row = before.instance_id.tolist().index(8)
    assert np.array_equal(after.xy[row], before.xy[row][COCO17.flip_index])
    assert after.visibility[row].tolist() == before.visibility[row][COCO17.flip_index].tolist()
    assert after.extras["fiftyone.tags"][row] == ["seen"]


def test_a_picture_tagged_drop_goes_with_its_persons(path):
    sample, _ = label_of("pull", 12)
    sample.tags.append("kpkit:drop")
    sample.save()
    report, after = pull(path)
    assert [row["id"] for row in after["images"]] == [1, 2]
    assert report.difference.counts() == {"image gone": 1, "person gone": 1}
    assert rows_changed(path, after) == [12]


def test_a_picture_deleted_in_fiftyone_goes_with_its_persons(path):
    sample, _ = label_of("pull", 7)
    dataset_of("pull").delete_samples(sample)
    _, after = pull(path)
    assert [row["id"] for row in after["images"]] == [2, 3]
    assert [row["id"] for row in after["annotations"]] == [9, 12]


def test_flags_follow_the_words(path):
    sample, label = label_of("pull", 7)
    label.visibility = ["occluded", "unlabelled", "truncated", *label.visibility[3:]]
    sample.save()
    pull(path)
    after = kpkit.read(path.with_name("mended.json"))
    assert after.visibility[0, :4].tolist() == [1, 0, 1, 2]
    assert after.truncated[0, :4].tolist() == [False, False, True, False]
    assert np.isnan(after.xy[0, 1]).all()


def test_a_point_taken_away_is_unlabelled_and_a_new_one_visible(path):
    sample, label = label_of("pull", 7)
    label.points[NOSE] = [float("nan")] * 2
    sample.save()
    sample, label = label_of("pull", 9)
    label.points[NOSE] = [0.25, 0.5]
    sample.save()
    pull(path)
    after = kpkit.read(path.with_name("mended.json"))
    assert after.visibility[[0, 2], NOSE].tolist() == [0, 2]
    assert after.xy[2, NOSE].tolist() == [160, 240]


def test_an_edited_box_is_written_and_the_joints_stay(path):
    sample, label = label_of("pull", 12, "persons")
    label.bounding_box = [33.3 / 333, 21.7 / 217, 0.5, 0.25]
    sample.save()
    _, after = pull(path)
    rows = {row["id"]: row for row in after["annotations"]}
    before = {row["id"]: row for row in load(path)["annotations"]}
    assert difference({**before[12], "bbox": [33.3, 21.7, 166.5, 54.25]}, rows[12]) == ""


def test_a_person_deleted_in_fiftyone_is_gone(path):
    for field in ("keypoints", "persons"):
        _, label = label_of("pull", 8, field)
        dataset_of("pull").delete_labels(ids=label.id)
    _, after = pull(path)
    assert rows_changed(path, after) == [8]
    assert [row["id"] for row in after["annotations"]] == [7, 9, 12]


def test_a_person_added_in_fiftyone_gets_a_new_id_and_its_own_box(path):
    import fiftyone

    sample, _ = label_of("pull", 12)
    points = [[float("nan")] * 2] * 17
    points[0] = [10 / 333, 20 / 217]
    sample.keypoints.keypoints.append(fiftyone.Keypoint(label="person", points=points, person="new"))
    sample.persons.detections.append(fiftyone.Detection(label="person", bounding_box=[0, 0, 1, 1], person="new"))
    sample.save()
    report, after = pull(path)
    new = after["annotations"][-1]
    assert (new["id"], new["image_id"], new["num_keypoints"], new["bbox"]) == (13, 3, 1, [0, 0, 333, 217])
    assert new["keypoints"][:3] == [10, 20, 2]
    assert report.difference.counts() == {"person added": 1}
    assert rows_changed(path, after) == [13]


def test_joints_of_the_wrong_number_are_named_and_stay_as_they_were(path):
    sample, label = label_of("pull", 7)
    label.points = label.points[:5]
    sample.save()
    report, after = pull(path)
    assert report.failed == 1
    [issue] = [one for one in report.report.issues if one.severity == "error"]
    assert "5 points where the skeleton has 17 joints" in issue.message
    assert issue.places == ["000000000001.jpg: person 7"]
    assert rows_changed(path, after) == []


def test_a_dry_run_says_the_same_and_writes_nothing(path):
    sample, label = label_of("pull", 12)
    label.points[NOSE] = (0.5, 0.5)
    sample.save()
    report = run(PullJob(name="pull", dry_run=True))
    assert report.difference.counts() == {"moved": 1}
    assert report.report.dry_run
    assert sorted(one.name for one in path.parent.iterdir()) == [path.name]


def test_edits_reach_labels_that_changed_meanwhile_and_both_sides_changes_are_named(path):
    sample, label = label_of("pull", 12)
    label.points[NOSE] = (0.5, 0.5)
    sample.save()
    sample, label = label_of("pull", 7)
    label.points[NOSE] = (0.25, 0.25)
    sample.save()
    content = load(path)
    content["annotations"].reverse()
    content["annotations"].insert(0, person(1, 1))
    content["annotations"][1]["keypoints"][:2] = [1, 2]
    save(path, content)
    report, after = pull(path)
    assert report.changed_source
    codes = {issue.code: issue for issue in report.report.issues}
    assert "no longer those that were shown" in codes["KP-VIEW-CHANGED"].message
    assert codes["KP-VIEW-BOTH"].places == ["000000000003.jpg: person 12: nose"]
    rows = {row["id"]: row["keypoints"][:2] for row in after["annotations"]}
    assert (rows[12], rows[7], rows[1]) == ([166.5, 108.5], [160, 120], [10, 20])
    assert rows_changed(path, after) == [7, 12]


def test_labels_that_are_gone_are_an_error_that_says_how_to_name_their_new_place(path):
    moved = path.with_name("elsewhere.json")
    path.rename(moved)
    with pytest.raises(kpkit.KpkitError, match="no longer where they were shown from") as caught:
        pull(path)
    assert "kpkit view INPUT --pull" in caught.value.help
    _, after = pull(path, input=moved)
    assert difference(load(moved), after) == ""


def test_tags_are_shown_again_and_can_be_taken_away(path):
    sample, label = label_of("pull", 7)
    label.tags += ["seen", "odd"]
    sample.save()
    pull(path)
    mended = path.with_name("mended.json")
    show(mended, "pull")
    sample, label = label_of("pull", 7)
    assert label.tags == ["seen", "odd"]
    label.tags.remove("odd")
    sample.save()
    again = path.with_name("again.json")
    report = run(PullJob(name="pull", output=again))
    assert [(one.before, one.after) for one in report.tags] == [(["seen", "odd"], ["seen"])]
    assert json.loads(again.read_text())["annotations"][0]["kpkit"] == {"extras": {"fiftyone.tags": ["seen"]}}
