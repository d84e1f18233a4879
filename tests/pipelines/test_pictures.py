"""Pictures are told by what they show: copies are alike, others are not, and what shows nothing is left out."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest

from kpkit.core.dataset import ImageTable
from kpkit.pipelines.pictures import look_at, perceptual_hash
from kpkit.qa.rules_pictures import SAME_BITS


def apart(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.bitwise_count(one ^ other).sum())


def copies(picture: np.ndarray) -> list[np.ndarray]:
    """Smaller, larger and worse ones."""
    made = []
    for scale, quality in ((1, 30), (0.5, 50), (0.3, 20), (1.5, 90)):
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        scaled = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=how)
        made.append(cv2.imdecode(cv2.imencode(".jpg", scaled, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1))
    return made


def test_copies_of_real_pictures_are_alike_and_different_ones_are_not(real_data: Path, tmp_path):
    pictures = [cv2.imread(str(path)) for path in sorted((real_data / "data" / "images").rglob("*.jpg"))]
    names, of = [], []
    for number, picture in enumerate(pictures):
        for i, one in enumerate([picture, *copies(picture)]):
            names.append(f"{number}_{i}.png")
            of.append(number)
            cv2.imwrite(str(tmp_path / names[-1]), one)
    facts = look_at(ImageTable.build(path=names), tmp_path, prints=True)
    assert not facts.flat.any()
    for a, b in combinations(range(len(names)), 2):
        bits = apart(facts.prints[a], facts.prints[b])
        if of[a] != of[b]:
            assert bits > 2 * SAME_BITS, (names[a], names[b])
        elif names[a].endswith("_0.png"):
            assert bits <= SAME_BITS, (names[a], names[b])


@pytest.mark.parametrize("shown", [np.full((300, 400, 3), 200, np.uint8), np.zeros((20, 30, 3), np.uint8)])
def test_an_even_picture_is_like_no_other(tmp_path, shown):
    cv2.imwrite(str(tmp_path / "a.png"), shown)
    facts = look_at(ImageTable.build(path=["a.png"]), tmp_path, prints=True)
    assert facts.flat.tolist() == [True]


def test_a_brighter_field_is_one_bit():
    grey = np.zeros((16, 17), np.uint8)
    grey[0, 1] = 9
    assert np.bitwise_count(perceptual_hash(grey)).sum() == 1


def test_files_are_looked_for_inside_their_folder_only(tmp_path):
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "out.png"), np.zeros((5, 5), np.uint8))
    (tmp_path / "in" / "link.png").symlink_to(tmp_path / "out.png")
    facts = look_at(ImageTable.build(path=["../out.png", "link.png", "none.png"]), tmp_path / "in", prints=False)
    assert facts.there.tolist() == [True, True, False]
    assert sorted(facts.problem) == [0, 1]
    assert facts.prints is None
