"""All image files that labels name, in order, found in one pass over their parts; a hundred bytes an image are kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.partition import Part
from kpkit.formats.jsonrows import RowSource
from kpkit.pipelines.augment_fields import emptied
from kpkit.pipelines.augment_images import image_key
from kpkit.pipelines.augment_stems import plain_stem, special_stems

# Rows of the table in which pictures are looked for.
SAMPLE = 50

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Keys:
    """Image files by number, in the order of their paths.

    names     their normalised relative paths       of_row    [M] int64  number of the one that a row of the table names
    persons   [n] int64  in each                    labelled  [n] bool  somebody there has a labelled joint
    special   number -> stem of the outputs, where that is not the path without its ending
    text_ids  a person's id is text
    ghosts    persons with coordinates on unlabelled joints
    """

    names: list[str]
    of_row: Index
    persons: Index
    labelled: NDArray[np.bool_]
    special: dict[int, str]
    text_ids: bool = False
    ghosts: int = 0

    def __len__(self) -> int:
        return len(self.names)

    def stem(self, number: int) -> str:
        """Unique name, without ending, of what is made from an image."""
        return self.special.get(number) or plain_stem(self.names[number])


class Gathered:
    """What is kept of the parts that went by, in order.

    Raises RecordError for an image without a file name, or one that leads outside the dataset.
    """

    def __init__(self) -> None:
        self._first: Dataset | None = None
        self._names: list[str] = []
        self._paths: list[str] = []
        self._persons: list[Index] = []
        self._labelled: list[NDArray[np.bool_]] = []
        self._splits: dict[str, None] = {}
        self._text_ids, self._ghosts = False, 0

    def add(self, part: Part) -> None:
        """Keep a part."""
        dataset = part.dataset
        images, index = dataset.images, dataset.image_index
        if self._first is None:
            self._first = head_of(dataset)
        self._names += [image_key(path, images, row) for row, path in enumerate(images.path.tolist())]
        self._paths += images.path[: SAMPLE - len(self._paths)].tolist()
        self._persons.append(np.bincount(index, minlength=len(images)))
        labelled = np.zeros(len(images), bool)
        labelled[index[(dataset.visibility > 0).any(axis=1)]] = True
        self._labelled.append(labelled)
        self._splits |= dict.fromkeys(images.split.tolist())
        ids = dataset.instance_id
        self._text_ids |= ids.dtype == object and any(isinstance(value, str) for value in ids.tolist())
        self._ghosts += dataset.source.ghost_count() if isinstance(dataset.source, RowSource) else 0

    def keys(self) -> Keys:
        """The images in order."""
        names = self._names
        order = np.array(sorted(range(len(names)), key=names.__getitem__), np.int64)
        ordered = [names[row] for row in order.tolist()]
        begins = np.array([i for i in range(len(ordered)) if not i or ordered[i] != ordered[i - 1]], np.int64)
        number = np.zeros(len(names), np.int64)
        number[begins[1:]] = 1
        of_row = np.empty(len(names), np.int64)
        of_row[order] = np.cumsum(number)
        once = [ordered[i] for i in begins.tolist()]
        labelled = np.zeros(len(once), bool)
        labelled[of_row[np.concatenate(self._labelled)]] = True
        persons = np.bincount(of_row, np.concatenate(self._persons), len(once)).astype(np.int64)
        return Keys(once, of_row, persons, labelled, special_stems(once), self._text_ids, self._ghosts)

    def head(self) -> Dataset:
        """What all parts have in common; of the images, the first paths and every split, so that they can be looked
        for."""
        assert self._first is not None
        paths, splits = self._paths, list(self._splits)
        # Which split a path is of does not matter.
        count = max(len(paths), len(splits))
        table = ImageTable.build(
            path=[*paths, *[""] * (count - len(paths))], split=[*splits, *[""] * (count - len(splits))]
        )
        return self._first.replace(images=table)


def head_of(dataset: Dataset) -> Dataset:
    """A dataset without persons and images."""
    k = len(dataset.skeleton)
    return Dataset.build(
        skeleton=dataset.skeleton,
        images=ImageTable.build(path=[]),
        image_index=np.zeros(0, np.int64),
        xy=np.zeros((0, k, 2)),
        visibility=np.zeros((0, k), np.uint8),
        meta=dataset.meta,
        provenance=dataset.provenance,
        source=emptied(dataset.source, 0, 0),
        image_root=dataset.image_root,
    )


__all__ = ["Gathered", "Keys", "head_of"]
