"""What covers the persons of one output picture: occluders, a user's pipeline, and masks that the dataset had."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kpkit.augment.draw import Rng
from kpkit.augment.occlusion import Occlusion, covered, paint
from kpkit.augment.occlusion import cover as draw_occluders
from kpkit.augment.recipe import Recipe
from kpkit.augment.spatial import Labels
from kpkit.core import visibility as vis
from kpkit.core.skeleton import Skeleton

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Veil:
    """What covers a picture already, in output pixels.

    given     [H,W] uint8 or None: the dataset's own mask
    pipeline  [H,W] uint8 or None: what a user's pipeline covered, and the dataset's mask as the pipeline moved it
    own       P masks or None: the dataset's masks of single persons
    """

    given: Picture | None = None
    pipeline: Picture | None = None
    own: tuple[Picture | None, ...] = ()


@dataclass(frozen=True)
class Cover:
    """What is covered, without pixels.

    labels  covered joints are occluded    by    P dicts joint -> what covers it
    mask    all that is covered, or None   occlusion  what the persons' occluders are, or None
    """

    labels: Labels
    by: list[dict[str, str]]
    mask: Picture | None
    occlusion: Occlusion | None

    @property
    def hides(self) -> bool:
        """Whether the mask holds anything."""
        if self.occlusion is not None and self.occlusion.pieces:
            return True
        return self.mask is not None and bool(self.mask.any())


@dataclass(frozen=True)
class Covered(Cover):
    """The same with the painted picture."""

    image: Picture


def cover_picture(
    image: Picture,
    labels: Labels,
    crowd: NDArray[np.bool_],
    veil: Veil,
    recipe: Recipe,
    skeleton: Skeleton,
    stream: Callable[[int], Rng],
    fill: Callable[[], Rng],
    patch: Callable[[], Picture | None],
    *,
    in_place: bool = False,
) -> Covered:
    """Draw occluders, mark every joint that something covers, and paint; see `decide` and `painted`."""
    cover = decide(labels, crowd, veil, recipe, skeleton, stream, (image.shape[1], image.shape[0]))
    image = painted(image, cover.occlusion, recipe, fill, patch, in_place=in_place)
    return Covered(cover.labels, cover.by, cover.mask, cover.occlusion, image)


def decide(
    labels: Labels,
    crowd: NDArray[np.bool_],
    veil: Veil,
    recipe: Recipe,
    skeleton: Skeleton,
    stream: Callable[[int], Rng],
    out_wh: tuple[int, int],
) -> Cover:
    """Draw occluders and mark every joint that something covers.

    labels  in the picture's pixels    crowd   [P]  bool  regions of many people, which get no occluders of their own
    stream  person -> its random stream    out_wh  (width, height) of the picture
    """
    before = veil.given if veil.pipeline is None else veil.pipeline
    occlusion: Occlusion | None = None
    union = before
    if recipe.occlusion is not None:
        boxes = np.where(crowd[:, None], np.nan, labels.bbox_xywh) if crowd.any() else labels.bbox_xywh
        occlusion = draw_occluders(boxes, out_wh, recipe, stream)
        union = occlusion.mask if before is None else before | occlusion.mask
    by: list[dict[str, str]] = [{} for _ in range(len(labels.xy))]
    if union is None and not any(mask is not None for mask in veil.own):
        return Cover(labels, by, union, occlusion)
    hidden = np.zeros(labels.visibility.shape, bool)
    labelled, names = labels.visibility > 0, skeleton.keypoints
    for name, joints in _reasons(labels.xy, veil, occlusion):
        hidden |= joints
        rows, columns = np.nonzero(joints & labelled)
        for i, k in zip(rows.tolist(), columns.tolist(), strict=True):
            by[i][names[k]] = name
    # As `dataclasses.replace`, which looks at every field.
    covered_labels = Labels(**{**vars(labels), "visibility": vis.occlude(labels.visibility, hidden)})
    return Cover(covered_labels, by, union, occlusion)


def painted(
    image: Picture,
    occlusion: Occlusion | None,
    recipe: Recipe,
    fill: Callable[[], Rng],
    patch: Callable[[], Picture | None],
    *,
    in_place: bool,
) -> Picture:
    """The picture with the occluders filled.

    image  [H,W,3]  uint8, painted on with `in_place`    fill  stream of the filling
    patch  another picture, for fill "patch"
    """
    if occlusion is None:
        return image
    # Streams and patches cost time; most fills need neither.
    rng = fill() if recipe.occlusion_fill in {"noise", "patch"} else None
    other = patch() if recipe.occlusion_fill == "patch" else None
    return paint(image, occlusion.mask, recipe, rng, other, pieces=occlusion.pieces, in_place=in_place)


def _reasons(
    xy: NDArray[np.float64], veil: Veil, occlusion: Occlusion | None
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """What covers which joints, [P,K] bool each; later ones are nearer to the person and are named.  xy [P,K,2]"""
    if veil.pipeline is not None:
        yield "pipeline", covered(xy, veil.pipeline)
    if veil.given is not None:
        yield "dataset", covered(xy, veil.given)
    if veil.own:
        found = np.zeros(xy.shape[:2], bool)
        for i, mask in enumerate(veil.own):
            if mask is not None:
                found[i] = covered(xy[i], mask)
        yield "dataset", found
    if occlusion is not None:
        anybody = covered(xy, occlusion.mask)
        yield "neighbour", anybody
        if len(anybody) == 1:
            yield "own", anybody
            return
        yield "own", occlusion.covers_own(xy, anybody)
