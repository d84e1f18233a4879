"""What was changed in FiftyOne: its documents compared with what was shown, never taken for the labels themselves.

Every sample keeps the exact pixels that were shown (see kpkit.qa.fiftyone_documents). A point counts as edited only
where its stored share of the picture is another number than the one those pixels give; all others stay in their file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.qa.fiftyone_documents import TRUNCATED_BIT
from kpkit.qa.fiftyone_fields import BOXES, DROP, EXACT, MISSING, POINTS, SWAP, WORDS

Floats = NDArray[np.float64]
DECIMALS = 9


@dataclass
class PersonEdit:
    """What happened to one person.

    image, row   rows of the dataset that was shown, row -1: added in FiftyOne       key  the id as JSON
    xy           joint -> new pixels; None: not labelled any more
    words        joint -> new word of kpkit.qa.fiftyone_fields.WORDS
    box          new box in pixels; None: unchanged     box_gone  its box was deleted
    dropped      deleted, or tagged kpkit:drop          swapped   tagged kpkit:swap
    tags         tags of its own (no findings, no commands)
    label        "crowd" for a crowd                    was_xy, was_words  what was shown, for those two
    """

    image: int
    row: int
    key: str = ""
    xy: dict[int, tuple[float, float] | None] = field(default_factory=dict)
    words: dict[int, str] = field(default_factory=dict)
    box: tuple[float, ...] | None = None
    box_gone: bool = False
    dropped: bool = False
    swapped: bool = False
    tags: list[str] = field(default_factory=list)
    label: str = "person"

    @property
    def changed(self) -> bool:
        """Anything but tags."""
        return bool(self.row < 0 or self.xy or self.words or self.box or self.box_gone or self.dropped or self.swapped)


@dataclass
class ImageEdit:
    """What happened to one image and its persons.

    image    row of the dataset that was shown       path  as the labels name it
    exact    what was shown of it (see `shown_persons`)
    dropped  tagged kpkit:drop                       tags  tags of its own
    """

    image: int
    path: str
    exact: dict[str, Any]
    dropped: bool = False
    tags: list[str] = field(default_factory=list)
    persons: list[PersonEdit] = field(default_factory=list)


@dataclass(frozen=True)
class Trouble:
    """A label that cannot be understood; it stays as it was shown."""

    path: str
    person: str
    what: str


@dataclass
class Pulled:
    """All of a dataset: images in the order in which they were shown, and what could not be understood.

    foreign  samples that were added in FiftyOne: kpkit does not know their picture's place in the labels
    """

    images: list[ImageEdit] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    foreign: int = 0


def pull(dataset: Any, joints: int) -> Pulled:
    """Compare every sample of a dataset that kpkit made with what was shown.

    joints  K of the skeleton
    """
    found = Pulled()
    wanted = dict.fromkeys((POINTS, BOXES, EXACT, "tags"), 1)
    for document in dataset._sample_collection.find({}, wanted):
        exact = document.get(EXACT)
        if not isinstance(exact, dict) or "flags" not in exact:
            found.foreign += 1
            continue
        found.images.append(_image(document, exact, joints, found.troubles))
    found.images.sort(key=lambda one: one.image)
    return found


def shown_persons(exact: dict[str, Any], joints: int) -> tuple[Floats, NDArray[np.uint8], Floats]:
    """What was shown of an image: xy [n,K,2] pixels, flags [n,K] (visibility, plus 4 if truncated), boxes [n,4]."""
    n = len(exact["ids"])
    xy = np.frombuffer(exact["xy"], "<f8").reshape(n, joints, 2)
    flags = np.frombuffer(exact["flags"], np.uint8).reshape(n, joints)
    return xy, flags, np.frombuffer(exact["bbox"], "<f8").reshape(n, 4)


def _image(document: dict[str, Any], exact: dict[str, Any], joints: int, troubles: list[Trouble]) -> ImageEdit:
    tags = [str(tag) for tag in document.get("tags") or []]
    findings = {*exact["image_findings"], MISSING, DROP, SWAP}
    edit = ImageEdit(
        int(exact["image"]), str(exact["path"]), exact, DROP in tags, [t for t in tags if t not in findings]
    )
    points = _labels(document, POINTS, "keypoints")
    boxes = _labels(document, BOXES, "detections")
    size = np.array(exact["size"], np.float64)
    xy, flags, bbox = shown_persons(exact, joints)
    for i, key in enumerate(exact["ids"]):
        point = _claim(points, exact["points"][i], key)
        box = _claim(boxes, exact["boxes"][i], key) if exact["boxes"][i] is not None else _claim(boxes, None, key)
        person = PersonEdit(edit.image, int(exact["rows"][i]), key)
        person.dropped = point is None and box is None
        own = _tags(point, box)
        person.swapped = (SWAP in own) != (SWAP in tags)
        person.dropped |= DROP in own or edit.dropped
        person.tags = [tag for tag in own if tag not in {*exact["findings"][i], DROP, SWAP}]
        if point is None:
            person.xy = {k: None for k in range(joints) if np.isfinite(xy[i, k]).all()}
        else:
            trouble = _compare_points(person, point, xy[i], flags[i], size)
            if trouble:
                troubles.append(Trouble(edit.path, json.loads(key), trouble))
        _compare_box(person, box, bbox[i], size)
        edit.persons.append(person)
    edit.persons += _added(edit, points, boxes, size, joints, troubles)
    return edit


def _labels(document: dict[str, Any], name: str, inner: str) -> dict[Any, dict[str, Any]]:
    holder = document.get(name)
    rows = holder.get(inner) if isinstance(holder, dict) else None
    return {row["_id"]: row for row in rows or []}


def _claim(labels: dict[Any, dict[str, Any]], label_id: Any, key: str) -> dict[str, Any] | None:
    """The label that was shown, or one that took its place with the same person; it is taken out."""
    if label_id in labels:
        return labels.pop(label_id)
    name = str(json.loads(key))
    for other, row in labels.items():
        if row.get("person") == name:
            return labels.pop(other)
    return None


def _tags(*labels: dict[str, Any] | None) -> list[str]:
    found = [str(tag) for label in labels if label is not None for tag in label.get("tags") or []]
    return list(dict.fromkeys(found))


def _compare_points(
    person: PersonEdit, label: dict[str, Any], xy: Floats, flags: NDArray[np.uint8], size: Floats
) -> str:
    """Note what differs; what is wrong with the label, "" where nothing is."""
    points = _points(label, len(xy))
    if points is None:
        return f"{len(label.get('points') or [])} points where the skeleton has {len(xy)} joints"
    shares = xy / size
    same = (points == shares) | (np.isnan(points) & np.isnan(shares))
    for k in np.flatnonzero(~same.all(axis=1)).tolist():
        person.xy[k] = _pixels(points[k], size) if np.isfinite(points[k]).all() else None
    words, trouble = label.get("visibility"), ""
    if not isinstance(words, list) or len(words) != len(xy):
        return "" if not len(xy) else "its list of visibilities is not one word a joint"
    for k, word in enumerate(words):
        shown = WORDS[3] if flags[k] >= TRUNCATED_BIT else WORDS[flags[k]]
        if word == shown:
            continue
        if word in WORDS:
            person.words[k] = word
        else:
            trouble = f"'{word}' is no visibility (known: {', '.join(WORDS)})"
    return trouble


def _points(label: dict[str, Any], joints: int) -> Floats | None:
    rows = label.get("points") or []
    if len(rows) != joints:
        return None
    try:
        values = [[np.nan if value is None else float(value) for value in row] for row in rows]
        return np.array(values, np.float64).reshape(joints, 2)
    except (TypeError, ValueError):
        return None


def _compare_box(person: PersonEdit, label: dict[str, Any] | None, bbox: Floats, size: Floats) -> None:
    known = bool(np.isfinite(bbox).all())
    if label is None:
        person.box_gone = known
        return
    shares = np.array(label.get("bounding_box") or [np.nan] * 4, np.float64)
    if shares.shape == (4,) and np.isfinite(shares).all() and not (known and (shares == bbox / np.tile(size, 2)).all()):
        x, y, w, h = (*_pixels(shares[:2], size), *_pixels(shares[2:], size))
        person.box = (x, y, w, h)


def _pixels(shares: Floats, size: Floats) -> tuple[float, float]:
    """Pixels of an edited point: the roundest number that FiftyOne would store as exactly this share.

    Somebody who moves a joint to x = 123.4 stores 123.4 / width, and that times the width may be 123.40000000000001.
    """
    x, y = (_rounded(float(share), float(side)) for share, side in zip(shares, size, strict=True))
    return x, y


def _rounded(share: float, side: float) -> float:
    value = share * side
    for decimals in range(DECIMALS + 1):
        rounder = round(value, decimals)
        if rounder / side == share:
            return rounder
    return value


def _added(
    edit: ImageEdit,
    points: dict[Any, dict[str, Any]],
    boxes: dict[Any, dict[str, Any]],
    size: Floats,
    joints: int,
    troubles: list[Trouble],
) -> Iterator[PersonEdit]:
    """Persons that were not shown: labels of joints, each with the box that names the same person or instance."""
    nothing = np.full((joints, 2), np.nan), np.zeros(joints, np.uint8)
    for label in points.values():
        person = PersonEdit(edit.image, -1, label=str(label.get("label") or "person"), tags=_own_tags([label]))
        trouble = _compare_points(person, {"visibility": [WORDS[0]] * joints, **label}, *nothing, size)
        if trouble:
            troubles.append(Trouble(edit.path, str(label.get("person") or "new"), trouble))
            continue
        partner = next((key for key, box in boxes.items() if _same_person(label, box)), None)
        box = boxes.pop(partner) if partner is not None else None
        _compare_box(person, box, np.full(4, np.nan), size)
        person.dropped = DROP in _tags(label, box)
        yield person
    for box in boxes.values():
        person = PersonEdit(edit.image, -1, label=str(box.get("label") or "person"), tags=_own_tags([box]))
        _compare_box(person, box, np.full(4, np.nan), size)
        person.dropped = DROP in _tags(box)
        yield person


def _own_tags(labels: Sequence[dict[str, Any]]) -> list[str]:
    return [tag for tag in _tags(*labels) if tag not in {DROP, SWAP}]


def _same_person(one: dict[str, Any], other: dict[str, Any]) -> bool:
    if one.get("person") and one.get("person") == other.get("person"):
        return True
    instances = [row.get("instance") for row in (one, other)]
    ids = [row.get("_id") if isinstance(row, dict) else None for row in instances]
    return ids[0] is not None and ids[0] == ids[1]


def is_edited(found: Pulled, stored: int) -> bool:
    """Whether anything differs from what was shown: labels, tags, samples.

    stored  samples that there were
    """
    if len(found.images) != stored or found.foreign or found.troubles:
        return True
    return any(
        image.dropped
        or image.tags != image.exact["image_tags"]
        or [person.tags for person in image.persons] != image.exact["tags"]
        or any(person.changed for person in image.persons)
        for image in found.images
    )
