"""A user's own Albumentations pipeline, run so that no label is lost and every point is where its pixel went.

Albumentations 2.0.8 is the last release under the MIT licence; kpkit names that one and no other. What it does with
points is never trusted to its defaults: none are removed, and whether left and right were exchanged is read off a
lattice of extra points, whatever the pipeline did. Its distortions and its resizing move points by another rule than
pixels (by up to several pixels); there, points are found on a picture of coordinates that goes through the pipeline.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kpkit.augment import geometry as geo
from kpkit.augment.coordinates import coordinate_map, locate
from kpkit.augment.pipeline_file import albumentations, is_dropout, read_transforms
from kpkit.errors import RecordError, UsageError

LATTICE = 4
# Largest distance (pixels) between the points and an affine fit at which the fit describes the pipeline.
AFFINE_WITHIN = 0.05
# Below this the fit is the truth, and what is left of the distance is the rounding of float32.
EXACT_WITHIN = 0.004
# Transforms that move points as they move pixels.
EXACT = frozenset(
    {"Affine", "CenterCrop", "Crop", "D4", "HorizontalFlip", "NoOp", "Pad", "PadIfNeeded", "Perspective"}
    | {"RandomCrop", "RandomCropFromBorders", "RandomRotate90", "Rotate", "SafeRotate", "ShiftScaleRotate"}
    | {"SquareSymmetry", "TimeReverse", "Transpose", "VerticalFlip", "PixelDropout"}
    | {"CoarseDropout", "Erasing", "FrequencyMasking", "GridDropout", "TimeMasking", "XYMasking"}
)


@dataclass(frozen=True)
class Result:
    """What a pipeline made of one image.

    image     [h,w,3]   uint8
    xy        [...,2]   float64  moved points, NaN where they were NaN or became impossible
    matrix    [2,3]     float64  affine that fits the movement best, source -> output pixels
    affine    the matrix describes the movement to a twentieth of a pixel
    mirrored  left and right are exchanged
    mask      [h,w]     uint8    255 where the pipeline covered the picture, or where the given mask is
    lost      points that were finite before and are not after
    """

    image: NDArray[np.uint8]
    xy: NDArray[np.float64]
    matrix: NDArray[np.float64]
    affine: bool
    mirrored: bool
    mask: NDArray[np.uint8]
    lost: int


class Pipeline:
    """A pipeline ready to run; made by `load_pipeline`.

    make  makes the transform; called with whether its dropouts shall mark the mask
    """

    def __init__(self, make: Callable[[bool], Any]) -> None:
        library, transform = albumentations(), make(True)
        singles = _singles(transform)
        self._exact = all(isinstance(one, library.ImageOnlyTransform) or type(one).__name__ in EXACT for one in singles)
        points = library.KeypointParams(format="xy", remove_invisible=False) if self._exact else None
        self._compose = library.Compose(
            # The last one, since a pipeline that moves nothing is warned of when it is handed points.
            [transform, library.NoOp(p=1.0)],
            keypoint_params=points,
            additional_targets={} if self._exact else {"coordinates": "mask"},
            mask_interpolation=cv2.INTER_NEAREST if self._exact else cv2.INTER_LINEAR,
        )
        # Dropouts cover the picture of coordinates like any mask; then it goes through a pipeline of its own.
        self._tracker: Any = None
        if not self._exact and any(map(is_dropout, singles)):
            self._tracker = library.Compose([make(False)], mask_interpolation=cv2.INTER_LINEAR)

    def apply(
        self, image: NDArray[np.uint8], xy: NDArray[np.float64], seed: int, mask: NDArray[np.uint8] | None = None
    ) -> Result:
        """Run on one image; equal seeds give equal results, whatever ran before.

        image  [H,W,3]  uint8 BGR    xy    [...,2]  float64  pixels, NaN where unlabelled
        seed   0 .. 2**32 - 1        mask  [H,W]    uint8    what is occluded already, 255

        Raises UsageError where the result is no 8-bit colour picture or has other points, RecordError where the
        pipeline fails on this picture.
        """
        height, width = image.shape[:2]
        flat = xy.reshape(-1, 2)
        known: NDArray[np.bool_] = np.all(np.isfinite(flat), axis=-1)
        before = np.concatenate([_lattice(width, height), flat[known]])
        # Albumentations' colours are RGB.
        rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        covered = np.zeros((height, width), np.uint8) if mask is None else (mask > 0).astype(np.uint8) * np.uint8(255)
        along = {"keypoints": before} if self._exact else {"coordinates": coordinate_map(width, height)}
        out = _run(self._compose, seed, image=rgb, mask=covered, **along)
        shown = _picture(out["image"])
        moved, sure = self._moved(out, before, rgb, seed)
        matrix, off = _fit(before, moved, sure)
        if off <= EXACT_WITHIN:
            moved = geo.apply_points(matrix, before)
        result = np.full(flat.shape, np.nan)
        result[known] = moved[LATTICE**2 :]
        return Result(
            cv2.cvtColor(shown, cv2.COLOR_RGB2BGR).astype(np.uint8, copy=False),
            result.reshape(xy.shape),
            matrix,
            off <= AFFINE_WITHIN,
            geo.is_mirror(matrix),
            (np.asarray(out["mask"]) > 127).astype(np.uint8) * np.uint8(255),
            int((known & ~np.isfinite(result).all(axis=-1)).sum()),
        )

    def _moved(
        self, out: dict[str, Any], before: NDArray[np.float64], rgb: NDArray[Any], seed: int
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Where lattice and points went, and which of them went exactly there."""
        if not self._exact:
            coordinates = out["coordinates"]
            if self._tracker is not None:
                # The same dice, on the same picture: some transforms draw as they go.
                height, width = rgb.shape[:2]
                coordinates = _run(self._tracker, seed, image=rgb, mask=coordinate_map(width, height))["mask"]
            return locate(np.asarray(coordinates, np.float32), before)
        moved = np.asarray(out["keypoints"], np.float64).reshape(-1, 2)
        if len(moved) != len(before):
            raise UsageError(
                "the pipeline changed the number of points",
                code="KP-PIPELINE-POINTS",
                expected=str(len(before)),
                got=str(len(moved)),
                help="leave out the transform that removes points",
            )
        finite: NDArray[np.bool_] = np.all(np.isfinite(moved), axis=-1)
        return np.where(finite[:, None], moved, np.nan), finite


