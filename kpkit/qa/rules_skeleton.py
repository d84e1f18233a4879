"""Rules about the skeleton itself: its names, pairs, edges and sigmas, and the categories of the file."""

from __future__ import annotations

import numpy as np

from kpkit.core import catalog
from kpkit.core.joint_names import normalise_joint_name, side_of
from kpkit.qa.rules import Found, Result, Rule, View

# Published sigmas of AI Challenger differ by 2 % between left and right: they were measured.
MEASURED = 0.1
# Names that are joints and may be something else in a file about persons: a head is also an object to detect.
AMBIGUOUS = frozenset({"head", "neck", "face", "foot", "hand", "pelvis", "tail"})


def _at_joint(view: View, messages: dict[int, str]) -> list[Found]:
    # As a value, not as the message: names may hold braces.
    return [
        Found(message="{text}", joint=np.array([joint]), places=[f"keypoints[{joint}]"], numbers={"text": [text]})
        for joint, text in messages.items()
    ]


def lateral(view: View) -> Result:
    """Names that say left or right and have no partner, or a wrong one."""
    names = view.skeleton.keypoints
    messages: dict[int, str] = {}
    for text in view.skeleton.lateral_issues():
        joint = next(k for k, name in enumerate(names) if text.startswith(f"'{name}' "))
        messages[joint] = text
    return _at_joint(view, messages)


def joints_as_categories(view: View) -> Result:
    """Categories that are called like joints and have none."""
    known = {normalise_joint_name(one) for name in catalog.skeleton_names() for one in catalog.skeleton(name).keypoints}
    places, names = [], []
    for category in view.categories:
        name = normalise_joint_name(category.name)
        lateral = side_of(category.name) is not None
        if not category.keypoints and name in known and (lateral or name not in AMBIGUOUS):
            places.append(category.place)
            names.append(category.name)
    return [Found(message="the category '{name}' is named after a joint", places=places, numbers={"name": names})]


def lopsided_edges(view: View) -> Result:
    """Edges whose mirror image is no edge."""
    skeleton = view.skeleton
    if not skeleton.edges or not skeleton.flip_pairs:
        return "the skeleton has no edges" if not skeleton.edges else "the skeleton has no flip pairs"
    flip = skeleton.flip_index.tolist()
    have = {frozenset(edge) for edge in skeleton.edges}
    alone = [(a, b) for a, b in skeleton.edges if frozenset((flip[a], flip[b])) not in have]
    return [
        Found(
            message="{joint} is joined to {other}, but {mirrored} not to {partner}",
            joint=np.array([a for a, _ in alone], np.int64),
            other=np.array([b for _, b in alone], np.int64),
            places=[f"skeleton edge {skeleton.keypoints[a]} - {skeleton.keypoints[b]}" for a, b in alone],
            numbers={
                "mirrored": [skeleton.keypoints[flip[a]] for a, _ in alone],
                "partner": [skeleton.keypoints[flip[b]] for _, b in alone],
            },
        )
    ]


def lopsided_sigmas(view: View) -> Result:
    """Sigmas that differ between left and right by more than measuring does."""
    skeleton = view.skeleton
    if skeleton.sigmas is None:
        return f"'{skeleton.name}' has no sigmas" if len(skeleton) else "there are no joints"
    sigmas = skeleton.sigmas
    wrong = [
        (a, b) for a, b in skeleton.flip_pairs if abs(sigmas[a] - sigmas[b]) > MEASURED * max(sigmas[a], sigmas[b])
    ]
    return [
        Found(
            message="{joint} has the sigma {left:g}, {other} {right:g}",
            joint=np.array([a for a, _ in wrong], np.int64),
            other=np.array([b for _, b in wrong], np.int64),
            places=[f"sigmas of {skeleton.keypoints[a]} and {skeleton.keypoints[b]}" for a, b in wrong],
            numbers={
                "left": [sigmas[a] for a, _ in wrong],
                "right": [sigmas[b] for _, b in wrong],
            },
        )
    ]


def no_labels(view: View) -> Result:
    """A dataset without a person, or whose persons have no joint."""
    if not len(view.dataset):
        images = len(view.dataset.images)
        text = "there are {images} images and no person"
        return [Found(message=text, places=["annotations"], numbers={"images": [images]})]
    if not len(view.rows) and len(view.skeleton):
        text = "none of {persons} persons has a labelled joint"
        return [Found(message=text, places=["annotations"], numbers={"persons": [len(view.dataset)]})]
    return []


RULES = [
    Rule(
        id="KP501",
        name="edge-out-of-range",
        severity="warning",
        reason="an edge of the skeleton names a joint that does not exist",
        explanation="COCO counts the joints of edges from 1. Files that count from 0, or that copied the edges of "
        "another skeleton, draw wrong limbs, or crash the program that draws them. kpkit leaves the edge "
        "out.",
        help="write the edges anew, counted from 1",
        codes=("KP-SKELETON-EDGE", "KP-COCO-SKELETON"),
    ),
    Rule(
        id="KP502",
        name="lateral-without-partner",
        severity="warning",
        reason="a joint is left or right by its name and has no mirror image, or a wrong one",
        explanation="A mirrored picture needs left and right exchanged. A joint without a partner keeps its name and "
        "ends up on the wrong side. Augmenting with flips needs --allow-unpaired then.",
        help="add the missing joint or pair, or correct the name",
        check=lateral,
        scope="dataset",
        codes=("KP-SKELETON-LATERAL", "KP-YOLO-FLIP"),
    ),
    Rule(
        id="KP503",
        name="joints-as-categories",
        severity="warning",
        reason="categories are named after joints",
        explanation="The joints were exported as classes of objects instead of keypoints of a person: the tool's "
        "project was set up with single points, and no person can be put together from them.",
        help="export with a skeleton (CVAT) or a keypoint template, and one category 'person'",
        check=joints_as_categories,
        scope="dataset",
    ),
    Rule(
        id="KP504",
        name="lopsided-edges",
        severity="note",
        reason="an edge of the skeleton has no mirror image",
        explanation="The right arm is joined and the left one is not: edges that were counted from 0, or copied from "
        "another skeleton, are the usual cause. Only drawings and part affinity fields use edges.",
        help="write the edges anew, counted from 1",
        check=lopsided_edges,
        scope="dataset",
    ),
    Rule(
        id="KP505",
        name="lopsided-sigmas",
        severity="warning",
        reason="the OKS sigmas of a left and a right joint differ",
        explanation="Sigmas in the order of another skeleton are the usual cause: scores then weigh the wrong joints.",
        help="put the sigmas into the order of the joints",
        check=lopsided_sigmas,
        scope="dataset",
    ),
    Rule(
        id="KP506",
        name="no-labels",
        severity="warning",
        reason="there is nothing to train on: no person, no labelled joint, or no names of joints",
        explanation="An export before the labels were saved, or of the wrong kind of labels.",
        help="export again, and look at what the tool offers: keypoints or skeletons, not boxes or tags",
        check=no_labels,
        scope="dataset",
        codes=("KP-COCO-NO-KEYPOINTS",),
    ),
]
