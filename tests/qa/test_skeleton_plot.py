from __future__ import annotations

import numpy as np
import pytest

from kpkit.core.catalog import skeleton, skeleton_names
from kpkit.core.skeleton import Skeleton
from kpkit.qa import skeleton_plot
from kpkit.qa.ink import SIDE_COLOURS, text_size
from kpkit.qa.skeleton_plot import plot_skeleton


def _colours(image: np.ndarray) -> set[tuple[int, ...]]:
    return set(map(tuple, np.unique(image.reshape(-1, 3), axis=0).tolist()))


@pytest.mark.parametrize("name", skeleton_names())
def test_every_joint_of_every_skeleton_is_labelled_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []
    real = skeleton_plot.write
    monkeypatch.setattr(
        skeleton_plot, "write", lambda image, text, *rest: (texts.append(text), real(image, text, *rest))
    )
    known = skeleton(name)
    plot_skeleton(known)
    for index, joint in enumerate(known.keypoints):
        assert texts.count(f"{index}  {joint}") == 1


@pytest.mark.parametrize("name", [*skeleton_names(), "ring"])
def test_no_two_labels_overlap(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    boxes: list[tuple[float, float, float, float]] = []
    real = skeleton_plot.write

    def record(image: np.ndarray, text: str, x: float, y: float, scale: float, colour: tuple[int, int, int]) -> None:
        wide, tall, _ = text_size(text, scale)
        assert x >= 0
        assert x + wide <= image.shape[1]
        boxes.append((x, y - tall, x + wide, y))
        real(image, text, x, y, scale, colour)

    monkeypatch.setattr(skeleton_plot, "write", record)
    plot_skeleton(Skeleton("ring", tuple(f"node {n}" for n in range(50))) if name == "ring" else skeleton(name))
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_the_persons_left_is_drawn_on_the_right() -> None:
    image = plot_skeleton(skeleton("coco17"))[:-60]
    left = np.argwhere((image == SIDE_COLOURS["left"]).all(axis=2))[:, 1]
    right = np.argwhere((image == SIDE_COLOURS["right"]).all(axis=2))[:, 1]
    assert left.min() > right.max()


def test_names_of_other_spellings_find_their_place() -> None:
    shape = Skeleton("odd", ("LShoulder", "r_shoulder", "Lkne", "rightKnee"), ((0, 1), (2, 3)), ((0, 2),))
    assert set(skeleton_plot._arrange(shape).places) == {0, 1, 2, 3}


def test_two_joints_never_share_a_place() -> None:
    shape = Skeleton("two", ("pelvis", "root", "mid_hip"))
    layout = skeleton_plot._arrange(shape)
    assert len({tuple(place) for place in layout.places.values()}) == len(layout.places)
    assert len(layout.places) + len(layout.others) == 3


@pytest.mark.parametrize("count", [0, 1, 2, 52, 53, 200])
def test_a_skeleton_of_unknown_joints_can_be_plotted(count: int) -> None:
    names = tuple(f"point {n}" for n in range(count))
    image = plot_skeleton(Skeleton("unknown", names, (), tuple((n, n + 1) for n in range(count - 1))))
    assert image.dtype == np.uint8
    assert (SIDE_COLOURS["centre"] in _colours(image[:-60])) == (count > 0)
