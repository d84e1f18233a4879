"""Weights by place, which a shard holds once for all its samples."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import jsonschema
import numpy as np
import pytest

import kpkit
from kpkit import resources
from kpkit.errors import FormatError, UsageError
from kpkit.pipelines.shards import verify
from kpkit.pipelines.shards_show import show
from tests.augment_data import dataset, hashes, read_picture
from tests.shard_data import shards


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("data"), images=4, persons=2)


@pytest.fixture(scope="module")
def folder(labels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shards") / "out"
    shards(labels, out, shard_samples=6, spatial_weights="center", flip_copies=True, dtype="float32")
    return out


def test_each_shard_holds_the_centre_weighted_map_once(folder):
    y, x = np.mgrid[:16, :12].astype(float)
    expected = 1 + 0.5 * np.exp(-0.1 * np.sqrt((x - 6) ** 2 + (y - 8) ** 2))
    files = sorted(folder.glob("*.h5"))
    assert len(files) == 3
    for path in files:
        with h5py.File(path) as file:
            stored = file["spatial_weights"]
            assert (stored.shape, stored.dtype, stored.chunks) == ((16, 12), np.float32, None)
            assert "0.5 * exp(-0.1" in stored.attrs["about"].decode()
            np.testing.assert_allclose(stored[()], expected, atol=1e-6)


def test_reader_gives_the_map_and_leaves_it_out_of_samples_and_labels(folder):
    with kpkit.ShardDataset(folder) as found:
        assert found.spatial_weights.shape == (16, 12)
        assert found.spatial_weights[8, 6] == 1.5
        assert "spatial_weights" not in found.read([0, 1])
        assert "spatial_weights" not in found.labels()


def test_shards_without_weights_by_place_give_none(labels, tmp_path):
    shards(labels, tmp_path / "out")
    with kpkit.ShardDataset(tmp_path / "out") as found:
        assert found.spatial_weights is None


def test_mirror_by_the_reader_weighs_what_a_stored_mirror_weighs(folder):
    # The map is no mirror of itself: were it turned with the sample, both sums would differ.
    with kpkit.ShardDataset(folder) as found:
        weights = found.spatial_weights
        assert not np.allclose(weights, weights[:, ::-1])
        stored, read = found.read(np.arange(1, 16, 2)), found.read(np.arange(0, 16, 2), flip=True)
        assert stored["flipped"].all()
        np.testing.assert_allclose(read["heatmaps"] * weights, stored["heatmaps"] * weights, atol=1e-6)


def test_only_the_map_is_added(labels, folder, tmp_path):
    shards(labels, tmp_path / "out", shard_samples=6, flip_copies=True, dtype="float32")
    with kpkit.ShardDataset(folder) as weighted, kpkit.ShardDataset(tmp_path / "out") as plain:
        assert weighted.names == plain.names
        first, second = weighted.read(range(16)), plain.read(range(16))
        for name in plain.names:
            np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def test_resume_makes_shards_again_where_the_weights_are_another(labels, folder, tmp_path):
    shards(labels, tmp_path / "out", shard_samples=6, flip_copies=True, dtype="float32")
    again = shards(
        labels,
        tmp_path / "out",
        shard_samples=6,
        flip_copies=True,
        dtype="float32",
        spatial_weights="center",
        resume=True,
    )
    assert again.kept == 0
    assert hashes(tmp_path / "out") == hashes(folder)
    back = shards(labels, tmp_path / "out", shard_samples=6, flip_copies=True, dtype="float32", resume=True)
    assert back.kept == 0


def test_manifest_follows_its_schema_and_names_the_rule(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    jsonschema.validate(manifest, json.loads((resources.schemas_dir() / "json/shards.schema.json").read_text()))
    assert manifest["job"]["spatial_weights"] == "center"
    assert manifest["arrays"]["spatial_weights"] == {
        "shape": [16, 12],
        "dtype": "float32",
        "dense": False,
        "scale": 1.0,
        "offset": 0.0,
        "per": "shard",
    }


def test_verify_finds_a_map_that_is_not_its_rules(labels, tmp_path):
    shards(labels, tmp_path / "out", spatial_weights="center")
    assert not verify(tmp_path / "out").findings
    path = tmp_path / "out/shard-00000.h5"
    with h5py.File(path, "r+") as file:
        file["spatial_weights"][3, 4] = 2.0
    _seal(tmp_path / "out", path)
    (finding,) = verify(tmp_path / "out").findings
    assert finding.place.endswith("spatial_weights")
    assert finding.code == "KP-SHARD-VALUE"


def _seal(folder: Path, path: Path) -> None:
    """Let the manifest say what the file is now."""
    from kpkit.targets.shard_write import sha256_of

    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["shards"][0] |= {"sha256": sha256_of(path), "bytes": path.stat().st_size}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("said", [{"per": "sample"}, {"per": "nobody"}, {"shape": [12, 16]}, {"dtype": "float64"}])
def test_manifest_that_says_another_form_of_the_map_is_refused(labels, tmp_path, said):
    shards(labels, tmp_path / "out", spatial_weights="center")
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    manifest["arrays"]["spatial_weights"] |= said
    (tmp_path / "out/manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(FormatError):
        kpkit.ShardDataset(tmp_path / "out").codec  # noqa: B018  # its checks


def test_codec_without_maps_and_unknown_rules_are_refused(labels, tmp_path):
    with pytest.raises(UsageError, match="no maps"):
        shards(labels, tmp_path / "out", codec="simcc", codec_parameters={}, spatial_weights="center")
    with pytest.raises(UsageError, match="no spatial weights 'middle'"):
        shards(labels, tmp_path / "out", spatial_weights="middle")
    assert not (tmp_path / "out").exists()


def test_store_of_parameters_holds_the_map_too(labels, tmp_path):
    shards(labels, tmp_path / "out", store="params", spatial_weights="center")
    with kpkit.ShardDataset(tmp_path / "out") as found:
        assert (found.read([0, 1])["heatmaps"] * found.spatial_weights).shape == (2, 17, 16, 12)


def test_picture_of_samples_shows_the_map(labels, folder, tmp_path):
    shards(labels, tmp_path / "out", shard_samples=6, flip_copies=True, dtype="float32")
    show(tmp_path / "out", tmp_path / "plain.png", samples=2)
    show(folder, tmp_path / "weighted.png", samples=2)
    plain, weighted = read_picture(tmp_path / "plain.png"), read_picture(tmp_path / "weighted.png")
    assert weighted.shape[0] * weighted.shape[1] > plain.shape[0] * plain.shape[1]
