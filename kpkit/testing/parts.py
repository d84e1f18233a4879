"""Formats that can be written part by part: the parts may come from anywhere, and from an earlier run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from kpkit.core.partition import Packer, Part, PartWriter, split
from kpkit.formats.base import WriteOptions
from kpkit.testing.case import FormatCase, content

_SCRATCH = "scratch"


class PartContract(FormatCase):
    """What `part_writer` promises, where a format has one."""

    def test_dataset_written_in_parts_comes_back(self, tmp_path: Path) -> None:
        """The output of all parts is read like one that was written whole."""
        dataset = self.sample()
        self._in_parts(list(split(dataset, 1)), tmp_path, moved=False)
        unequal = self.differences(dataset, self.read(tmp_path / self.output_name, dataset))
        assert not unequal, "\n".join(unequal[:9])

    def test_parts_that_were_moved_and_put_down_make_the_same_output(self, tmp_path: Path) -> None:
        """Each part is written in a folder of its own and moved; what its writer says of it goes through bytes."""
        parts = list(split(self.sample(), 1))
        here, there = tmp_path / "here", tmp_path / "there"
        self._in_parts(parts, here, moved=False)
        self._in_parts(parts, there, moved=True)
        assert content(there / self.output_name) == content(here / self.output_name)

    def _in_parts(self, parts: list[Part], folder: Path, *, moved: bool) -> None:
        last = self._part_writer(folder)
        written = []
        for number, part in enumerate(parts):
            if not moved:
                written.append(last.write(part, number))
                continue
            aside = folder.with_name(f"{folder.name}-{number}")
            writer = self._part_writer(aside)
            written.append(_through_bytes(writer, writer.write(part, number)))
            _move_all(aside, folder)
        last.finish(written)

    def _part_writer(self, folder: Path) -> PartWriter:
        path, scratch = folder / self.output_name, folder / _SCRATCH
        scratch.mkdir(parents=True)
        if self.format.kind == "folder":
            path.mkdir()
        writer = self.format.part_writer(path, WriteOptions(final=path, part_size=1), scratch)
        if writer is None:
            pytest.skip("this format is written whole only")
        return writer


def _through_bytes(writer: PartWriter, written: Any) -> Any:
    if not isinstance(writer, Packer):
        return written
    packed = writer.pack(written)
    assert type(packed) is bytes, "`pack` gives no bytes"
    return writer.unpack(packed)


def _move_all(source: Path, target: Path) -> None:
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        place = target / file.relative_to(source)
        assert not place.exists(), f"two parts have a file {file.relative_to(source)}"
        place.parent.mkdir(parents=True, exist_ok=True)
        os.rename(file, place)
