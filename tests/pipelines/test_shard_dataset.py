"""Reading shards: single samples, batches, mirrors, other processes, and files that mean harm."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

import kpkit
from kpkit import registry
from kpkit.augment.recipe import preset
from kpkit.errors import FormatError, InputError, UsageError
from kpkit.pipelines.shards import info, verify
from tests.augment_data import dataset
from tests.shard_data import shards

CODECS = [
    name for name in registry.names(registry.CODECS) if name in {"msra", "unbiased", "udp", "megvii", "simcc", "paf"}
]


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("data"), images=6, persons=2)


@pytest.fixture(scope="module")
def folder(labels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shards") / "out"
    shards(labels, out, shard_samples=5, with_images=True, dtype="float32")
    return out


def test_sample_is_the_same_alone_and_in_a_batch(folder):
    with kpkit.ShardDataset(folder) as found:
        batch = found.read([7, 0, 11, 7])
        for place, index in enumerate((7, 0, 11, 7)):
            one = found[index]
            for name in found.names:
                np.testing.assert_array_equal(one[name], batch[name][place], err_msg=name)


def test_negative_numbers_count_from_the_end_and_others_are_index_errors(folder):
    with kpkit.ShardDataset(folder) as found:
        assert found[-1]["instance_id"] == found[len(found) - 1]["instance_id"]
        for index in (len(found), -len(found) - 1):
            with pytest.raises(IndexError):
                found[index]
        with pytest.raises(IndexError):
            found.read([0, len(found)])


def test_shuffled_batches_hold_every_sample_once_in_an_order_of_the_seed(folder):
    with kpkit.ShardDataset(folder, names=["instance_id"]) as found:
        orders = [[i for b in found.batches(5, shuffle=True, seed=s) for i in b["instance_id"]] for s in (1, 1, 2)]
        assert orders[0] == orders[1] != orders[2]
        assert sorted(orders[0]) == sorted(found.labels()["instance_id"])
        assert [len(b["instance_id"]) for b in found.batches(5)] == [5, 5, 2]
        assert [len(b["instance_id"]) for b in found.batches(5, drop_last=True)] == [5, 5]


def test_unknown_array_is_refused_with_the_nearest_name(folder):
    with pytest.raises(UsageError, match="no array") as caught:
        kpkit.ShardDataset(folder, names=["heatmap"])
    assert "heatmaps" in caught.value.help


@pytest.mark.parametrize("dtype", ["float16", "uint8", "float32"])
def test_values_are_what_is_stored_scaled(labels, tmp_path, dtype):
    shards(labels, tmp_path / "out", dtype=dtype)
    with kpkit.ShardDataset(tmp_path / "out") as values, kpkit.ShardDataset(tmp_path / "out", dtype="stored") as raw:
        scale, offset = raw.scale_offset("heatmaps")
        stored = raw.read(range(4))["heatmaps"]
        assert stored.dtype == dtype
        np.testing.assert_allclose(
            values.read(range(4))["heatmaps"], stored.astype(np.float32) * scale + offset, atol=1e-7
        )


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_every_compression_reads_back_and_verifies(labels, folder, tmp_path, compression):
    if compression == "zstd":
        pytest.importorskip("hdf5plugin")
    shards(labels, tmp_path / "out", compression=compression, dtype="float32", shard_samples=5)
    with kpkit.ShardDataset(tmp_path / "out") as found, kpkit.ShardDataset(folder) as other:
        np.testing.assert_array_equal(found.read(range(12))["heatmaps"], other.read(range(12))["heatmaps"])
    assert verify(tmp_path / "out").findings == []


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("store", ["heatmaps", "params"])
def test_mirrored_sample_is_that_of_the_mirrored_person(labels, tmp_path, codec, store):
    shards(labels, tmp_path / "out", codec=codec, codec_parameters={}, dtype="float32", store=store, flip_copies=True)
    with kpkit.ShardDataset(tmp_path / "out") as found:
        n = len(found)
        straight, mirrored = np.arange(0, n, 2), np.arange(1, n, 2)
        read = found.read(straight, flip=True)
        made = found.read(mirrored)
        for name in found.names:
            if name not in {"mu", "sigma"}:
                np.testing.assert_allclose(
                    np.asarray(read[name], dtype=float) if name != "image_path" else 0,
                    np.asarray(made[name], dtype=float) if name != "image_path" else 0,
                    atol=2e-3,
                    rtol=1e-4,
                    err_msg=name,
                )
    assert verify(tmp_path / "out").findings == []


def test_mirror_of_a_mirror_is_the_sample(folder):
    with kpkit.ShardDataset(folder) as found:
        once = found.read(range(12), flip=[True] * 12)
        assert once["flipped"].all()
        back = found.codec.input_size[1] - 1 - once["keypoints"][..., 0]
        order = found.skeleton.flip_index
        np.testing.assert_allclose(back[:, order], found.read(range(12))["keypoints"][..., 0], atol=1e-4)
        np.testing.assert_array_equal(once["image"][:, :, ::-1], found.read(range(12))["image"])


def test_only_the_chosen_samples_are_mirrored(folder):
    with kpkit.ShardDataset(folder) as found:
        some = found.read([3, 4, 5], flip=np.array([False, True, False]))
        assert some["flipped"].tolist() == [False, True, False]
        np.testing.assert_array_equal(some["heatmaps"][0], found[3]["heatmaps"])


def test_parameters_render_what_heatmaps_hold(labels, folder, tmp_path):
    shards(labels, tmp_path / "out", store="params", dtype="float32")
    with kpkit.ShardDataset(tmp_path / "out") as found, kpkit.ShardDataset(folder) as other:
        np.testing.assert_array_equal(found.read(range(12))["heatmaps"], other.read(range(12))["heatmaps"])
        assert "mu" in found.names
    assert sum(p.stat().st_size for p in (tmp_path / "out").glob("*.h5")) < 30_000


def test_decoded_joints_are_near_those_of_the_labels(folder):
    with kpkit.ShardDataset(folder) as found:
        batch = found.read(range(len(found)))
        points, scores = found.decode(batch)
        true = found.to_source(batch["keypoints"], batch["affine"])
    good = (batch["weights"] > 0) & (scores > 0)
    assert good.mean() > 0.9
    # Cells are about 5 pixels of the source here.
    assert np.median(np.linalg.norm(points - true, axis=-1)[good]) < 5


def test_covered_joints_have_no_weight_and_nothing_shines_through_the_region(labels, tmp_path):
    recipe = preset("none").with_changes(occlusion=(0.3, 0.3))
    for rule, weight in (("ignore", 0.0), ("absent", 1.0), ("keep", 1.0)):
        shards(labels, tmp_path / rule, recipe=recipe, occluded_target=rule)
        assert verify(tmp_path / rule).findings == []
        with kpkit.ShardDataset(tmp_path / rule) as found:
            batch = found.read(range(len(found)))
            covered = batch["occluded"]
            assert covered.any()
            assert (batch["visibility"][covered] == 1).all()
            inside = (batch["weights"][covered] == weight).mean()
            assert inside == 1.0 if rule == "ignore" else inside > 0.9
            hidden = batch["occlusion_mask"] >= 128
            assert hidden.any()
            shown = np.where(hidden[:, None], batch["heatmaps"], 0).max()
            assert (shown > 0.5) if rule == "keep" else (shown == 0)


def test_crops_and_occluders_are_those_of_augment(labels, tmp_path):
    from kpkit.pipelines.augment import AugmentJob
    from kpkit.pipelines.augment import run as augment

    recipe = preset("hrnet").with_changes(input_size=(64, 48), occlusion=(0.3, 0.3))
    augment(AugmentJob(input=labels, output=tmp_path / "crops", recipe=recipe, copies=2, image_format="png"))
    shards(labels, tmp_path / "out", recipe=recipe, copies=2, with_images=True)
    with kpkit.ShardDataset(tmp_path / "out") as found:
        for sample in found:
            stem = Path(sample["image_path"]).stem
            import cv2

            name = f"{stem}__p{sample['instance_id']}__c{sample['copy']}.png"
            np.testing.assert_array_equal(cv2.imread(str(tmp_path / "crops/images" / name)), sample["image"])


def test_augmented_dataset_brings_its_masks_and_covered_joints(labels, tmp_path):
    from kpkit.pipelines.augment import AugmentJob
    from kpkit.pipelines.augment import run as augment

    recipe = preset("none").with_changes(occlusion=(0.3, 0.3))
    done = augment(AugmentJob(input=labels, output=tmp_path / "covered", recipe=recipe))
    report = shards(tmp_path / "covered", tmp_path / "out")
    assert report.covered == done.covered > 0
    with kpkit.ShardDataset(tmp_path / "out") as found:
        batch = found.read(range(len(found)))
    assert (batch["weights"][batch["occluded"]] == 0).all()
    assert (batch["occlusion_mask"] >= 128).any(axis=(1, 2)).all()


def first_sum(place: tuple[kpkit.ShardDataset, int]) -> float:
    found, index = place
    return float(found[index]["heatmaps"].sum())


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_read_the_same(folder, method):
    with kpkit.ShardDataset(folder) as found:
        # Files are open already when the processes start.
        here = [first_sum((found, index)) for index in range(12)]
        with multiprocessing.get_context(method).Pool(2) as pool:
            # A child that hangs is a failure, not a test without end.
            there = pool.map_async(first_sum, [(found, index) for index in range(12)]).get(120)
            assert there == here
        assert here == [first_sum((found, index)) for index in range(12)]


def test_dataset_pickles_as_its_name(folder):
    with kpkit.ShardDataset(folder, names=["heatmaps"]) as found:
        found.read(range(12))
        data = pickle.dumps(found)
        assert len(data) < 2000
        np.testing.assert_array_equal(pickle.loads(data)[5]["heatmaps"], found[5]["heatmaps"])


def test_info_counts_persons_joints_and_samples(labels, tmp_path):
    shards(labels, tmp_path / "out", flip_copies=True)
    found = info(tmp_path / "out")
    assert (found.persons, found.manifest.samples, found.flipped) == (12, 24, 12)
    assert found.joints["labelled"] == 24 * 17


def tampered(folder: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of one shard's folder, and the shard in it."""
    import shutil

    shutil.copytree(folder, tmp_path / "bad")
    return tmp_path / "bad", tmp_path / "bad/shard-00000.h5"


