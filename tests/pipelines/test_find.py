"""What counts as the one dataset of a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kpkit.errors import UsageError
from kpkit.pipelines.convert import ConvertJob, run
from kpkit.pipelines.find import find_input, get_format, inputs_of


def _person(image: str, x: float) -> dict[str, object]:
    joints = [[x + k, 20.0 + k] for k in range(16)]
    return {"joints_vis": [1] * 16, "joints": joints, "image": image, "scale": 1.5, "center": [x, 30.0]}


def _annot(folder: Path, **files: list[dict[str, object]]) -> Path:
    (folder / "annot").mkdir(parents=True)
    for stem, persons in files.items():
        (folder / "annot" / f"{stem}.json").write_text(json.dumps(persons))
    return folder


def test_an_hrnet_annot_folder_is_one_dataset_with_its_splits(tmp_path: Path) -> None:
    train, valid = [_person("a.jpg", 10.0), _person("b.jpg", 40.0)], [_person("c.jpg", 70.0)]
    folder = _annot(tmp_path, train=train, valid=valid, trainval=train + valid)

    report = run(ConvertJob(source="mpii", target="coco", folder=folder))

    written = json.loads((folder / "kpkit-out/convert-coco/annotations/person_keypoints_default.json").read_text())
    assert report.counts["instances"] == 3
    assert [Path(path).name for path in report.inputs] == ["train.json", "valid.json"]
    assert {row["file_name"]: row["kpkit"]["split"] for row in written["images"]} == {
        "a.jpg": "train",
        "b.jpg": "train",
        "c.jpg": "valid",
    }


def test_annot_files_of_other_names_are_candidates_to_choose_from(tmp_path: Path) -> None:
    folder = _annot(tmp_path, train=[_person("a.jpg", 10.0)], mine=[_person("b.jpg", 10.0)])

    with pytest.raises(UsageError, match="several mpii label files") as caught:
        inputs_of(get_format("mpii"), (), folder)

    assert "annot/mine.json" in caught.value.got
    assert "annot/train.json" in caught.value.got


def test_an_empty_folder_says_where_labels_were_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        inputs_of(get_format("coco"), (), tmp_path)

    assert caught.value.code == "KP-INPUT-NONE"
    assert "annotations/person_keypoints_*.json" in caught.value.expected


def test_the_only_labels_of_a_folder_are_found_whatever_their_format(tmp_path: Path) -> None:
    folder = _annot(tmp_path, valid=[_person("a.jpg", 10.0)])

    path, found = find_input(None, "", folder)

    assert (path.name, found.name) == ("valid.json", "mpii")
