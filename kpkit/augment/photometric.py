"""A user's own Albumentations pipeline, loaded safely and run so that no label is lost.

Albumentations 2.0.8 is the last release under the MIT licence; kpkit names that one and no other. What it does with
points is never trusted to its defaults: none are removed, distortions move them one by one, and whether left and right
were exchanged is read off a lattice of extra points, whatever the pipeline did.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.errors import FormatError, MissingExtraError, UsageError, did_you_mean
from kpkit.safe_yaml import read_yaml

LATTICE = 4
NESTS = frozenset(
    {"Compose", "OneOf", "OneOrOther", "SomeOf", "RandomOrder", "Sequential", "SelectiveChannelTransform"}
)
NO_MEANING = {
    "RandomGridShuffle": "it cuts the picture into pieces, and a person's joints with it",
    "Mosaic": "it mixes other pictures in, whose labels it does not know here",
    "OverlayElements": "it needs data that a pipeline file cannot hold",
    "TextImage": "it reads a font from any path that the file names",
    "HistogramMatching": "it reads pictures from any path that the file names",
    "FDA": "it reads pictures from any path that the file names",
    "PixelDistributionAdaptation": "it reads pictures from any path that the file names",
    "TemplateTransform": "it needs data that a pipeline file cannot hold",
    "MixUp": "it mixes other pictures in, whose labels it does not know here",
    "Lambda": "it runs code that a pipeline file cannot hold",
}
MAX_TRANSFORMS = 1000
# Largest distance (pixels) between the lattice and its affine fit at which the fit describes the pipeline.
AFFINE_WITHIN = 0.05


@dataclass(frozen=True)
class Result:
    """What a pipeline made of one image.

    image     [h,w,C]   uint8
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
    """A pipeline ready to run; made by `load_pipeline`."""

    def __init__(self, transforms: list[Any]) -> None:
        album = _albumentations()
        points = album.KeypointParams(format="xy", remove_invisible=False)
        self._compose = album.Compose(transforms, keypoint_params=points)

    def apply(
        self, image: NDArray[np.uint8], xy: NDArray[np.float64], seed: int, mask: NDArray[np.uint8] | None = None
    ) -> Result:
        """Run on one image; equal seeds give equal results, whatever ran before.

        image  [H,W,3]  uint8        xy    [...,2]  float64  pixels, NaN where unlabelled
        seed   0 .. 2**32 - 1        mask  [H,W]    uint8    what is occluded already, 255
        """
        height, width = image.shape[:2]
        lattice = _lattice(width, height)
        flat = xy.reshape(-1, 2)
        known: NDArray[np.bool_] = np.all(np.isfinite(flat), axis=-1)
        points = np.concatenate([lattice, np.where(known[:, None], flat, 0.0)])
        before = np.zeros((height, width), np.uint8) if mask is None else (mask > 0).astype(np.uint8) * 255
        self._compose.set_random_seed(seed)
        out = self._compose(image=image, mask=before, keypoints=points)
        moved = np.asarray(out["keypoints"], np.float64).reshape(-1, 2)
        if len(moved) != len(points):
            raise UsageError(
                "the pipeline changed the number of points",
                code="KP-PIPELINE-POINTS",
                expected=str(len(points)),
                got=str(len(moved)),
                help="leave out the transform that removes points",
            )
        moved[~np.all(np.isfinite(moved), axis=-1)] = np.nan
        matrix, off = _fit(lattice, moved[: len(lattice)])
        points_out = np.where(known[:, None], moved[len(lattice) :], np.nan)
        lost = int((known & ~np.all(np.isfinite(points_out), axis=-1)).sum())
        determinant = matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]
        covered = (np.asarray(out["mask"]) > 0).astype(np.uint8) * 255
        return Result(
            np.ascontiguousarray(out["image"]),
            points_out.reshape(xy.shape),
            matrix,
            off <= AFFINE_WITHIN,
            bool(determinant < 0),
            covered,
            lost,
        )


def load_pipeline(path: Path) -> Pipeline:
    """A pipeline from the file that `albumentations.save` writes (JSON or YAML), as plain data.

    Raises MissingExtraError without Albumentations, FormatError where the file is no such pipeline, UsageError for a
    transform that is unknown or refused. Nothing but Albumentations' own transforms is ever made.
    """
    _albumentations()
    document = read_yaml(path)
    if not isinstance(document, dict) or not isinstance(document.get("transform"), dict):
        raise FormatError(
            "not a saved pipeline",
            code="KP-PIPELINE",
            place=str(path),
            expected="a document with 'transform', as albumentations.save writes it",
        )
    try:
        counter = [0]
        made = _build(document["transform"], f"{path}: transform", counter)
    except RecursionError as error:
        raise FormatError("the pipeline is nested too deeply", code="KP-PIPELINE", place=str(path)) from error
    return Pipeline([made])


