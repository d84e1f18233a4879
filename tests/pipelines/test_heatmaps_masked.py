"""`mask_miss`: where the targets of whole pictures hold, and who on them has none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import kpkit
from kpkit.augment.recipe import preset
from kpkit.core.report import Collector
from kpkit.formats.base import WriteOptions
from kpkit.formats.native import NativeFormat
from kpkit.pipelines.shards import verify
from tests.augment_data import HEIGHT, WIDTH, hashes, read_labels, somebody, write_labels
from tests.whole_data import pictures, whole, without_joints

TOP = (WIDTH - HEIGHT) // 2


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return pictures(tmp_path / "data")


def covering() -> object:
    return preset("six2").with_changes(occlusion=(0.3, 0.3))


def test_mask_is_zero_over_crowds_and_persons_without_joints_and_whole_elsewhere(labels, tmp_path):
    whole(labels, tmp_path / "out")
    with kpkit.ShardDataset(tmp_path / "out") as found:
        masks = found.read(range(3))["mask_miss"]
    expected = np.full((3, 24, 24), 255, np.uint8)
    rows = slice(TOP // 4, (TOP + HEIGHT) // 4)
    expected[0, rows, :3] = 0  # the crowd's outline, and not its person-like joints
    expected[1, (TOP + 40) // 4 : (TOP + 48) // 4, 8:12] = 0  # a box
    expected[1, (TOP + 8) // 4 : (TOP + 24) // 4, 15:18] = 0  # an outline
    np.testing.assert_array_equal(masks, expected)


def test_crowds_have_no_targets_whatever_joints_they_have(labels, tmp_path):
    whole(labels, tmp_path / "out")
    content = read_labels(labels.parent.parent)
    content["annotations"] = [row for row in content["annotations"] if not row["iscrowd"]]
    other = labels.parent / "other.json"
    other.write_text(json.dumps(content))
    whole(other, tmp_path / "other")
    with kpkit.ShardDataset(tmp_path / "out") as one, kpkit.ShardDataset(tmp_path / "other") as two:
        first, second = one[0], two[0]
        assert (first["visibility"][2] == 2).all()
        assert not first["weights"][2].any()
        for name in ("heatmaps", "pafs"):
            np.testing.assert_array_equal(first[name], second[name])


@pytest.mark.parametrize("rule", ["ignore", "absent", "keep"])
def test_covered_joints_and_cells_follow_the_rule(labels, tmp_path, rule):
    whole(labels, tmp_path / "out", recipe=covering(), copies=3, occluded_target=rule)
    assert not verify(tmp_path / "out").findings
    with kpkit.ShardDataset(tmp_path / "out") as found:
        batch = found.read(range(len(found)))
    covered = batch["occluded"] & ~batch["masked"][:, None]
    hidden = batch["occlusion_mask"] >= 128
    assert covered.any()
    assert hidden.any()
    shown = np.where(hidden[:, None], batch["heatmaps"], 0).max()
    assert (shown > 0.5) if rule == "keep" else (shown == 0)
    if rule == "ignore":
        # What is not to be learned has no weight: neither by joint nor by cell.
        assert not batch["weights"][covered].any()
        assert not batch["mask_miss"][hidden].any()
    else:
        assert batch["weights"][covered].any()
        assert batch["mask_miss"][hidden].any()


def test_mask_of_one_persons_occluder_hides_its_joints_and_blanks_nothing(tmp_path):
    from tests.augment_data import dataset

    labels = dataset(tmp_path / "data", images=1)
    content = read_labels(tmp_path / "data")
    everything = {"size": [HEIGHT, WIDTH], "counts": [0, HEIGHT * WIDTH]}
    content["annotations"][0]["occlusion_mask"] = everything
    write_labels(tmp_path / "data", content)
    whole(labels, tmp_path / "out")
    with kpkit.ShardDataset(tmp_path / "out") as found:
        sample = found[0]
    assert sample["occluded"].tolist() == [[True] * 17, [False] * 17]
    assert not sample["weights"][0].any()
    assert sample["weights"][1].all()
    assert sample["heatmaps"].max() > 0.5
    assert not sample["occlusion_mask"].any()


def test_crowd_with_damaged_run_lengths_is_a_failed_picture(labels, tmp_path):
    content = read_labels(labels.parent.parent)
    crowd = next(row for row in content["annotations"] if row["iscrowd"])
    crowd["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": [5]}
    write_labels(labels.parent.parent, content)
    report = whole(labels, tmp_path / "out", flip_copies=True)
    assert [(failure.key, failure.code) for failure in report.failures] == [("000.png", "KP-RLE")]
    assert report.samples == 4


def test_who_cannot_be_masked_is_noted(tmp_path):
    people = [somebody(1, 1, 1), without_joints(2, 1, bbox=[0, 0, 0, 0]), without_joints(3, 1)]
    from tests.coco_files import document, image

    labels = write_labels(tmp_path / "data", document(people, [image(1, file_name="a.jpg", width=96, height=64)]))
    report = whole(labels, tmp_path / "out")
    assert [(issue.code, issue.count) for issue in report.issues if issue.code == "KP-HEATMAPS-BARE"] == [
        ("KP-HEATMAPS-BARE", 1)
    ]


def test_picture_that_claims_more_pixels_than_allowed_is_refused_before_they_are_made(labels, tmp_path):
    content = read_labels(labels.parent.parent)
    content["images"][1] |= {"width": 10_000_000, "height": 10_000_000}
    write_labels(labels.parent.parent, content)
    report = whole(labels, tmp_path / "out")
    assert [(failure.key, failure.code) for failure in report.failures] == [("001.png", "KP-IMAGE-BOMB")]
    assert report.samples == 2


def with_regions(folder: Path, x: object, y: object) -> Path:
    pictures(folder)
    content = read_labels(folder)
    content["images"][2] |= {"ignore_regions_x": x, "ignore_regions_y": y}
    return write_labels(folder, content)


@pytest.mark.parametrize("flat", [False, True], ids=["list of regions", "one region"])
def test_regions_where_nobody_is_labelled_are_masked(tmp_path, flat):
    x, y = [40, 51, 51, 40], [24, 24, 39, 39]
    labels = with_regions(tmp_path / "data", x if flat else [x], y if flat else [y])
    whole(labels, tmp_path / "out")
    assert not verify(tmp_path / "out").findings
    expected = np.full((24, 24), 255, np.uint8)
    expected[(TOP + 24) // 4 : (TOP + 40) // 4, 10:13] = 0
    with kpkit.ShardDataset(tmp_path / "out") as found:
        np.testing.assert_array_equal(found[2]["mask_miss"], expected)


@pytest.mark.parametrize("size", [1, 100])
def test_regions_are_those_of_labels_in_parts(tmp_path, size):
    labels = with_regions(tmp_path / "data", [[40, 51, 51, 40]], [[24, 24, 39, 39]])
    parts = tmp_path / "parts.kpk"
    parts.mkdir()
    NativeFormat().write(kpkit.read(labels), parts, WriteOptions(final=parts, part_size=size), Collector())
    whole(labels, tmp_path / "out1")
    whole(parts, tmp_path / "out2")
    assert hashes(tmp_path / "out1") == hashes(tmp_path / "out2")


@pytest.mark.parametrize(
    ("x", "y"),
    [([[1, 2]], [[1, 2]]), ([[1, 2, 3]], [[1, 2]]), ("x", "y"), ([["a", 1, 2]], [[1, 2, 3]]), ([[1, 2, 3]], [])],
)
def test_regions_that_are_no_polygons_are_counted(tmp_path, x, y):
    labels = with_regions(tmp_path / "data", x, y)
    report = whole(labels, tmp_path / "out")
    counts = {issue.code: issue.count for issue in report.issues}
    assert counts.get("KP-HEATMAPS-REGION") == (1 if y else None)
    assert not verify(tmp_path / "out").findings


def test_resume_sees_a_changed_region(tmp_path):
    labels = with_regions(tmp_path / "data", [[40, 51, 51, 40]], [[24, 24, 39, 39]])
    whole(labels, tmp_path / "out", shard_samples=1)
    with_regions(tmp_path / "data", [[40, 55, 55, 40]], [[24, 24, 39, 39]])
    assert whole(labels, tmp_path / "out", shard_samples=1, resume=True).kept == 2
