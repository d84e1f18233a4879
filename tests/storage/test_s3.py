"""The same commands against a real S3 server, also where the network drops requests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.augment_data import dataset, hashes
from tests.storage.s3_server import BUCKET, dropping_proxy, environment

TOP = Path(__file__).resolve().parents[2]


@pytest.fixture
def bucket(s3_environment: dict[str, str], tmp_path: Path) -> str:
    """A place of the test's own in a bucket, with the dataset `coco/`, which stands in the test's folder, too."""
    import s3fs

    dataset(tmp_path / "coco", images=4)
    filesystem = s3fs.S3FileSystem(skip_instance_cache=True)
    name = f"{BUCKET}/{tmp_path.name}"
    filesystem.put(str(tmp_path / "coco"), f"{name}/coco", recursive=True)
    return name


def run(*arguments: str, cwd: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """`kpkit ARGUMENTS` in a process of its own: storage libraries remember where servers were."""
    return subprocess.run(
        [sys.executable, "-m", "kpkit", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(TOP), **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def get(bucket: str, name: str, local: Path) -> Path:
    import s3fs

    s3fs.S3FileSystem(skip_instance_cache=True).get(f"{bucket}/{name}/", str(local), recursive=True)
    return local


COMMANDS: tuple[tuple[str, Callable[[str, str], list[str]]], ...] = (
    ("people.kpk", lambda source, out: ["convert", "coco", "native", source, "-o", out]),
    ("shards", lambda source, out: ["heatmaps", source, "--input-size", "64x48", "--shard-size", "3", "-o", out]),
    ("augmented", lambda source, out: ["augment", source, "--occlusion", "0.3", "--copies", "2", "-o", out]),
)


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_output_in_a_bucket_is_byte_for_byte_that_of_files(
    bucket: str, tmp_path: Path, s3_environment: dict[str, str], name: str, command: Callable[[str, str], list[str]]
) -> None:
    there = run(*command(f"s3://{bucket}/coco", f"s3://{bucket}/{name}"), cwd=tmp_path, variables=s3_environment)
    here = run(*command("coco", name), cwd=tmp_path, variables=s3_environment)
    assert (there.returncode, here.returncode) == (0, 0), there.stderr + here.stderr
    assert hashes(get(bucket, name, tmp_path / "got")) == hashes(tmp_path / name)


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_every_tenth_request_dropped_changes_nothing(
    bucket: str, tmp_path: Path, s3_port: int, name: str, command: Callable[[str, str], list[str]]
) -> None:
    with dropping_proxy(s3_port, every=10) as (port, dropped):
        arguments = command(f"s3://{bucket}/coco", f"s3://{bucket}/{name}")
        there = run(*arguments, cwd=tmp_path, variables=environment(port))
    here = run(*command("coco", name), cwd=tmp_path, variables={})
    assert there.returncode == 0, there.stderr
    assert dropped, "the proxy dropped nothing: the test shows nothing"
    assert here.returncode == 0, here.stderr
    assert hashes(get(bucket, name, tmp_path / "got")) == hashes(tmp_path / name)


def test_credentials_stand_in_no_message_and_no_output(
    bucket: str, tmp_path: Path, s3_environment: dict[str, str]
) -> None:
    done = run(
        "convert", "coco", "native", f"s3://{bucket}/coco", "-o", "out.kpk", cwd=tmp_path, variables=s3_environment
    )
    wrong = {**s3_environment, "AWS_SECRET_ACCESS_KEY": "not-the-secret"}
    refused = run("info", f"s3://{bucket}/coco/labels.json", "--debug", cwd=tmp_path, variables=wrong)
    assert done.returncode == 0, done.stderr
    assert refused.returncode == 2
    said = done.stdout + done.stderr + refused.stdout + refused.stderr
    written = b"".join(file.read_bytes() for file in (tmp_path / "out.kpk").iterdir())
    for secret in (s3_environment["AWS_SECRET_ACCESS_KEY"], "not-the-secret"):
        assert secret not in said
        assert secret.encode() not in written


def test_a_server_that_is_not_there_is_one_error_that_names_the_url(tmp_path: Path) -> None:
    from tests.storage.s3_server import free_port

    pytest.importorskip("s3fs", reason="s3fs is not installed (extra s3)")
    variables = {**environment(free_port()), "AWS_MAX_ATTEMPTS": "1"}
    done = run("info", "s3://some-bucket/labels.json", cwd=tmp_path, variables=variables)
    assert done.returncode == 2
    assert "--> s3://some-bucket/labels.json" in done.stderr
    assert "Traceback" not in done.stderr
