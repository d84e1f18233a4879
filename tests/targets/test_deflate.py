"""Streams of chunks stay below the length at which a reader refuses them."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpkit.targets import deflate
from kpkit.targets.shard_layout import ArrayLayout
from kpkit.targets.shard_read import Shard
from kpkit.targets.shard_write import ShardWriter

SIZE = (64, 48, 3)


def noise(low: int, count: int) -> np.ndarray:
    return np.random.default_rng(low).integers(low, 256, (count, *SIZE)).astype(np.uint8)


@given(low=st.integers(0, 255), size=st.integers(1, 5000), seed=st.integers(0, 2**32 - 1))
def test_no_stream_is_longer_than_the_bound_and_each_gives_its_bytes_back(low: int, size: int, seed: int) -> None:
    data = np.random.default_rng(seed).integers(low, 256, size).astype(np.uint8)
    for stream in (deflate.compress(data), deflate.compress_picture(data)):
        assert len(stream) <= deflate.most_compressed(size)
        assert deflate.decompress(stream, size) == zlib.decompress(stream) == data.tobytes()


@pytest.mark.parametrize("low", [0, 144, 200])
@pytest.mark.parametrize("library", ["installed", "zlib"])
def test_a_large_chunk_of_noise_stays_below_the_bound(low: int, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if library == "zlib":
        module: Any = zlib
        monkeypatch.setattr(deflate, "deflater", lambda: module)
    data = noise(low, 20)
    for compress in (deflate.compress, deflate.compress_picture):
        assert len(compress(data)) <= deflate.most_compressed(data.nbytes)


@pytest.mark.parametrize("library", ["installed", "zlib"])
def test_a_crop_is_compressed_where_a_quarter_is_plain_and_else_stored(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if library == "zlib":
        module: Any = zlib
        monkeypatch.setattr(deflate, "deflater", lambda: module)
    crop = noise(0, 1)[0]
    stored = deflate.compress_picture(crop)
    assert crop.nbytes < len(stored) < crop.nbytes + 64
    assert crop[:16].tobytes() in stored
    crop[: SIZE[0] // 3] = (90, 120, 7)
    assert len(deflate.compress_picture(crop)) < crop.nbytes * 0.8


@pytest.mark.parametrize("low", [0, 144])
def test_pictures_that_cannot_be_compressed_are_read_as_they_were_written(low: int, tmp_path: Path) -> None:
    pictures, layout = noise(low, 3), {"image": ArrayLayout(SIZE, "uint8", dense=True)}
    with ShardWriter(tmp_path / "one.h5", layout, 3, "gzip", {}) as writer:
        writer.append({"image": pictures})
        writer.finish()
    shard, read = Shard(tmp_path / "one.h5", layout, 3), np.zeros_like(pictures)
    shard.read_into("image", range(3), read, range(3))
    shard.close()
    np.testing.assert_array_equal(read, pictures)
