"""`heatmaps`: from a dataset to shards."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest

import kpkit
from kpkit.errors import InputError, OutputError, UsageError
from kpkit.targets.make import make_codec
from tests.augment_data import dataset, encoded, hashes, picture, read_labels, somebody, write_labels
from tests.coco_files import document, image, person
from tests.shard_data import shards


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return dataset(tmp_path / "data", images=5, persons=3)


def test_every_person_is_one_sample(labels, tmp_path):
    report = shards(labels, tmp_path / "out", shard_samples=4)
    assert (report.samples, report.persons, report.shards) == (15, 15, 4)
    with kpkit.ShardDataset(tmp_path / "out") as found:
        assert sorted(found.labels()["instance_id"]) == sorted(
            p["id"] for p in read_labels(labels.parent.parent)["annotations"]
        )


def test_sum_over_shards_is_the_dataset_each_person_once_a_copy_and_mirror(labels, tmp_path):
    from kpkit.augment.recipe import preset

    shards(
        labels,
        tmp_path / "out",
        shard_samples=7,
        recipe=preset("hrnet"),
        copies=2,
        include_original=True,
        flip_copies=True,
    )
    with kpkit.ShardDataset(tmp_path / "out") as found:
        rows = found.labels()
    seen = Counter(zip(rows["instance_id"], rows["copy"].tolist(), rows["flipped"].tolist(), strict=True))
    ids = [p["id"] for p in read_labels(labels.parent.parent)["annotations"]]
    assert seen == Counter((i, c, f) for i in ids for c in (0, 1, 2) for f in (False, True))
    order = list(zip(rows["image_path"], rows["copy"].tolist(), rows["instance_id"], strict=True))
    assert order == sorted(order)


def test_targets_are_those_of_the_stored_joints(labels, tmp_path):
    shards(labels, tmp_path / "out", dtype="float32")
    with kpkit.ShardDataset(tmp_path / "out") as found:
        batch = found.read(range(len(found)))
        codec = make_codec("msra", found.skeleton, (64, 48), sigma=1.0)
    expected, weights = codec.encode(batch["keypoints"].astype(np.float64), batch["visibility"])
    assert np.array_equal(batch["heatmaps"], expected["heatmaps"])
    assert np.array_equal(batch["weights"], weights)


def test_stored_matrix_leads_back_to_the_source(labels, tmp_path):
    shards(labels, tmp_path / "out")
    source = kpkit.read(labels)
    with kpkit.ShardDataset(tmp_path / "out") as found:
        rows = found.labels()
        back = found.to_source(rows["keypoints"], rows["affine"])
    place = {i: row for row, i in enumerate(source.instance_id.tolist())}
    for i, xy in zip(rows["instance_id"], back, strict=True):
        assert np.allclose(xy, source.xy[place[i]], atol=1e-4)


def test_crowds_and_persons_without_joints_are_left_out_and_counted(tmp_path):
    people = [somebody(1, 1, 1), person(2, 1, keypoints=[0] * 51, num_keypoints=0), somebody(3, 1, 3, iscrowd=1)]
    people[2]["segmentation"] = {"size": [64, 96], "counts": [64 * 96]}
    labels = write_labels(tmp_path / "data", document(people, [image(1, file_name="a.jpg", width=96, height=64)]))
    report = shards(labels, tmp_path / "out")
    assert report.samples == 1
    assert sorted(loss.count for loss in report.losses) == [1, 1]
    assert sum(json.loads((tmp_path / "out/manifest.json").read_text())["left_out"].values()) == 2


def test_person_without_a_box_gets_the_hull_of_its_joints(tmp_path):
    one = somebody(1, 1, 1)
    del one["bbox"]
    labels = write_labels(tmp_path / "data", document([one], [image(1, file_name="a.jpg", width=96, height=64)]))
    assert shards(labels, tmp_path / "out").samples == 1
    with kpkit.ShardDataset(tmp_path / "out") as found:
        assert np.isfinite(found[0]["bbox"]).all()


def test_without_images_no_picture_is_opened(tmp_path):
    labels = dataset(tmp_path / "data")
    for file in (tmp_path / "data/images").iterdir():
        file.unlink()
    assert shards(labels, tmp_path / "out").samples == 6
    with pytest.raises(UsageError):
        shards(labels, tmp_path / "out2", with_images=True)
    assert not (tmp_path / "out2").exists()


def test_truncated_picture_is_one_failed_item_and_the_others_are_done(tmp_path):
    labels = dataset(tmp_path / "data", suffix=".jpg")
    broken = tmp_path / "data/images/001.jpg"
    broken.write_bytes(encoded(picture(1), ".jpg")[:-200])
    report = shards(labels, tmp_path / "out", with_images=True, shard_samples=3)
    assert [failure.key for failure in report.failures] == ["001.jpg"]
    assert report.samples == 4
    with kpkit.ShardDataset(tmp_path / "out") as found:
        assert len(found) == 4
        assert "001.jpg" not in found.labels()["image_path"]
    assert json.loads((tmp_path / "out/manifest.json").read_text())["failed"] == [
        {"key": "001.jpg", "code": "KP-IMAGE-TRUNCATED"}
    ]


@pytest.mark.parametrize("options", [{}, {"with_images": True, "flip_copies": True}], ids=["targets", "images"])
def test_bytes_do_not_depend_on_workers(labels, tmp_path, options):
    for workers in (1, 2, 4):
        shards(labels, tmp_path / f"out{workers}", shard_samples=4, workers=workers, **options)
    assert hashes(tmp_path / "out1") == hashes(tmp_path / "out2") == hashes(tmp_path / "out4")


def test_bytes_do_not_depend_on_the_order_of_the_labels(labels, tmp_path):
    content = read_labels(labels.parent.parent)
    content["annotations"].reverse()
    content["images"].reverse()
    other = tmp_path / "data" / "other.json"
    other.write_text(json.dumps(content), encoding="utf-8")
    shards(labels, tmp_path / "out1", shard_samples=4)
    shards(other, tmp_path / "out2", shard_samples=4)
    assert hashes(tmp_path / "out1") == hashes(tmp_path / "out2")


def test_existing_output_is_kept_without_force_and_replaced_with_it(labels, tmp_path):
    shards(labels, tmp_path / "out", shard_samples=4)
    before = hashes(tmp_path / "out")
    with pytest.raises(OutputError, match="exists"):
        shards(labels, tmp_path / "out")
    assert hashes(tmp_path / "out") == before
    shards(labels, tmp_path / "out", force=True)
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["manifest.json", "shard-00000.h5"]


def test_folder_with_other_things_is_never_written_into(labels, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.txt").write_text("mine")
    for force in (False, True):
        with pytest.raises(OutputError, match="something else"):
            shards(labels, tmp_path / "out", force=force, resume=force)
    assert (tmp_path / "out/thesis.txt").read_text() == "mine"


def test_dry_run_counts_and_writes_nothing(labels, tmp_path):
    report = shards(labels, tmp_path / "out", dry_run=True, shard_samples=4, flip_copies=True)
    assert (report.samples, report.shards) == (30, 8)
    assert not (tmp_path / "out").exists()


def test_plain_h5py_reads_a_shard(labels, tmp_path):
    shards(labels, tmp_path / "out", dtype="float32")
    with h5py.File(tmp_path / "out/shard-00000.h5") as file, kpkit.ShardDataset(tmp_path / "out") as found:
        assert file.attrs["samples"] == len(found)
        assert json.loads(file.attrs["skeleton"])["keypoints"] == list(found.skeleton.keypoints)
        assert np.array_equal(file["heatmaps"][()], found.read(range(len(found)))["heatmaps"])
        assert file["image_path"][0] == b"000.png"


def test_unfinished_folder_is_no_dataset(labels, tmp_path):
    shards(labels, tmp_path / "out")
    (tmp_path / "out/manifest.json").unlink()
    with pytest.raises(InputError, match="not finished"):
        kpkit.ShardDataset(tmp_path / "out")


def test_rule_for_covered_joints_is_noted_where_nothing_covers_any(labels, tmp_path):
    from kpkit.augment.recipe import preset

    def codes(**options: object) -> list[str]:
        return [issue.code for issue in shards(labels, tmp_path / "out", force=True, **options).issues]

    assert "KP-HEATMAPS-UNCOVERED" in codes(occluded_target="absent", recipe=preset("hrnet"))
    assert "KP-HEATMAPS-UNCOVERED" in codes(occluded_target="keep")
    assert "KP-HEATMAPS-UNCOVERED" not in codes(
        occluded_target="absent", recipe=preset("six2").with_changes(occlusion=(0.3, 0.3))
    )
    assert "KP-HEATMAPS-UNCOVERED" not in codes(recipe=preset("hrnet"))


def test_shard_size_in_bytes_counts_samples_before_compression(labels, tmp_path):
    report = shards(labels, tmp_path / "out")
    sample = sum(report.arrays.values())
    assert shards(labels, tmp_path / "more", shard_samples=0, shard_bytes=4 * sample + 1).shards == 4
