"""What is found in real files that nobody has touched."""

from __future__ import annotations

import json
import runpy
from collections import Counter
from pathlib import Path

import pytest

from kpkit.core.report import Collector
from kpkit.pipelines.io import read
from tests.qa.people import found_in, validated

HERE = Path(__file__).parent
# Which rule is found for whom at which joint, read one by one; why is said beside each list.
EXPECTED = json.loads((HERE / "expected_findings.json").read_text(encoding="utf-8"))
SWAPS = HERE.parents[1] / "benchmarks" / "swaps.py"
COCO = (
    "coco/cocomini_person_keypoints_val2017.json",
    "coco/val2017_subset_2213_manhph.json",
    "coco/mmpose_test_coco.json",
    "coco/from_label_studio_test.json",
    "coco_wholebody/example_gt.json",
)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_findings_of_a_real_file_are_those_that_were_read(real_data: Path, name):
    found = [[one.rule, one.instance_id, one.joint] for one in validated(real_data / "data" / name).findings()]
    assert found == EXPECTED[name]["findings"]


def test_crowdpose_counts_wrongly_and_joins_what_does_not_exist(real_data: Path):
    found = validated(real_data / "data" / "crowdpose" / "crowdpose_val.json")
    assert found.counts["KP101"] == 7543
    assert len([one for one in found.findings() if one.rule == "KP101" and one.instance_id is not None]) == 7543
    edges = [one.place.partition("skeleton")[2] for one in found.findings() if one.rule == "KP501"]
    assert edges == ["[0] = [16, 14]", "[2] = [17, 15]", "[3] = [15, 13]"]


def test_where_no_face_is_labelled_nothing_is_said_about_whole_persons_and_that_is_said(real_data: Path):
    found = validated(real_data / "data" / "crowdpose" / "crowdpose_val.json")
    assert "KP401" not in found.counts
    assert found.unchecked["KP401"] == "the skeleton has no nose and no eyes: nothing tells which way a person faces"


def test_images_that_are_listed_many_times_are_counted(real_data: Path):
    found = validated(real_data / "data" / "coco" / "val2017_subset_2213_manhph.json", select=["KP108"])
    assert found.counts == {"KP108": 2213 - 538}
    assert "538 images in 2213 rows, up to 14 times" in found.findings()[0].message


def test_an_export_without_annotations_is_called_by_its_fault(real_data: Path):
    found = Counter(one[0] for one in found_in(real_data / "data" / "coco" / "cvat_export_ZERO_annotations.json"))
    places = validated(real_data / "data" / "coco" / "cvat_export_ZERO_annotations.json").counts
    assert set(found) == {"KP503", "KP506"}
    assert places["KP503"] == 17


def test_a_skeleton_counted_from_0_and_17_and_its_counts_are_found(real_data: Path):
    found = validated(real_data / "data" / "coco" / "custom_nonstandard_val201701.json")
    assert found.counts["KP101"] == 99
    edges = [one.place.partition(" = ")[2] for one in found.findings() if one.rule == "KP501"]
    assert edges
    assert all("0" in edge.strip("[]").split(", ") for edge in edges)
    assert any("17" in edge for edge in edges)


def test_unlabelled_joints_that_cvat_left_their_coordinates_are_found(real_data: Path):
    found = validated(real_data / "data" / "coco" / "cvat_coco_keypoints_export_day4_excerpt.json")
    assert found.counts["KP105"] == 24
    assert all(one.joint and one.instance_id for one in found.findings() if one.rule == "KP105")


def test_exchanged_persons_are_found_and_others_are_left_alone(real_data: Path):
    swaps = runpy.run_path(str(SWAPS))
    datasets = [read(real_data / "data" / name, collector=Collector("collect")) for name in COCO]
    judged, found, false = swaps["curve"](datasets)
    assert judged > 700
    at = swaps["THRESHOLDS"].index(0.5)
    assert found[at] >= 0.9
    assert false[at] <= 0.02


def test_exchanged_arms_are_found_more_often_than_not(real_data: Path):
    swaps = runpy.run_path(str(SWAPS))
    datasets = [read(real_data / "data" / COCO[1], collector=Collector("collect"))]
    for parts in (("wrist",), ("elbow", "wrist")):
        persons, found, false = swaps["single"](datasets, parts)
        assert persons > 500
        assert found > 0.5
        assert false < 0.01
