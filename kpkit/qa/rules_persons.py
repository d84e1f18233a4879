"""Rules about a person's joints among themselves, and about the same person twice."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from kpkit.core.oks import oks
from kpkit.qa.rules import Flags, Found, Index, Result, Rule, View

# Two labels of one person by two annotators agree to about this OKS; of two persons side by side they do not.
SAME = 0.85
# Joints that both must have: a few joints agree by chance.
SHARED = 3
# What is assumed of a joint without a published sigma: COCO's mean.
SIGMA = 0.065
PAIRS_AT_ONCE = 1 << 15


def one_spot(view: View) -> Result:
    """Labelled joints of one person at exactly the same place."""
    k, m = view.x.shape
    if k < 2 or not m:
        return []
    # Equal places have equal keys; the few persons with equal keys are then looked at exactly.
    keys = (view.x.view(np.int64) * np.int64(1_000_003)) ^ view.y.view(np.int64)
    keys = np.where(view.labelled, keys, np.arange(k, dtype=np.int64)[:, None] - np.int64(2**62))
    ordered = np.sort(np.ascontiguousarray(keys.T), axis=1)
    some = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
    first, second, person = [], [], []
    for a in range(k - 1):
        same = (view.x[a, some] == view.x[a + 1 :, some]) & (view.y[a, some] == view.y[a + 1 :, some])
        b, who = np.nonzero(same)
        first.append(np.full(len(b), a))
        second.append(b + a + 1)
        person.append(some[who])
    one, two, who = np.concatenate(first), np.concatenate(second), np.concatenate(person)
    # Of three joints on a spot each is named once.
    _, unique = np.unique(who * k + two, return_index=True)
    one, two, who = one[unique], two[unique], who[unique]
    scale = np.sqrt(view.area[who])
    return [
        Found(
            message="{joint} lies exactly on {other}",
            instance=view.rows[who],
            joint=two,
            other=one,
            # On a person of few pixels neighbouring joints share one by rounding.
            # Not scale / (scale + 24): a scale may be infinite.
            confidence=1.0 - 24.0 / (scale + 24.0),
        )
    ]


def duplicates(view: View) -> Result:
    """Persons of one image whose joints are the same to within what annotators differ by."""
    if not len(view.skeleton):
        return "there are no joints to compare"
    first, second, similarity = same_persons(view)
    ids = view.dataset.instance_id
    return [
        Found(
            message="the person is there already as {twin} (OKS {oks:.3f})",
            instance=view.rows[second],
            confidence=similarity,
            numbers={"oks": similarity, "twin": ids[view.rows[first]]},
        )
    ]


def same_persons(view: View) -> tuple[Index, Index, NDArray[np.float64]]:
    """Pairs (earlier, later) of persons that are the same, as columns of the view, and their OKS (the lower way round).

    Each later person is named once, with the person most like it.
    """
    given = view.skeleton.sigmas
    sigmas = np.array(given if given is not None else [SIGMA] * len(view.skeleton))
    found: list[tuple[Index, Index, NDArray[np.float64]]] = []
    for one, two in _close_pairs(view):
        shared = (view.labelled[:, one] & view.labelled[:, two]).sum(axis=0) >= SHARED
        one, two = one[shared], two[shared]
        a, b = _points(view, one), _points(view, two)
        low = np.minimum(
            oks(a, view.labelled[:, one].T, view.area[one], b, sigmas),
            oks(b, view.labelled[:, two].T, view.area[two], a, sigmas),
        )
        same = low >= SAME
        found.append((one[same], two[same], low[same]))
    if not found:
        nothing = np.zeros(0, np.int64)
        return nothing, nothing, np.zeros(0)
    first, second, similarity = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.lexsort((first, -similarity, second))
    first, second, similarity = first[order], second[order], similarity[order]
    _, unique = np.unique(second, return_index=True)
    return first[unique], second[unique], similarity[unique]


def _close_pairs(view: View) -> Iterator[tuple[Index, Index]]:
    """Pairs of persons of one image whose hulls nearly coincide, in pieces."""
    order = np.argsort(view.image, kind="stable")
    image = view.image[order]
    left, top, right, bottom = (side[order] for side in view.hull)
    # Annotators differ by less than a third of a person's size.
    slack = np.maximum(right - left, bottom - top) * 0.3 + 2.0
    waiting: list[tuple[Index, Index]] = []
    size = 0
    active = np.arange(len(order))
    lag = 0
    while len(active):
        lag += 1
        active = active[active + lag < len(order)]
        active = active[image[active] == image[active + lag]]
        other = active + lag
        near: Flags = np.abs(left[active] - left[other]) <= slack[active]
        near &= np.abs(right[active] - right[other]) <= slack[active]
        near &= np.abs(top[active] - top[other]) <= slack[active]
        near &= np.abs(bottom[active] - bottom[other]) <= slack[active]
        one, two = order[active[near]], order[other[near]]
        waiting.append((np.minimum(one, two), np.maximum(one, two)))
        size += len(one)
        if size >= PAIRS_AT_ONCE:
            yield _joined(waiting)
            waiting, size = [], 0
    if size:
        yield _joined(waiting)


def _joined(pairs: list[tuple[Index, Index]]) -> tuple[Index, Index]:
    return np.concatenate([one for one, _ in pairs]), np.concatenate([two for _, two in pairs])


def _points(view: View, persons: Index) -> NDArray[np.float64]:
    return np.stack([view.x[:, persons].T, view.y[:, persons].T], axis=-1)


RULES = [
    Rule(
        id="KP301",
        name="two-joints-on-one-spot",
        severity="warning",
        reason="two joints of a person lie on exactly the same spot",
        explanation="A click that landed twice, or a joint that was copied instead of placed. In a very small person "
        "neighbouring joints may share a pixel by rounding: the confidence says how large the person is.",
        help="place the joint, or mark it as not labelled",
        check=one_spot,
    ),
    Rule(
        id="KP302",
        name="duplicate-person",
        severity="warning",
        reason="a person is labelled twice in one image",
        explanation="Two persons of one image whose joints agree to OKS 0.85 or more, both ways round, with three "
        "joints in common. Where the skeleton has no sigmas, COCO's mean stands for each. --fix removes "
        "the second one where all but the id is the same.",
        help="remove one of the two",
        check=duplicates,
    ),
]
