"""Statistics against numbers that were counted another way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.mask import iou

import kpkit
from kpkit.core import catalog
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.report import Collector
from kpkit.core.skeleton import Skeleton
from kpkit.qa.stats import Stats, describe
from kpkit.qa.stats_compare import differences
from kpkit.qa.stats_tally import Bins, Spread, Tally
from kpkit.testing.strategies import datasets

TRIO = Skeleton("trio", ("left_hip", "right_hip", "pelvis"), ((0, 1),), ((0, 2), (2, 1)))


def made(flags: Any, xy: Any = None, boxes: Any = None, images: int = 1, index: Any = None, **columns: Any) -> Dataset:
    """Persons of three joints with the given flags, in images of 100 x 80."""
    flags = np.asarray(flags, np.uint8).reshape(-1, 3)
    places = np.full((len(flags), 3, 2), 10.0) if xy is None else np.asarray(xy, float).reshape(-1, 3, 2)
    table = ImageTable.build(
        path=[f"{i}.jpg" for i in range(images)], width=np.full(images, 100), height=np.full(images, 80)
    )
    return Dataset.build(
        skeleton=TRIO,
        images=table,
        image_index=np.zeros(len(flags), int) if index is None else index,
        xy=np.where((flags > 0)[..., None], places, np.nan),
        visibility=flags,
        bbox_xywh=boxes,
        **columns,
    )


@pytest.mark.parametrize("name", ["cocomini_person_keypoints_val2017.json", "val2017_subset_2213_manhph.json"])
def test_counts_of_real_coco_labels_are_those_of_pycocotools_and_pandas(
    real_data: Path, name: str, capsys: Any
) -> None:
    path = real_data / "data" / "coco" / name
    coco = COCO(str(path))
    rows = [row for row in coco.dataset["annotations"] if not row["iscrowd"]]
    flags = pd.DataFrame([row["keypoints"][2::3] for row in rows], columns=catalog.skeleton("coco17").keypoints)
    stats = describe(kpkit.read(path, collector=Collector("collect")))
    assert stats.persons == len(coco.getAnnIds(iscrowd=False))
    assert stats.counts["images"] == len(coco.imgs)
    for flag, value in (("unlabelled", 0), ("occluded", 1), ("visible", 2)):
        assert stats.joints[flag].tolist() == (flags == value).sum().tolist()
    hidden = (flags == 1).astype(int)
    assert np.array_equal(stats.together, (hidden.T @ hidden).to_numpy())
    assert stats.labelled.mean == pytest.approx((flags > 0).sum(axis=1).mean())
    persons = pd.Series([row["image_id"] for row in rows]).value_counts().reindex(list(coco.imgs), fill_value=0)
    counted = persons.value_counts().sort_index()
    assert stats.per_image.as_dict()["counts"] == [[int(v), int(n)] for v, n in counted.items()]
    area = pd.Series([row["area"] for row in rows])
    classes = pd.cut(area, [-1, 32**2 - 1e-9, 96**2 - 1e-9, np.inf], labels=["small", "medium", "large"]).value_counts()
    assert {name: stats.sizes.classes[name] for name in classes.index} == classes.to_dict()


def test_overlap_of_real_boxes_is_that_of_pycocotools(real_data: Path) -> None:
    dataset = kpkit.read(real_data / "data" / "crowdpose" / "crowdpose_val.json", collector=Collector("collect"))
    dataset = dataset.take(~dataset.is_crowd)
    largest = []
    for image in np.unique(dataset.image_index):
        boxes = dataset.bbox_xywh[dataset.image_index == image]
        boxes = boxes[(boxes[:, 2:] > 0).all(axis=1)]
        overlaps = np.asarray(iou(boxes, boxes, [0] * len(boxes)))
        np.fill_diagonal(overlaps, 0)
        largest += overlaps.max(axis=1).tolist()
    crowding = describe(dataset).crowding
    assert crowding.overlap.count == len(largest)
    assert crowding.overlap.mean == pytest.approx(np.mean(largest))
    assert crowding.overlapping["0.5"] == np.count_nonzero(np.array(largest) >= 0.5)


def test_images_of_crowdpose_by_crowd_index_have_the_shares_that_its_paper_chose(real_data: Path) -> None:
    # The set was sampled evenly over the index: a tenth below 0.1, a fifth from 0.8 on.
    stats = describe(
        kpkit.read(real_data / "data" / "crowdpose" / "crowdpose_val.json", collector=Collector("collect"))
    )
    shares = {name: count / stats.counts["images"] for name, count in stats.crowding.classes.items()}
    assert shares == pytest.approx({"easy": 0.1, "medium": 0.7, "hard": 0.2}, abs=0.01)


def test_crowd_index_counts_others_joints_in_a_box_for_each_of_its_own() -> None:
    xy = [[[5, 5], [6, 6], [7, 7]], [[8, 8], [30, 30], [31, 31]]]
    stats = describe(made([[2, 2, 2], [2, 2, 1]], xy, [[0, 0, 10, 10], [4, 4, 40, 40]]))
    # One joint of the second in the first's box of three; three of the first in the second's box of three.
    assert stats.crowding.crowd_index.mean == pytest.approx((1 / 3 + 3 / 3) / 2)


def test_person_alone_in_an_image_has_a_crowd_index_and_an_overlap_of_0() -> None:
    stats = describe(made([[2, 2, 2]], boxes=[[0, 0, 20, 20]]))
    assert (stats.crowding.crowd_index.max, stats.crowding.overlap.max) == (0, 0)


def test_image_with_very_many_persons_is_left_out_of_crowding_and_counted() -> None:
    n = 1001
    stats = describe(made(np.full((n, 3), 2), boxes=np.tile([0, 0, 20, 20], (n, 1))))
    assert stats.crowding.unmeasured == 1
    assert stats.crowding.overlap.count == 0
    assert stats.per_image.most == n


def test_joint_positions_are_measured_in_the_persons_box() -> None:
    stats = describe(made([[2, 1, 0]], [[[20, 40], [60, 10], [0, 0]]], [[10, 20, 20, 40]]))
    assert stats.positions.mean[0].tolist() == [0.5, 0.5]
    assert stats.positions.mean[1].tolist() == [2.5, -0.25]
    assert stats.positions.outside.tolist() == [0, 1, 0]
    assert stats.positions.count.tolist() == [1, 1, 0]
    assert stats.positions.heat.sum(axis=(1, 2)).tolist() == [1, 0, 0]
    assert stats.rows()[2]["x_mean"] is None


def test_hull_stands_for_a_box_that_nobody_annotated() -> None:
    stats = describe(made([[2, 2, 0]], [[[20, 20], [40, 40], [0, 0]]]))
    assert stats.boxes == {"keypoints": 1}
    assert stats.sizes.spreads["box_side"].median == pytest.approx(25)


def test_crowd_regions_are_counted_and_take_part_in_nothing_else() -> None:
    stats = describe(made([[2, 2, 2], [1, 1, 1]], boxes=[[0, 0, 9, 9]] * 2, is_crowd=[False, True]))
    assert (stats.persons, stats.counts["crowd"], stats.counts["occluded"]) == (1, 1, 0)
    assert stats.together.sum() == 0
    assert stats.per_image.as_dict()["counts"] == [[1, 1]]


def test_rows_of_one_file_are_one_image() -> None:
    dataset = made([[2, 2, 2]] * 3, images=3, index=[0, 1, 2])
    table = ImageTable.build(path=["a.jpg", "b.jpg", "a.jpg"])
    stats = describe(dataset.replace(images=table))
    assert (stats.counts["images"], stats.counts["image_rows"]) == (2, 3)
    assert stats.per_image.as_dict()["counts"] == [[1, 1], [2, 1]]


def test_labels_without_paths_keep_their_images_apart() -> None:
    stats = describe(made([[2, 2, 2]] * 2, images=2, index=[0, 1]).replace(images=ImageTable.build(path=["", ""])))
    assert stats.counts["images"] == 2


def test_pairs_of_occluded_joints_are_named_with_their_share_of_either() -> None:
    stats = describe(made([[1, 1, 2], [1, 1, 0], [1, 2, 2], [2, 2, 1]]))
    assert stats.pairs() == [{"joints": ["left_hip", "right_hip"], "both": 2, "share_of_either": 2 / 3}]


def test_joint_at_the_frames_edge_is_not_outside_and_one_beyond_is() -> None:
    stats = describe(made([[2, 2, 2]], [[[99.4, 10], [100, 10], [50, -0.6]]], [[0, 5, 50, 50]]))
    assert stats.counts["outside_frame"] == 2
    assert stats.counts["persons_at_frame"] == 1


def test_differences_match_joints_by_name_and_name_those_of_one_side() -> None:
    other = Skeleton("other", ("pelvis", "left_hip", "neck"))
    first = describe(made([[2, 2, 1], [2, 0, 0]]))
    second = describe(made([[1, 2, 2], [2, 1, 0]]).replace(skeleton=other))
    found = differences(first, second)
    assert found["joints_only_in_input"] == ["right_hip"]
    assert found["joints_only_in_other"] == ["neck"]
    assert [row["joint"] for row in found["joints"]] == ["left_hip", "pelvis"]
    left_hip = found["joints"][0]
    assert (left_hip["visible"], left_hip["occluded"]) == (1 - 2, 1 - 0)
    assert found["counts"]["occluded"] == 1


def test_a_dataset_differs_from_itself_in_nothing() -> None:
    stats = describe(made([[2, 1, 0], [1, 1, 1]], boxes=[[0, 0, 30, 30]] * 2))
    found = differences(stats, stats)
    assert set(found["counts"].values()) == {0}
    assert {value for row in found["joints"] for name, value in row.items() if name != "joint"} <= {0, None}


@given(datasets())
def test_any_dataset_can_be_measured_and_its_counts_add_up(dataset: Dataset) -> None:
    stats = describe(dataset)
    document = json.loads(json.dumps(stats.as_dict(), allow_nan=False))
    persons = int((~dataset.is_crowd).sum())
    assert document["counts"]["persons"] == persons
    for row in document["joints"]:
        assert row["visible"] + row["occluded"] + row["unlabelled"] == persons
    assert stats.labelled.total == persons
    assert sum(stats.splits[name]["images"] for name in stats.splits) == stats.counts["images"]
    assert sum(stats.categories.values()) == sum(stats.sizes.classes.values()) == persons


@given(datasets(), st.randoms(use_true_random=False))
def test_the_order_of_persons_changes_nothing(dataset: Dataset, random: Any) -> None:
    order = list(range(len(dataset)))
    random.shuffle(order)
    one, other = (describe(d).as_dict() for d in (dataset, dataset.take(np.array(order, int))))
    assert json.dumps(one["counts"]) == json.dumps(other["counts"])
    assert one["occluded_together"]["persons"] == other["occluded_together"]["persons"]
    assert one["persons_per_image"] == other["persons_per_image"]
    # Sums of floats may differ in their last digits.
    assert [row["x_mean"] for row in one["joints"]] == pytest.approx(
        [row["x_mean"] for row in other["joints"]], nan_ok=True
    )


@given(st.lists(st.integers(0, 60)))
def test_a_tally_knows_mean_and_lower_median(numbers: list[int]) -> None:
    tally = Tally.of(np.array(numbers, np.int64))
    assert tally.total == len(numbers)
    if numbers:
        assert tally.mean == pytest.approx(np.mean(numbers))
        assert tally.median == sorted(numbers)[(len(numbers) - 1) // 2]
    else:
        assert (tally.mean, tally.median) == (None, None)


def test_numbers_on_an_edge_belong_to_the_bin_above() -> None:
    assert Bins.of(np.array([0, 1, 1.5, 2, np.nan, 9]), np.array([0.0, 1, 2])).counts.tolist() == [1, 2]


def test_a_spread_of_no_numbers_says_so() -> None:
    assert Spread.of(np.array([np.nan])) == Spread(0)


def test_a_skeleton_of_133_joints_is_measured() -> None:
    skeleton = catalog.skeleton("coco_wholebody133")
    rng = np.random.default_rng(3)
    flags = rng.integers(0, 3, (20, 133)).astype(np.uint8)
    xy = np.where((flags > 0)[..., None], rng.uniform(0, 90, (20, 133, 2)), np.nan)
    table = ImageTable.build(path=["a.jpg"])
    stats = describe(Dataset.build(skeleton=skeleton, images=table, image_index=[0] * 20, xy=xy, visibility=flags))
    assert stats.together.shape == (133, 133)
    assert isinstance(stats, Stats)