def _build(spec: Any, place: str, counter: list[int]) -> Any:
    counter[0] += 1
    if counter[0] > MAX_TRANSFORMS:
        raise FormatError("too many transforms", code="KP-PIPELINE", place=place, expected=f"at most {MAX_TRANSFORMS}")
    if not isinstance(spec, dict) or not isinstance(spec.get("__class_fullname__"), str):
        raise FormatError(
            "not a transform", code="KP-PIPELINE", place=place, expected="an object with '__class_fullname__'"
        )
    name = _name(spec["__class_fullname__"], place)
    arguments = {key: value for key, value in spec.items() if key != "__class_fullname__"}
    if name in NESTS:
        inner = arguments.get("transforms")
        if not isinstance(inner, list):
            raise FormatError(f"{name} has no list of transforms", code="KP-PIPELINE", place=place)
        arguments["transforms"] = [_build(one, f"{place}.transforms[{i}]", counter) for i, one in enumerate(inner)]
        # Points, boxes and masks are kpkit's business, once for the whole pipeline.
        for key in ("bbox_params", "keypoint_params", "additional_targets", "is_check_shapes", "seed"):
            arguments.pop(key, None)
        if name == "Compose":
            name = "Sequential"
    kind = _registry()[name]
    return _make(kind, _for_points(kind, arguments), name, place)


def _make(kind: Any, arguments: dict[str, Any], name: str, place: str) -> Any:
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as error:
        raise FormatError(
            f"{name} does not take these arguments",
            code="KP-PIPELINE",
            place=place,
            got=str(error).splitlines()[0][:160],
        ) from error


def _for_points(kind: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments with which no point is lost and holes are told apart from the edges of the picture."""
    import inspect

    from albumentations.augmentations.dropout.transforms import BaseDropout

    accepted = inspect.signature(kind.__init__).parameters
    if "keypoint_remapping_method" in accepted:
        arguments["keypoint_remapping_method"] = "direct"
    if "fill_mask" in accepted:
        # 1 marks what a dropout covers; the empty corners of a rotation are no occlusion.
        arguments["fill_mask"] = 1 if issubclass(kind, BaseDropout) else 0
    return arguments


def _name(full: str, place: str) -> str:
    """The transform's bare name, if it is one of Albumentations' and not refused."""
    name = full.rsplit(".", 1)[-1]
    module = full[: -len(name)].rstrip(".")
    known = _registry()
    if (module and module.split(".")[0] != "albumentations") or (name not in known and name not in NO_MEANING):
        raise UsageError(
            f"'{full}' is no transform of Albumentations",
            code="KP-PIPELINE-UNKNOWN",
            place=place,
            expected="one of Albumentations' own transforms",
            help=did_you_mean(name, known),
        )
    if name in NO_MEANING:
        raise UsageError(
            f"{name} is refused: {NO_MEANING[name]}",
            code="KP-PIPELINE-REFUSED",
            place=place,
            help="leave it out of the pipeline",
        )
    return name


def _registry() -> dict[str, Any]:
    _albumentations()
    from albumentations.core.serialization import SERIALIZABLE_REGISTRY

    return {name: kind for name, kind in SERIALIZABLE_REGISTRY.items() if not name.startswith("Base")}


def _albumentations() -> Any:
    # Without this the library asks the network for its newest version when it is imported.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    try:
        import albumentations
    except ImportError as error:
        raise MissingExtraError(
            "pipelines of one's own need Albumentations",
            code="KP-EXTRA-ALBUMENTATIONS",
            expected="albumentations 2.0.8",
            help="pip install 'kpkit[albumentations]'",
        ) from error
    return albumentations


def _lattice(width: int, height: int) -> NDArray[np.float64]:
    """4 x 4 points spread over the picture.  [16,2] float64"""
    shares = (np.arange(LATTICE) + 0.5) / LATTICE
    x, y = np.meshgrid(shares * (width - 1), shares * (height - 1))
    return np.stack([x.ravel(), y.ravel()], axis=-1)


def _fit(before: NDArray[np.float64], after: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """The affine matrix that maps the lattice best (least squares), and the largest distance from it, in pixels."""
    good = np.isfinite(after).all(axis=-1)
    design = np.concatenate([before[good], np.ones((int(good.sum()), 1))], axis=1)
    solution = np.linalg.lstsq(design, after[good], rcond=None)[0]
    off = float(np.abs(design @ solution - after[good]).max()) if good.any() else float("inf")
    return np.ascontiguousarray(solution.T), off
