"""Damaged inputs and failing disks: a reader refuses with a KpkitError, a writer leaves nothing behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from kpkit.core.dataset import Dataset
from kpkit.errors import KpkitError, OutputError
from kpkit.testing.case import FormatCase, content, scratch
from kpkit.testing.compare import assert_equal, differences

_JUNK = (b"\x00\xff\xfe\x80" * 64, b"\xff" * 300, b"\x89PNG\r\n\x1a\n" + bytes(200), b"lorem ipsum\n" * 9, b"{" * 5000)


class ReadingContract(FormatCase):
    """Nothing but a dataset or a KpkitError comes out of a reader, and the input stays as it is.

    cuts  places at which every written file is cut
    """

    cuts: ClassVar[int] = 60

    def test_reading_leaves_the_input_alone(self, tmp_path: Path) -> None:
        """Neither content nor times nor the list of files change."""
        dataset = self.sample()
        path = self.write(dataset, tmp_path)
        before = _state(tmp_path)
        self.read(path, dataset)
        self.format.sniff(path)
        assert _state(tmp_path) == before

    def test_truncated_file_is_refused_or_says_less(self, tmp_path: Path) -> None:
        """Cut anywhere, a self-delimiting file is refused or still says the same; others say no more than before."""
        dataset = self.sample()
        path = self.write(dataset, tmp_path)
        for name, data in content(path).items():
            file = path / name if name else path
            for length in _lengths(len(data), self.cuts):
                file.write_bytes(data[:length])
                self._assert_refused_or_less(path, dataset, f"{name or path.name} cut at {length} of {len(data)}")
            file.write_bytes(data)
        self.read(path, dataset)

    def test_missing_part_of_a_folder_is_refused_or_says_less(self, tmp_path: Path) -> None:
        """A folder that lacks one of its files."""
        if self.format.kind == "file":
            pytest.skip("one file has no parts")
        dataset = self.sample()
        path = self.write(dataset, tmp_path)
        for name, data in content(path).items():
            (path / name).unlink()
            self._assert_refused_or_less(path, dataset, f"without {name}")
            (path / name).write_bytes(data)

    def test_broken_text_is_refused_or_read(self, tmp_path: Path) -> None:
        """One byte that is no UTF-8, at many places of every file."""
        dataset = self.sample()
        path = self.write(dataset, tmp_path)
        for name, data in content(path).items():
            file = path / name if name else path
            for at in _lengths(len(data), self.cuts // 2):
                file.write_bytes(data[:at] + b"\xff" + data[at + 1 :])
                self._outcome(path, dataset, f"byte 0xff at {at} of {name or path.name}")
            file.write_bytes(data)

    def test_empty_input_is_refused(self, tmp_path: Path) -> None:
        """An empty file, a file of blanks, an empty folder."""
        path = tmp_path / self.output_name
        if self.format.kind == "folder":
            path.mkdir()
            self._assert_refused(path, "an empty folder")
            return
        for data in (b"", b" \n\t\r\n", b"\xef\xbb\xbf"):
            path.write_bytes(data)
            self._assert_refused(path, f"a file of {data!r}")

    def test_missing_input_is_refused(self, tmp_path: Path) -> None:
        """A path that does not exist, and one below a file."""
        self._assert_refused(tmp_path / self.output_name, "a path that does not exist")
        (tmp_path / "file").write_bytes(b"text")
        self._assert_refused(tmp_path / "file" / self.output_name, "a path below a file")

    def test_file_in_place_of_a_folder_and_folder_in_place_of_a_file_are_refused(self, tmp_path: Path) -> None:
        """The other kind of input than the format has."""
        path = tmp_path / self.output_name
        if self.format.kind == "folder":
            path.write_bytes(b"no folder\n")
        else:
            path.mkdir()
            (path / "inside.txt").write_bytes(b"no labels\n")
        self._assert_refused(path, f"not a {self.format.kind}")

    def test_content_of_another_kind_is_refused(self, tmp_path: Path) -> None:
        """Random bytes, a picture's head, prose."""
        path = tmp_path / self.output_name
        if self.format.kind == "folder":
            path.mkdir()
        for number, data in enumerate(_JUNK):
            (path / "labels.txt" if path.is_dir() else path).write_bytes(data)
            self._assert_refused(path, f"junk {number}")

    def _outcome(self, path: Path, dataset: Dataset, what: str) -> Dataset | KpkitError:
        """A dataset, or the error of kpkit that refused it; anything else fails the test."""
        try:
            self.format.sniff(path)
            return self.read(path, dataset)
        except KpkitError as error:
            assert error.message, f"{what}: an error without a message"
            return error
        except Exception as error:  # a reader may fail in any way; the test says which input did it
            raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error

    def _assert_refused(self, path: Path, what: str) -> None:
        assert self.format.sniff(path) is None, f"{what} is taken for this format"
        error = self._outcome(path, self.sample(), what)
        assert isinstance(error, KpkitError), f"{what} is read without an error"
        assert str(path.name) in str(error) or str(path.name) in error.place, (
            f"{what}: the error does not name the path"
        )

    def _assert_refused_or_less(self, path: Path, dataset: Dataset, what: str) -> None:
        back = self._outcome(path, dataset, what)
        if isinstance(back, KpkitError):
            return
        if self.self_delimiting and self.format.kind == "file":
            unequal = differences(dataset, back, self.keeps, ordered=self.ordered)
            assert not unequal, f"{what} is read in silence: {unequal[0]}"
        assert len(back) <= len(dataset), f"{what}: more persons than were written"


