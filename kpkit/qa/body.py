"""Where joints are on a neutral body that faces the viewer, by their names."""

from __future__ import annotations

from functools import cache

from kpkit.core.joint_names import normalise_joint_name, side_of

# Places on a person 1 high, x from the middle, y from the top; lateral joints as those of the person's left.
_CENTRE: dict[str, tuple[float, float]] = {
    "head_top": (0.0, 0.0),
    "top_head": (0.0, 0.0),
    "head": (0.0, 0.045),
    "forehead": (0.0, 0.05),
    "nose": (0.0, 0.095),
    "chin": (0.0, 0.145),
    "head_bottom": (0.0, 0.15),
    "upper_neck": (0.0, 0.165),
    "neck": (0.0, 0.19),
    "thorax": (0.0, 0.225),
    "chest": (0.0, 0.27),
    "spine": (0.0, 0.34),
    "torso_center": (0.0, 0.37),
    "torso": (0.0, 0.37),
    "belly": (0.0, 0.42),
    "hip": (0.0, 0.50),
    "mid_hip": (0.0, 0.50),
    "pelvis": (0.0, 0.50),
    "root": (0.0, 0.50),
}
_LATERAL: dict[str, tuple[float, float]] = {
    "eye": (0.038, 0.065),
    "ear": (0.085, 0.080),
    "shoulder": (0.165, 0.215),
    "elbow": (0.255, 0.355),
    "wrist": (0.305, 0.485),
    "hand": (0.325, 0.530),
    "finger": (0.330, 0.540),
    "hip": (0.090, 0.515),
    "knee": (0.110, 0.715),
    "ankle": (0.120, 0.905),
    "heel": (0.085, 0.945),
    "foot": (0.150, 0.965),
    "toe": (0.150, 0.985),
    "big_toe": (0.120, 0.990),
    "small_toe": (0.185, 0.970),
}
_SHORT = {"sho": "shoulder", "elb": "elbow", "wri": "wrist", "kne": "knee", "ank": "ankle"}


@cache
def known_place(name: str) -> tuple[float, float] | None:
    """Where a joint of this name is on a person 1 high who faces the viewer: x from the middle, y from the top."""
    side = side_of(name)
    if side is None:
        return _CENTRE.get(normalise_joint_name(name))
    place = _LATERAL.get(_SHORT.get(side[1], side[1]))
    if place is None:
        return None
    # The person faces the viewer, so that the left side is on the right.
    return (place[0] if side[0] == "left" else -place[0], place[1])
