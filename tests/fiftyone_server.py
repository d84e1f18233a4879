"""A database of one's own for tests of FiftyOne: a `mongod` in a temporary folder, on a free port of 127.0.0.1.

FiftyOne's own start would join whatever database another process of this machine has open, the user's included.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

# Where this is set, tests of FiftyOne fail where they would be skipped.
VARIABLE = "KPKIT_REQUIRE_FIFTYONE"
# Read at once: tests see no settings of kpkit.
REQUIRED = bool(os.environ.get(VARIABLE))
STARTS = 60


def unavailable(reason: str) -> None:
    """Skip, or fail where FiftyOne must be there."""
    if REQUIRED:
        pytest.fail(f"{reason}, and {VARIABLE} is set")
    pytest.skip(reason)


def mongod() -> Path:
    """The database program that comes with FiftyOne."""
    spec = importlib.util.find_spec("fiftyone")
    if spec is None:
        unavailable("FiftyOne is not installed")
    assert spec is not None
    for folder in spec.submodule_search_locations or ():
        program = Path(folder) / "db" / "bin" / "mongod"
        if program.is_file():
            return program
    unavailable("FiftyOne came without mongod")
    raise AssertionError


def chromium() -> str:
    """A browser for Playwright."""
    if importlib.util.find_spec("playwright") is None:
        unavailable("Playwright is not installed")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        unavailable("there is no Chromium")
    assert found is not None
    return found


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serve() -> Iterator[str]:
    """The address of a new database, which is stopped and removed at the end."""
    program = mongod()
    folder = tempfile.mkdtemp(prefix="kpkit-mongod-")
    port = free_port()
    log = Path(folder) / "mongod.txt"
    options = ("--dbpath", folder, "--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket")
    small = ("--wiredTigerCacheSizeGB", "0.25", "--setParameter", "diagnosticDataCollectionEnabled=false")
    with log.open("wb") as stream:
        process = subprocess.Popen([str(program), *options, *small], stdout=stream, stderr=stream)
    try:
        _wait(process, port, log)
        yield f"mongodb://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def leave() -> None:
    """End this process's connection before the database ends: FiftyOne would wait for it when the process ends."""
    if "fiftyone" not in sys.modules:
        return
    import mongoengine
    from fiftyone.core.odm import database

    atexit.unregister(database._delete_non_persistent_datasets_if_allowed)
    if database._client is not None:
        database._client.close()
    mongoengine.disconnect_all()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + STARTS
    while time.monotonic() < end:
        if process.poll() is not None:
            pytest.fail(f"mongod ended with {process.returncode}: {log.read_text(errors='replace')[-2000:]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    pytest.fail(f"mongod does not answer after {STARTS} s")
