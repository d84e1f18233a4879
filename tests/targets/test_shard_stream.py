"""HDF5 never hears that a write was refused; whoever writes a shard does."""

from __future__ import annotations

import errno
import os

import h5py
import pytest

from kpkit.targets.shard_stream import ShardStream


def test_hdf5_file_written_through_it_is_read_as_any_other(tmp_path):
    stream = ShardStream(tmp_path / "one.h5")
    with h5py.File(stream, "w", libver=("v110", "v110")) as file:
        file["a"] = list(range(50_000))
        file.attrs["b"] = "c"
    stream.check()
    stream.close()
    stream.close()
    with h5py.File(tmp_path / "one.h5") as file:
        assert file["a"][-1] == 49_999
        assert file.attrs["b"] == "c"


def test_first_error_is_kept_and_nothing_is_written_after_it(tmp_path, monkeypatch):
    write, calls = os.write, []

    def refuse_third(file, data):
        calls.append(len(data))
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "full")
        return write(file, data[:1000])

    monkeypatch.setattr(os, "write", refuse_third)
    stream = ShardStream(tmp_path / "one.h5")
    stream.write(bytes(1500))
    stream.check()
    assert stream.write(bytes(10_000)) == 10_000
    assert stream.write(b"more") == 4
    assert len(calls) == 3
    assert stream.seek(0, os.SEEK_END) == 11_504
    assert stream.seek(1400) == 1400
    assert stream.read(200) == bytes(200)
    with pytest.raises(OSError, match="full"):
        stream.check()
    stream.close()
    assert (tmp_path / "one.h5").stat().st_size == 1500


def test_file_that_is_there_is_never_written_over(tmp_path):
    (tmp_path / "one.h5").write_text("mine")
    with pytest.raises(FileExistsError):
        ShardStream(tmp_path / "one.h5")