class OutputContract(FormatCase):
    """An output appears whole or not at all."""

    def test_output_that_exists_is_not_touched_without_force(self, tmp_path: Path) -> None:
        """The second write is refused; with `force` it replaces."""
        dataset = self.sample()
        path = self.write(dataset, tmp_path)
        before = _state(tmp_path)
        with pytest.raises(OutputError):
            self.write(dataset.take([0]), tmp_path)
        assert _state(tmp_path) == before
        self.write(dataset.take([0]), tmp_path, force=True)
        assert len(self.read(path, dataset)) == 1
        assert os.listdir(tmp_path) == [path.name]

    def test_failed_write_leaves_nothing(self, tmp_path: Path) -> None:
        """The disk takes no more after some bytes: an OutputError, and neither output nor a temporary file."""
        dataset = self.sample()
        with scratch() as folder:
            largest = max(map(len, content(self.write(dataset, folder)).values()))
        for limit in sorted({0, largest // 2, largest - 1}):
            with _file_size_limit(limit), pytest.raises(OutputError):
                self.write(dataset, tmp_path)
            assert os.listdir(tmp_path) == []

    def test_failed_write_leaves_the_old_output(self, tmp_path: Path) -> None:
        """With `force`, the old output stands until the new one is complete."""
        dataset = self.sample()
        path = self.write(dataset.take([0]), tmp_path)
        before = content(path)
        with _file_size_limit(1), pytest.raises(OutputError):
            self.write(dataset, tmp_path, force=True)
        assert content(path) == before
        assert os.listdir(tmp_path) == [path.name]
        assert_equal(self.read(path, dataset), self.read(path, dataset))


class FaultContract(ReadingContract, OutputContract):
    """Both sides of a format under faults."""


@contextmanager
def _file_size_limit(size: int) -> Iterator[None]:
    """Writing a file beyond `size` bytes fails in this process, as on a full disk."""
    resource = pytest.importorskip("resource", reason="this platform cannot limit the size of files")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _lengths(size: int, wanted: int) -> list[int]:
    """Places from 0 to size - 1: all of a small file, else both ends and evenly between."""
    if size <= wanted:
        return list(range(size))
    step = size / wanted
    return sorted({0, 1, size - 1, size - 2, *(int(i * step) for i in range(wanted))})


def _state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time of every file and folder below."""
    return {
        one.relative_to(folder).as_posix(): (one.read_bytes() if one.is_file() else b"", one.stat().st_mtime_ns)
        for one in sorted(folder.rglob("*"))
    }