def external_link(file: h5py.File, secret: Path) -> None:
    del file["weights"]
    file["weights"] = h5py.ExternalLink(str(secret), "weights")


def external_storage(file: h5py.File, secret: Path) -> None:
    shape, dtype = file["weights"].shape, file["weights"].dtype
    del file["weights"]
    file.create_dataset("weights", shape, dtype, external=[(str(secret), 0, 10_000)])


def virtual(file: h5py.File, secret: Path) -> None:
    shape, dtype = file["weights"].shape, file["weights"].dtype
    del file["weights"]
    layout = h5py.VirtualLayout(shape, dtype)
    layout[...] = h5py.VirtualSource(str(secret), "weights", shape)
    file.create_virtual_dataset("weights", layout)


def soft_link(file: h5py.File, secret: Path) -> None:
    del file["weights"]
    file["weights"] = h5py.SoftLink("/keypoints")


def other_filter(file: h5py.File, secret: Path) -> None:
    values = file["heatmaps"][()]
    del file["heatmaps"]
    file.create_dataset("heatmaps", data=values, chunks=(1, *values.shape[1:]), compression="lzf")


def absurd_shape(file: h5py.File, secret: Path) -> None:
    shape = file["heatmaps"].shape
    del file["heatmaps"]
    file.create_dataset("heatmaps", (1 << 30, *shape[1:]), "f4", chunks=(1, *shape[1:]), compression="gzip")
    file.attrs["samples"] = 1 << 30


