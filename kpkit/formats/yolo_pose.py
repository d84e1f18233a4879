"""YOLO-pose: one text file an image, one row a person, everything divided by the image size."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import ClassVar, Literal

from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector
from kpkit.formats import yolo_layout, yolo_read, yolo_write
from kpkit.formats.base import Format, Keeps, ReadOptions, WriteOptions

FOLDERS_LOOKED_AT = 64
FILES_LOOKED_AT = 8


class YoloPoseFormat(Format):
    """A folder of label files with a `data.yaml`, as Ultralytics reads it; without one, `--skeleton` is needed."""

    name = "yolo-pose"
    title = "YOLO-pose: one text file an image, one row a person, and data.yaml"
    kind: ClassVar[Literal["file", "folder"]] = "folder"
    default_output = "."
    makes_boxes = True
    usual = ("*.yaml", "*.yml", "*/data.yaml")
    keeps = Keeps(
        decimals=6,
        relative=True,
        area=False,
        split=True,
        category_id=True,
        persons_need_size=True,
        extras=("yolo",),
    )

    def sniff(self, path: Path) -> str | None:
        """A YAML file with a kpt_shape, a folder with one, or a folder whose label files have joints."""
        try:
            if path.is_file():
                yaml = path.suffix in {".yaml", ".yml"} and yolo_layout.says_shape(path)
                return "YOLO-pose data.yaml" if yaml else None
            if not path.is_dir():
                return None
            if any(yolo_layout.says_shape(one) for one in (*path.glob("*.yaml"), *path.glob("*.yml"))):
                return "YOLO-pose folder"
            texts = islice(_texts(path), FILES_LOOKED_AT)
            return "YOLO-pose labels without data.yaml" if any(_has_joints(text) for text in texts) else None
        except OSError:
            return None

    def discover(self, folder: Path) -> list[Path]:
        """YAML files that describe keypoints; where there is none, the folder itself if it holds labels."""
        found = super().discover(folder)
        return found if found or self.sniff(folder) is None else [folder]

    def read(self, path: Path, options: ReadOptions, collector: Collector) -> Dataset:
        """Read a folder, or the folder that a `data.yaml` describes.

        Raises FormatError, RecordError (file and line), UsageError where nothing says what the joints are, and
        InputError where the size of an image is not known.
        """
        return yolo_read.read(path, options, collector)

    def write(self, dataset: Dataset, path: Path, options: WriteOptions, collector: Collector) -> None:
        """Write `labels/<split>/...`, `data.yaml` and `image-sizes.csv` into the empty folder `path`."""
        yolo_write.write(dataset, path, collector)

    def image_targets(self, dataset: Dataset) -> list[str]:
        """Where a trainer looks for the images: `images/<split>/...`, as the labels beside them."""
        images = dataset.images
        return [yolo_write.image_place(*one) for one in zip(images.path.tolist(), images.split.tolist(), strict=True)]


def _texts(root: Path) -> Iterator[Path]:
    """Text files below a folder, few folders deep, label folders first by the order of names."""
    for folder, names in islice(yolo_layout.walk(root), FOLDERS_LOOKED_AT):
        for name in names:
            if name.endswith(".txt"):
                yield root / folder / name


def _has_joints(path: Path) -> bool:
    with path.open("rb") as stream:
        tokens = stream.read(1 << 14).split(b"\n")[0].split()
    rest = len(tokens) - 5
    if rest <= 0 or (rest % 3 and rest % 2) or not tokens[0].isdigit():
        return False
    try:
        box = [float(token) for token in tokens[1:5]]
    except ValueError:
        return False
    return all(-0.5 <= value <= 1.5 for value in box)
