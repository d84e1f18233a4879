from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.cocoeval import COCOeval, Params

from kpkit.core import catalog
from kpkit.core.oks import oks


@given(st.integers(0, 10_000))
def test_oks_equals_that_of_pycocotools(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sigmas = np.array(catalog.skeleton("coco17").sigmas)
    truth, guess = rng.uniform(0, 100, (2, 17, 2))
    labelled = rng.random(17) < 0.7
    labelled[0] = True
    evaluation = COCOeval(iouType="keypoints")
    evaluation.params = Params(iouType="keypoints")
    evaluation.params.imgIds = [1]
    evaluation.params.catIds = [1]
    person = np.concatenate([truth, labelled[:, None] * 2.0], axis=1).ravel().tolist()
    area = float(rng.uniform(1, 9000))
    box = [0.0, 0.0, 100.0, 100.0]
    evaluation._gts[1, 1] = [{"keypoints": person, "bbox": box, "area": area, "ignore": 0}]
    result = np.concatenate([guess, np.ones((17, 1))], axis=1).ravel().tolist()
    evaluation._dts[1, 1] = [{"keypoints": result, "score": 1.0}]
    theirs = evaluation.computeOks(1, 1)[0, 0]

    ours = oks(truth, labelled, np.array(area), guess, sigmas)

    assert abs(ours - theirs) < 1e-12


def test_a_person_without_labelled_joints_has_no_similarity() -> None:
    sigmas = np.array(catalog.skeleton("coco17").sigmas)
    xy = np.zeros((17, 2))

    assert np.isnan(oks(xy, np.zeros(17, bool), np.array(10.0), xy, sigmas))


def test_a_joint_that_the_other_lacks_counts_as_far_away() -> None:
    sigmas = np.array(catalog.skeleton("coco17").sigmas)
    xy = np.ones((17, 2))
    other = xy.copy()
    other[3] = np.nan

    assert oks(xy, np.ones(17, bool), np.array(10.0), other, sigmas) == 16 / 17
