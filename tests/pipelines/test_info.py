"""`info` says what a path holds, and goes on where records are wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import kpkit
from kpkit.errors import FormatError, InputError
from kpkit.pipelines import info
from tests.coco_files import document, image, person, points, save


def told(folder: Path, content: Any, **options: Any) -> dict[str, Any]:
    found = info.run(save(folder / "labels.json", content), **options)
    json.dumps(found)  # plain data throughout
    return found


@pytest.fixture
def content() -> dict[str, Any]:
    rows = [
        person(1, 1, note=1),
        person(2, 1, keypoints=points(flag=1)),
        person(3, 1, iscrowd=1, keypoints=[0] * 51, num_keypoints=0, bbox=None),
    ]
    return document(rows, [image(1, kpkit={"split": "val"}), {"id": 2, "file_name": "b.jpg"}])


def test_format_skeleton_and_counts(tmp_path, content):
    found = told(tmp_path, content)
    assert (found["format"], found["variant"], found["skeleton"]) == ("coco", "COCO ground truth", "coco17")
    assert found["counts"]["instances"] == 3
    assert found["counts"]["crowd"] == 1
    assert found["images_without_persons"] == 1
    assert found["persons_without_joints"] == 1
    assert found["image_sizes_unknown"] == 1
    assert found["schema_version"] == 1


def test_joints_by_flag(tmp_path, content):
    nose = told(tmp_path, content)["joints"][0]
    assert nose == {"joint": "nose", "visible": 1, "occluded": 1, "unlabelled": 1, "truncated": 0}


def test_boxes_splits_and_other_fields(tmp_path, content):
    found = told(tmp_path, content)
    assert found["boxes"] == {"unknown": 1, "annotated": 2}
    assert found["splits"] == {"(none)": 1, "val": 1}
    assert found["extras"]["coco.segmentation"] == 3
    assert found["extras"]["coco.note"] == 1
    assert found["extras"]["coco.image.license"] == 1


def test_wrong_records_are_listed_and_the_rest_is_counted(tmp_path):
    rows = [person(1), person(2, image_id=77), person(3, bbox=[1, 2, 3])]
    found = told(tmp_path, document(rows))
    assert {issue["code"]: issue["severity"] for issue in found["issues"]} == {
        "KP-COCO-IMAGE": "error",
        "KP-COCO-BBOX": "error",
    }
    assert found["counts"]["instances"] == 2


def test_a_file_that_cannot_be_read_at_all_is_an_error(tmp_path):
    path = save(tmp_path / "labels.json", document())
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(FormatError) as caught:
        info.run(path)
    assert caught.value.place.startswith(str(path))


def test_a_path_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(InputError):
        info.run(tmp_path / "no.json")


def test_a_format_may_be_named(tmp_path, content):
    assert told(tmp_path, content, from_="coco")["variant"] == "COCO ground truth"


def test_joints_may_be_named_where_the_labels_do_not(tmp_path):
    found = told(tmp_path, document(categories=[{"id": 1, "name": "person"}]), skeleton="coco17")
    assert found["skeleton"] == "coco17"
    assert found["joints"][16]["visible"] == 1


def test_a_partitioned_dataset_has_the_facts_of_the_whole(tmp_path: Path) -> None:
    rows = [person(n, 1 + n % 7, iscrowd=int(n == 3), keypoints=points(flag=1 + n % 2)) for n in range(40)]
    rows[5] |= {"attributes": {"a": 1}, "kpkit": {"extras": {"x.y": 1}}}
    images = [image(n, kpkit={"split": "ab"[n % 2]} if n % 3 else {}) for n in range(1, 9)]
    path = save(tmp_path / "in.json", document(rows, images) | {"kpkit": {"meta": {"a": 1}}})
    kpkit.convert("coco", "native", path, output=tmp_path / "whole.kpk")
    kpkit.convert("coco", "native", path, output=tmp_path / "parts.kpk", part_size=3)
    whole, parts = (info.run(tmp_path / f"{name}.kpk") for name in ("whole", "parts"))
    assert whole["extras"]["coco.licenses"] == 1
    assert {**parts, "path": ""} == {**whole, "path": ""}
    assert [list(told) for told in (parts, parts["splits"], parts["extras"])] == [
        list(told) for told in (whole, whole["splits"], whole["extras"])
    ]
