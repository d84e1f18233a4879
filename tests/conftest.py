"""What every test may use: real annotation files where there are some, and how hard Hypothesis tries."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import fiftyone_server

FIFTYONE_SETTINGS = ("FIFTYONE_DATABASE_URI", "FIFTYONE_DO_NOT_TRACK", "FIFTYONE_PRIVATE_DATABASE_PORT")
REAL_DATA = "KPKIT_REAL_DATA"

settings.register_profile(
    "ci", derandomize=True, deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("long", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with `data/` and `golden/`; tests that want it are skipped where the variable is not set."""
    folder = os.environ.get(REAL_DATA)
    if not folder:
        pytest.skip(f"{REAL_DATA} is not set: no real annotation files")
    path = Path(folder)
    if not (path / "data").is_dir():
        pytest.fail(f"{REAL_DATA}={folder} has no folder 'data'")
    return path


@pytest.fixture(scope="session")
def fiftyone_uri() -> Iterator[str]:
    """The address of a database for FiftyOne that belongs to these tests alone; told to FiftyOne, too."""
    with fiftyone_server.serve() as uri:
        kept = {name: os.environ.get(name) for name in FIFTYONE_SETTINGS}
        os.environ.update(FIFTYONE_DATABASE_URI=uri, FIFTYONE_DO_NOT_TRACK="true")
        os.environ.pop("FIFTYONE_PRIVATE_DATABASE_PORT", None)
        yield uri
        fiftyone_server.leave()
        for name, value in kept.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings and colours of whoever runs the tests change nothing."""
    for name in os.environ:
        if (name.startswith("KPKIT_") and name != REAL_DATA) or name in {"FORCE_COLOR", "NO_COLOR", "PY_COLORS"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "100")


def pytest_configure() -> None:
    """Commands started by tests can be interrupted, also where the tests run in the background of a script.

    A shell without job control starts background jobs with SIGINT ignored, and every process below inherits that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
