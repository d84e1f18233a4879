"""Every n-th call that changes files fails in turn, until a run meets no fault any more."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest

from tests.faults.cases import CASES, Case, assert_goes_on, assert_nothing_half, prepare, renew, run, undisturbed
from tests.faults.inject import Injection, failing

pytestmark = pytest.mark.faults

# In the short form: the first calls one by one, then every so many.
ONE_BY_ONE, STEP = 4, 7


def disturb(case: Case, tmp_path, code: int, numbers, *, lasting: bool) -> int:
    """Runs with the fault at each number, until one run meets none; returns how many met one."""
    expected = undisturbed(case, tmp_path / "undisturbed")
    folder = prepare(tmp_path / "disturbed")
    for met, number in enumerate(numbers):
        renew(case, folder)
        injection = Injection(folder, number, code, lasting=lasting)
        with failing(injection):
            ran = run(folder, case.arguments())
        if not injection.failed:
            assert ran.code == 0, ran.said
            assert_nothing_half(case, folder, expected)
            return met
        assert ran.code in {0, 2}, ran.said
        if ran.code:
            assert "error[KP-OUTPUT-WRITE]" in ran.said, f"call {number}: {ran.said}"
        assert_goes_on(case, folder, expected)
    raise AssertionError("no run was without a fault")


def some(step: int):
    yield from range(1, ONE_BY_ONE)
    yield from range(ONE_BY_ONE, 10_000, step)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("lasting", [True, False], ids=["stays full", "fails once"])
def test_some_calls_fail_and_nothing_is_lost(case, tmp_path, lasting):
    code = errno.ENOSPC if lasting else errno.EIO
    assert disturb(case, tmp_path, code, some(STEP), lasting=lasting) >= 3


@pytest.mark.parametrize("lasting", [True, False], ids=["stays full", "fails once"])
def test_some_calls_fail_while_a_file_is_made_of_parts_and_nothing_is_lost(tmp_path, lasting, monkeypatch):
    monkeypatch.setattr("kpkit.formats.coco.LARGE", 0)
    monkeypatch.setattr("kpkit.formats.coco_parts.DEFAULT_SIZE", 1)
    case = replace(CASES[0], resumes=True)
    code = errno.ENOSPC if lasting else errno.EIO
    assert disturb(case, tmp_path, code, some(STEP), lasting=lasting) >= 5


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("lasting", [True, False], ids=["stays full", "fails once"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
def test_every_call_fails_in_turn_and_nothing_is_lost(case, tmp_path, code, lasting):
    assert disturb(case, tmp_path, code, range(1, 10_000), lasting=lasting) >= 8
