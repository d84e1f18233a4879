"""Rules about the picture files; what the files say is gathered elsewhere and stands in the view."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import ImageTable
from kpkit.qa.rules import Found, Index, PictureFacts, Result, Rule, View

# Bits of 256 that may differ between two copies of one picture. Another size or JPEG quality changes up to 18 on real
# pictures, and two pictures that have nothing to do with each other differ in about 100.
SAME_BITS = 20
# Folders that are a split of their own where the labels name none.
SPLITS = frozenset({"train", "val", "valid", "validation", "test", "train2017", "val2017", "test2017"})


def _facts(view: View) -> PictureFacts:
    if view.pictures is None:
        raise ValueError("rules about pictures need what is known of them")
    return view.pictures


def missing(view: View) -> Result:
    """Images whose file is not there."""
    rows = np.flatnonzero(~_facts(view).there)
    return [Found(message="the file is not there", image=rows, field="file_name")]


def unreadable(view: View) -> Result:
    """Files that are no pictures."""
    problem = _facts(view).problem
    rows = np.array(sorted(problem), np.int64)
    text = [problem[row] for row in rows.tolist()]
    return [Found(message="{text}", image=rows, numbers={"text": text}, field="file_name")]


def other_size(view: View) -> Result:
    """Images whose file has another size than the labels say."""
    facts, images = _facts(view), view.dataset.images
    known = (facts.width > 0) & (images.width > 0) & (images.height > 0)
    rows = np.flatnonzero(known & ((facts.width != images.width) | (facts.height != images.height)))
    turned = (facts.width[rows] == images.height[rows]) & (facts.height[rows] == images.width[rows])
    return [
        Found(
            message="the labels say {w} x {h}, the file is {fw} x {fh}{turned}",
            image=rows,
            numbers={
                "w": images.width[rows],
                "h": images.height[rows],
                "fw": facts.width[rows],
                "fh": facts.height[rows],
                "turned": np.where(turned, ": turned by its EXIF orientation?", ""),
            },
            field="width",
        )
    ]


def splits_of(images: ImageTable) -> list[str]:
    """The split of each image: its own, or the folder called like one that it is in."""
    named = [str(split) for split in images.split.tolist()]
    folders = [next((part for part in str(path).split("/")[:-1] if part in SPLITS), "") for path in images.path]
    return [split or folder for split, folder in zip(named, folders, strict=True)]


def in_two_splits(view: View) -> Result:
    """The same picture in two splits."""
    splits = splits_of(view.dataset.images)
    names = sorted(set(splits) - {""})
    if len(names) < 2:
        return "the images are not of two splits"
    facts = _facts(view)
    if facts.prints is None:
        return "the pictures were not looked at"
    number = np.array([names.index(split) if split else -1 for split in splits], np.int64)
    usable = np.flatnonzero((number >= 0) & facts.there & (facts.width > 0))
    if facts.flat is not None:
        usable = usable[~facts.flat[usable]]
    one, two, bits = _near(facts.prints[usable], number[usable])
    first, second = usable[one], usable[two]
    paths = view.dataset.images.path
    return [
        Found(
            message="the picture is also in {split}: {twin}",
            image=second,
            confidence=1.0 - bits / (4.0 * SAME_BITS),
            numbers={"split": [splits[row] for row in first.tolist()], "twin": paths[first]},
        )
    ]


def _near(prints: NDArray[np.uint64], group: Index) -> tuple[Index, Index, Index]:
    """Pairs of rows of different groups whose prints differ in at most SAME_BITS bits, and in how many.

    Each row of a later group is named once, with the one most like it in an earlier group.
    """
    order = np.argsort(group, kind="stable")
    ordered, groups = prints[order], group[order]
    first, second, bits = list[int](), list[int](), list[int]()
    for row in range(len(order)):
        before = int(np.searchsorted(groups, groups[row]))
        distance = np.bitwise_count(ordered[:before] ^ ordered[row]).sum(axis=1)
        at = int(distance.argmin()) if before else 0
        if before and distance[at] <= SAME_BITS:
            first.append(int(order[at]))
            second.append(int(order[row]))
            bits.append(int(distance[at]))
    return np.array(first, np.int64), np.array(second, np.int64), np.array(bits, np.int64)


RULES = [
    Rule(
        id="KP601",
        name="image-missing",
        severity="error",
        reason="an image's file is not there",
        explanation="Asked only where the folder of the pictures is known: given with --images, or found near the "
        "labels.",
        help="fetch the picture, or say with --images where it is",
        check=missing,
        scope="dataset",
        codes=("KP-IMAGE-MISSING",),
        pictures=True,
    ),
    Rule(
        id="KP602",
        name="image-unreadable",
        severity="error",
        reason="an image's file is empty, damaged, or no picture",
        explanation="Only the header is read, so a picture that is damaged further back passes.",
        help="fetch the picture again",
        check=unreadable,
        scope="dataset",
        codes=("KP-IMAGE-HEADER",),
        pictures=True,
    ),
    Rule(
        id="KP603",
        name="other-image-size",
        severity="error",
        reason="an image's file has another size than the labels say",
        explanation="The labels were made on another version of the picture: every joint is off by the ratio of the "
        "sizes. Where width and height are exchanged, the labels were made on the picture as its EXIF "
        "orientation turns it.",
        help="use the pictures that were labelled, or scale the labels",
        check=other_size,
        scope="dataset",
        pictures=True,
    ),
    Rule(
        id="KP604",
        name="image-in-two-splits",
        severity="warning",
        reason="the same picture is in two splits",
        explanation="What is tested on was trained on. Pictures are told by a perceptual hash of 256 bits (whether "
        "each of 16 x 16 fields is brighter than the one to its left), of which 20 may differ: another "
        "size or compression is the same picture, a larger crop is not. Even pictures cannot be told "
        "apart and are left out. Splits are the labels' own, or folders called train, val, test.",
        help="remove it from one of the two",
        check=in_two_splits,
        scope="dataset",
        pictures=True,
    ),
]
