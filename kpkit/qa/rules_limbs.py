"""Rules about lengths of limbs, and about joints that jump between the frames of a sequence."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from kpkit.qa.limbs import ENOUGH, Limbs, limbs
from kpkit.qa.rules import Floats, Found, Index, Result, Rule, View

# Steps from the middle to the 84th percentile, on a logarithmic scale. In real files fewer than one person in a hundred
# has such a limb.
TOO_LONG = 4.5
# Below this many pixels a click decides how long a limb is.
SHORTEST = 10.0
# Where both of a pair are long alike, the person's other limbs are foreshortened and nothing is wrong.
ONE_SIDED = 1.5
# A joint may move this far, in pixels, against the joints next to it from one frame to the next.
DRIFT = 5.0


def limb_lengths(view: View) -> Result:
    """Limbs much longer than the person's other limbs allow."""
    body = limbs(view)
    if len(body.limbs) < 4:
        return "the skeleton has too few limbs by name (shoulders, elbows, wrists, hips, knees, ankles)"
    middle, upper, count = body.usual
    if not (count >= ENOUGH).any():
        return f"fewer than {ENOUGH} persons have enough limbs to say what is usual in this dataset"
    found = []
    names = view.skeleton.keypoints
    for e, limb in enumerate(body.limbs):
        if count[e] < ENOUGH or not 0 < middle[e] < upper[e]:
            continue
        limit = middle[e] * (upper[e] / middle[e]) ** TOO_LONG
        alone = ~(body.length[e] < ONE_SIDED * _other_side(body, e))
        some = np.flatnonzero((body.ratio[e] > limit) & (body.length[e] > SHORTEST) & alone)
        times = body.ratio[e, some] / middle[e]
        steps = np.log(times) / np.log(upper[e] / middle[e])
        found.append(
            Found(
                message="{limb} is {px:.0f} px long, {times:.1f} times what this person's other limbs suggest",
                instance=view.rows[some],
                joint=np.full(len(some), limb.b),
                other=np.full(len(some), limb.a),
                confidence=1.0 - np.exp(-steps / 4.0),
                numbers={
                    "limb": [f"{names[limb.a]} to {names[limb.b]}"] * len(some),
                    "px": body.length[e, some],
                    "times": times,
                },
            )
        )
    return found


def _other_side(body: Limbs, e: int) -> Floats:
    """[m] length of the same limb on the other side, NaN where there is none."""
    limb = body.limbs[e]
    for other, one in enumerate(body.limbs):
        if limb.side and one.kind == limb.kind and one.side != limb.side:
            length: Floats = body.length[other]
            return length
    return np.full(body.length.shape[1], np.nan)


def drift(view: View) -> Result:
    """Joints that move against their neighbours between two frames of a track."""
    tracks = view.dataset.track_id[view.rows]
    tracked = np.array([track is not None for track in tracks.tolist()], bool)
    if not tracked.any():
        return "no person has a track_id"
    if not view.skeleton.edges:
        return "the skeleton has no edges: nothing says which joints are neighbours"
    now, later = _steps(view, np.flatnonzero(tracked), tracks)
    if not len(now):
        return "no track has two frames"
    dx, dy = view.x[:, later] - view.x[:, now], view.y[:, later] - view.y[:, now]
    apart = _against_neighbours(view, dx, dy)
    joint, step = np.nonzero(apart > DRIFT)
    return [
        Found(
            message="{joint} moves {px:.1f} px against its neighbours since {before}",
            instance=view.rows[later[step]],
            joint=joint,
            numbers={
                "px": apart[joint, step],
                "before": view.dataset.images.path[view.image[now[step]]],
            },
        )
    ]


def _steps(view: View, persons: Index, tracks: NDArray[np.object_]) -> tuple[Index, Index]:
    """Pairs (frame, next frame) of the same track in the same folder, as columns of the view."""
    paths = view.dataset.images.path[view.image[persons]].tolist()
    keys = [(str(PurePosixPath(path).parent), str(tracks[i])) for path, i in zip(paths, persons.tolist(), strict=True)]
    sequence = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    frames = {path: number for number, path in enumerate(sorted(set(paths), key=_natural))}
    of = np.array([sequence[key] for key in keys], np.int64)
    order = np.lexsort((np.array([frames[path] for path in paths], np.int64), of))
    chained = persons[order]
    same = np.flatnonzero((of[order][1:] == of[order][:-1]) & (view.image[chained[1:]] != view.image[chained[:-1]]))
    return chained[same], chained[same + 1]


def _natural(path: str) -> list[tuple[int, int | str]]:
    """Frame 10 comes after frame 9."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", path)]


def _against_neighbours(view: View, dx: Floats, dy: Floats) -> Floats:
    """[K,n] by how much each joint moves otherwise than the neighbour that moves most like it; NaN where there is none.

    So a joint that stays is not blamed for a neighbour that jumps.
    """
    apart = np.full_like(dx, np.nan)
    for joint, near in enumerate(_neighbours(view)):
        for other in near:
            np.fmin(apart[joint], np.hypot(dx[joint] - dx[other], dy[joint] - dy[other]), out=apart[joint])
    return apart


def _neighbours(view: View) -> list[list[int]]:
    """The joints that each is joined to; for an end of a limb also the next but one, so that two can be compared."""
    joined: list[set[int]] = [set() for _ in view.skeleton.keypoints]
    for a, b in view.skeleton.edges:
        joined[a].add(b)
        joined[b].add(a)
    further = [set().union(*(joined[other] for other in near)) - {joint} for joint, near in enumerate(joined)]
    return [sorted(near if len(near) > 1 else near | far) for near, far in zip(joined, further, strict=True)]


RULES = [
    Rule(
        id="KP403",
        name="limb-too-long",
        severity="warning",
        reason="a limb is far longer than the person's other limbs allow",
        explanation="Foreshortening makes limbs shorter, never longer. Each limb is compared with the size of the "
        "person that its other limbs give, and that ratio with the dataset's own distribution: 4.5 steps "
        "from its middle to its 84th percentile, on a logarithmic scale. Where the same limb of the other "
        "side is long alike, the others are foreshortened and nothing is said. The joint further from the "
        "body is named; either end may be wrong. Needs 50 persons with enough limbs.",
        help="look at both ends of the limb",
        check=limb_lengths,
    ),
    Rule(
        id="KP404",
        name="joint-drifts",
        severity="note",
        reason="a joint moves more than 5 px against its neighbours from one frame to the next",
        explanation="In sequences with `track_id`, each joint's motion between two labelled frames is compared with "
        "that of the joints it is joined to: it is named where it moves more than 5 px otherwise than "
        "every one of them. A hand that is swung moves so, too: the rule names what is worth a look, no "
        "more.",
        help="step through the two frames",
        check=drift,
        scope="tracks",
    ),
]
