"""Image files beside labels: their sizes, and copies or links in an output."""

from __future__ import annotations

import csv
import io
import os
import posixpath
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np

from kpkit import storage
from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector
from kpkit.errors import FormatError, InputError, RecordError, UsageError
from kpkit.formats.base import Size
from kpkit.guard import input_error, read_bytes, resolve_inside

# Bytes of a picture in storage that are read for its size.
HEADER = 1 << 16
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"})


class ImageSizes(Mapping[str, Size]):
    """Relative image path -> (width, height), from a CSV file and from image headers.

    The table is read at once, headers only when a size is asked for.
    """

    def __init__(self, images: Path | None = None, table: Path | None = None) -> None:
        self._known: dict[str, Size] = read_size_table(table) if table is not None else {}
        self._root = images
        self._files: dict[str, None] = {}
        if images is not None:
            if not (storage.is_dir(images) if storage.is_remote(images) else images.is_dir()):
                raise InputError(
                    "there is no such folder", code="KP-INPUT-READ", place=str(images), help="check --images"
                )
            self._files = dict.fromkeys(_image_files(images))

    def __getitem__(self, path: str) -> Size:
        if path not in self._known:
            if self._root is None or path not in self._files:
                raise KeyError(path)
            self._known[path] = header_size(self._root / path)
        return self._known[path]

    def __iter__(self) -> Iterator[str]:
        yield from self._known
        yield from (path for path in self._files if path not in self._known)

    def __len__(self) -> int:
        return len(self._known.keys() | self._files.keys())

    def __contains__(self, path: object) -> bool:
        return path in self._known or path in self._files


def sizes_of(images: Path | None, table: Path | None) -> ImageSizes:
    """The same as ImageSizes(images, table), made once for many parts of a dataset while neither changes."""
    return _known_sizes(images, table, _stamp(images), _stamp(table))


def _stamp(path: Path | None) -> tuple[int, int] | None:
    if path is None or not path.exists():
        return None
    status = path.stat()
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=2)
def _known_sizes(images: Path | None, table: Path | None, *stamps: tuple[int, int] | None) -> ImageSizes:
    return ImageSizes(images, table)


def _image_files(root: Path) -> list[str]:
    if storage.is_remote(root):
        return [name for name in storage.files_below(root) if PurePosixPath(name).suffix.lower() in SUFFIXES]
    found = []
    for folder, _, files in os.walk(root):
        base = Path(folder).relative_to(root)
        found += [(base / name).as_posix() for name in files if Path(name).suffix.lower() in SUFFIXES]
    return sorted(found)


def header_size(path: Path) -> Size:
    """(width, height) of the stored pixels, from the header alone; RecordError where the file is no image."""
    from kpkit.augment.headers import stored_size

    try:
        remote = storage.is_remote(path)
        width, height = stored_size(io.BytesIO(read_bytes(path, limit=HEADER)) if remote else path)
    except (OSError, ValueError) as error:
        raise RecordError(
            "the image's header cannot be read", code="KP-IMAGE-HEADER", place=str(path), got=str(error)
        ) from error
    if width <= 0 or height <= 0:
        raise RecordError("not an image, or a damaged one", code="KP-IMAGE-HEADER", place=str(path))
    return width, height


def read_size_table(path: Path) -> dict[str, Size]:
    """Sizes from a CSV file with the columns image, width, height (a header line may be left out).

    Raises FormatError or RecordError with the row: no numbers, numbers beyond 31 bits, or two sizes for one image.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise input_error(error, path) from error
    except UnicodeDecodeError as error:
        raise FormatError("the file is not UTF-8 text", code="KP-SIZES", place=str(path)) from error
    sizes: dict[str, Size] = {}
    for number, row in _table_rows(text, path):
        cells = [cell.strip() for cell in row[:3]]
        if number == 1 and len(cells) == 3 and not any(map(str.isdigit, cells[1] + cells[2])):
            continue
        size = _size(cells)
        if size is None:
            raise RecordError(
                "not a row of image, width, height",
                code="KP-SIZES",
                place=f"{path}: row {number}",
                expected="e.g. 000000000785.jpg,640,425",
                got=",".join(row)[:80],
            )
        if sizes.setdefault(cells[0].replace("\\", "/"), size) != size:
            raise RecordError(
                f"'{cells[0]}' has another size in a row before",
                code="KP-SIZES",
                place=f"{path}: row {number}",
                expected="one size an image",
                got=f"{size[0]} x {size[1]}",
            )
    return sizes


def _table_rows(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Numbered rows that are not empty."""
    reader = csv.reader(text.splitlines())
    try:
        yield from ((number, row) for number, row in enumerate(reader, start=1) if row)
    except csv.Error as error:
        raise FormatError(
            "not a CSV file", code="KP-SIZES", place=f"{path}: row {reader.line_num}", got=str(error)
        ) from error


def _size(cells: list[str]) -> Size | None:
    if len(cells) < 3 or not (cells[0] and cells[1].isdecimal() and cells[2].isdecimal()):
        return None
    size = int(cells[1]), int(cells[2])
    return size if all(0 < side < 2**31 for side in size) else None


