"""Rules about left and right: a whole person mirrored by name, and single limbs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kpkit.qa.limbs import ENOUGH, distance, limbs
from kpkit.qa.rules import Floats, Found, Index, Result, Rule, View

# Evidence in units of log-odds: how much a pair that stands fully the wrong way round says. Eyes say most: their order
# in the picture follows from the nose below them, whichever way the head is turned. Shoulders may be turned away from
# the face, and hips from the shoulders.
EYES_BY_NOSE, EYES_BY_BODY, SHOULDERS_BY_BODY = 4.0, 2.0, 3.0
# Few persons are swapped: what speaks against it before anything is seen.
PRIOR = 3.0
SURE = 0.5
# Pixels in which a click is uncertain: a pair that is closer says little.
EYE_CLICK, SHOULDER_CLICK = 1.0, 3.0

# A limb is swapped where one of the two is too long (steps above the middle of the dataset's), both would be of usual
# length the other way round, and shorter together.
TOO_LONG, USUAL, SHORTER = 2.0, 1.5, 1.2
# Persons smaller than this (pixels of a torso side) have joints too close together to tell.
SMALL = 20.0
# Cosine between shoulders and hips beyond which no torso is twisted.
TWISTED = -0.5
# Usual ratios of limbs of a dataset too small to have its own: those of COCO val2017 and MPII (they agree to 5 %), as
# `benchmarks/swaps.py --limbs` prints them: middle and 84th percentile.
USUAL_RATIOS = {
    ("shoulder", "elbow"): (0.58, 0.70),
    ("elbow", "wrist"): (0.47, 0.60),
    ("hip", "knee"): (0.81, 0.97),
    ("knee", "ankle"): (0.81, 0.96),
}


@dataclass(frozen=True)
class Facing:
    """Which way persons face: sines of the angles between pairs and the axes they should stand across.

    persons    [n]  int64    columns of the view with nose, both eyes and both shoulders
    eyes, eyes_by_body, shoulders  [n]  float64  1: left is where it must be, -1: left and right are exchanged
    eye_gap, shoulder_gap          [n]  float64  pixels
    """

    persons: Index
    eyes: Floats
    eyes_by_body: Floats
    shoulders: Floats
    eye_gap: Floats
    shoulder_gap: Floats

    @property
    def swapped(self) -> Floats:
        """[n] float64 probability that left and right are exchanged in the whole person."""
        eyes, shoulders = self._evidence()
        odds = -eyes - shoulders - PRIOR
        # Face and shoulders must agree: a head that looks back over the shoulder is no mistake.
        both = (eyes < 0) & (shoulders < 0)
        return np.where(both, 1.0 / (1.0 + np.exp(-np.clip(odds, -50, 50))), 0.0)

    def _evidence(self) -> tuple[Floats, Floats]:
        eye, shoulder = (
            self.eye_gap / (self.eye_gap + EYE_CLICK),
            self.shoulder_gap / (self.shoulder_gap + SHOULDER_CLICK),
        )
        eyes = (EYES_BY_NOSE * self.eyes + EYES_BY_BODY * self.eyes_by_body) * eye
        return eyes, SHOULDERS_BY_BODY * self.shoulders * shoulder


def facing(view: View) -> Facing | None:
    """Which way persons face, or None where the skeleton has no joint that could tell."""
    found = view.joints("nose", "left_eye", "right_eye", "left_shoulder", "right_shoulder")
    if found is None:
        return None
    persons = np.flatnonzero(np.logical_and.reduce(view.labelled[found], axis=0))
    xy = [np.stack([view.x[k, persons], view.y[k, persons]]) for k in found]
    nose, left_eye, right_eye, left_shoulder, right_shoulder = xy
    eyes, shoulders = (left_eye + right_eye) / 2, (left_shoulder + right_shoulder) / 2
    up = eyes - shoulders
    hips = view.joints("left_hip", "right_hip")
    if hips is not None:
        # The torso is the better axis: a head may hang.
        torso = np.flatnonzero(np.logical_and.reduce(view.labelled[hips][:, persons], axis=0))
        who = persons[torso]
        middle = np.stack([view.x[hips][:, who].mean(axis=0), view.y[hips][:, who].mean(axis=0)])
        up[:, torso] = shoulders[:, torso] - middle
    across_eyes, across_shoulders = left_eye - right_eye, left_shoulder - right_shoulder
    return Facing(
        persons=persons,
        eyes=_sine(eyes - nose, across_eyes),
        eyes_by_body=_sine(up, across_eyes),
        shoulders=_sine(up, across_shoulders),
        eye_gap=np.hypot(*across_eyes),
        shoulder_gap=np.hypot(*across_shoulders),
    )


def _sine(up: Floats, across: Floats) -> Floats:
    """Sine of the angle from `up` to `across`, positive where `across` points to the right of it; 0 of nothing."""
    size = np.hypot(*up) * np.hypot(*across)
    # y grows downwards, so this is positive for a left shoulder on the right of somebody who faces the camera upright.
    cross = up[0] * across[1] - up[1] * across[0]
    sine: Floats = np.divide(cross, size, out=np.zeros_like(cross), where=size > 0)
    return sine


def whole_person(view: View) -> Result:
    """Persons who face the camera and whose left is on their right."""
    seen = facing(view)
    if seen is None:
        lacking = [name for name in ("nose", "left_eye", "left_shoulder") if view.joint(name) is None]
        words = {"nose": "no nose", "left_eye": "no eyes", "left_shoulder": "no shoulders"}
        said = " and ".join(words[name] for name in lacking) or "not both of each pair"
        return f"the skeleton has {said}: nothing tells which way a person faces"
    if not len(seen.persons):
        return "no person has nose, both eyes and both shoulders labelled: nothing tells which way it faces"
    probability = seen.swapped
    some = np.flatnonzero(probability >= SURE)
    return [
        Found(
            message="left and right are exchanged: the face looks at the camera, and eyes and shoulders stand mirrored",
            instance=view.rows[seen.persons[some]],
            confidence=probability[some],
        )
    ]


def single_limb(view: View) -> Result:
    """Pairs of joints that fit better the other way round while the rest of the person does not."""
    found = [*_limb_lengths(view), *_torsos(view), *_eyes(view)]
    if not found and view.joints("left_shoulder", "right_shoulder", "left_elbow", "right_elbow") is None:
        return "the skeleton has no arms or legs by name"
    return found


def _limb_lengths(view: View) -> list[Found]:
    body = limbs(view)
    at = {(limb.kind, limb.side): e for e, limb in enumerate(body.limbs)}
    middle, upper, count = body.usual
    found: list[Found] = []
    named = np.zeros(len(view.rows), bool)
    for kind, default in USUAL_RATIOS.items():
        left, right = at.get((kind, "left")), at.get((kind, "right"))
        if left is None or right is None:
            continue
        m, u = (middle[left], upper[left]) if count[left] >= ENOUGH else default
        one, two = body.limbs[left], body.limbs[right]
        crossed = distance(view, one.a, two.b), distance(view, two.a, one.b)
        size = np.fmin(body.size[left], body.size[right])
        size = np.where(size >= SMALL, size, np.nan)
        now = _deviation(np.maximum(body.length[left], body.length[right]), size, m, u)
        then = _deviation(np.maximum(*crossed), size, m, u)
        shorter = (body.length[left] + body.length[right]) / np.maximum(crossed[0] + crossed[1], 1.0)
        some = np.flatnonzero((now > TOO_LONG) & (then < USUAL) & (shorter > SHORTER) & ~named)
        # An elbow that is swapped makes the forearms too long as well: the first joint from the body is named.
        named[some] = True
        found.append(
            _pair(view, some, (one.b, two.b), now[some] - then[some], f"{kind[0]} to {kind[1]} fits crosswise")
        )
    return found


def _deviation(length: Floats, size: Floats, middle: float, upper: float) -> Floats:
    """How many steps from the middle to the 84th percentile a length is above the middle, on a logarithmic scale."""
    with np.errstate(divide="ignore"):
        return np.asarray((np.log(length / size) - np.log(middle)) / (np.log(upper) - np.log(middle)))


def _pair(view: View, some: Index, pair: tuple[int, int], evidence: Floats, reason: str) -> Found:
    probability = 1.0 / (1.0 + np.exp(-np.clip(evidence - 1.0, -50, 50)))
    kept = probability >= SURE
    some = some[kept]
    return Found(
        message="{joint} and {other} seem exchanged: " + reason,
        instance=view.rows[some],
        joint=np.full(len(some), pair[0]),
        other=np.full(len(some), pair[1]),
        confidence=probability[kept],
    )


def _torsos(view: View) -> list[Found]:
    """Hips that run against both shoulders and knees, and shoulders that run against both hips and eyes."""
    found = []
    for middle, ends, reason in (
        ("hip", ("shoulder", "knee"), "the hips run against shoulders and knees"),
        ("shoulder", ("hip", "eye"), "the shoulders run against hips and eyes"),
    ):
        pairs = [view.joints(f"left_{name}", f"right_{name}") for name in (middle, *ends)]
        if pairs[0] is None or pairs[1] is None or pairs[2] is None:
            continue
        own, one, two = (_across(view, pair) for pair in pairs if pair is not None)
        cosine = np.maximum(_cosine(own, one), _cosine(own, two))
        wide = (np.hypot(*own) >= SMALL / 2) & (np.hypot(*one) >= SMALL / 2)
        some = np.flatnonzero(wide & (cosine < TWISTED))
        found.append(_pair(view, some, (pairs[0][0], pairs[0][1]), -3 * cosine[some], reason))
    return found


def _across(view: View, pair: list[int]) -> tuple[Floats, Floats]:
    return view.x[pair[0]] - view.x[pair[1]], view.y[pair[0]] - view.y[pair[1]]


def _cosine(one: tuple[Floats, Floats], two: tuple[Floats, Floats]) -> Floats:
    """[m] float64; 1 where unknown, so that it is no evidence."""
    size = np.hypot(*one) * np.hypot(*two)
    product = one[0] * two[0] + one[1] * two[1]
    cosine: Floats = np.divide(product, size, out=np.ones_like(size), where=size > 0)
    return cosine


def _eyes(view: View) -> list[Found]:
    """Eyes that stand the wrong way round over the nose, in a person whose shoulders stand right."""
    seen = facing(view)
    eyes = view.joints("left_eye", "right_eye")
    if seen is None or eyes is None:
        return []
    wrong = (seen.eyes < TWISTED) & (seen.eyes_by_body < TWISTED) & (seen.shoulders > -TWISTED)
    some = np.flatnonzero(wrong & (seen.eye_gap > 4 * EYE_CLICK))
    pair = (eyes[0], eyes[1])
    return [_pair(view, seen.persons[some], pair, -4 * seen.eyes[some], "they stand the wrong way round over the nose")]


RULES = [
    Rule(
        id="KP401",
        name="person-mirrored",
        severity="warning",
        reason="left and right are exchanged in the whole person",
        explanation="Of somebody whose nose and eyes are seen, the left eye is on the right in the picture, and so is "
        "the left shoulder, as long as the body is upright; a turned picture turns both. The rule takes "
        "the order of the eyes over the nose, and of eyes and shoulders across the torso (or the neck, "
        "where hips are not labelled), and speaks only where face and shoulders agree. Where the face is "
        "not labelled nothing tells a front from a back, and the rule is silent. The confidence is a "
        "probability under the assumption that few persons are swapped.",
        help="look at the person, and exchange left and right in all its joints",
        check=whole_person,
    ),
    Rule(
        id="KP402",
        name="limb-mirrored",
        severity="warning",
        reason="left and right are exchanged in one pair of joints",
        explanation="Exchanged wrists or elbows make both limbs too long for the person, and both of usual length the "
        "other way round. Hips that run against both shoulders and knees, shoulders against hips and "
        "eyes, and eyes that stand wrong over the nose, are found by their direction. Exchanged legs "
        "seldom show: knees are as close together as crossed legs are. What is usual is measured on the "
        "dataset itself where it has 50 persons.",
        help="look at the person: the joint that is named, or all from there outward, may be exchanged",
        check=single_limb,
    ),
]
