"""Statistics as one HTML page that needs nothing but itself: no network, no other file.

Everything that comes from data is escaped where it is put in (see markup); a content security policy in the page lets
nothing load and runs no script but its own.

Plots are SVG of our own. Measured for a page of one histogram: inline SVG 40 KB, Altair 1.0 MB, Bokeh 1.2 MB, Plotly
4.7 MB; none of the three draws a skeleton, and their pages need their scripts even to be printed.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kpkit.core.report import Issue
from kpkit.qa.markup import Markup, join, tag
from kpkit.qa.report_sections import (
    at_a_glance,
    images_and_persons,
    joints,
    noticed,
    occlusion,
    positions,
    splits,
    together_in_images,
)
from kpkit.qa.stats import Stats


@dataclass(frozen=True)
class Side:
    """One dataset of the page: its path and format, what was measured, and what was noticed while reading."""

    path: str
    format: str
    stats: Stats
    issues: Sequence[Issue] = ()


def render(sides: Sequence[Side]) -> str:
    """The page of one dataset, or of two: a source, and what a conversion or an augmentation made of it."""
    stats = [side.stats for side in sides]
    body = [
        _header(sides),
        at_a_glance(stats),
        joints(stats),
        occlusion(stats),
        positions(stats),
        images_and_persons(stats),
        together_in_images(stats),
        splits(stats),
        noticed([(side.path, side.issues) for side in sides]),
        _footer(),
    ]
    script = Markup(_own("report.js"))
    page = tag(
        "html",
        tag("head", _head(sides, script)),
        tag("body", tag("div", *body, class_="page"), tag("script", script)),
        lang="en",
    )
    return f"<!doctype html>\n{page}\n"


def _own(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _head(sides: Sequence[Side], script: str) -> Markup:
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
        f"script-src 'sha256-{digest}'"
    )
    title = " → ".join(_name(side.path) for side in sides)
    return join(
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name_="referrer", content="no-referrer"),
        tag("link", rel="icon", href="data:,"),
        tag("title", f"{title}: statistics"),
        tag("style", Markup(_own("report.css"))),
    )


def _name(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def _header(sides: Sequence[Side]) -> Markup:
    title = " → ".join(_name(side.path) for side in sides)
    lines = []
    for number, side in enumerate(sides):
        kind = ("first", "second")[number]
        key = tag("i", class_=f"key {kind}") if len(sides) > 1 else None
        skeleton = side.stats.skeleton
        joints = f"{len(skeleton):,} joint" + "s" * (len(skeleton) != 1)
        text = f" · {side.format} · {skeleton.name}, {joints}"
        lines.append(tag("p", key, tag("b", side.path), text, class_="facts"))
    button = tag("button", "Light / dark", type="button", class_="theme", hidden=True)
    return join(tag("header", tag("h1", title), button), lines)


def _footer() -> Markup:
    from kpkit import __version__

    notes = (
        "A person is an instance that is no crowd region. Shares of visible, occluded, unlabelled and truncated joints "
        "are of all persons; “occluded of labelled” counts only persons who have the joint. Boxes are the annotator’s; "
        "where there is none, the hull of the labelled joints, a quarter larger. Sizes by area are COCO’s: small below "
        "32² pixels, large from 96². The crowd index of an image is CrowdPose’s: the mean, over its persons, of "
        "others’ joints in a person’s box for each of its own."
    )
    return tag("footer", tag("p", notes), tag("p", f"Made by kpkit {__version__}. This page needs no network."))
