"""Files of an augmented dataset: pictures and masks, the format's places for them, and the provenance rows."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from array import array
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from itertools import count, islice
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from kpkit.augment.images import encode_jpeg, encode_png
from kpkit.core.dataset import Dataset
from kpkit.errors import OutputError, UsageError
from kpkit.formats.base import Format
from kpkit.guard import output_error, read_bytes
from kpkit.pipelines.augment_later import Pending, later
from kpkit.pipelines.fingerprint import picture_checksum

MAGIC = {".jpg": b"\xff\xd8\xff", ".png": b"\x89PNG\r\n\x1a\n"}
ASIDE = ".moving"
# Where workers put what they make.
PICTURES = ("images", "masks")
AT_ONCE = 4096
UNFINISHED = ".tmp"
# On Windows files are text unless it is said that they are not.
_BINARY = getattr(os, "O_BINARY", 0)
# What tells unfinished files of one host, process and picture from others'.
_HERE, _numbers = secrets.token_hex(8), count()

Timed = Callable[[str], AbstractContextManager[None]]
Picture = NDArray[np.uint8]


class Saver:
    """Writes pictures below the folder of the output, each whole or not at all; `save` does not wait for the disk.

    making     folder on the same disk where they are made, there already
    checksums  path in the output -> checksum, filled in where it is not None
    pending    what `augment_later.finish` has to wait for; it raises OutputError where a picture cannot be written
    """

    def __init__(
        self, folder: Path, making: Path, checksums: dict[str, str] | None, timed: Timed, pending: Pending
    ) -> None:
        self._folder, self._making, self._checksums = folder, making, checksums
        self._timed, self._pending = timed, pending
        self._made: list[tuple[str, bytes]] = []

    def picture(self, name: str, image: Picture, unchanged: Path | None, quality: int) -> None:
        """Make the file of a picture as the ending of `name` says.

        unchanged  the file that the picture was read from, where it is that picture: copied if it is of the same kind,
                   so that nothing is compressed twice for nothing
        """
        suffix = PurePosixPath(name).suffix
        with self._timed("encode"):
            data = read_bytes(unchanged) if unchanged is not None else b""
            if not data.startswith(MAGIC[suffix]):
                data = encode_jpeg(image, quality) if suffix == ".jpg" else encode_png(image)
        self._made.append((name, data))

    def mask(self, name: str, mask: Picture) -> None:
        """Make the file of a mask ([H,W] uint8, 0 or 255), a PNG."""
        with self._timed("encode"):
            data = encode_png(mask)
        self._made.append((name, data))

    def save(self) -> None:
        """Have what was made written."""
        with self._timed("write"):
            later(self._pending, self._write_all, self._made)
        self._made = []

    def _write_all(self, made: list[tuple[str, bytes]]) -> None:
        for name, data in made:
            self._write(name, data)

    def _write(self, name: str, data: bytes) -> None:
        path = self._folder / name
        try:
            try:
                _write_whole(path, data, self._making)
            except FileNotFoundError:
                self._make_folders(path)
                _write_whole(path, data, self._making)
        except OSError as error:
            raise output_error(error, path) from error
        if self._checksums is not None:
            self._checksums[name] = picture_checksum(data)

    def _make_folders(self, path: Path) -> None:
        if not (self._folder.is_dir() and self._making.is_dir()):
            raise OutputError(
                "the folder of this run is not there",
                code="KP-CLUSTER-SHARED",
                place=str(self._folder),
                expected="a folder that every worker sees, for as long as the run lasts",
                help="put the output on storage that all machines mount at the same path",
            )
        # One by one: a folder of a run that has just ended is not made again.
        inner = path.parent.relative_to(self._folder)
        for folder in [*(self._folder / one for one in reversed(inner.parents)), path.parent]:
            if folder != self._folder:
                folder.mkdir(exist_ok=True)


def _write_whole(path: Path, data: bytes, making: Path) -> None:
    # Renamed, not written in place: a worker that was given up may come late with the same bytes.
    temporary = os.path.join(making, f".{_HERE}-{os.getpid()}-{next(_numbers)}{UNFINISHED}")
    try:
        # In half the time of `open`, which asks the system what kind of file it is.
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(file, rest) :]
        finally:
            os.close(file)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


class Names:
    """Names of files, of which only hashes are kept: eight bytes each, however many there are."""

    def __init__(self) -> None:
        self._hashes = array("q")

    def add(self, name: str) -> None:
        """Remember a name."""
        self._hashes.append(hash(name))

    def known(self) -> NDArray[np.int64]:
        """The hashes, rising."""
        return np.unique(np.array(self._hashes, np.int64))


def remove_labels(folder: Path) -> None:
    """Remove what an earlier run, ended while it wrote labels, has left: all but pictures and masks."""
    for one in folder.iterdir():
        if one.name not in PICTURES:
            shutil.rmtree(one) if one.is_dir() else one.unlink()


def remove_strays(folder: Path, kept: Names) -> None:
    """Remove pictures and masks below `folder` that are not `kept`: what images that failed, or killed workers, have
    left."""
    known = kept.known()
    for place in PICTURES:
        if (folder / place).is_dir():
            _remove_strays(folder, place, known)


def _remove_strays(root: Path, near: str, known: NDArray[np.int64]) -> None:
    folders, strays = [], []
    with os.scandir(root / near) as entries:
        # Some at a time: a folder may have a million.
        while some := list(islice(entries, AT_ONCE)):
            folders += [f"{near}/{one.name}" for one in some if one.is_dir(follow_symlinks=False)]
            files = [f"{near}/{one.name}" for one in some if not one.is_dir(follow_symlinks=False)]
            kept = np.isin(np.fromiter(map(hash, files), np.int64, len(files)), known, assume_unique=False)
            strays += [file for file, wanted in zip(files, kept.tolist(), strict=True) if not wanted]
    for folder in folders:
        _remove_strays(root, folder, known)
    for file in strays:
        (root / file).unlink()
    if strays:
        with contextlib.suppress(OSError):
            os.rmdir(root / near)


def place_images(folder: Path, dataset: Dataset, target: Format) -> None:
    """Move pictures from images/ to where the format wants them, if that is another place."""
    wanted = {
        f"images/{path}": place
        for path, place in zip(dataset.images.path.tolist(), target.image_targets(dataset), strict=True)
    }
    moves = [(now, place) for now, place in wanted.items() if now != place]
    if not moves:
        return
    # Aside first: one picture's place may be where another still stands.
    for number, (now, _) in enumerate(moves):
        (folder / ASIDE).mkdir(exist_ok=True)
        (folder / now).rename(folder / ASIDE / str(number))
    _remove_empty(folder / "images")
    for number, (_, place) in enumerate(moves):
        out = folder / place
        out.parent.mkdir(parents=True, exist_ok=True)
        (folder / ASIDE / str(number)).rename(out)
    shutil.rmtree(folder / ASIDE)


def _remove_empty(folder: Path) -> None:
    for one in sorted(folder.rglob("*"), reverse=True):
        if one.is_dir():
            with contextlib.suppress(OSError):
                one.rmdir()


def labels_place(target: Format, source: Format, path: Path) -> str:
    """Where the labels stand in the output: the format's usual place, in the variant that the input has.

    path  the input
    """
    default = target.default_output
    suffix = path.suffix.lower()
    same = target.name == source.name and target.kind == "file" and suffix in target.suffixes
    if not same or default.endswith(suffix):
        return default
    fixed = [usual for usual in target.usual if "*" not in usual and usual.endswith(suffix)]
    return fixed[0] if fixed else str(Path(default).with_suffix(suffix))


def check_overlap(output: Path, inputs: Iterable[Path | None]) -> None:
    """Raise UsageError where the output folder holds an input: replacing it would take that away."""
    if not output.is_dir():
        return
    place = output.resolve()
    for one in inputs:
        if one is not None and (one.resolve() == place or place in one.resolve().parents):
            raise UsageError(
                "the output folder holds an input, which --force would delete",
                code="KP-OUTPUT-INPUT",
                place=str(output),
                expected="a folder without inputs",
                got=str(one),
                help="choose another folder with -o",
            )
