"""What a long run has finished survives its end, and only the same job goes on with it."""

from __future__ import annotations

import json
import os

import pytest

from kpkit.errors import FormatError, OutputError, UsageError
from kpkit.guard import work_folders
from kpkit.pipelines import fingerprint
from kpkit.pipelines.work_folder import LOG, begun, work_folder

PARTS = {"labels": "abc", "recipe": {"flip": 0.5, "scale": [1, 2]}}


def work(output, count=3, error=KeyboardInterrupt, parts=PARTS, **options):
    """A run that finishes `count` items and is ended by `error`; returns what it found."""
    options = {"resume": False, "force": False, **options}
    with work_folder(output, parts, **options) as folder:
        found = dict(folder.earlier)
        for number in range(len(found), len(found) + count):
            folder.note(f"item {number}", bytes([number]) * number)
        if error is not None:
            raise error("ended")
    return found


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, OSError, RuntimeError, OutputError])
def test_finished_items_are_kept_when_a_run_is_ended(tmp_path, error):
    with pytest.raises((error, OutputError)) as caught:
        work(tmp_path / "out", error=error)
    said = "".join(getattr(caught.value, "__notes__", [])) + getattr(caught.value, "help", "")
    assert "--resume" in said
    assert "3 finished items are kept" in said
    assert work(tmp_path / "out", 0, None, resume=True) == {"item 0": b"", "item 1": b"\1", "item 2": b"\2\2"}
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [UsageError, FormatError])
def test_work_of_a_job_that_cannot_be_done_is_not_kept(tmp_path, error):
    with pytest.raises(error):
        work(tmp_path / "out", error=error)
    assert os.listdir(tmp_path) == []


def test_nothing_is_kept_where_nothing_is_finished(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        work(tmp_path / "out", 0)
    assert os.listdir(tmp_path) == []


def test_finished_items_are_not_thrown_away_unasked(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        work(tmp_path / "out")
    with pytest.raises(OutputError) as caught:
        work(tmp_path / "out", error=None)
    assert caught.value.code == "KP-UNFINISHED"
    assert "3 finished items" in caught.value.got
    assert work(tmp_path / "out", error=None, force=True) == {}
    assert os.listdir(tmp_path) == []


def test_another_job_is_told_by_what_differs(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        work(tmp_path / "out")
    other = {**PARTS, "recipe": {"flip": 0.4, "scale": [1, 2]}}
    with pytest.raises(OutputError) as caught:
        work(tmp_path / "out", parts=other, resume=True)
    assert (caught.value.code, caught.value.got) == ("KP-RESUME-OTHER", "others in recipe.flip")
    assert begun(work_folders(tmp_path / "out")[0])[0] == 3
    assert work(tmp_path / "out", 0, None, resume=True).keys() == {"item 0", "item 1", "item 2"}


def test_a_record_cut_anywhere_costs_that_record_and_no_other(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        work(tmp_path / "out")
    log = work_folders(tmp_path / "out")[0] / LOG
    whole = log.read_bytes()
    found = set()
    for length in range(len(whole)):
        log.write_bytes(whole[:length])
        count = begun(log.parent)[0]
        with pytest.raises(KeyboardInterrupt):
            work(tmp_path / "out", 1, resume=True)
        found.add(count)
        assert begun(log.parent)[0] == count + 1
    assert found == {0, 1, 2}


def test_a_damaged_record_ends_what_is_taken_up(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        work(tmp_path / "out")
    log = work_folders(tmp_path / "out")[0] / LOG
    data = bytearray(log.read_bytes())
    data[-1] ^= 1
    log.write_bytes(data)
    assert work(tmp_path / "out", 0, None, resume=True).keys() == {"item 0", "item 1"}


def test_fingerprints_do_not_depend_on_the_order_of_keys():
    assert fingerprint.fingerprint({"a": 1, "b": [2]}) == fingerprint.fingerprint(json.loads('{"b": [2], "a": 1}'))
    assert fingerprint.fingerprint({"a": 1}) != fingerprint.fingerprint({"a": 2})


def test_checksum_of_a_folder_of_labels_sees_names_and_content_but_no_pictures(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("1")
    before = fingerprint.input_checksum(tmp_path)
    (tmp_path / "picture.jpg").write_bytes(b"x")
    assert fingerprint.input_checksum(tmp_path) == before
    (tmp_path / "labels" / "a.txt").rename(tmp_path / "labels" / "b.txt")
    assert fingerprint.input_checksum(tmp_path) != before
