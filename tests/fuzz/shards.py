"""Folders of shards: damaged manifests are read here, damaged HDF5 files in a child process, which HDF5 may kill."""

from __future__ import annotations

import gc
import json
import os
import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import IO

import numpy as np

import kpkit
from kpkit import errors
from kpkit.augment.recipe import preset
from kpkit.child import Limits, limited_call
from kpkit.core.report import Collector
from kpkit.errors import FormatError, KpkitError
from kpkit.pipelines.shards import info
from kpkit.targets.manifest import read_manifest
from kpkit.targets.shard_layout import MANIFEST
from kpkit.targets.shard_verify import verify_shard
from kpkit.targets.shard_write import sha256_of
from tests.augment_data import dataset
from tests.shard_data import shards

MEMORY, SECONDS = 2 << 30, 10
WAYS = {
    "msra": {
        "with_images": True,
        "recipe": preset("six2").with_changes(occlusion=(0.3, 0.3)),
        "include_original": True,
    },
    "params": {"store": "params", "compression": "none"},
    "udp": {"codec": "udp", "codec_parameters": {"target": "combined"}, "dtype": "uint8", "compression": "none"},
    "simcc": {"codec": "simcc", "dtype": "float32"},
    "bottomup": {
        "codec": "bottomup",
        "dtype": "uint8",
        "flip_copies": True,
        "recipe": preset("six2").with_changes(occlusion=(0.3, 0.3)),
        "spatial_weights": "center",
    },
    "pictures": {"codec": "bottomup", "store": "params", "compression": "none"},
    "paf": {"codec": "paf", "codec_parameters": {}, "dtype": "float32", "flip_copies": True},
}


def shard_seeds(folder: Path) -> list[Path]:
    """Small folders of several codecs, types and stores."""
    labels = dataset(folder / "data", images=1, persons=2)
    for name, options in WAYS.items():
        shards(labels, folder / name, shard_samples=3, **options)
    return [folder / name for name in WAYS]


def use_shards(folder: Path) -> None:
    """What anybody does with shards: open, count, read, mirror, decode; and check them, as if their checksums held."""
    with kpkit.ShardDataset(folder) as found:
        found.labels()
        assert found.spatial_weights is None or found.spatial_weights.ndim == 2
        rows = list(range(min(3, len(found))))
        batch = found.read(rows, flip=np.arange(len(rows)) % 2 == 1)
        found.decode(batch)
        if found.whole_images:
            found.decode_persons(batch)
    info(folder)
    manifest = read_manifest(folder)
    for entry in manifest.shards[:2]:
        path = folder / entry.path
        said = replace(entry, bytes=path.stat().st_size, sha256=sha256_of(path)) if os.path.isfile(path) else entry
        for finding in verify_shard(folder, manifest, said):
            json.dumps(vars(finding))


def read_by_damaged_manifest(folder: Path, collector: Collector) -> None:
    """Sound files, and a damaged manifest; one in five of those that are understood is used, which takes longer."""
    with kpkit.ShardDataset(folder) as found:
        assert found.codec.spec()
    if zlib.crc32((folder / MANIFEST).read_bytes()) % 5 == 0:
        use_shards(folder)


def read_damaged_shards(folder: Path, collector: Collector) -> None:
    """Damaged files, in a process that may die of them: its death is counted as KP-CHILD-CRASH."""
    if not hasattr(os, "fork"):
        arguments, limits = {"folder": str(folder)}, Limits(MEMORY, SECONDS, 6.0 * SECONDS)
        limited_call("tests.fuzz.shards:in_child", arguments, place=str(folder), limits=limits)
        return
    server = _server()
    stdin, stdout = _pipes(server)
    stdin.write(f"{folder}\n")
    stdin.flush()
    answer = json.loads(stdout.readline())
    if "signal" in answer:
        code = "KP-CHILD-TIME" if answer["signal"] in ("SIGXCPU", "SIGALRM") else "KP-CHILD-CRASH"
        raise FormatError("HDF5 did not survive it", code=code, place=str(folder), got=answer["signal"])
    if "class" in answer:
        raise getattr(errors, answer["class"])("refused in the child", code=answer["code"])
    if "other" in answer:
        raise AssertionError(answer["other"])


def in_child(folder: str) -> tuple[dict[str, np.ndarray], None]:
    """`use_shards`, for `limited_call`."""
    use_shards(Path(folder))
    return {}, None


