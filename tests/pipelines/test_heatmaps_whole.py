"""`heatmaps --codec bottomup`: samples that are whole pictures."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest

import kpkit
from kpkit.augment.recipe import preset
from kpkit.core.report import Collector
from kpkit.errors import UsageError
from kpkit.formats.base import WriteOptions
from kpkit.formats.native import NativeFormat
from kpkit.pipelines import heatmaps_columns, heatmaps_shapes
from kpkit.pipelines.shards import verify
from tests.augment_data import HEIGHT, WIDTH, encoded, hashes, picture, read_labels, somebody, write_labels
from tests.whole_data import pictures, sizeless, whole, without_joints

TOP = (WIDTH - HEIGHT) // 2


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return pictures(tmp_path / "data")


def covering() -> object:
    return preset("six2").with_changes(occlusion=(0.3, 0.3))


def test_a_sample_is_a_picture_with_all_its_persons_each_stored_once(labels, tmp_path):
    report = whole(labels, tmp_path / "out", shard_samples=2)
    assert (report.samples, report.shards, report.persons, report.masked) == (3, 2, 9, 3)
    with kpkit.ShardDataset(tmp_path / "out") as found:
        assert len(found) == 3
        rows = found.labels()
        assert rows["image_path"] == ["000.png", "001.png", "002.png"]
        assert rows["person_count"].tolist() == [3, 4, 2]
        assert rows["person_first"].tolist() == [0, 3, 7]
        assert rows["instance_id"] == [1, 2, 100, 11, 12, 101, 102, 21, 22]
        assert [i for i, one in zip(rows["instance_id"], rows["masked"], strict=True) if one] == [100, 101, 102]


def test_pictures_where_nobody_has_joints_are_left_out_and_counted_with_their_persons(labels, tmp_path):
    report = whole(labels, tmp_path / "out")
    assert {(loss.what, loss.count) for loss in report.losses} == {("instances", 1), ("images", 2)}
    left_out = json.loads((tmp_path / "out/manifest.json").read_text())["left_out"]
    assert sorted(left_out.values()) == [1, 2]


def test_maps_are_the_largest_gaussian_of_any_person(labels, tmp_path):
    whole(labels, tmp_path / "out")
    source = kpkit.read(labels)
    y, x = np.mgrid[:24, :24].astype(float)
    with kpkit.ShardDataset(tmp_path / "out") as found:
        for sample in found:
            drawn = [
                i
                for i in range(len(source))
                if source.images.path[source.image_index[i]] == sample["image_path"]
                and not source.is_crowd[i]
                and source.visibility[i].any()
            ]
            expected = np.zeros((17, 24, 24))
            for i in drawn:
                # The picture is as wide as the input: it is only moved down. Sigma is 1, so windows reach 3 cells.
                mu = (source.xy[i] + [0, TOP] + 0.5) / 4 - 0.5
                for k, (mx, my) in enumerate(mu):
                    near = (np.abs(x - mx) <= 3.5) & (np.abs(y - my) <= 3.5)
                    gaussian = np.where(near, np.exp(-((x - mx) ** 2 + (y - my) ** 2) / 2), 0)
                    expected[k] = np.maximum(expected[k], gaussian)
            np.testing.assert_allclose(sample["heatmaps"], expected, atol=1e-5)


def test_picture_is_fitted_into_the_input_with_its_aspect_in_the_middle(labels, tmp_path):
    whole(labels, tmp_path / "out", input_size=(64, 48), with_images=True)
    with kpkit.ShardDataset(tmp_path / "out") as found:
        sample = found[0]
    # Half the size; the centre of the picture meets the centre of the input.
    np.testing.assert_allclose(sample["affine"][:, :2], np.eye(2) / 2)
    centre = sample["affine"] @ [(WIDTH - 1) / 2, (HEIGHT - 1) / 2, 1]
    np.testing.assert_allclose(centre, [(48 - 1) / 2, (64 - 1) / 2])
    assert not sample["image"][:15].any()
    assert not sample["image"][-15:].any()
    assert sample["image"][17:-17].any(axis=(1, 2)).all()


def test_sum_over_shards_is_the_dataset_each_person_once_a_copy_and_mirror(labels, tmp_path):
    whole(
        labels,
        tmp_path / "out",
        shard_samples=5,
        recipe=preset("hrnet"),
        copies=2,
        include_original=True,
        flip_copies=True,
    )
    with kpkit.ShardDataset(tmp_path / "out") as found:
        rows = found.labels()
    of = np.repeat(np.arange(18), rows["person_count"])
    seen = Counter(zip(rows["instance_id"], rows["copy"][of].tolist(), rows["flipped"][of].tolist(), strict=True))
    ids = [row["id"] for row in read_labels(labels.parent.parent)["annotations"] if row["image_id"] <= 3]
    assert seen == Counter((i, c, f) for i in ids for c in (0, 1, 2) for f in (False, True))
    assert not verify(tmp_path / "out").findings


def test_bytes_do_not_depend_on_workers(labels, tmp_path):
    options = {"shard_samples": 2, "with_images": True, "recipe": covering(), "copies": 2, "include_original": True}
    for workers in (1, 2, 4):
        whole(labels, tmp_path / f"out{workers}", workers=workers, flip_copies=True, **options)
    assert hashes(tmp_path / "out1") == hashes(tmp_path / "out2") == hashes(tmp_path / "out4")


def test_bytes_do_not_depend_on_the_order_of_the_labels_or_where_they_are_kept(labels, tmp_path, monkeypatch):
    whole(labels, tmp_path / "out1")
    content = read_labels(labels.parent.parent)
    content["annotations"].reverse()
    content["images"].reverse()
    other = labels.parent / "other.json"
    other.write_text(json.dumps(content))
    monkeypatch.setattr(heatmaps_columns, "HELD", 1)
    monkeypatch.setattr(heatmaps_shapes, "HELD", 1)
    whole(other, tmp_path / "out2")
    assert hashes(tmp_path / "out1") == hashes(tmp_path / "out2")


@pytest.mark.parametrize("size", [1, 2, 100])
def test_labels_in_parts_give_the_shards_of_the_whole(labels, tmp_path, size):
    parts = tmp_path / "parts.kpk"
    parts.mkdir()
    NativeFormat().write(kpkit.read(labels), parts, WriteOptions(final=parts, part_size=size), Collector())
    whole(labels, tmp_path / "out1")
    whole(parts, tmp_path / "out2")
    assert hashes(tmp_path / "out1") == hashes(tmp_path / "out2")


def test_pictures_and_occluders_are_those_of_augment(tmp_path):
    from kpkit.pipelines.augment import AugmentJob
    from kpkit.pipelines.augment import run as augment
    from tests.augment_data import dataset, read_picture

    labels = dataset(tmp_path / "data")
    recipe = covering().with_changes(input_size=(96, 96))
    whole(labels, tmp_path / "out", recipe=recipe, copies=2, with_images=True)
    augment(AugmentJob(input=labels, output=tmp_path / "covered", recipe=recipe, copies=2, image_format="png"))
    with kpkit.ShardDataset(tmp_path / "out") as found:
        for sample in found:
            name = f"{Path(sample['image_path']).stem}__c{sample['copy']}.png"
            file = tmp_path / "covered/images" / name
            np.testing.assert_array_equal(sample["image"], read_picture(file))


def test_sizes_come_from_the_labels_or_from_the_pictures(tmp_path):
    labels = sizeless(tmp_path / "data")
    with pytest.raises(UsageError) as refused:
        whole(labels, tmp_path / "out")
    assert refused.value.code == "KP-HEATMAPS-SIZE"
    assert not (tmp_path / "out").exists()
    whole(labels, tmp_path / "out", with_images=True)
    with kpkit.ShardDataset(tmp_path / "out") as found:
        np.testing.assert_allclose(found[1]["affine"], [[1, 0, 0], [0, 1, TOP]])


def test_picture_that_fails_is_listed_and_the_others_are_done(labels, tmp_path):
    folder = labels.parent.parent / "images"
    (folder / "001.png").write_bytes(encoded(picture(1))[:-200])
    report = whole(labels, tmp_path / "out", with_images=True, shard_samples=2)
    assert [failure.key for failure in report.failures] == ["001.png"]
    with kpkit.ShardDataset(tmp_path / "out") as found:
        assert found.labels()["image_path"] == ["000.png", "002.png"]
        assert found.labels()["instance_id"] == [1, 2, 100, 21, 22]


def test_resume_keeps_what_is_the_same_and_makes_anew_what_a_crowd_changed(labels, tmp_path):
    whole(labels, tmp_path / "out", shard_samples=1)
    before = hashes(tmp_path / "out")
    (tmp_path / "out/shard-00001.h5").unlink()
    assert whole(labels, tmp_path / "out", shard_samples=1, resume=True).kept == 2
    assert hashes(tmp_path / "out") == before
    content = read_labels(labels.parent.parent)
    crowd = next(row for row in content["annotations"] if row["iscrowd"])
    crowd["segmentation"]["counts"] = [0, HEIGHT * 20, HEIGHT * (WIDTH - 20)]
    write_labels(labels.parent.parent, content)
    assert whole(labels, tmp_path / "out", shard_samples=1, resume=True).kept == 2
    after = hashes(tmp_path / "out")
    assert [name for name in after if after[name] != before[name]] == ["manifest.json", "shard-00000.h5"]


def test_padding_is_refused_and_half_bodies_are_noted(labels, tmp_path):
    with pytest.raises(UsageError, match="no box"):
        whole(labels, tmp_path / "out", padding=1.5)
    recipe = preset("hrnet").with_changes(half_body=0.5)
    report = whole(labels, tmp_path / "out", recipe=recipe)
    assert "KP-HEATMAPS-HALF-BODY" in [issue.code for issue in report.issues]


def test_shard_size_in_bytes_holds_for_the_fullest_pictures(labels, tmp_path):
    whole(labels, tmp_path / "out", compression="none")
    with h5py.File(tmp_path / "out/shard-00000.h5") as file:
        most = max(sum(np.asarray(array[i : i + 1]).nbytes for array in file.values()) for i in range(3))
    report = whole(labels, tmp_path / "more", shard_samples=0, shard_bytes=2 * most + 4 * 1000, compression="none")
    assert report.shards == 2


def test_skeleton_without_edges_has_maps_alone(labels, tmp_path):
    whole(labels, tmp_path / "out", codec_parameters={"sigma": 1.0, "limbs": []})
    with kpkit.ShardDataset(tmp_path / "out") as found:
        assert "pafs" not in found.names
    assert not verify(tmp_path / "out").findings


@pytest.mark.parametrize("store", ["heatmaps", "params"])
@pytest.mark.parametrize("dtype", ["float16", "uint8"])
def test_every_type_and_store_is_whole(labels, tmp_path, store, dtype):
    whole(labels, tmp_path / "out", store=store, dtype=dtype, flip_copies=True, codec_parameters={"sigma": "box"})
    assert not verify(tmp_path / "out").findings


def test_weights_by_place_go_with_whole_pictures(labels, tmp_path):
    whole(labels, tmp_path / "out", spatial_weights="center")
    assert not verify(tmp_path / "out").findings
    with kpkit.ShardDataset(tmp_path / "out") as found:
        batch = found.read(range(3))
        factor = found.spatial_weights * batch["mask_miss"] / 255
    assert factor.max() == 1.5
    assert factor[0].min() == 0


def test_labels_without_any_joint_are_refused_with_what_they_hold(tmp_path):
    from tests.coco_files import document, image

    people = [without_joints(1, 1), somebody(2, 1, 2, iscrowd=1, segmentation=[])]
    labels = write_labels(tmp_path / "data", document(people, [image(1, file_name="a.jpg", width=96, height=64)]))
    with pytest.raises(UsageError, match="no person") as refused:
        whole(labels, tmp_path / "out")
    assert "2 persons and crowds" in refused.value.got
    assert not (tmp_path / "out").exists()


def test_dry_run_counts_pictures_and_writes_nothing(labels, tmp_path):
    report = whole(labels, tmp_path / "out", dry_run=True, flip_copies=True, shard_samples=2)
    assert (report.samples, report.shards, report.persons) == (6, 3, 9)
    assert not (tmp_path / "out").exists()


def test_size_of_a_recipe_for_crops_is_not_that_of_whole_pictures(labels, tmp_path):
    def size(recipe: object) -> list[int]:
        report = whole(labels, tmp_path / "out", input_size=None, recipe=recipe, dry_run=True)
        found: list[int] = report.codec["input_size"]
        return found

    assert size(preset("hrnet")) == [512, 512]
    assert size(preset("six2").with_changes(mode="image", input_size=(96, 64))) == [96, 64]


def test_persons_of_real_pictures_are_found_again_in_their_targets(real_data, tmp_path):
    from kpkit.pipelines.heatmaps import HeatmapsJob, run
    from kpkit.pipelines.load import LabelSource

    source = LabelSource(input=real_data / "data/coco/mmpose_test_coco.json", images=real_data / "data/images/coco")
    report = run(HeatmapsJob(source=source, output=tmp_path / "out", codec="bottomup", with_images=True))
    assert (report.samples, report.persons, report.masked) == (4, 14, 2)
    assert not verify(tmp_path / "out").findings
    with kpkit.ShardDataset(tmp_path / "out") as found:
        batch = found.read(range(4))
        affine = np.repeat(batch["affine"], batch["person_count"], axis=0)
        true = found.to_source(batch["keypoints"], affine)
        decoded = found.decode_persons(batch)
    of = np.repeat(np.arange(4), batch["person_count"])
    near = drawn = 0
    for xy, weights, number in zip(true, batch["weights"], of.tolist(), strict=True):
        people, scores = decoded[number]
        hits = (scores > 0) & (weights > 0) & (np.linalg.norm(people - xy, axis=-1) < 8)
        near, drawn = near + int(hits.sum(axis=1).max()), drawn + int((weights > 0).sum())
    assert near > 0.95 * drawn > 0
