"""What happens while a run is at work: a file vanishes, the clock goes back, another run wants the same output."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kpkit.lock import LOCK_PREFIX
from tests.augment_data import LABELS, hashes
from tests.cluster import TOP, environment
from tests.faults.cases import (
    CASES,
    INPUTS,
    WITH_PICTURES,
    Case,
    assert_goes_on,
    assert_nothing_half,
    content,
    prepare,
    renew,
    run,
    undisturbed,
)
from tests.faults.inject import Injection, failing
from tests.faults.test_calls_fail import some

pytestmark = pytest.mark.faults

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
each_that_resumes = pytest.mark.parametrize("case", [one for one in CASES if one.resumes], ids=lambda case: case.name)
each_with_pictures = pytest.mark.parametrize("case", WITH_PICTURES, ids=lambda case: case.name)
SECONDS = 60
STEP = 5
# Every question for the time is answered with an hour less than the one before.
BACKWARDS = """
import itertools, time
_start, _hours = time.time(), itertools.count()
time.time = lambda: _start - 3600 * next(_hours)
time.time_ns = lambda: int(time.time() * 1e9)
"""


class Happening(Injection):
    """At the n-th call that changes files something is done, and the call goes on."""

    def __init__(self, folder: Path, number: int, action: Callable[[], Any]) -> None:
        super().__init__(folder, number, 0, lasting=False)
        self._action = action

    def count(self, path: Any) -> None:
        """One more call; where its turn has come, the action."""
        self._number, number = 0, self._number
        super().count(path)
        self._number = number
        if self.calls == number and not self.failed:
            self.failed = 1
            self._action()


@each_with_pictures
def test_picture_that_vanishes_while_a_run_works_is_one_failure(case, tmp_path):
    expected = undisturbed(case, tmp_path / "undisturbed")
    folder = prepare(tmp_path / "here")
    picture, aside = folder / "images" / "002.png", tmp_path / "aside.png"
    failed = 0
    for number in some(STEP):
        renew(case, folder)
        happening = Happening(folder, number, lambda: os.rename(picture, aside))
        with failing(happening):
            ran = run(folder, case.arguments())
        if not happening.failed:
            break
        # From some call on it was read already.
        if ran.code:
            failed += 1
            assert ran.code == 3, ran.said
            assert "Failed: 1 picture" in ran.said
            assert "002.png" in ran.said
            found = content(folder, case)
            others = {name for name in expected if "/001__" in name or name == "shard-00001.h5"}
            assert others
            assert {name: found[name] for name in others} == {name: expected[name] for name in others}
            # Parts have numbers of their own.
            assert not [name for name in found if "002" in name and "/parts/" not in name]
            os.rename(aside, picture)
            again = case.arguments("--resume" if case.name == "heatmaps" else "--force")
            assert run(folder, again).code == 0
        else:
            os.rename(aside, picture)
        assert content(folder, case) == expected
    assert failed >= 2


@each_case
def test_labels_that_vanish_while_a_run_works(case, tmp_path):
    expected = undisturbed(case, tmp_path / "undisturbed")
    folder = prepare(tmp_path / "here")
    labels, aside = folder / LABELS, tmp_path / "aside.json"
    for number in some(STEP):
        renew(case, folder)
        happening = Happening(folder, number, lambda: os.rename(labels, aside))
        with failing(happening):
            ran = run(folder, case.arguments())
        if not happening.failed:
            break
        assert ran.code in {0, 2}, ran.said
        assert (ran.code == 0) == case.is_whole(folder)
        os.rename(aside, labels)
        assert_goes_on(case, folder, expected)


def test_part_of_the_labels_that_vanishes_while_a_run_works_is_an_error_that_names_it(tmp_path):
    folder = prepare(tmp_path)
    assert run(folder, ["convert", "coco", "native", LABELS, "-o", "in.kpk", "--part-size", "1", "--quiet"]).code == 0
    parts = sorted((folder / "in.kpk").rglob("*.parquet"))
    arguments = ["convert", "native", "coco", "in.kpk", "-o", "out.json", "--quiet"]
    assert run(folder, arguments).code == 0
    expected = (folder / "out.json").read_bytes()
    refused = 0
    for number in range(1, 100):
        (folder / "out.json").unlink(missing_ok=True)
        happening = Happening(folder, number, lambda: os.rename(parts[-1], tmp_path / "aside"))
        with failing(happening):
            ran = run(folder, arguments)
        if not happening.failed:
            break
        if ran.code:
            refused += 1
            assert ran.code == 2, ran.said
            assert parts[-1].name in ran.said
        assert (folder / "out.json").exists() == (ran.code == 0)
        os.rename(tmp_path / "aside", parts[-1])
        assert run(folder, [*arguments, "--force"]).code == 0
        assert (folder / "out.json").read_bytes() == expected
        assert set(os.listdir(folder)) == {*INPUTS, "in.kpk", "out.json"}
    assert refused >= 1


def program(folder: Path, arguments: list[str], *prefix: str, **variables: str) -> subprocess.Popen[str]:
    """A command line in a process of its own."""
    return subprocess.Popen(
        [*prefix, sys.executable, "-m", "kpkit", *arguments],
        cwd=folder,
        env={**environment(), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, said
    return said


@each_case
def test_clock_that_goes_back_all_the_time_changes_no_byte(case, tmp_path):
    expected = undisturbed(case, tmp_path / "undisturbed")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(BACKWARDS)
    folder = prepare(tmp_path / "here")
    path = f"{tmp_path / 'site'}{os.pathsep}{TOP}"
    said = finish(program(folder, case.arguments("--workers", "2"), PYTHONPATH=path))
    assert "Traceback" not in said
    assert_goes_on(case, folder, expected)


@each_that_resumes
def test_run_killed_in_the_future_is_taken_up_in_the_past(case, tmp_path):
    if shutil.which("faketime") is None:
        pytest.skip("faketime is not installed")
    folder = large(case, tmp_path / "here")
    expected = alone(case, folder)
    later = program(folder, case.arguments(), "faketime", "-f", "+3650d", FAKETIME_DONT_FAKE_MONOTONIC="1")
    number = stop_at_work(later, folder)
    assert (folder / f"{LOCK_PREFIX}{case.output}").exists()
    os.kill(number, signal.SIGKILL)
    later.communicate(timeout=SECONDS)
    earlier = ("faketime", "-f", "-3650d")
    finish(program(folder, case.again(), *earlier, FAKETIME_DONT_FAKE_MONOTONIC="1"))
    assert content(folder, case) == expected
    assert set(os.listdir(folder)) == {*INPUTS, case.output}


def large(case: Case, folder: Path) -> Path:
    """Labels and pictures for runs that can be caught at work."""
    images = 12 if case in WITH_PICTURES else 60 if case.resumes else 400
    return prepare(folder, images=images, persons=10)


def alone(case: Case, folder: Path) -> dict[str, str]:
    """What an undisturbed run writes; it is removed."""
    assert run(folder, case.arguments()).code == 0
    found = content(folder, case)
    renew(case, folder)
    return found


def stop_at_work(process: subprocess.Popen[str], folder: Path) -> int:
    """Stop a run that holds its output, and go no further; the number of its process."""
    number = 0
    while not number and process.poll() is None:
        number = holder(folder)
        time.sleep(0.0005)
    assert number, process.communicate()[0]
    os.kill(number, signal.SIGSTOP)
    assert holder(folder) == number, "it was over too soon"
    return number


def holder(folder: Path) -> int:
    """The process that a lock names; 0 where there is none."""
    for lock in folder.glob(f"{LOCK_PREFIX}*"):
        try:
            return int(json.loads(lock.read_text())["pid"])
        except (OSError, ValueError):
            continue
    return 0


@each_case
def test_second_run_on_an_output_is_refused_by_name_or_waits_and_the_first_ends_well(case, tmp_path):
    folder = large(case, tmp_path / "here")
    expected = alone(case, folder)
    first = program(folder, case.arguments())
    number = stop_at_work(first, folder)
    for more in ((), ("--force",), *((("--resume",),) if case.resumes else ())):
        second = run(folder, case.arguments(*more))
        assert second.code == 2
        assert "KP-OUTPUT-LOCKED" in second.said
        assert f"process {number} on {socket.gethostname()}" in " ".join(second.said.split())
    waiting = program(folder, case.arguments("--wait", "--force")) if case.resumes else None
    os.kill(number, signal.SIGCONT)
    finish(first)
    if waiting is not None:
        finish(waiting)
    assert content(folder, case) == expected
    assert set(os.listdir(folder)) == {*INPUTS, case.output}


def test_happening_happens_once_at_its_call(tmp_path):
    seen: list[dict[str, str]] = []
    happening = Happening(tmp_path, 2, lambda: seen.append(hashes(tmp_path)))
    with failing(happening):
        for number in range(4):
            (tmp_path / str(number)).mkdir()
            (tmp_path / str(number) / "file").touch()
    assert len(seen) == 1
    assert happening.calls >= 4
    assert_nothing_half(CASES[0], tmp_path, {})
