"""Runs that are killed, disks that are full, bytes that flip."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import kpkit
from kpkit.errors import OutputError
from kpkit.lock import locked
from kpkit.pipelines.heatmaps_folder import PROGRESS
from kpkit.pipelines.shards import verify
from kpkit.targets.manifest import read_manifest
from kpkit.targets.shard_verify import verify_shard
from tests.augment_data import dataset, hashes
from tests.shard_data import shards

CHILD = """
import sys
from pathlib import Path
from tests.shard_data import shards
shards(Path(sys.argv[1]), Path(sys.argv[2]), shard_samples=2, resume=True, flip_copies=True, dtype="float32")
"""
TOP = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("data"), images=30, persons=2)


@pytest.fixture(scope="module")
def undisturbed(labels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "out"
    shards(labels, folder, shard_samples=2, flip_copies=True, dtype="float32")
    return folder


def start(labels: Path, output: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(TOP)}
    return subprocess.Popen([sys.executable, "-c", CHILD, str(labels), str(output)], env=environment, cwd=TOP)


def kill_while_it_writes(labels: Path, output: Path, moment: float) -> None:
    """Start a run and kill it `moment` seconds after its first shard has begun."""
    child = start(labels, output)
    while child.poll() is None and not list(output.glob("shard-*")):
        time.sleep(0.0005)
    time.sleep(moment)
    child.send_signal(signal.SIGKILL)
    child.wait()


def check_kills(labels: Path, undisturbed: Path, folder: Path, kills: int, seed: int) -> None:
    dice = random.Random(seed)
    wanted = hashes(undisturbed)
    for number in range(kills):
        output = folder / f"out{number}"
        kill_while_it_writes(labels, output, dice.uniform(0.0, 0.12))
        shards(labels, output, shard_samples=2, flip_copies=True, dtype="float32", resume=True)
        assert hashes(output) == wanted
        assert verify(output).findings == []


@pytest.mark.faults
def test_killed_run_resumes_to_the_bytes_of_an_undisturbed_one(labels, undisturbed, tmp_path):
    check_kills(labels, undisturbed, tmp_path, kills=2, seed=1)


@pytest.mark.faults
@pytest.mark.slow
def test_twenty_killed_runs_resume_to_the_bytes_of_an_undisturbed_one(labels, undisturbed, tmp_path):
    check_kills(labels, undisturbed, tmp_path, kills=20, seed=2)


def half_done(undisturbed: Path, output: Path, labels: Path) -> None:
    """A folder as a killed run leaves it: some shards, one of them unfinished, no manifest."""
    shutil.copytree(undisturbed, output)
    (output / "manifest.json").rename(output / "kept.json")
    entries = kpkit_entries(output / "kept.json")
    (output / "kept.json").unlink()
    (output / PROGRESS).write_text("".join(f"{line}\n" for line in entries[:10]) + '{"path": "torn')
    for path in sorted(output.glob("shard-*.h5"))[12:]:
        path.unlink()
    (output / "shard-00020.h5.tmp").write_bytes(b"half a shard")
    (output / ".kpkit-tmp-manifest.json-0abc1234").write_bytes(b"{")


def kpkit_entries(manifest: Path) -> list[str]:
    import json

    return [json.dumps(entry) for entry in json.loads(manifest.read_text())["shards"]]


def test_resume_keeps_what_is_finished_and_sweeps_the_rest(labels, undisturbed, tmp_path):
    half_done(undisturbed, tmp_path / "out", labels)
    report = shards(labels, tmp_path / "out", shard_samples=2, flip_copies=True, dtype="float32", resume=True)
    assert report.kept == 10
    assert hashes(tmp_path / "out") == hashes(undisturbed)


def test_resume_makes_a_damaged_shard_again(labels, undisturbed, tmp_path):
    shutil.copytree(undisturbed, tmp_path / "out")
    flip_byte(tmp_path / "out/shard-00003.h5", 5000)
    report = shards(labels, tmp_path / "out", shard_samples=2, flip_copies=True, dtype="float32", resume=True)
    assert report.kept == report.shards - 1
    assert hashes(tmp_path / "out") == hashes(undisturbed)


def test_resume_of_another_job_keeps_nothing(labels, undisturbed, tmp_path):
    shutil.copytree(undisturbed, tmp_path / "out")
    report = shards(labels, tmp_path / "out", shard_samples=2, flip_copies=True, resume=True)
    assert report.kept == 0
    with kpkit.ShardDataset(tmp_path / "out") as found:
        assert found.manifest.dtype == "float16"


def test_resume_notices_a_picture_that_changed(tmp_path):
    labels = dataset(tmp_path / "data", images=3, persons=1)
    shards(labels, tmp_path / "out", shard_samples=1, with_images=True)
    shutil.copy(tmp_path / "data/images/001.png", tmp_path / "data/images/002.png")
    report = shards(labels, tmp_path / "out", shard_samples=1, with_images=True, resume=True)
    assert report.kept == 2


def test_second_run_in_a_folder_where_one_works_is_refused(labels, tmp_path):
    errors: list[str] = []

    def second() -> None:
        try:
            shards(labels, tmp_path / "out", resume=True)
        except OutputError as error:
            errors.append(error.code)

    with locked(tmp_path / "out"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(60)
    assert errors == ["KP-OUTPUT-LOCKED"]
    assert not (tmp_path / "out").exists()


def flip_byte(path: Path, offset: int, bit: int = 0) -> None:
    with path.open("r+b") as stream:
        stream.seek(offset)
        byte = stream.read(1)[0]
        stream.seek(offset)
        stream.write(bytes([byte ^ (1 << bit)]))


def test_one_flipped_bit_anywhere_is_found(undisturbed, tmp_path):
    shutil.copytree(undisturbed, tmp_path / "out")
    names = sorted(tmp_path.glob("out/shard-*.h5"))
    dice = random.Random(3)
    manifest = read_manifest(tmp_path / "out")
    entries = {entry.path: entry for entry in manifest.shards}
    for _ in range(300):
        path = dice.choice(names)
        offset, bit = dice.randrange(path.stat().st_size), dice.randrange(8)
        flip_byte(path, offset, bit)
        found = verify_shard(tmp_path / "out", manifest, entries[path.name])
        assert any(one.code == "KP-SHARD-CHECKSUM" and path.name in one.place for one in found), (path, offset, bit)
        flip_byte(path, offset, bit)
    assert verify(tmp_path / "out").findings == []


def test_missing_and_stray_shards_are_found(undisturbed, tmp_path):
    shutil.copytree(undisturbed, tmp_path / "out")
    (tmp_path / "out/shard-00001.h5").rename(tmp_path / "out/shard-00099.h5")
    codes = {one.code: one.place for one in verify(tmp_path / "out").findings}
    assert codes == {"KP-SHARD-MISSING": "shard-00001.h5", "KP-SHARD-STRAY": "shard-00099.h5"}


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop()), resource.RLIM_INFINITY))
from kpkit.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.faults
@pytest.mark.parametrize("limit", [3000, 20_000, 60_000])
@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_file_that_may_not_grow_ends_with_an_error_and_no_manifest(labels, tmp_path, limit, compression):
    output = tmp_path / "out"
    arguments = ["heatmaps", str(labels), "-o", str(output), "--compression", compression, str(limit)]
    environment = {**os.environ, "PYTHONPATH": str(TOP)}
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *arguments],
        env=environment,
        cwd=TOP,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "larger than allowed" in done.stderr
    assert "--resume" in done.stderr
    assert "Traceback" not in done.stderr
    assert {path.name for path in output.iterdir()} <= {PROGRESS}


@pytest.mark.faults
def test_full_disk_ends_with_an_error_and_no_manifest(labels, tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no small file system can be mounted here")
    try:
        with pytest.raises(OutputError, match="disk is full"):
            shards(labels, place / "out", dtype="float32", compression="none")
        assert {path.name for path in (place / "out").iterdir()} <= {PROGRESS}
    finally:
        subprocess.run(["umount", str(place)], check=True)
