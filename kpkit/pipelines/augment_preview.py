"""The augmenter's sheet: pictures before and after, with their labels, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kpkit.augment.images import encode_png, read_image
from kpkit.core.dataset import Dataset
from kpkit.core.skeleton import Skeleton
from kpkit.guard import publish
from kpkit.pipelines.augment_images import Block, SourceImage
from kpkit.pipelines.augment_keys import Keys
from kpkit.pipelines.augment_prepare import Work
from kpkit.pipelines.augment_task import Done, Output
from kpkit.qa.draw import contact_sheet, draw_persons
from kpkit.qa.overlay import HIDDEN, tint

IMAGES = 8
COLUMNS = 4
TILE = (320, 240)

Sheet = NDArray[np.uint8]
Picture = NDArray[np.uint8]


def shown_images(keys: Keys) -> list[str]:
    """Keys of the images that are drawn: spread evenly over those with a labelled joint."""
    numbers = np.flatnonzero(keys.labelled)
    if not len(numbers):
        numbers = np.arange(len(keys))
    places = np.linspace(0, len(numbers) - 1, min(IMAGES, len(numbers))).round().astype(int)
    return [keys.names[number] for number in dict.fromkeys(numbers[places].tolist())]


class Preview:
    """The sheet: on the left the source with its labels, on the right a copy as it was written.

    shown  keys of the images that are drawn
    """

    def __init__(self, work: Work, shown: list[str]) -> None:
        self.shown = shown
        self._work = work
        self._tiles: list[Picture] = []
        self._captions: list[str] = []

    def add(self, block: Block, done: Sequence[tuple[SourceImage, Done]], folder: Path) -> None:
        """Draw what is shown of a block.

        folder  the output folder being written
        """
        for image, result in done:
            output = _best(result) if image.key in self.shown else None
            if output is not None:
                before = _before(self._work, block.dataset, image, output)
                self._tiles += [before, _after(block.dataset.skeleton, output, folder)]
                self._captions += [image.key, output.image]

    def sheet(self) -> Sheet | None:
        """[H,W,3] uint8 BGR; None where none of the images worked."""
        tiles = self._tiles
        if not tiles:
            return None
        title = "before and after; covered regions are tinted"
        return contact_sheet(tiles, self._captions, columns=min(COLUMNS, len(tiles)), tile_size=TILE, title=title)


def save_preview(sheet: Sheet, path: Path, *, force: bool) -> None:
    """Write the sheet as PNG, whole or not at all."""
    with publish(path, force=force) as temporary:
        temporary.write_bytes(encode_png(sheet))


def _best(result: Done) -> Output | None:
    """The copy to show: the first one; of crops that of the person with the most labelled joints."""
    copies = [output for output in result.outputs if output.copy] or result.outputs
    first = [output for output in copies if output.copy == copies[0].copy]
    return max(first, key=lambda output: int((output.labels.visibility > 0).sum()), default=None)


def _before(work: Work, dataset: Dataset, image: SourceImage, output: Output) -> Picture:
    job = work.job
    rows = [image.persons[i] for i in output.persons]
    size = int(dataset.images.width[image.rows[0]]), int(dataset.images.height[image.rows[0]])
    labelled_wh = size if min(size) > 0 else None
    picture = read_image(work.root / image.key, labelled_wh=labelled_wh, exif=job.exif, max_pixels=job.max_pixels).image
    return draw_persons(
        picture,
        dataset.skeleton,
        dataset.xy[rows],
        dataset.visibility[rows],
        dataset.truncated[rows],
        dataset.bbox_xywh[rows],
    )


def _after(skeleton: Skeleton, output: Output, folder: Path) -> Picture:
    labels = output.labels
    picture = read_image(folder / "images" / output.image, exif="ignore").image
    if output.mask:
        picture = tint(picture, read_image(folder / output.mask).image[..., 0], HIDDEN)
    xy, flags = labels.xy.copy(), labels.visibility.astype(np.int64)
    for person, row in enumerate(output.rows):
        for name, place in row.left_frame.items():
            # Drawn as a cross at the frame's edge, with the limb that leads there.
            joint = skeleton.keypoints.index(name)
            xy[person, joint], flags[person, joint] = place, 1
    return draw_persons(picture, skeleton, xy, flags, labels.truncated, labels.bbox_xywh)
