"""Damaged and hostile .mat files: an error that says so, or labels; never anything else."""

from __future__ import annotations

import contextlib
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpkit.core.report import Collector
from kpkit.errors import FormatError, KpkitError
from kpkit.formats.base import ReadOptions
from kpkit.formats.mpii_mat import assemble
from kpkit.formats.mpii_walk import walk
from tests.mpii_files import entry, point, read, rect, save, structs

Change = tuple[str, int, int]

HEADER = 128
WORDS = (0, 1, 2, 3, 4, 5, 6, 14, 15, 0xFFFF, 1 << 20, 0x7FFFFFFF, 1 << 31, 0xFFFFFFFF)

changes = st.tuples(
    st.sampled_from(["byte", "word", "cut", "drop", "repeat"]), st.integers(0, 1 << 30), st.integers(0, 1 << 30)
)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small RELEASE with everything in it, not compressed."""
    alone = np.empty((2, 1), object)
    alone[:, 0] = [1, np.empty((0, 0))]
    path = save(
        tmp_path_factory.mktemp("hostile") / "m.mat",
        entry("a.jpg", rect(point(8, is_visible="1"), point(1, 0.5)), {}, rect(part_occ1="0", head_r11="3.6e-16")),
        entry("b.jpg", {"scale": 2.0, "objpos": structs([{"x": 5, "y": 6}])}, vididx=3, frame_sec=11),
        img_train=np.array([[1, 0]]),
        act=structs([{"act_name": "judo", "act_id": 7}, {}]).T,
        single_person=alone,
        version="12",
    )
    packed = path.read_bytes()
    return packed[:HEADER] + zlib.decompress(packed[HEADER + 8 :])


def mutate(content: bytes, change: Change) -> bytes:
    kind, where, value = change
    data = bytearray(content)
    if len(data) < HEADER + 8:
        return content
    at = HEADER + where % (len(data) - HEADER - 4)
    if kind == "byte":
        data[at] = value % 256
    elif kind == "word":
        at &= ~3
        data[at : at + 4] = struct.pack("<I", WORDS[value % len(WORDS)])
    elif kind == "cut":
        del data[at:]
    elif kind == "drop":
        del data[at : at + 1 + value % 64]
    else:
        data[at:at] = data[at : at + 8 * (1 + value % 8)]
    return bytes(data)


def judge(content: bytes) -> Any:
    """What the reader makes of these bytes, in this process."""
    columns, info = walk(content)
    return assemble(columns, info, Path("m.mat"), ReadOptions(), Collector("collect"))


@given(damage=st.lists(changes, min_size=1, max_size=6))
def test_damaged_bytes_give_an_error_of_ours_or_labels(content: bytes, damage: list[Change]) -> None:
    for change in damage:
        content = mutate(content, change)
    try:
        dataset = judge(content)
    except KpkitError:
        return
    assert dataset.xy.shape == (len(dataset), 16, 2)


@pytest.mark.slow
def test_every_word_of_a_file_may_be_anything(content: bytes) -> None:
    for where in range(0, len(content) - HEADER, 4):
        for value in range(len(WORDS)):
            with contextlib.suppress(KpkitError):
                judge(mutate(content, ("word", where, value)))


def test_the_undamaged_file_is_read(content: bytes) -> None:
    assert judge(content).counts()["labelled"] == 4


def packed(variable: bytes) -> bytes:
    """A whole file of one compressed variable."""
    body = zlib.compress(variable, 9)
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + struct.pack("<2I", 15, len(body)) + body


def test_a_variable_that_claims_more_than_the_format_allows_is_refused(content: bytes) -> None:
    claim = struct.pack("<2I", 14, 0xFFFFFFF0)
    with pytest.raises(FormatError, match="more bytes than the format allows"):
        walk(packed(claim + content[HEADER + 8 :]))


def test_what_follows_a_variable_in_its_stream_is_not_inflated(content: bytes) -> None:
    columns, _ = walk(packed(content[HEADER:] + bytes(1 << 26)))
    assert len(columns["person_row"]) == 3


def test_garbage_after_the_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.mat"
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + bytes(range(256)) * 4)
    with pytest.raises(FormatError):
        read(path)
