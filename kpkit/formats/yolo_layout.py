"""Where a YOLO dataset keeps its labels and images, and which image a label file belongs to.

Three layouts are met: `labels/train/x.txt` for `images/train/x.jpg`, `train/labels/x.txt` for `train/images/x.jpg`, and
label files beside their images. A trainer finds a label by its image's path, so both mirror each other.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kpkit.core.report import Collector
from kpkit.errors import FormatError, RecordError
from kpkit.formats.base import Size
from kpkit.formats.yolo_yaml import DataYaml, is_split, parse
from kpkit.guard import contained, input_error, read_bytes

IMAGE_SUFFIXES = frozenset(["bmp", "dng", "heic", "jp2", "jpeg", "jpg", "mpo", "pfm", "png", "tif", "tiff", "webp"])
SIZES_NAME = "image-sizes.csv"
SIZES_HEADER = ["image", "width", "height", "label"]
# Added where the dataset's own split is not the folder's: images without one stand in "train".
SPLIT_COLUMN = "split"

_NOT_LABELS = re.compile(r"(readme|requirements|licen[cs]e|autosplit_|classes|_darknet|notes|obj)\b.*", re.IGNORECASE)
_LISTS = re.compile(r"(train(val)?|val(id)?|test)(-?dev)?\d*\.txt", re.IGNORECASE)
# Where commands write when they are not told where.
OUTPUTS = "kpkit-out"


@dataclass(frozen=True)
class Noted:
    """What the writer noted of an image: path, size (-1 unknown), and the split where the folder says another."""

    path: str
    size: Size
    split: str | None = None


@dataclass(frozen=True)
class Entry:
    """One image and its label file.

    label  path of the label file, relative to the root; "" for an image without one
    image  path of the image, relative to the root; `found` says whether it is there
    split  "" where no folder says it
    """

    label: str
    image: str
    found: bool
    split: str


def locate(path: Path, collector: Collector) -> tuple[Path, DataYaml]:
    """The folder with the labels and what its `data.yaml` says; `path` is either of them."""
    if not path.exists():
        raise input_error(FileNotFoundError(2, "no such file"), path)
    if path.is_dir():
        file = yaml_of(path)
        return path, parse(file) if file else DataYaml()
    data = parse(path)
    return _root_of(path, data, collector), data


def yaml_of(folder: Path) -> Path | None:
    """The description of a folder: `data.yaml`, another one inside with a kpt_shape, or `<folder>.yaml` beside it."""
    inside = sorted(p for p in folder.iterdir() if p.suffix in {".yaml", ".yml"} and says_shape(p))
    named = [p for p in inside if p.stem in {"data", "dataset"}]
    if len(named or inside) > 1:
        raise FormatError(
            "several files describe this folder",
            code="KP-YOLO-YAML",
            place=str(folder),
            expected="one data.yaml",
            got=", ".join(p.name for p in inside),
            help="name the one to use instead of the folder",
        )
    beside = [folder.resolve().with_name(folder.resolve().name + ending) for ending in (".yaml", ".yml")]
    return next(iter([*(named or inside), *(p for p in beside if says_shape(p))]), None)


def says_shape(path: Path) -> bool:
    """Whether a YAML file describes keypoints; reads its first 64 kB."""
    try:
        with path.open("rb") as stream:
            return re.search(rb"^kpt_shape\s*:", stream.read(1 << 16), re.MULTILINE) is not None
    except OSError:
        return False


def _root_of(file: Path, data: DataYaml, collector: Collector) -> Path:
    """The folder a `data.yaml` describes: `path:` where that is here, else the folder named like it, else its own."""
    beside = [file.parent / file.stem, file.parent]
    if data.root in ("", "."):
        beside.reverse()
    named = file.parent / data.root if data.root else None
    candidates = [named, *beside] if named is not None else beside
    usable = [folder for folder in candidates if os.path.isdir(folder) and _has_labels(folder)]
    # `path: /` would have the whole disk searched.
    usable = [folder for folder in usable if folder.resolve() not in file.resolve().parents[1:]]
    if named is not None and (not usable or usable[0] != named):
        collector.note(
            "KP-YOLO-PATH", "'path' leads to no labels on this machine; it is ignored", place=f"{file}: path"
        )
    return usable[0] if usable else file.parent


def _has_labels(folder: Path) -> bool:
    """Looks at the usual places only, so that a wrong folder costs nothing."""
    if (folder / "labels").is_dir():
        return True
    children = sorted(child for child in folder.iterdir() if child.is_dir() and is_split(child.name))
    return any((child / "labels").is_dir() or next(child.glob("*.txt"), None) for child in children) or any(
        _is_label(one.name, True) for one in folder.glob("*.txt")
    )


def is_image(name: str) -> bool:
    """Whether a file's name ends as images do."""
    return name.rpartition(".")[2].lower() in IMAGE_SUFFIXES and "." in name


