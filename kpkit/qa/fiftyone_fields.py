"""What a dataset looks like in FiftyOne: its fields, its words for visibility, its tags, its colours.

FiftyOne stores points and boxes as shares of the picture's width and height, x / width with x in 0-based pixels, as its
own COCO importer does. That is for drawing. The pixels themselves are kept beside them, see `EXACT`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core.skeleton import Skeleton

# Sample fields. `OCCLUDED` repeats the occluded joints of `POINTS`, so that they are drawn in a colour of their own.
POINTS, OCCLUDED, BOXES = "keypoints", "occluded", "persons"
MASK, HEAT, GROUP = "occlusion_mask", "heatmap", "group"
# Exact pixels and flags as they were shown: what FiftyOne is compared with when labels are pulled. FiftyOne's App does
# not load fields of this kind.
EXACT = "kpkit"
ADDED, EXACT_VERSION = "kpkit", 1

UNLABELLED, HIDDEN, VISIBLE, TRUNCATED = WORDS = ("unlabelled", "occluded", "visible", "truncated")

# Tags that a pull acts on; all others are kept with the person or the image.
DROP, SWAP, OK = "kpkit:drop", "kpkit:swap", "kpkit:ok"
TAGS_EXTRA = "fiftyone.tags"
MISSING = "kpkit:no-picture"

SOURCE = "source"


def copy_slice(copy: int) -> str:
    """Name of the group slice of one augmented copy; 0 is the source."""
    return SOURCE if copy == 0 else f"copy {copy}"


def words(visibility: NDArray[np.uint8], truncated: NDArray[np.bool_]) -> list[list[str]]:
    """The word for each joint.

    visibility, truncated  [N,K]    returns N lists of K words
    """
    table = np.array(WORDS, object)
    found: list[list[str]] = table[np.where(truncated, 3, visibility)].tolist()
    return found


def declare(fiftyone: Any, dataset: Any, skeleton: Skeleton, *, masks: bool, heatmaps: bool) -> None:
    """Declare the fields and the skeleton, so that the App can filter by them before anything is loaded."""
    fo = fiftyone
    texts, integers, floats, flags = fo.StringField, fo.IntField, fo.FloatField, fo.BooleanField
    add = dataset.add_sample_field
    add("image_id", texts, description="id of the image in the labels")
    add("split", texts)
    add("people", integers, description="labelled persons, crowds not counted")
    add(EXACT, fo.DictField, description="exact pixels, for kpkit view --pull")
    for name, kind, inner in (
        (OCCLUDED, fo.Keypoints, "keypoints"),
        (POINTS, fo.Keypoints, "keypoints"),
        (BOXES, fo.Detections, "detections"),
    ):
        add(name, fo.EmbeddedDocumentField, embedded_doc_type=kind)
        add(f"{name}.{inner}.person", texts, description="id of the person in the labels")
    add(f"{POINTS}.keypoints.visibility", fo.ListField, subfield=texts, description="a word a joint")
    add(f"{POINTS}.keypoints.labelled", integers, description="labelled joints")
    add(f"{POINTS}.keypoints.occluded_share", floats, description="occluded share of the labelled joints")
    add(f"{BOXES}.detections.crowd", flags)
    add(f"{BOXES}.detections.area", floats, description="pixels")
    if masks:
        add(MASK, fo.EmbeddedDocumentField, embedded_doc_type=fo.Segmentation, description="what occluders cover")
        dataset.mask_targets = {MASK: {255: "covered"}}
    if heatmaps:
        add(HEAT, fo.EmbeddedDocumentField, embedded_doc_type=fo.Heatmap, description="strongest target of any joint")
    if len(skeleton):
        edges = [list(edge) for edge in skeleton.edges]
        labels = list(skeleton.keypoints)
        dataset.default_skeleton = fo.KeypointSkeleton(labels=labels, edges=edges)
        dataset.skeletons = {
            POINTS: fo.KeypointSkeleton(labels=labels, edges=edges),
            # Points alone: a limb between two occluded joints is drawn with the others.
            OCCLUDED: fo.KeypointSkeleton(labels=labels, edges=[]),
        }


def dress(fiftyone: Any, dataset: Any) -> None:
    """Colours and the order of the sidebar."""
    config = dataset.app_config
    colours = {POINTS: "#3ddc84", OCCLUDED: "#ff5c00", BOXES: "#4aa3ff", MASK: "#b455ff"}
    config.color_scheme = fiftyone.ColorScheme(
        color_by="field",
        show_skeletons=True,
        multicolor_keypoints=False,
        fields=[{"path": path, "fieldColor": colour} for path, colour in colours.items()],
    )
    groups = fiftyone.DatasetAppConfig.default_sidebar_groups(dataset)
    for group in groups:
        # What stands first is drawn last, on top of the others.
        first = [name for name in (POINTS, OCCLUDED, BOXES) if name in group.paths]
        group.paths = [*first, *(path for path in group.paths if path not in first)]
        group.expanded = group.name not in {"metadata", "other"}
    config.sidebar_groups = groups
    dataset.save()
