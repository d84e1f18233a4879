"""Killed, or refused by the system, at every call that changes the disk: native libraries' calls, too (strace)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults import watched
from tests.faults.cases import (
    CASES,
    Case,
    assert_goes_on,
    assert_nothing_half,
    content,
    prepare,
    renew,
    run,
    undisturbed,
)

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not watched.works(), reason="strace is not there, or may not be used"),
]
SAMPLES = 6
KILL = "signal=KILL"


@pytest.fixture(scope="module")
def watch() -> Iterator[watched.Watched]:
    with watched.watched() as made:
        yield made


def calls_of(watch: watched.Watched, case: Case, folder: Path, which: str) -> list[str]:
    """The calls of one undisturbed run, by name, in order."""
    code, lines = watch.run(folder, case.arguments(), "-e", f"trace={which}")
    assert code == 0, watched.said(folder)
    found = [re.match(r"\d+ +(\w+)\(", line) for line in lines]
    return [one.group(1) for one in found if one]


def each(calls: list[str], samples: int = 0) -> Iterator[tuple[str, int]]:
    """(name, which time) of every call, or of so many of them from the first to the last."""
    counts: dict[str, int] = {}
    points = []
    for name in calls:
        counts[name] = counts.get(name, 0) + 1
        points.append((name, counts[name]))
    if samples and len(points) > samples:
        points = [points[round(i * (len(points) - 1) / (samples - 1))] for i in range(samples)]
    yield from points


def kill_at_each(watch: watched.Watched, case: Case, tmp_path: Path, samples: int = 0) -> int:
    expected = undisturbed(case, tmp_path / "undisturbed")
    folder = prepare(tmp_path / "work" / "here")
    calls = calls_of(watch, case, folder, watched.CHANGES)
    killed = 0
    for name, number in each(calls, samples):
        renew(case, folder)
        code, _ = watch.run(
            folder, case.arguments(), "-e", f"trace={name}", "-e", f"inject={name}:{KILL}:when={number}"
        )
        killed += code == -9
        assert code in {0, -9}, watched.said(folder)
        assert_goes_on(case, folder, expected)
    return killed


def fail_at_each(watch: watched.Watched, case: Case, tmp_path: Path, error: str, samples: int = 0) -> int:
    expected = undisturbed(case, tmp_path / "undisturbed")
    folder = prepare(tmp_path / "work" / "here")
    calls = calls_of(watch, case, folder, f"{watched.WRITES},{watched.SYNCS},{watched.RENAMES}")
    failed = 0
    for name, number in each(calls, samples):
        renew(case, folder)
        code, _ = watch.run(
            folder, case.arguments(), "-e", f"trace={name}", "-e", f"inject={name}:error={error}:when={number}"
        )
        failed += code == 2
        assert code in {0, 2, 3}, f"{name} {number}: {code}: {watched.said(folder)}"
        assert "KP-INTERNAL" not in watched.said(folder), f"{name} {number}: {watched.said(folder)}"
        assert "Traceback" not in watched.said(folder), f"{name} {number}: {watched.said(folder)}"
        if code == 3:
            # An image failed; the rest is there. What failed is not hidden.
            assert "Failed:" in watched.said(folder)
            continue
        assert_goes_on(case, folder, expected)
    return failed


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_killed_at_some_calls_and_nothing_is_lost(watch, case, tmp_path):
    assert kill_at_each(watch, case, tmp_path, SAMPLES) >= SAMPLES // 2


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_some_calls_are_refused_and_nothing_is_lost(watch, case, tmp_path):
    assert fail_at_each(watch, case, tmp_path, "ENOSPC", SAMPLES) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_killed_at_every_call_and_nothing_is_lost(watch, case, tmp_path):
    assert kill_at_each(watch, case, tmp_path) >= 8


@pytest.mark.slow
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_call_is_refused_in_turn_and_nothing_is_lost(watch, case, tmp_path, error):
    assert fail_at_each(watch, case, tmp_path, error) >= 4


@pytest.mark.parametrize("name", ["convert to a file", "convert to a folder", "augment"])
def test_killed_while_it_replaces_an_output_it_leaves_the_old_one_or_the_new_one(watch, name, tmp_path):
    case = next(one for one in CASES if one.name == name)
    new = undisturbed(case, tmp_path / "undisturbed")
    older = {
        "convert to a file": ("convert", "coco", "six2", case.command[-1], "--skeleton", "six2_knee"),
        "convert to a folder": (*case.command, "--part-size", "1"),
        "augment": ("augment", case.command[1], "--flip", "1"),
    }
    old_case = replace(case, command=older[name])
    old = undisturbed(old_case, tmp_path / "old")
    folder = prepare(tmp_path / "work" / "here")
    forced = replace(case, command=(*case.command, "--force"))
    assert run(folder, old_case.arguments()).code == 0
    calls = calls_of(watch, forced, folder, f"{watched.RENAMES},unlink,unlinkat,rmdir")
    seen = set()
    for call, number in each(calls, 10):
        renew(case, folder)
        assert run(folder, old_case.arguments()).code == 0
        watch.run(folder, forced.arguments(), "-e", f"trace={call}", "-e", f"inject={call}:{KILL}:when={number}")
        assert case.is_whole(folder), f"{call} {number}: the output is gone"
        found = content(folder, case)
        assert found in (old, new), f"{call} {number}"
        seen.add("old" if found == old else "new")
        assert run(folder, ["clean", case.output]).code == 0
        assert content(folder, case) == found
    assert "old" in seen


def test_nothing_half_is_told_from_the_whole(tmp_path):
    case = CASES[2]
    expected = undisturbed(case, tmp_path / "undisturbed")
    next((tmp_path / "undisturbed" / "out" / "images").iterdir()).unlink()
    with pytest.raises(AssertionError):
        assert_nothing_half(case, tmp_path / "undisturbed", expected)
