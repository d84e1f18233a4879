from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from kpkit.guard import OLD_PREFIX, TEMP_PREFIX
from kpkit.lock import lock_path, locked
from tests.augment_data import LABELS, dataset


def leave(folder):
    """What killed runs may leave beside `out`, and what belongs to others."""
    (folder / f"{TEMP_PREFIX}out-0123abcd").mkdir()
    (folder / f"{TEMP_PREFIX}out-0123abcd" / "half").write_text("half")
    (folder / f"{TEMP_PREFIX}out-x-0123abcd").write_text("another output's")
    (folder / ".kpkit-work-out-0123456789abcdef").mkdir()
    lock_path(folder / "out").write_text("")


def test_clean_removes_what_killed_runs_left_and_nothing_else(kpkit, tmp_path):
    leave(tmp_path)
    (tmp_path / "out").mkdir()
    ran = kpkit("clean", "out")
    assert ran.code == 0
    assert "Removed 3 leftovers" in ran.out
    assert sorted(os.listdir(tmp_path)) == [f"{TEMP_PREFIX}out-x-0123abcd", "out"]
    assert "Nothing is left over" in kpkit("clean", "out").out


def test_dry_run_says_the_same_and_removes_nothing(kpkit, tmp_path):
    leave(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    ran = kpkit("clean", "out", "--dry-run", "--json")
    assert sorted(tmp_path.rglob("*")) == before
    assert len(ran.json["leftovers"]) == 3


def test_an_output_put_aside_by_a_run_that_was_killed_is_put_back(kpkit, tmp_path):
    (tmp_path / f"{OLD_PREFIX}out-0123abcd").write_text("the only copy")
    assert "put back" in kpkit("clean", "out").out
    assert (tmp_path / "out").read_text() == "the only copy"


def test_what_a_live_run_holds_is_let_be(kpkit, tmp_path):
    import threading

    ready, done = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(tmp_path / "out"):
            (tmp_path / f"{TEMP_PREFIX}out-0123abcd").mkdir()
            ready.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    ready.wait(60)
    try:
        for arguments in (("out",), ("out", "--dry-run")):
            ran = kpkit("clean", *arguments)
            assert (ran.code, f"process {os.getpid()}" in ran.err) == (2, True)
        assert (tmp_path / f"{TEMP_PREFIX}out-0123abcd").exists()
    finally:
        done.set()
        thread.join()


@pytest.mark.faults
@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_ends_soon_and_the_run_is_taken_up(kpkit, tmp_path, environment, workers):
    dataset(tmp_path, images=40, persons=1)
    command = ["augment", LABELS, "--rotation", "-30:30", "--copies", "8", "-o", "out"]
    started = subprocess.Popen(
        [sys.executable, "-m", "kpkit", *command, "--workers", workers],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not [one for one in tmp_path.glob(".kpkit-work-*/done.log") if one.stat().st_size > 5000]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    began = time.monotonic()
    # As a terminal does it: the whole group gets the signal.
    os.killpg(started.pid, signal.SIGINT)
    _, said = started.communicate(timeout=60)
    assert time.monotonic() - began < 5
    assert started.returncode == 130
    assert "run the same command again with --resume" in said
    assert "Traceback" not in said
    ran = kpkit(*command, "--resume", "--json")
    assert ran.code == 0
    assert ran.json["kept"] > 0
    assert sorted(os.listdir(tmp_path)) == ["annotations", "images", "out"]
