from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import kpkit
from tests.augment_data import dataset
from tests.shard_data import shards

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra torch)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("shards")
    shards(dataset(place / "data", images=6, persons=3), place / "out", shard_samples=5, with_images=True)
    return place / "out"


def loaded(folder: Path, **options: object) -> list[dict[str, object]]:
    import kpkit.torch

    samples = kpkit.torch.ShardDataset(folder)
    return list(torch.utils.data.DataLoader(samples, batch_size=4, collate_fn=samples.collate, **options))


def test_a_sample_has_the_numbers_of_the_plain_reader(folder):
    import kpkit.torch

    with kpkit.ShardDataset(folder) as plain:
        ours, theirs = plain[7], kpkit.torch.ShardDataset(folder)[7]
    for name, values in ours.items():
        if name == "image":
            np.testing.assert_array_equal(theirs[name].numpy(), values[..., ::-1].transpose(2, 0, 1))
        elif isinstance(values, np.ndarray | np.generic):
            np.testing.assert_array_equal(theirs[name].numpy(), values)
        else:
            assert theirs[name] == values


# Not "fork": the tests' own process has threads by now, whose locks a fork would inherit.
@pytest.mark.parametrize("context", ["forkserver", "spawn"])
def test_workers_deliver_every_sample_once_however_they_are_started(folder, context):
    if context not in torch.multiprocessing.get_all_start_methods():
        pytest.skip(f"no {context} on this platform")
    batches = loaded(folder, num_workers=2, multiprocessing_context=context, shuffle=True)
    seen = sorted(one for batch in batches for one in batch["instance_id"])
    with kpkit.ShardDataset(folder) as plain:
        assert seen == sorted(plain.labels()["instance_id"])


def test_workers_give_the_batches_of_one_process(folder):
    here, there = loaded(folder), loaded(folder, num_workers=2, multiprocessing_context="spawn")
    for one, other in zip(here, there, strict=True):
        assert torch.equal(one["heatmaps"], other["heatmaps"])
        assert one["image_path"] == other["image_path"]


def test_the_loaders_own_collation_gives_the_same_batches(folder):
    import kpkit.torch

    samples = kpkit.torch.ShardDataset(folder, names=["heatmaps", "weights", "instance_id"])
    plain = next(iter(torch.utils.data.DataLoader(samples, batch_size=4)))
    ours = next(iter(torch.utils.data.DataLoader(samples, batch_size=4, collate_fn=samples.collate)))
    assert torch.equal(plain["heatmaps"], ours["heatmaps"])
    assert plain["instance_id"].tolist() == list(ours["instance_id"])


def test_flips_are_drawn_by_the_generator_of_torch_and_are_those_of_the_reader(folder):
    import kpkit.torch

    samples = kpkit.torch.ShardDataset(folder, flip=0.5)
    torch.manual_seed(3)
    first = samples.collate(samples.__getitems__(range(18)))
    torch.manual_seed(3)
    second = samples.collate(samples.__getitems__(range(18)))
    flipped = first["flipped"].numpy()
    assert torch.equal(first["heatmaps"], second["heatmaps"])
    assert 0 < flipped.sum() < 18
    with kpkit.ShardDataset(folder) as plain:
        np.testing.assert_array_equal(first["heatmaps"].numpy(), plain.read(range(18), flip=flipped)["heatmaps"])


def test_the_dataset_travels_to_workers_as_its_name(folder):
    import kpkit.torch

    samples = kpkit.torch.ShardDataset(folder, names=["weights"], flip=0.25)
    copy = pickle.loads(pickle.dumps(samples))
    assert (len(copy), copy.flip, copy.shards.names) == (len(samples), 0.25, ("weights",))
    assert len(pickle.dumps(samples)) < 2000


def test_a_sample_that_does_not_exist_is_an_index_error(folder):
    import kpkit.torch

    samples = kpkit.torch.ShardDataset(folder)
    with pytest.raises(IndexError, match="18 of 18"):
        samples[18]
    assert samples[-1]["instance_id"] == samples[17]["instance_id"]


def test_without_pytorch_the_error_names_the_extra(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "kpkit.torch", raising=False)
    with pytest.raises(kpkit.MissingExtraError) as missing:
        __import__("kpkit.torch")
    assert "kpkit[torch]" in missing.value.help


def test_weights_by_place_multiply_batches(tmp_path):
    shards(dataset(tmp_path / "data"), tmp_path / "out", spatial_weights="center")
    import kpkit.torch

    found = kpkit.torch.ShardDataset(tmp_path / "out")
    batch = found.collate(found.__getitems__([0, 3, 5]))
    factor = batch["weights"][:, :, None, None] * found.spatial_weights
    assert factor.shape == batch["heatmaps"].shape
    assert float(factor[0, 0, 8, 6]) == 1.5


def test_persons_of_whole_pictures_are_collated_one_picture_after_the_other(tmp_path):
    import kpkit.torch
    from tests.whole_data import pictures, whole

    whole(pictures(tmp_path / "data"), tmp_path / "out", with_images=True)
    found = kpkit.torch.ShardDataset(tmp_path / "out")
    batch = next(iter(torch.utils.data.DataLoader(found, batch_size=3, collate_fn=found.collate)))
    assert batch["person_count"].tolist() == [3, 4, 2]
    assert batch["keypoints"].shape == (9, 17, 2)
    error = (batch["mask_miss"][:, None] / 255) * batch["heatmaps"] ** 2
    assert error.shape == (3, 17, 24, 24)
    sample = found[1]
    assert sample["keypoints"].shape == (4, 17, 2)
    assert sample["instance_id"] == [11, 12, 101, 102]
    assert int(sample["person_first"]) == 0
    assert torch.equal(sample["keypoints"][sample["masked"].logical_not()], batch["keypoints"][3:5])


def test_arrays_of_pictures_alone_need_no_collation_of_ours(tmp_path):
    import kpkit.torch
    from tests.whole_data import pictures, whole

    whole(pictures(tmp_path / "data"), tmp_path / "out", with_images=True)
    found = kpkit.torch.ShardDataset(tmp_path / "out", names=["image", "heatmaps", "pafs", "mask_miss"])
    batch = next(iter(torch.utils.data.DataLoader(found, batch_size=3)))
    assert {name: tuple(values.shape) for name, values in batch.items()} == {
        "image": (3, 3, 96, 96),
        "heatmaps": (3, 17, 24, 24),
        "pafs": (3, 38, 24, 24),
        "mask_miss": (3, 24, 24),
    }
