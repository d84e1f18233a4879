"""What other converters of this field get wrong, each seen right here.

The faults were seen in releases of 2025 and 2026 of the tools that the tests name.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kpkit
from kpkit.core import catalog
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.report import Collector
from tests.coco_files import document, image, load, person, points, save

MPII16 = catalog.skeleton("mpii16")
# Ids 0..15; who is absent (0), occluded (1) or visible (2).
FLAGS = [2, 1, 2, 0, 2, 1, 2, 2, 2, 2, 0, 0, 1, 2, 2, 1]


@pytest.fixture
def mpii_dataset() -> Dataset:
    """One person of MPII with absent and occluded joints, a head box and no person box."""
    k = np.arange(16)
    xy = np.stack([10 + 3.0 * k, 20 + 2.0 * k], axis=-1)
    xy[np.array(FLAGS) == 0] = np.nan
    return Dataset.build(
        skeleton=MPII16,
        images=ImageTable.build(path=["015601864.jpg"], width=[640], height=[480]),
        image_index=[0],
        xy=[xy],
        visibility=[FLAGS],
        head_box=[[40, 10, 20, 25]],
    )


@pytest.fixture
def mpii(mpii_dataset: Dataset, tmp_path: Path) -> Path:
    kpkit.write(mpii_dataset, tmp_path / "mpii.mat", "mpii")
    return tmp_path / "mpii.mat"


def triplets(path: Path, row: int = 0) -> np.ndarray[Any, Any]:
    return np.array(load(path)["annotations"][row]["keypoints"], float).reshape(-1, 3)


class TestMpiiToCoco:
    """Datumaro 1.13."""

    @pytest.fixture
    def coco(self, mpii: Path, tmp_path: Path) -> Path:
        kpkit.convert("mpii", "coco", mpii, output=tmp_path / "coco.json", keep_skeleton=True)
        return tmp_path / "coco.json"

    def test_absent_joints_keep_their_place_among_sixteen(self, coco):
        assert triplets(coco).shape == (16, 3)
        assert triplets(coco)[3].tolist() == [0, 0, 0]
        assert triplets(coco)[4].tolist() == [22, 28, 2]

    def test_visible_is_2_and_occluded_is_1(self, coco):
        assert triplets(coco)[:, 2].tolist() == FLAGS

    def test_the_head_box_is_not_the_person_s(self, coco):
        row = load(coco)["annotations"][0]
        assert row["kpkit"]["head_box"] == [40, 10, 20, 25]
        x, y, w, h = row["bbox"]
        joints = triplets(coco)
        labelled = joints[joints[:, 2] > 0]
        assert (x <= labelled[:, 0]).all()
        assert (labelled[:, 0] <= x + w).all()
        assert (y <= labelled[:, 1]).all()
        assert (labelled[:, 1] <= y + h).all()

    def test_a_flag_of_text_is_not_taken_for_true(self, real_data):
        """bool('0') is True; 730 joints of the release hold the text '0'."""
        mat = real_data / "data/mpii/mpii_val_annolist_detections.mat"
        dataset = kpkit.read(mat, image_list=real_data / "data/mpii/valid_images.txt")
        assert int((dataset.visibility == 1).sum()) == 9_513 + 730


class TestCocoToCoco:
    """FiftyOne 1.22 moved every twentieth point by a pixel and dropped boxes and areas; sleap-io made v=1 into v=2."""

    CONTENT = document(
        [
            person(1, 1, keypoints=[n + 0.37 if i % 3 < 2 else 1 + i % 2 for i, n in enumerate(points())]),
            person(2, 2, keypoints=points(flag=1), bbox=[0.01, 479.99, 33.3333333333, 1e-05], area=1234.5678901234),
        ],
        [image(1), image(2, width=333, height=500)],
    )

    @pytest.mark.parametrize("anew", [False, True])
    def test_no_point_moves_and_boxes_areas_and_flags_stay(self, tmp_path, anew):
        dataset = kpkit.read(save(tmp_path / "a.json", self.CONTENT))
        kpkit.write(dataset.replace(source=None) if anew else dataset, tmp_path / "b.json", "coco")
        after = load(tmp_path / "b.json")
        for old, new in zip(self.CONTENT["annotations"], after["annotations"], strict=True):
            assert {key: new[key] for key in ("keypoints", "bbox", "area", "iscrowd", "id", "image_id")} == {
                key: old[key] for key in ("keypoints", "bbox", "area", "iscrowd", "id", "image_id")
            }

    @pytest.mark.parametrize("target", ["native", "yolo-pose"])
    def test_all_three_flags_survive_there_and_back(self, tmp_path, target):
        values = [n if i % 3 < 2 else (i // 3) % 3 for i, n in enumerate(points())]
        path = save(tmp_path / "a.json", document([person(keypoints=values, num_keypoints=11)]))
        kpkit.convert("coco", target, path, output=tmp_path / "there")
        kpkit.convert(target, "coco", tmp_path / "there", output=tmp_path / "back.json", skeleton="coco17")
        assert triplets(tmp_path / "back.json")[:, 2].tolist() == values[2::3]

    def test_three_flags_are_kept_apart_by_name_in_counts(self, tmp_path):
        """mmpose knows min(1, v) only."""
        counts = kpkit.read(save(tmp_path / "a.json", self.CONTENT)).counts()
        assert counts["visible"] > 0
        assert counts["occluded"] > 17


class TestYolo:
    """hotcoco 1.3 and supervision write boxes and drop keypoints without a word."""

    def test_every_row_holds_its_keypoints(self, tmp_path):
        path = save(tmp_path / "a.json", document([person(), person(2, keypoints=points(flag=1))]))
        kpkit.convert("coco", "yolo-pose", path, output=tmp_path / "yolo")
        (labels,) = (tmp_path / "yolo").glob("labels/*/*.txt")
        rows = [line.split() for line in labels.read_text().splitlines()]
        assert [len(row) for row in rows] == [5 + 51, 5 + 51]
        assert [float(v) for v in rows[1][7::3]] == [1] * 17
        assert float(rows[0][5]) == pytest.approx(10 / 640)

    def test_points_come_back_where_they_were(self, tmp_path):
        path = save(tmp_path / "a.json", document([person(keypoints=points(shift=0.123))]))
        kpkit.convert("coco", "yolo-pose", path, output=tmp_path / "yolo")
        again = kpkit.read(tmp_path / "yolo")
        np.testing.assert_allclose(again.xy, kpkit.read(path).xy, atol=2e-3)


class TestWithoutImages:
    """Most tools open every image file."""

    @pytest.mark.parametrize("target", ["coco", "yolo-pose", "six2", "native"])
    def test_labels_convert_without_one_image_file(self, tmp_path, target):
        path = save(tmp_path / "a.json", document())
        report = kpkit.convert("coco", target, path, output=tmp_path / "out")
        assert report.counts["instances"] == 1

    def test_labels_of_mpii_convert_without_one_image_file(self, mpii, tmp_path):
        report = kpkit.convert("mpii", "coco", mpii, output=tmp_path / "out", keep_skeleton=True)
        assert report.counts["labelled"] == 13


class TestSkeletons:
    """None of them maps the joints of one file onto another skeleton."""

    def test_a_skeleton_is_mapped_by_name_and_not_by_number(self, mpii, tmp_path):
        kpkit.convert("mpii", "coco", mpii, output=tmp_path / "coco.json")
        joints = dict(zip(catalog.skeleton("coco17").keypoints, triplets(tmp_path / "coco.json").tolist(), strict=True))
        assert joints["right_ankle"] == [10, 20, 2]
        assert joints["left_hip"] == [0, 0, 0]
        assert joints["nose"] == [0, 0, 0]

    def test_what_finds_no_place_is_counted(self, mpii, tmp_path):
        report = kpkit.convert("mpii", "coco", mpii, output=tmp_path / "coco.json")
        assert {loss.what: loss.count for loss in report.losses} == {
            "joint pelvis": 1,
            "joint thorax": 1,
            "joint upper_neck": 1,
            "joint head_top": 1,
        }


class TestDefects:
    """hotcoco's health check finds none of these; reading names each of them."""

    @pytest.mark.parametrize(
        ("row", "code"),
        [
            ({"num_keypoints": 3}, "KP-COCO-NUM-KEYPOINTS"),
            ({"keypoints": points()[:50]}, "KP-COCO-LENGTH"),
            ({"keypoints": [*points()[:50], 3]}, "KP-COCO-VISIBILITY"),
            ({"keypoints": [0, 0, 2, *points()[3:]]}, "KP-COCO-ORIGIN"),
            ({"keypoints": [9, 9, 0, *points()[3:]], "num_keypoints": 16}, "KP-COCO-GHOST"),
            ({"keypoints": [900, 9, 2, *points()[3:]]}, "KP-JOINT-OUTSIDE"),
            ({"id": 1, "area": 3}, "KP-COCO-ID"),
            ({"image_id": 9}, "KP-COCO-IMAGE"),
            ({"category_id": 9}, "KP-COCO-CATEGORY"),
        ],
    )
    def test_a_seeded_defect_is_found_and_only_that(self, tmp_path, row, code):
        collector = Collector("collect")
        kpkit.read(save(tmp_path / "a.json", document([person(), person(**{"id": 2, **row})])), collector=collector)
        assert [issue.code for issue in collector.issues] == [code]


def test_a_file_that_is_read_is_never_written_to(mpii, tmp_path):
    copy = shutil.copy(mpii, tmp_path / "copy.mat")
    kpkit.convert("mpii", "coco", mpii, output=tmp_path / "coco.json")
    assert mpii.read_bytes() == Path(copy).read_bytes()
