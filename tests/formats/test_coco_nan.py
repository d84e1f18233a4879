"""NaN in a COCO file: refused at the first one, all named and the rest read where findings are collected."""

from __future__ import annotations

from pathlib import Path

import pytest

from kpkit.core.report import Collector
from kpkit.errors import FormatError
from kpkit.pipelines.io import read
from tests.coco_files import document, image, person, points, save

NAN, INF = float("nan"), float("inf")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    values = points()
    values[4], values[48] = NAN, -INF
    rows = [person(1), person(2, keypoints=values), person(3, area=NAN), person(4, bbox=[1, 2, INF, 4])]
    return save(tmp_path / "a.json", document(rows, [image(1), image(2, note="a, NaN, b")]))


def places(collector: Collector, path: Path) -> list[str]:
    (issue,) = (one for one in collector.issues if one.code == "KP-JSON-NAN" and one.message.endswith("NaN"))
    return [place.removeprefix(f"{path}: ") for place in issue.places]


def test_the_file_is_refused_at_its_first_one(path):
    with pytest.raises(FormatError) as error:
        read(path)
    assert "annotations[1].keypoints[4]" in error.value.place


def test_where_findings_are_collected_all_are_named(path):
    collector = Collector("collect", places_kept=None)
    dataset = read(path, collector=collector)
    found = {place for one in collector.issues if one.code == "KP-JSON-NAN" for place in one.places}
    assert {place.removeprefix(f"{path}: ") for place in found} == {
        "annotations[1].keypoints[4]",
        "annotations[1].keypoints[48]",
        "annotations[2].area",
        "annotations[3].bbox[2]",
    }
    assert dataset.instance_id.tolist() == [1, 3]


def test_a_file_that_is_broken_otherwise_is_still_refused(tmp_path):
    (tmp_path / "a.json").write_text('{"images": [], "annotations": [], "categories": [')
    with pytest.raises(FormatError):
        read(tmp_path / "a.json", "coco", collector=Collector("collect"))


def test_both_kinds_of_error_are_told_apart(tmp_path):
    (tmp_path / "a.json").write_text('{"images": [NaN], "annotations": [')
    with pytest.raises(FormatError) as error:
        read(tmp_path / "a.json", "coco", collector=Collector("collect"))
    assert error.value.code == "KP-JSON-TRUNCATED"


@pytest.mark.parametrize(
    "layout", [{}, {"indent": 2}, {"separators": (",", ":")}], ids=["plain", "indented", "compact"]
)
def test_every_layout_of_the_file_is_understood(tmp_path, layout):
    path = save(tmp_path / "a.json", document([person(1), person(2, area=NAN)]), **layout)
    collector = Collector("collect")
    assert len(read(path, collector=collector)) == 2
    assert places(collector, path) == ["annotations[1].area"]
