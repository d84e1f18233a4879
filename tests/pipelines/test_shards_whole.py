"""Reading shards of whole pictures: persons of samples, mirrors, joints in the source, damage, pictures of samples."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import jsonschema
import numpy as np
import pytest

import kpkit
from kpkit import resources
from kpkit.augment.recipe import preset
from kpkit.errors import FormatError, UsageError
from kpkit.pipelines.shards import info, verify
from kpkit.pipelines.shards_show import show
from kpkit.targets.shard_write import sha256_of
from tests.augment_data import read_picture
from tests.whole_data import pictures, whole


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def folder(labels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shards") / "out"
    recipe = preset("six2").with_changes(occlusion=(0.2, 0.2))
    whole(labels, out, shard_samples=4, with_images=True, flip_copies=True, recipe=recipe, include_original=True)
    return out


def test_persons_of_a_batch_follow_its_samples_in_any_order(folder):
    with kpkit.ShardDataset(folder) as found:
        order = [11, 0, 7, 7, 3]
        batch = found.read(order)
        assert batch["person_first"].tolist() == [0, *np.cumsum(batch["person_count"])[:-1].tolist()]
        for place, index in enumerate(order):
            one = found[index]
            first, count = batch["person_first"][place], batch["person_count"][place]
            assert (one["person_first"], one["person_count"]) == (0, count)
            for name in found.names:
                mine = batch[name][first : first + count] if found.is_of_persons(name) else batch[name][place]
                if name != "person_first":
                    np.testing.assert_array_equal(one[name], mine, err_msg=name)


def test_arrays_of_persons_come_with_what_says_whose_they_are(folder):
    with kpkit.ShardDataset(folder, names=["instance_id"]) as found:
        assert found.names == ("instance_id", "person_first", "person_count")
        batch = next(found.batches(5, shuffle=True, seed=3))
        assert len(batch["instance_id"]) == batch["person_count"].sum()
    with kpkit.ShardDataset(folder, names=["heatmaps", "mask_miss"]) as found:
        assert found.names == ("heatmaps", "mask_miss")


def test_no_sample_is_an_empty_batch(folder):
    with kpkit.ShardDataset(folder) as found:
        batch = found.read([])
        assert batch["keypoints"].shape == (0, 17, 2)
        assert batch["heatmaps"].shape == (0, 17, 24, 24)


def test_mirror_by_the_reader_is_the_stored_mirror_and_the_mirrored_joints_encoded(folder):
    with kpkit.ShardDataset(folder) as found:
        stored, read = found.read(np.arange(1, len(found), 2)), found.read(np.arange(0, len(found), 2), flip=True)
        codec, width = found.codec, found.codec.input_size[1]
        for name in found.names:
            if name in ("heatmaps", "pafs", "keypoints", "affine"):
                np.testing.assert_allclose(read[name], stored[name], atol=2e-5, err_msg=name)
            else:
                np.testing.assert_array_equal(read[name], stored[name], err_msg=name)
        plain = found.read(np.arange(0, len(found), 2))
    xy = plain["keypoints"][:, found.skeleton.flip_index].astype(np.float64)
    xy[..., 0] = width - 1 - xy[..., 0]
    hidden = plain["masked"][:, None] | plain["occluded"]
    seen = np.where(hidden, 0, plain["visibility"]).astype(np.uint8)[:, found.skeleton.flip_index]
    starts = np.concatenate([[0], np.cumsum(plain["person_count"])])
    encoded, _ = codec.encode(xy, seen, starts=starts)
    blank = plain["occlusion_mask"][:, :, ::-1] >= 128
    for name in ("heatmaps", "pafs"):
        np.testing.assert_allclose(read[name], np.where(blank[:, None], 0, encoded[name]), atol=2e-5)


def test_mirror_where_limbs_have_no_mirror_is_rendered_anew(labels, tmp_path):
    whole(labels, tmp_path / "out", flip_copies=True, codec_parameters={"sigma": 1.0, "limbs": [[5, 7], [0, 6]]})
    with kpkit.ShardDataset(tmp_path / "out") as found:
        assert not found.codec.flips_channels
        stored, read = found.read([1, 3, 5]), found.read([0, 2, 4], flip=True)
        some = found.read([0, 2, 4], flip=np.array([False, True, False]))
    for name in ("heatmaps", "pafs", "weights"):
        np.testing.assert_allclose(read[name], stored[name], atol=2e-5)
    np.testing.assert_array_equal(some["flipped"], [False, True, False])
    np.testing.assert_array_equal(some["pafs"][1], read["pafs"][1])


@pytest.mark.parametrize("flip", [False, True])
def test_parameters_render_what_heatmaps_hold(labels, tmp_path, flip):
    whole(labels, tmp_path / "maps")
    whole(labels, tmp_path / "params", store="params")
    with kpkit.ShardDataset(tmp_path / "maps") as maps, kpkit.ShardDataset(tmp_path / "params") as params:
        first, second = maps.read([2, 0, 1], flip=flip), params.read([2, 0, 1], flip=flip)
        for name in ("heatmaps", "pafs", "mask_miss", "weights"):
            np.testing.assert_allclose(first[name], second[name], atol=1e-6, err_msg=name)


def test_joints_lead_back_to_the_source(labels, folder):
    source = kpkit.read(labels)
    place = {i: row for row, i in enumerate(source.instance_id.tolist())}
    with kpkit.ShardDataset(folder) as found:
        rows = found.labels()
        affine = np.repeat(rows["affine"], rows["person_count"], axis=0)
        flipped = np.repeat(rows["flipped"], rows["person_count"])
        back = found.to_source(rows["keypoints"], affine)
    for i, xy, turned in zip(rows["instance_id"], back, flipped, strict=True):
        wanted = source.xy[place[i]]
        order = source.skeleton.flip_index if turned else np.arange(17)
        np.testing.assert_allclose(xy, wanted[order], atol=1e-3)


def test_persons_are_decoded_in_pixels_of_the_source(tmp_path):
    from tests.augment_data import write_labels
    from tests.coco_files import COCO17, document, image, person

    # A stick figure: every joint has its own place.
    x = [50, 54, 46, 58, 42, 66, 34, 74, 26, 82, 18, 60, 40, 62, 38, 64, 36]
    y = [10, 6, 6, 8, 8, 24, 24, 40, 40, 56, 56, 56, 56, 80, 80, 104, 104]
    joints = [[v for a, b in zip(x, y, strict=True) for v in (a + 110 * n, b, 2)] for n in range(2)]
    people = [person(n + 1, 1, keypoints=joints[n]) for n in range(2)]
    labels = write_labels(tmp_path / "data", document(people, [image(1, file_name="a.jpg", width=220, height=120)]))
    whole(labels, tmp_path / "out", input_size=(240, 220), heatmap_size=(120, 110))
    with kpkit.ShardDataset(tmp_path / "out") as found:
        ((xy, scores),) = found.decode_persons(found.read([0]))
    assert xy.shape == (2, len(COCO17), 2)
    assert (scores > 0.5).all()
    expected = np.stack([np.stack([np.array(x) + 110 * n, y], axis=-1) for n in range(2)])
    assert np.abs(xy[np.argsort(xy[:, 0, 0])] - expected).max() < 1.0


def test_crops_hold_one_person_and_do_not_decode_more(tmp_path):
    from tests.augment_data import dataset
    from tests.shard_data import shards

    shards(dataset(tmp_path / "data"), tmp_path / "out")
    with kpkit.ShardDataset(tmp_path / "out") as found:
        assert not found.whole_images
        with pytest.raises(UsageError, match="one person"):
            found.decode_persons(found.read([0]))


def test_plain_h5py_reads_persons_by_their_rows(folder):
    with h5py.File(folder / "shard-00001.h5") as file, kpkit.ShardDataset(folder) as found:
        assert file.attrs["persons"] == len(file["keypoints"]) == file["person_count"][()].sum()
        first, count = int(file["person_first"][2]), int(file["person_count"][2])
        np.testing.assert_array_equal(file["keypoints"][first : first + count], found[4 + 2]["keypoints"])


def test_manifest_is_as_its_schema_says(folder):
    schema = json.loads((resources.schemas_dir() / "json/shards.schema.json").read_text())
    jsonschema.validate(json.loads((folder / "manifest.json").read_text()), schema)


def test_info_counts_persons_once_and_those_that_are_masked(folder):
    found = info(folder)
    assert (found.manifest.samples, found.persons, found.masked, found.flipped) == (12, 9, 3, 6)


def damaged(folder: Path, tmp_path: Path, name: str, row: object, value: object) -> Path:
    """A copy whose first shard has another value, and whose manifest knows nothing of it but the sum."""
    bad = tmp_path / "bad"
    shutil.copytree(folder, bad)
    path = bad / "shard-00000.h5"
    with h5py.File(path, "r+") as file:
        file[name][row] = value
    manifest = json.loads((bad / "manifest.json").read_text())
    manifest["shards"][0] |= {"sha256": sha256_of(path), "bytes": path.stat().st_size}
    (bad / "manifest.json").write_text(json.dumps(manifest))
    return bad


@pytest.mark.parametrize(
    ("name", "row", "value", "place"),
    [
        ("keypoints", (3, 4), [1.0, 2.0], "heatmaps"),
        ("weights", (0, 0), 0.5, "weights"),
        ("masked", 0, True, "heatmaps"),
    ],
)
def test_verify_finds_labels_that_are_not_those_of_the_targets(labels, tmp_path, name, row, value, place):
    whole(labels, tmp_path / "out")
    assert not verify(tmp_path / "out").findings
    found = verify(damaged(tmp_path / "out", tmp_path, name, row, value)).findings
    assert any(place in finding.place for finding in found)


def test_verify_finds_a_mask_where_nobody_is_masked(labels, tmp_path):
    whole(labels, tmp_path / "out", compression="none")
    (finding,) = verify(damaged(tmp_path / "out", tmp_path, "mask_miss", (2, 3, 4), 0)).findings
    assert finding.place.endswith("mask_miss[2]")


@pytest.mark.parametrize(
    ("name", "row", "value"),
    [("person_first", 1, 2), ("person_first", 1, 1 << 40), ("person_count", 0, -1), ("person_count", 1, 1 << 30)],
)
def test_persons_that_are_not_divided_among_samples_are_refused(labels, tmp_path, name, row, value):
    whole(labels, tmp_path / "out")
    bad = damaged(tmp_path / "out", tmp_path, name, row, value)
    with kpkit.ShardDataset(bad) as found, pytest.raises(FormatError, match="not divided"):
        found.read([0])


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.pop("mask_miss"),
        lambda arrays: arrays.pop("person_count"),
        lambda arrays: arrays["keypoints"].pop("per"),
        lambda arrays: arrays["instance_id"].pop("per"),
        lambda arrays: arrays["heatmaps"].update(per="person"),
    ],
)
def test_manifest_that_says_another_form_is_refused(labels, tmp_path, change):
    whole(labels, tmp_path / "out")
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    change(manifest["arrays"])
    (tmp_path / "out/manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(FormatError):
        kpkit.ShardDataset(tmp_path / "out").codec  # noqa: B018  # its checks


def test_picture_of_samples_shows_every_person(folder, tmp_path):
    assert show(folder, tmp_path / "sheet.png", samples=4) == [0, 4, 7, 11]
    assert read_picture(tmp_path / "sheet.png").size


def test_view_lays_whole_pictures_over_their_sources(labels, folder):
    from kpkit.pipelines.view_heatmaps import heatmaps_of

    dataset = kpkit.read(labels)
    sizes = np.stack([dataset.images.width, dataset.images.height], axis=-1).astype(np.float64)
    from kpkit.core.report import Collector

    found = heatmaps_of(folder, dataset, sizes, Collector())
    assert sorted(dataset.images.path[row] for row in found) == ["000.png", "001.png", "002.png"]
    assert all(one.max() > 200 for one in found.values())
