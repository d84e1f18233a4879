"""The public MPII files: counts known from outside, and agreement with scipy, HRNet's json and the published scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector
from kpkit.errors import FormatError
from kpkit.formats.mpii import MpiiFormat
from kpkit.testing import differences
from kpkit.testing.restrict import EVERYTHING
from tests.mpii_files import issues, read, write


@pytest.fixture(scope="module")
def folder(real_data: Path) -> Path:
    return real_data / "data" / "mpii"


@pytest.fixture(scope="module")
def validation(folder: Path) -> Dataset:
    return read(folder / "mpii_val_annolist_detections.mat", image_list=folder / "valid_images.txt")


def test_counts_of_the_validation_set(validation: Dataset) -> None:
    counts = validation.counts()
    expected = {"images": 2729, "instances": 2958, "labelled": 44240, "visible": 33997, "occluded": 10243}
    assert {name: counts[name] for name in expected} == expected


def test_empty_flags_are_counted(folder: Path) -> None:
    collector = Collector()
    read(folder / "mpii_val_annolist_detections.mat", collector, image_list=folder / "valid_images.txt")
    assert issues(collector) == {"KP-MPII-VISIBLE-EMPTY": 5862, "KP-MPII-UNREAD": 5}


def test_every_point_equals_what_scipy_reads(folder: Path, validation: Dataset) -> None:
    annolist = scipy.io.loadmat(folder / "mpii_val_annolist_detections.mat", variable_names=["annolist"])["annolist"]
    xy, flags = np.full((2958, 16, 2), np.nan), np.zeros((2958, 16), np.uint8)
    for row, one in enumerate(annolist[0]):
        for joint in one["annorect"][0, 0]["annopoints"][0, 0]["point"][0]:
            id = int(joint["id"].item())
            xy[row, id] = float(joint["x"].item()) - 1, float(joint["y"].item()) - 1
            seen = joint["is_visible"]
            flags[row, id] = 2 if seen.size == 0 else int(seen.item()) + 1
    assert np.array_equal(validation.xy, xy, equal_nan=True)
    assert np.array_equal(validation.visibility, flags)


def test_labels_agree_with_the_ground_truth_of_the_evaluation(folder: Path, validation: Dataset) -> None:
    truth = scipy.io.loadmat(folder / "gt_valid_plus_tompson.mat")
    start, size = validation.head_box[:, :2] + 1, validation.head_box[:, 2:]
    corners = truth["headboxes_src"].transpose(2, 0, 1)
    assert np.abs(corners - np.stack([start, start + size], axis=1)).max() < 1e-4
    labelled = truth["jnt_missing"].T == 0
    assert np.array_equal(validation.visibility > 0, labelled)
    theirs = truth["pos_gt_src"].transpose(2, 0, 1)
    zeroed = (theirs == 0) & (validation.xy + 1 != 0)
    # That file has coordinates set to zero by mistake, of 13 joints.
    assert np.count_nonzero(zeroed.any(axis=2) & labelled) == 13
    assert np.abs(validation.xy + 1 - theirs)[labelled[..., None] & ~zeroed].max() < 1e-4


def test_scale_follows_from_the_head(validation: Dataset) -> None:
    diagonal = np.hypot(*validation.head_box[:, 2:].T)
    scale = np.array(validation.extras["mpii.scale"].tolist())
    assert np.allclose(scale, 0.6 * diagonal * 8 / 200, rtol=1e-12)


def test_hrnet_json_is_written_as_hrnet_has_it(folder: Path, validation: Dataset, tmp_path: Path) -> None:
    ours = json.loads(write(validation, tmp_path / "valid.json").read_text())
    theirs = json.loads((folder / "derived_hrnet_valid_2958.json").read_text())
    assert ours == theirs
    assert _types(ours[0]) == _types(theirs[0])
    assert ours[:5] == json.loads((folder / "hrnet_test_mpii.json").read_text())


def test_hrnet_json_and_mat_say_the_same(folder: Path, validation: Dataset) -> None:
    hrnet = read(folder / "derived_hrnet_valid_2958.json")
    assert hrnet.images.path.tolist() == validation.images.path.tolist()
    assert np.array_equal(hrnet.image_index, validation.image_index)
    assert np.array_equal(hrnet.visibility > 0, validation.visibility > 0)
    assert np.nanmax(np.abs(hrnet.xy - validation.xy)) < 6e-5


@pytest.mark.parametrize(
    ("name", "images", "persons", "labelled"),
    [("derived_release_cutdown.mat", 81, 108, 1632), ("datumaro_synthetic_RELEASE.mat", 3, 4, 64)],
)
def test_other_releases_are_read_and_come_back_equal(
    folder: Path, tmp_path: Path, name: str, images: int, persons: int, labelled: int
) -> None:
    dataset = read(folder / name)
    counts = dataset.counts()
    assert (counts["images"], counts["instances"], counts["labelled"]) == (images, persons, labelled)
    assert differences(dataset, read(write(dataset, tmp_path / "m.mat")), EVERYTHING) == []


def test_empty_slots_are_counted(folder: Path) -> None:
    collector = Collector()
    read(folder / "derived_release_cutdown.mat", collector)
    assert issues(collector)["KP-MPII-EMPTY-SLOT"] == 94


def test_the_validation_set_comes_back_equal(validation: Dataset, tmp_path: Path) -> None:
    assert MpiiFormat().losses(validation, tmp_path / "m.mat") == []
    assert differences(validation, read(write(validation, tmp_path / "m.mat")), EVERYTHING) == []


def test_only_what_the_json_really_rounds_is_counted(validation: Dataset) -> None:
    lost = {loss.what: loss.count for loss in MpiiFormat().losses(validation, Path("valid.json"))}
    assert lost["coordinates"] == 11
    assert lost["visibility 1"] == 10243


def test_a_mat_file_of_predictions_is_not_mpii(folder: Path) -> None:
    with pytest.raises(FormatError, match="jnt_missing"):
        read(folder / "gt_valid_plus_tompson.mat")


def test_files_are_recognised_by_content(folder: Path) -> None:
    found = {path.name: MpiiFormat().sniff(path) for path in folder.iterdir() if path.is_file()}
    assert {name for name, variant in found.items() if variant} == {
        "datumaro_synthetic_RELEASE.mat",
        "derived_hrnet_valid_2958.json",
        "derived_release_cutdown.mat",
        "hrnet_test_mpii.json",
        "mpii_val_annolist_detections.mat",
    }


def _types(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _types(one) for name, one in value.items()}
    return [_types(one) for one in value] if isinstance(value, list) else type(value)