@cache
def _server() -> subprocess.Popen[str]:
    """One process with everything imported; it forks for every folder, so that each has a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.fuzz.shards"],
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _pipes(server: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert server.stdin is not None
    assert server.stdout is not None
    return server.stdin, server.stdout


def stop_server() -> None:
    """End the process of `read_damaged_shards`, if there is one."""
    if _server.cache_info().currsize:
        for pipe in _pipes(_server()):
            pipe.close()
        _server().wait(60)
        _server.cache_clear()


def serve() -> None:
    """A line with a folder in, a line with what came of it out, until the input ends."""
    import cv2

    cv2.setNumThreads(1)
    # Whatever else is printed goes to stderr.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # What is there now is never collected: otherwise every child would touch, and so copy, all of it.
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _answer(Path(line.rstrip("\n")), writing)
        os.close(writing)
        with os.fdopen(reading) as stream:
            said = stream.read()
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            said = json.dumps({"signal": signal.Signals(os.WTERMSIG(status)).name})
        answers.write(said.strip() + "\n")
        answers.flush()


def _answer(folder: Path, writing: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(6 * SECONDS)
    try:
        use_shards(folder)
        said: dict[str, str] = {}
    except KpkitError as error:
        said = {"class": type(error).__name__, "code": error.code}
    except BaseException as error:
        import traceback

        said = {"other": "".join(traceback.format_exception(error)[-12:])}
    os.write(writing, json.dumps(said).encode()[:60_000])
    os._exit(0)


def mend_hdf5(folder: Path) -> None:
    """Checksums of the superblock, object headers and chunk tables as they now have to be: HDF5 looks behind them."""
    for file in folder.rglob("*.h5"):
        data = bytearray(file.read_bytes())
        for start, stop in checked_blocks(data):
            data[stop : stop + 4] = struct.pack("<I", lookup3(data[start:stop]))
        file.write_bytes(data)


def checked_blocks(data: bytes | bytearray) -> Iterator[tuple[int, int]]:
    """Where blocks with a checksum begin, and where it stands behind them (HDF5 file format 3.0, II.A, III.H, IV.A.1).

    Blocks that the damage has left without their signature, or with a length beyond the file, are passed over.
    """
    if data[:8] == b"\x89HDF\r\n\x1a\n":
        yield 0, 44
    at = data.find(b"OHDR")
    while at >= 0:
        flags = data[at + 5] if at + 5 < len(data) else 0
        skip = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        size = int.from_bytes(data[at + skip : at + skip + width], "little")
        stop = at + skip + width + size
        if stop + 4 <= len(data) and size < 1 << 16:
            yield at, stop
        at = data.find(b"OHDR", at + 4)
    at = data.find(b"FAHD")
    while at >= 0:
        # signature, version, client, entry size, page bits, number of entries (8), address (8)
        if at + 28 <= len(data):
            yield at, at + 24
        at = data.find(b"FAHD", at + 4)


def lookup3(data: bytes | bytearray) -> int:
    """Bob Jenkins' hash, by which HDF5 checks its metadata (lookup3.c, `hashlittle`, public domain)."""
    mask = 0xFFFFFFFF

    def turned(x: int, k: int) -> int:
        return (x << k | x >> (32 - k)) & mask

    a = b = c = (0xDEADBEEF + len(data)) & mask
    if not data:
        return c
    whole = (len(data) - 1) // 12 * 12
    for at in range(0, whole, 12):
        x, y, z = struct.unpack_from("<III", data, at)
        a, b, c = (a + x) & mask, (b + y) & mask, (c + z) & mask
        a = ((a - c) & mask) ^ turned(c, 4)
        c = (c + b) & mask
        b = ((b - a) & mask) ^ turned(a, 6)
        a = (a + c) & mask
        c = ((c - b) & mask) ^ turned(b, 8)
        b = (b + a) & mask
        a = ((a - c) & mask) ^ turned(c, 16)
        c = (c + b) & mask
        b = ((b - a) & mask) ^ turned(a, 19)
        a = (a + c) & mask
        c = ((c - b) & mask) ^ turned(b, 4)
        b = (b + a) & mask
    x, y, z = struct.unpack("<III", bytes(data[whole:]).ljust(12, b"\0"))
    a, b, c = (a + x) & mask, (b + y) & mask, (c + z) & mask
    for k1, k2, k3 in ((14, 11, 25), (16, 4, 14)):
        c = ((c ^ b) - turned(b, k1)) & mask
        a = ((a ^ c) - turned(c, k2)) & mask
        b = ((b ^ a) - turned(a, k3)) & mask
    return ((c ^ b) - turned(b, 24)) & mask


if __name__ == "__main__":
    serve()
