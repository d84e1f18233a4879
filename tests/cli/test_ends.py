"""How a command ends when its reader goes away, its disk is full, or somebody stops it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.faults

# A command that reports that it runs, and then waits to be stopped.
WAITING = """
import sys, time
from kpkit.cli import main, skeletons
def wait(console, found):
    try:
        print("running", flush=True)
        time.sleep(30)
    finally:
        print("cleaned up", flush=True)
skeletons._list = wait
sys.exit(main.main(["skeletons"]))
"""


@pytest.mark.parametrize("arguments", [("skeletons",), ("--help",), ("convert", "--help"), ("formats", "--json")])
def test_closed_pipe_is_no_error(environment, tmp_path, arguments):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "kpkit", *arguments],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=tmp_path,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_closed_stdout_is_no_error(environment, tmp_path):
    command = [sys.executable, "-c", "import os, sys; os.close(1); os.execv(sys.executable, sys.argv[1:])"]
    command += [sys.executable, "-m", "kpkit", "skeletons"]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_full_disk_behind_stdout_is_an_error(environment, tmp_path):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "kpkit", "skeletons"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=tmp_path,
            check=False,
        )
    assert done.returncode == 2
    assert "error[KP-STDOUT]: stdout cannot be written: No space left on device" in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_command_cleans_up_and_says_by_its_code_how_it_ended(environment, tmp_path, number, code):
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    time.sleep(0.1)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (code, "cleaned up\n")
    assert "Traceback" not in err