def with_sizes(dataset: Dataset, sizes: Mapping[str, Size], collector: Collector) -> Dataset:
    """The dataset with the sizes its labels lack; sizes that the labels have are never changed."""
    images = dataset.images
    unknown = np.flatnonzero((images.width < 0) | (images.height < 0))
    if not len(unknown):
        return dataset
    by_name = _unique_names(sizes)
    width, height = images.width.copy(), images.height.copy()
    missing: list[str] = []
    for row in unknown.tolist():
        path = str(images.path[row])
        key = path if path in sizes else by_name.get(PurePosixPath(path).name, "")
        if key:
            width[row], height[row] = sizes[key]
        else:
            missing.append(path)
    # Result lists know images by id alone; nobody expects a size of them.
    missing = [path for path in missing if path]
    collector.issue(
        "KP-SIZE-UNKNOWN",
        "images whose size is unknown; their labels are written without it",
        count=len(missing),
        places=missing[:5],
        severity="note",
        help="give --images DIR or --image-sizes FILE.csv",
    )
    return dataset.replace(images=replace(images, width=width, height=height))


def _unique_names(sizes: Mapping[str, Size]) -> dict[str, str]:
    """Base name -> path, for names that stand for one file only."""
    found: dict[str, str] = {}
    twice: set[str] = set()
    for path in sizes:
        name = PurePosixPath(path).name
        if name in found:
            twice.add(name)
        found[name] = path
    return {name: path for name, path in found.items() if name not in twice}


def place_images(
    dataset: Dataset, root: Path, targets: list[str], folder: Path, final: Path, *, link: bool, collector: Collector
) -> int:
    """Copy or link the images into an output folder; returns how many.

    root     where the images are       targets  path of each image inside the output
    folder   the output being written   final    where it will stand (links are made relative to it)

    A missing image is reported, not fatal: the labels are worth having without it.
    """
    by_name = _unique_names(dict.fromkeys(_image_files(root), (0, 0)))
    placed: set[str] = set()
    for path, target in zip(dataset.images.path.tolist(), targets, strict=True):
        place = f"image {path}"
        source = resolve_inside(root, path, place=place)
        if not is_there(source) and PurePosixPath(path).name in by_name:
            source = resolve_inside(root, by_name[PurePosixPath(path).name], place=place)
        if not is_there(source):
            collector.issue(
                "KP-IMAGE-MISSING", "images that are not there; labels are written without them", place=place
            )
        elif posixpath.normpath(target) not in placed:  # two images of the labels may share a file
            placed.add(posixpath.normpath(target))
            out = folder / target
            out.parent.mkdir(parents=True, exist_ok=True)
            if link:
                at = (final / target).parent.resolve()
                out.symlink_to(os.path.relpath(source.resolve(), at))
            else:
                _copy(source, out)
    return len(placed)


def is_there(file: Path) -> bool:
    """Whether a file exists, here or in storage."""
    return storage.is_file(file) if storage.is_remote(file) else os.path.isfile(file)


def _copy(source: Path, out: Path) -> None:
    if storage.is_remote(source):
        out.write_bytes(read_bytes(source))
        return
    try:
        stream = source.open("rb")
    except OSError as error:
        raise input_error(error, source) from error
    with stream, out.open("wb") as copy:
        shutil.copyfileobj(stream, copy, 1 << 20)


def image_folder(given: Path | None, dataset: Dataset) -> Path:
    """Where the images are: as given, or where the reader found them; UsageError where nobody knows."""
    if given is not None:
        return given
    if dataset.image_root is not None:
        return Path(dataset.image_root)
    raise UsageError(
        "where the images are is not known",
        code="KP-IMAGES-WHERE",
        help="say so with --images DIR",
    )


def locate_images(dataset: Dataset, labels: Path, given: Path | None) -> Path:
    """The folder that the image paths are relative to: as given, as the reader found it, or looked for near the labels.

    Raises UsageError, with the folders looked in, where the first pictures are in none of them.
    """
    labels, is_folder = storage.origin(labels), labels.is_dir()
    base = labels if is_folder else labels.parent
    near = [base, base / "images", base.parent / "images", base.parent, base.parent.parent / "images"]
    splits = sorted({str(split) for split in dataset.images.split if split})
    near += [folder / split for folder in (base, base.parent, base.parent / "images") for split in splits]
    candidates = [given] if given is not None else [*([Path(dataset.image_root)] if dataset.image_root else []), *near]
    # Every look into storage is a request.
    few = 2 if any(map(storage.is_remote, candidates)) else 50
    sample = [str(path) for path in dataset.images.path[:few] if path]
    counts = [sum(is_there(folder / path) for path in sample) for folder in candidates]
    best = max(range(len(candidates)), key=lambda i: (counts[i], -i)) if candidates else 0
    if sample and counts[best]:
        return candidates[best]
    raise UsageError(
        "the pictures of these labels were not found",
        code="KP-IMAGES-WHERE",
        place=str(labels),
        expected=f"e.g. {sample[0]}" if sample else "image paths in the labels",
        got="none in " + ", ".join(str(folder) for folder in candidates[:5]),
        help="say where they are with --images DIR",
    )
