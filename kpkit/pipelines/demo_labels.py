"""Labels of made-up scenes, as an annotator with perfect eyes would set them for MPII."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from kpkit.core import catalog, visibility
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.synth.scenes import Scene, ScenePerson

JPEG_QUALITY = 92
# Sixteenths of a pixel: exact in binary, so that MPII's shift by 1 and four decimals of a text file change nothing.
STEP = 1 / 16

Array = NDArray[np.float64]


def labelled(scene: Scene) -> list[ScenePerson]:
    """Who of a scene gets labels: whoever shows a pixel and has a joint inside the frame."""
    return [person for person in scene.persons if person.area > 0 and _within(person).any()]


def annotate(people: Sequence[Sequence[ScenePerson]], paths: Sequence[str]) -> Dataset:
    """The MPII labels of scenes: 16 joints, head rectangle, scale and position a person.

    people  the persons of each image    paths  of the images

    Joints are occluded (1) where something hides them, and truncated where they lie outside the frame. `mpii.scale`
    follows from the head rectangle as in MPII itself: 0.6 of its diagonal is a head, eight heads a person, 200 pixels
    a unit. `mpii.objpos` is a whole pixel between pelvis and thorax.
    """
    skeleton = catalog.skeleton("mpii16")
    persons = [person for listed in people for person in listed]
    n, k = len(persons), len(skeleton)
    exact = _rounded(np.array([person.xy for person in persons], np.float64).reshape(n, k, 2))
    seen = np.array([person.visible for person in persons], bool).reshape(n, k)
    inside = np.array([_within(person) for person in persons], bool).reshape(n, k)
    flags = np.where(seen, visibility.VISIBLE, visibility.OCCLUDED).astype(np.uint8)
    xy, flags, truncated = visibility.leave_frame(exact, flags, np.zeros((n, k), bool), ~inside)
    heads = _rounded(np.array([person.head_box for person in persons], np.float64).reshape(n, 4))
    trunk = [skeleton.keypoints.index(name) for name in ("pelvis", "thorax")]
    position = np.rint(exact[:, trunk].mean(axis=1) + 1).astype(int)
    return Dataset.build(
        skeleton=skeleton,
        images=ImageTable.build(path=list(paths), split=["train"] * len(paths)),
        image_index=np.repeat(np.arange(len(people)), [len(listed) for listed in people]),
        xy=xy,
        visibility=flags,
        truncated=truncated,
        head_box=heads,
        extras={
            "mpii.scale": (0.6 * np.hypot(heads[:, 2], heads[:, 3]) * 8 / 200).tolist(),
            "mpii.objpos": position.tolist(),
        },
    )


def _within(person: ScenePerson) -> NDArray[np.bool_]:
    """[16] bool: the joint lies between the centres of the frame's outer pixels, where every format can hold it."""
    height, width = person.mask.shape
    xy = _rounded(person.xy)
    return person.inside & ((xy >= 0) & (xy <= (width - 1, height - 1))).all(axis=1)


def save_picture(image: NDArray[np.uint8], path: Path) -> None:
    """Write a picture (HxWx3 uint8 BGR) as the ending of `path` says."""
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if path.suffix == ".jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 6]
    _, content = cv2.imencode(path.suffix, image, options)
    path.write_bytes(content.tobytes())


def _rounded(pixels: Array) -> Array:
    return np.rint(pixels / STEP) * STEP
