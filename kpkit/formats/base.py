"""What every format is: one class with `sniff`, `discover`, `read`, `write`, and an honest statement of what it keeps.

A reader gives a canonical `Dataset` (0-based pixels, visibility 0/1/2); the format's own shift and codes stay inside
its file. A writer is handed a path that does not exist yet and that is renamed into place by its caller.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset
from kpkit.core.partition import PartSource, PartWriter
from kpkit.core.report import Collector, Loss
from kpkit.core.skeleton import Skeleton

Size = tuple[int, int]


@dataclass(frozen=True)
class Keeps:
    """What survives writing and reading back. Whatever is not kept is counted in the Report.

    skeletons      names of the catalog skeletons it can hold, the default first; None: any
    visibility     flags that survive           truncated  the flag beside visibility
    decimals       decimals of coordinates in pixels that survive; None: all of float64
    relative       decimals are of coordinates divided by the image size
    bbox, area, head_box, track_id, score, is_crowd, split, instance_id, category_id, image_id, image_size
                   the column survives
    empty_images   images without persons       empty_persons  persons without a labelled joint
    persons_need_size  a person can be stored only where the image size is known
    extras         namespaces of extras that survive ("*": all)
    """

    skeletons: tuple[str, ...] | None = None
    visibility: frozenset[int] = frozenset({0, 1, 2})
    truncated: bool = False
    decimals: int | None = None
    relative: bool = False
    bbox: bool = True
    bbox_source: bool = False
    area: bool = True
    head_box: bool = False
    track_id: bool = False
    score: bool = False
    is_crowd: bool = False
    split: bool = False
    instance_id: bool = False
    category_id: bool = False
    image_id: bool = False
    image_size: bool = True
    empty_images: bool = True
    empty_persons: bool = True
    persons_need_size: bool = False
    extras: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReadOptions:
    """What a reader may be told.

    skeleton     the joints, for files that do not name theirs
    image_list   text file with one image name a line, for files without names
    layout       TOML file that describes a team's own CSV or JSON
    sizes        image path -> (width, height), for labels without sizes
    low_memory   prefer little memory to speed
    """

    skeleton: Skeleton | None = None
    image_list: Path | None = None
    layout: Path | None = None
    sizes: Mapping[str, Size] = field(default_factory=dict)
    low_memory: bool = False


@dataclass(frozen=True)
class WriteOptions:
    """What a writer may be told.

    layout        TOML file that describes a team's own CSV or JSON
    final         where the output will stand after the rename: its suffix decides variants, never write there
    part_size     cut the output into parts of so many persons or images, where the format has parts; 0: whole
    """

    final: Path = Path()
    layout: Path | None = None
    low_memory: bool = False
    part_size: int = 0


class Format(ABC):
    """A reader and a writer of one format.

    name, title     short name used on the command line; one line about the format
    kind            the output is a "file" or a "folder"
    default_output  place of the labels inside an output folder, e.g. "annotations/x.json"; "." for a folder format
    suffixes        endings a file output may have; the first is the default
    usual           glob patterns, relative to a dataset folder, where such labels usually stand
    keeps           see Keeps (`keeps_for` where variants differ)
    foreign_skeleton  the skeleton it means when labels come from a format with fixed joints; "" keeps the source's
    fixed_joints    its joints are fixed by the format (MPII, 6-2), not stated in the file
    has_parts       an output can be cut into parts (WriteOptions.part_size)
    makes_boxes     its users need a box (and an area) a person: made where the labels have none
    """

    name: ClassVar[str]
    title: ClassVar[str]
    kind: ClassVar[Literal["file", "folder"]] = "file"
    default_output: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]] = ()
    usual: ClassVar[tuple[str, ...]] = ()
    keeps: ClassVar[Keeps] = Keeps()
    foreign_skeleton: ClassVar[str] = ""
    fixed_joints: ClassVar[bool] = False
    has_parts: ClassVar[bool] = False
    makes_boxes: ClassVar[bool] = False

    @abstractmethod
    def sniff(self, path: Path) -> str | None:
        """The variant ("COCO ground truth", "MPII .mat") if the content looks like this format, else None.

        Reads little (a few kB), never raises for content.
        """

    def discover(self, folder: Path) -> list[Path]:
        """Labels of this format at their usual places in a dataset folder, sorted, confirmed by `sniff`."""
        found = {path for pattern in self.usual for path in folder.glob(pattern)}
        return sorted(path for path in found if self.sniff(path) is not None)

    def together(self, found: list[Path]) -> list[Path]:
        """Which of several discovered files make up one dataset; none: they are candidates to choose from."""
        return []

    @abstractmethod
    def read(self, path: Path, options: ReadOptions, collector: Collector) -> Dataset:
        """Read one file or folder; raises FormatError or RecordError with the place of the fault."""

    def parts(self, path: Path, options: ReadOptions, collector: Collector, size: int = 0) -> PartSource | None:
        """The dataset part by part, in memory that holds one part at a time; None where it is read whole only.

        size  the most persons, and images, of a part; 0: as the dataset is cut, or as suits it

        Raises what `read` raises; errors of single records come when their part is read.
        """
        return None

    @abstractmethod
    def write(self, dataset: Dataset, path: Path, options: WriteOptions, collector: Collector) -> None:
        """Write to `path`, which does not exist (a file) or is an empty folder."""

    def part_writer(self, path: Path, options: WriteOptions, scratch: Path) -> PartWriter | None:
        """A writer of parts in place of `write`; None where the format is written whole only.

        scratch  an empty folder for what is needed until the output is finished
        """
        return None

    def keeps_for(self, final: Path) -> Keeps:
        """What the variant chosen by the output's name keeps."""
        return self.keeps

    def losses(self, dataset: Dataset, final: Path) -> list[Loss]:
        """What of `dataset` the output would not hold, counted before anything is written."""
        from kpkit.formats.losses import losses

        return losses(dataset, self.keeps_for(final), self.name)

    def image_targets(self, dataset: Dataset) -> list[str]:
        """Where copied or linked images stand inside an output folder, one posix path an image."""
        return [f"images/{path}" for path in dataset.images.path.tolist()]

    def scale_boxes(self, dataset: Dataset) -> NDArray[np.float64] | None:
        """[N,4] boxes from MPII's person scale (200 px a unit) and centre, NaN unknown; None where nobody has one.

        Source: HRNet lib/dataset/mpii.py, where scale is the person's height over 200 px.
        """
        scales, centers = dataset.extras.get("mpii.scale"), dataset.extras.get("mpii.objpos")
        if scales is None or centers is None:
            return None
        made = np.full((len(dataset), 4), np.nan)
        for row, (scale, center) in enumerate(zip(scales, centers, strict=True)):
            if scale is not None and center is not None:
                side = 200.0 * float(scale)
                made[row] = (center[0] - 1 - side / 2, center[1] - 1 - side / 2, side, side)
        return made