def _run(compose: Any, seed: int, **given: Any) -> dict[str, Any]:
    # One stream for all transforms. Its set_random_seed gives each the same numbers: coins would all fall alike.
    compose.set_random_state(np.random.default_rng(seed), random.Random(seed))
    try:
        out: dict[str, Any] = compose(**given)
    except Exception as error:
        # Whatever a foreign library raises: this picture is one failed item.
        raise RecordError(
            "the pipeline failed on this picture",
            code="KP-PIPELINE-RUN",
            got=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}",
            help="correct the pipeline's file, or leave the picture out",
        ) from error
    return out


def load_pipeline(path: Path) -> Pipeline:
    """A pipeline from the file that `albumentations.save` writes (JSON or YAML).

    Raises MissingExtraError without Albumentations, FormatError where the file is no such pipeline, UsageError for a
    transform that is unknown or refused. Nothing but Albumentations' own transforms is ever made.
    """
    return Pipeline(partial(read_transforms, path))


def _singles(transform: Any) -> list[Any]:
    """The transforms themselves, out of their nests."""
    if isinstance(transform, albumentations().BaseCompose):
        return [single for inner in transform.transforms for single in _singles(inner)]
    return [transform]


def _picture(image: Any) -> NDArray[np.uint8]:
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3:
        return np.ascontiguousarray(image)
    raise UsageError(
        "the pipeline does not end in a picture",
        code="KP-PIPELINE-IMAGE",
        expected="8 bits a channel, three channels",
        got=f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__,
        help="leave out the transform that changes the kind of numbers or the channels",
    )


def _lattice(width: int, height: int) -> NDArray[np.float64]:
    """4 x 4 points spread over the picture, on whole pixels, which float32 holds exactly.  [16,2] float64"""
    shares = (np.arange(LATTICE) + 0.5) / LATTICE
    # A lattice needs some room, also in a picture of one column.
    x, y = np.meshgrid(np.floor(shares * max(width, 2 * LATTICE)), np.floor(shares * max(height, 2 * LATTICE)))
    return np.stack([x.ravel(), y.ravel()], axis=-1)


def _fit(
    before: NDArray[np.float64], after: NDArray[np.float64], sure: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], float]:
    """The affine matrix that maps the lattice best (least squares), and the largest distance of any point from it.

    before, after  [16 + P,2]  float64  pixels, the lattice first    sure  [16 + P]  bool  points that count
    """
    lattice = sure[: LATTICE**2]
    if np.linalg.matrix_rank(np.diff(before[: LATTICE**2][lattice], axis=0, prepend=0.0)) < 2:
        lattice, sure = np.all(np.isfinite(after[: LATTICE**2]), axis=-1), np.zeros_like(sure)
    design = np.concatenate([before, np.ones((len(before), 1))], axis=1)
    rows = np.flatnonzero(lattice)
    matrix = np.ascontiguousarray(np.linalg.lstsq(design[rows], after[rows], rcond=None)[0].T)
    whole = np.rint(matrix)
    if np.abs(matrix - whole).max() < 1e-6:
        matrix = whole
    off = np.abs(geo.apply_points(matrix, before) - after)[sure]
    return matrix, float(off.max()) if len(off) else float("inf")