def find(root: Path, data: DataYaml) -> list[Entry]:
    """All images of a dataset, sorted by split (train, val, test, others) and path."""
    files = dict(walk(root))
    mirrored = any("labels" in folder.split("/") for folder in files)
    also = data.kpkit.get("splits")
    splits = frozenset(one for one in also if isinstance(one, str)) if isinstance(also, list) else frozenset()
    entries: list[Entry] = []
    with_labels: dict[str, set[str]] = {}
    for folder, names in files.items():
        if mirrored and "labels" not in folder.split("/"):
            continue
        labels = [name for name in names if name.endswith(".txt") and _is_label(name, folder == "")]
        if not labels:
            continue
        image_folder = _swap(folder, "labels", "images") if mirrored else folder
        images = _images(files.get(image_folder, ()))
        split = _split_of(folder, splits)
        for name in labels:
            stem = name[: -len(".txt")]
            with_labels.setdefault(image_folder, set()).add(stem)
            image = images.get(stem)
            entries.append(
                Entry(_join(folder, name), _join(image_folder, image or stem + ".jpg"), image is not None, split)
            )
    entries += _backgrounds(files, with_labels, mirrored, splits)
    return sorted(entries, key=lambda entry: (_rank(entry.split), entry.split, entry.image))


def _backgrounds(
    files: Mapping[str, list[str]], with_labels: Mapping[str, set[str]], mirrored: bool, splits: frozenset[str]
) -> Iterator[Entry]:
    """Images without a label file: images without persons, as trainers take them."""
    for folder, names in files.items():
        if "images" not in folder.split("/") if mirrored else folder not in with_labels:
            continue
        known = with_labels.get(folder, ())
        for stem, name in _images(names).items():
            if stem not in known:
                yield Entry("", _join(folder, name), True, _split_of(folder, splits))


def walk(root: Path) -> Iterator[tuple[str, list[str]]]:
    """(folder relative to the root, sorted file names), without hidden folders and kpkit's own outputs.

    Links to folders are followed once.
    """
    seen: set[tuple[int, int]] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != OUTPUTS)
        relative = Path(folder).relative_to(root).as_posix()
        yield "" if relative == "." else relative, sorted(names)


def _is_label(name: str, at_root: bool) -> bool:
    return name != "classes.txt" and not (at_root and (_NOT_LABELS.fullmatch(name) or _LISTS.fullmatch(name)))


def _images(names: Iterable[str]) -> dict[str, str]:
    """Stem -> image name; of several, the first in alphabetical order."""
    found: dict[str, str] = {}
    for name in names:
        if is_image(name):
            found.setdefault(name.rpartition(".")[0], name)
    return found


def _swap(folder: str, old: str, new: str) -> str:
    parts = folder.split("/")
    last = len(parts) - 1 - parts[::-1].index(old)
    return "/".join([*parts[:last], new, *parts[last + 1 :]])


def _split_of(folder: str, also: frozenset[str]) -> str:
    return next((part for part in folder.split("/") if is_split(part, also)), "")


def _rank(split: str) -> int:
    return next((i for i, name in enumerate(("train", "val", "test")) if split.lower().startswith(name)), 3)


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def read_sizes(root: Path) -> dict[str, Noted] | None:
    """What the writer noted beside its labels, by label file; None where there is no such note."""
    path = root / SIZES_NAME
    if not path.is_file():
        return None
    try:
        rows = list(csv.reader(io.StringIO(read_bytes(path).decode(errors="surrogateescape"), newline="")))
    except csv.Error as error:
        raise FormatError(f"not a CSV file: {error}", code="KP-YOLO-SIZES-FILE", place=str(path)) from error
    if not rows or rows[0] not in (SIZES_HEADER, [*SIZES_HEADER, SPLIT_COLUMN]):
        # A user's own file of that name; `--image-sizes` takes it.
        return None
    found: dict[str, Noted] = {}
    for number, row in enumerate(rows[1:], 2):
        place = f"{path}: line {number}"
        try:
            image, width, height, label, *split = row
            size = int(width or -1), int(height or -1)
            if len(row) != len(rows[0]) or max(size) >= 1 << 31:
                raise ValueError
            found[label] = Noted(contained(image, place=place), size, split[0] if split else None)
        except ValueError as error:
            raise RecordError(
                "a line is not what the header says",
                code="KP-YOLO-SIZES-FILE",
                place=place,
                expected=",".join(rows[0]),
                got=",".join(row)[:80],
                help=f"delete {SIZES_NAME} and give the sizes with --images DIR or --image-sizes FILE.csv",
            ) from error
    return found
