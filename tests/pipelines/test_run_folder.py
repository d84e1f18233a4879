"""What an earlier run's worker makes has no way to the output once the next run has begun."""

from __future__ import annotations

import os
from contextlib import nullcontext

import numpy as np
import pytest

from kpkit.errors import OutputError
from kpkit.pipelines.augment_files import Saver
from kpkit.pipelines.augment_later import finish
from kpkit.pipelines.run_folder import run_folder, runs
from kpkit.targets.shard_layout import ArrayLayout
from kpkit.targets.shard_write import ShardWriter

LAYOUT = {"target": ArrayLayout((2,), "uint8", dense=True)}
PICTURE = np.zeros((4, 4, 3), np.uint8)


def test_folder_of_a_run_is_gone_after_it_and_after_the_next_one_begins(tmp_path):
    with run_folder(tmp_path) as made:
        (made / "left").write_text("half")
        assert runs(tmp_path) == [made]
    assert os.listdir(tmp_path) == []
    killed = run_folder(tmp_path)
    earlier = killed.__enter__()
    with run_folder(tmp_path) as now:
        assert runs(tmp_path) == [now]
        assert now != earlier


def test_shard_that_a_late_worker_was_making_replaces_nothing(tmp_path):
    killed = run_folder(tmp_path)
    place = tmp_path / "shard-00000.h5"
    with ShardWriter(place, LAYOUT, 1, "none", {}, killed.__enter__()) as late:
        late.append({"target": np.ones((1, 2), np.uint8)})
        with run_folder(tmp_path):
            place.write_text("the next run's")
        with pytest.raises(OutputError):
            late.finish()
    with pytest.raises(OutputError), ShardWriter(place, LAYOUT, 1, "none", {}, tmp_path / "gone"):
        raise AssertionError
    assert place.read_text() == "the next run's"
    assert os.listdir(tmp_path) == [place.name]


def test_picture_that_a_late_worker_brings_replaces_nothing_and_makes_no_folder(tmp_path):
    data, pending = tmp_path / "data", []
    data.mkdir()
    with run_folder(tmp_path) as making:
        saver = Saver(data, making, None, lambda step: nullcontext(), pending)
        saver.picture("images/a/b.png", PICTURE, None, 95)
        saver.save()
        finish(pending)
    late = Saver(data, making, None, lambda step: nullcontext(), pending)
    before = (data / "images/a/b.png").read_bytes()
    for name in ("images/a/b.png", "images/new/c.png"):
        late.picture(name, PICTURE + 9, None, 95)
        late.save()
        with pytest.raises(OutputError):
            finish(pending)
    assert (data / "images/a/b.png").read_bytes() == before
    os.rename(data, tmp_path / "out")
    late.picture("images/a/b.png", PICTURE + 9, None, 95)
    late.save()
    with pytest.raises(OutputError):
        finish(pending)
    assert os.listdir(tmp_path) == ["out"]
    assert not (tmp_path / "out/images/new").exists()