def empty_chunks(file: h5py.File, secret: Path) -> None:
    shape = file["heatmaps"].shape
    del file["heatmaps"]
    file.create_dataset("heatmaps", shape, "f4", chunks=(1, *shape[1:]), compression="gzip")


def group(file: h5py.File, secret: Path) -> None:
    del file["weights"]
    file.create_group("weights")


def text_of_variable_length(file: h5py.File, secret: Path) -> None:
    file.attrs["skeleton"] = "{}"


def large_attribute(file: h5py.File, secret: Path) -> None:
    file.attrs.create("skeleton", np.zeros(5000, "u1"))


@pytest.mark.parametrize(
    "harm",
    [
        external_link,
        external_storage,
        virtual,
        soft_link,
        other_filter,
        absurd_shape,
        empty_chunks,
        group,
        large_attribute,
        text_of_variable_length,
    ],
)
def test_harmful_file_is_refused_before_it_is_read(folder, tmp_path, harm):
    bad, shard = tampered(folder, tmp_path)
    secret = tmp_path / "secret.h5"
    secret.write_bytes(shard.read_bytes())
    with h5py.File(shard, "r+") as file:
        harm(file, secret)
    with kpkit.ShardDataset(bad) as found, pytest.raises(FormatError) as caught:
        found.read([0])
    assert "shard-00000.h5" in caught.value.place


