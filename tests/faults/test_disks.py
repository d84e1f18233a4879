"""Disks that are full, have no room for a file, or cannot be written: an error, nothing lost, and then the rest."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.augment_data import hashes
from tests.cluster import environment
from tests.faults.cases import CASES, Case, assert_goes_on, assert_nothing_half, prepare, renew, run, undisturbed
from tests.faults.disks import Disk, disk
from tests.faults.inject import Injection, failing
from tests.faults.test_calls_fail import disturb, some

pytestmark = pytest.mark.faults

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
SIZES = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610)
LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop()), resource.RLIM_INFINITY))
from kpkit.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Disk]:
    with disk(tmp_path / "disk") as made:
        prepare(made.place)
        yield made


def fill(case: Case, tmp_path: Path, small: Disk, leave: Callable[[int], None], sizes: Iterator[int]) -> int:
    """Runs with ever more room, until one has enough; how many had too little."""
    expected = undisturbed(case, tmp_path / "undisturbed")
    inputs = hashes(small.place)
    for failed, size in enumerate(sizes):
        small.roomy()
        renew(case, small.place)
        leave(size)
        ran = run(small.place, case.arguments())
        assert_nothing_half(case, small.place, expected)
        if ran.code == 0:
            return failed
        assert ran.code == 2, ran.said
        assert "error[KP-OUTPUT-WRITE]" in ran.said, ran.said
        assert "the disk is full" in ran.said, ran.said
        assert {name: inputs[name] for name in inputs} == {
            name: digest for name, digest in hashes(small.place).items() if name in inputs
        }
        small.roomy()
        assert_goes_on(case, small.place, expected)
    raise AssertionError("no room was enough")


@each_case
def test_full_disk_is_an_error_and_with_more_room_the_run_goes_on(case, tmp_path, small):
    assert fill(case, tmp_path, small, small.leave_bytes, iter(SIZES)) >= 2


@each_case
def test_disk_without_room_for_one_more_file_is_the_same(case, tmp_path, small):
    assert fill(case, tmp_path, small, small.leave_inodes, iter(range(100))) >= 1


@pytest.mark.slow
@each_case
def test_disk_that_is_full_at_every_page(case, tmp_path, small):
    assert fill(case, tmp_path, small, small.leave_bytes, iter(range(2000))) >= 2


@each_case
@pytest.mark.parametrize("limit", [0, 300])
def test_file_that_may_not_grow_is_an_error_and_the_run_goes_on(case, tmp_path, limit):
    """Needs no rights, unlike a small disk."""
    expected = undisturbed(case, tmp_path / "undisturbed")
    folder = prepare(tmp_path / "here")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *case.arguments(), str(limit)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "larger than allowed" in done.stderr
    assert "Traceback" not in done.stderr
    assert_goes_on(case, folder, expected)


@each_case
def test_output_on_a_read_only_disk_is_an_error_and_nothing_changes(case, tmp_path, small):
    expected = undisturbed(case, tmp_path / "undisturbed")
    begin(case, small.place)
    before = hashes(small.place)
    small.read_only()
    for arguments in (case.arguments(), case.again(), case.arguments("--force")):
        ran = run(small.place, arguments)
        assert ran.code == 2, ran.said
        assert "read-only" in ran.said or "KP-UNFINISHED" in ran.said or "KP-OUTPUT-EXISTS" in ran.said, ran.said
        assert hashes(small.place) == before
    small.roomy()
    assert_goes_on(case, small.place, expected)


def begin(case: Case, folder: Path) -> None:
    """A run that its disk ends in the middle."""
    with failing(Injection(folder, 12, errno.ENOSPC, lasting=True)):
        assert run(folder, case.arguments()).code == 2


@each_case
def test_disk_that_becomes_read_only_while_a_run_writes(case, tmp_path):
    assert disturb(case, tmp_path, errno.EROFS, some(7), lasting=True) >= 3


def test_disk_of_the_tests_is_full_when_it_should_be(small):
    small.leave_bytes(1)
    with pytest.raises(OSError, match="No space") as caught:
        (small.place / "file").write_bytes(bytes(64_000))
    assert caught.value.errno == errno.ENOSPC
    small.roomy()
    small.leave_inodes(0)
    with pytest.raises(OSError, match="No space"):
        (small.place / "another").touch()
    small.read_only()
    with pytest.raises(OSError, match="Read-only"):
        os.mkdir(small.place / "folder")
