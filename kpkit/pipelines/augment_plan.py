"""What a worker is handed, and what it hands back."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.augment.images import MAX_PIXELS
from kpkit.augment.recipe import Recipe
from kpkit.augment.rows import Row
from kpkit.augment.spatial import Labels
from kpkit.core.skeleton import Skeleton
from kpkit.errors import UsageError
from kpkit.pipelines.augment_later import Pending
from kpkit.pipelines.augment_masks import MaskRef


def check_paired(skeleton: Skeleton, path: Path) -> None:
    """Raise UsageError where a mirror would find a left or right joint without a partner.  path  of the labels"""
    if problems := skeleton.lateral_issues():
        raise UsageError(
            f"the skeleton '{skeleton.name}' cannot be mirrored: {problems[0]}",
            code="KP-UNPAIRED",
            place=str(path),
            expected="a partner for every left and right joint",
            got=f"{len(problems)} joints without",
            help="name the joints left_... and right_..., or accept it with --allow-unpaired",
        )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is the same for every image.

    folder  output folder being written    making  where files are made before they get their places there
    copies  augmented copies an image, numbered from 1; 0 is the original
    upper   [K] bool, joints above the hips (for half-body crops)
    only    keys of the images that are written; None: all of them (a dry run writes what its preview shows)
    checked  checksums of sources and files are handed back, for a run that resumes
    """

    recipe: Recipe
    recipe_hash: str
    seed: int
    skeleton: Skeleton
    upper: NDArray[np.bool_]
    folder: Path
    making: Path
    copies: int = 1
    include_original: bool = False
    quality: int = 95
    image_format: str = "jpg"
    exif: str = "auto"
    max_pixels: int = MAX_PIXELS
    drop_empty: bool = False
    only: frozenset[str] | None = None
    checked: bool = False

    def writes(self, key: str) -> bool:
        """Whether the outputs of an image are written."""
        return self.only is None or key in self.only


@dataclass(frozen=True, kw_only=True)
class ImageTask:
    """One image and its persons (P).

    key        relative path, the image's name in rows and random streams     stem  unique stem of the outputs
    file       where it is                size_wh    as the labels say, or None
    ids        P instance ids             names      P names, unique in the image, for streams and files
    labels     see kpkit.augment.spatial  crowd      [P] bool  regions of many people: no occluders, no crop
    mask       what is occluded in the picture already, or None
    own_masks  P: what of one person is occluded already, or None
    regions    P: run lengths of a crowd's or a person's segmentation, or None
    patches    for each copy, other images to cut patches from; the first that can be read is taken
    """

    key: str
    stem: str
    file: Path
    size_wh: tuple[int, int] | None
    ids: list[int | str]
    names: list[str]
    labels: Labels
    crowd: NDArray[np.bool_]
    mask: MaskRef | None = None
    own_masks: list[MaskRef | None] = field(default_factory=list)
    regions: list[dict[str, Any] | None] = field(default_factory=list)
    patches: list[list[Path]] = field(default_factory=list)


@dataclass(frozen=True)
class Output:
    """One written picture: its path below images/, copy, size, which persons, their labels and rows; mask path or "".

    own_masks, regions  run lengths of the persons' masks and segmentations in the output, or None; empty for nobody
    """

    image: str
    copy: int
    size_wh: tuple[int, int]
    persons: list[int]
    labels: Labels
    rows: list[Row]
    mask: str
    own_masks: list[dict[str, Any] | None] = field(default_factory=list)
    regions: list[dict[str, Any] | None] = field(default_factory=list)


@dataclass
class Done:
    """What came of a task: outputs in order, notes of the reader, seconds by step.

    unboxed  crops that were not made for want of a box    empty  crops left out because no joint is labelled in them
    sources  checksums of the files read                   files  path in the output -> checksum
    pending  writes that are in line still; `files` is filled by them
    """

    outputs: list[Output] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    unboxed: int = 0
    empty: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    pending: Pending = field(default_factory=list)

    def timed(self, step: str) -> AbstractContextManager[None]:
        """Add the time of a block to a step."""
        return _Timer(self.seconds, step)


class _Timer(AbstractContextManager[None]):
    """A class, not a generator: entered several times a picture."""

    __slots__ = ("_seconds", "_start", "_step")

    def __init__(self, seconds: dict[str, float], step: str) -> None:
        self._seconds, self._step = seconds, step

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._seconds[self._step] = self._seconds.get(self._step, 0.0) + time.perf_counter() - self._start