def test_chunk_that_unpacks_to_something_else_is_refused(folder, tmp_path):
    bad, shard = tampered(folder, tmp_path)
    import zlib

    with h5py.File(shard, "r+") as file:
        file["heatmaps"].id.write_direct_chunk((0, 0, 0, 0), zlib.compress(b"\0" * 10_000_000, 9))
    with kpkit.ShardDataset(bad) as found, pytest.raises(FormatError):
        found.read([0])


@pytest.mark.parametrize("length", [0, 10, 3000])
def test_file_cut_short_is_refused(folder, tmp_path, length):
    bad, shard = tampered(folder, tmp_path)
    os.truncate(shard, length)
    with kpkit.ShardDataset(bad) as found, pytest.raises(InputError):
        found.read([0])
    assert verify(bad).findings


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "else"},
        {"schema_version": 99},
        {"samples": 5},
        {"arrays": {"heatmaps": {"shape": "x"}}},
        {"shards": [{"path": "../../secret.h5", "samples": 12, "bytes": 1, "sha256": "", "fingerprint": ""}]},
        {"skeleton": {}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_manifest_that_lies_is_refused(folder, tmp_path, change):
    bad, _ = tampered(folder, tmp_path)
    document = json.loads((bad / "manifest.json").read_text()) | change
    (bad / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(kpkit.KpkitError) as caught:
        kpkit.ShardDataset(bad)
    assert caught.value.place


def test_manifest_that_is_no_json_is_refused(folder, tmp_path):
    bad, _ = tampered(folder, tmp_path)
    (bad / "manifest.json").write_bytes(b'{"kind": ')
    with pytest.raises(FormatError, match="damaged"):
        kpkit.ShardDataset(bad)


def test_manifest_is_as_its_schema_says(folder):
    import jsonschema

    from kpkit import resources

    schema = json.loads((resources.schemas_dir() / "json/shards.schema.json").read_text())
    jsonschema.validate(json.loads((folder / "manifest.json").read_text()), schema)


def test_an_affine_without_inverse_is_named() -> None:
    affine = np.tile([[1.0, 0.0, 5.0], [0.0, 1.0, 7.0]], (3, 1, 1))
    points = np.ones((3, 2, 2))
    np.testing.assert_array_equal(kpkit.ShardDataset.to_source(points, affine)[0, 0], [-4.0, -6.0])
    affine[1, 1] = affine[1, 0]
    with pytest.raises(FormatError, match="no inverse") as caught:
        kpkit.ShardDataset.to_source(points, affine)
    assert caught.value.code == "KP-SHARD-DAMAGED"
