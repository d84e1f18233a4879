from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kpkit.augment.draw import stream
from kpkit.augment.occlusion import Occlusion, cover, covered, paint
from kpkit.augment.recipe import FILLS, SHAPES, Recipe

W, H = 320, 240
PERSONS = 1000
SHARES = (0.05, 0.3, 0.6, 0.9)


def _streams(name: str) -> Callable[[int], np.random.Generator]:
    return lambda person: stream(5, f"{name}#{person}", 1, "occlusion")


def _recipe(share: float | tuple[float, float], **fields: object) -> Recipe:
    return Recipe().with_changes(occlusion=share, **fields)


def _pixels(box: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of a box with whole edges, clipped to the frame."""
    x, y, w, h = box.astype(int)
    return slice(max(y, 0), min(y + h, H)), slice(max(x, 0), min(x + w, W))


def _apart(rng: np.random.Generator) -> np.ndarray:
    """Four boxes with sides from 16 pixels on, one a quarter of the frame; some reach beyond the frame."""
    size = np.stack([rng.integers(16, W // 2, 4), rng.integers(16, H // 2, 4)], axis=-1)
    room = np.array([W // 2, H // 2]) - size
    corner = np.array([[0, 0], [W // 2, 0], [0, H // 2], [W // 2, H // 2]]) + np.floor(rng.uniform(size=(4, 2)) * room)
    return np.concatenate([corner, size], axis=1).astype(float)


def _overlapping(rng: np.random.Generator) -> np.ndarray:
    """Five boxes anywhere, beyond the frame too, of which at least 16 x 16 pixels are in the frame."""
    size = np.stack([rng.integers(32, 200, 5), rng.integers(32, 200, 5)], axis=-1)
    low = np.maximum(-size // 2, 16 - size)
    corner = rng.integers(low, np.array([W, H]) - 16)
    return np.concatenate([corner, size], axis=1).astype(float)


def _images(
    boxes: Callable[[np.random.Generator], np.ndarray], recipe: Recipe, persons: int = PERSONS
) -> Iterator[tuple[np.ndarray, Occlusion]]:
    """Boxes of one image and what covers them, until there are so many persons."""
    number = made = 0
    while made < persons:
        one = boxes(np.random.default_rng(number))
        yield one, cover(one, (W, H), recipe, _streams(str(number)))
        number, made = number + 1, made + len(one)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("boxes", [_apart, _overlapping])
def test_own_occluders_cover_the_share_that_was_asked(
    shape: str, boxes: Callable[[np.random.Generator], np.ndarray]
) -> None:
    """A thousand persons; counted here from the mask of the person's own occluders."""
    errors = []
    for share in SHARES:
        for one, found in _images(boxes, _recipe(share, occlusion_shape=(shape,)), PERSONS // len(SHARES)):
            for person, box in enumerate(one):
                rows, columns = _pixels(box)
                placed = found.private[person]
                assert placed is not None
                left, top, mask, pixels = placed
                assert columns.start <= left
                assert left + mask.shape[1] <= columns.stop
                assert rows.start <= top
                assert top + mask.shape[0] <= rows.stop
                counted = np.count_nonzero(mask)
                assert pixels == counted
                area = (rows.stop - rows.start) * (columns.stop - columns.start)
                errors.append(counted / area - share)
                assert found.own[person] == counted / area
    assert len(errors) >= PERSONS
    assert np.abs(errors).max() < 0.02


def test_isolated_persons_are_covered_by_nobody_elses_occluders() -> None:
    for boxes, found in _images(_apart, _recipe(0.3), 100):
        np.testing.assert_array_equal(found.neighbour, 0)
        for person, box in enumerate(boxes):
            assert (found.mask[_pixels(box)] > 0).mean() == found.own[person]


def test_what_neighbours_cover_is_counted_apart() -> None:
    """Own and neighbours' shares make up what of the box is in the mask."""
    some = False
    for boxes, found in _images(_overlapping, _recipe(0.3), 200):
        for person, box in enumerate(boxes):
            whole = (found.mask[_pixels(box)] > 0).mean()
            assert whole == pytest.approx(found.own[person] + found.neighbour[person])
            some = some or found.neighbour[person] > 0.05
    assert some


def test_occluders_stay_inside_the_box_of_their_person() -> None:
    for boxes, found in _images(_overlapping, _recipe(0.5, occlusion_shape=SHAPES), 200):
        union = np.zeros((H, W), bool)
        for box in boxes:
            union[_pixels(box)] = True
        assert not (found.mask[~union] > 0).any()


@pytest.mark.parametrize("shape", SHAPES)
@given(w=st.integers(1, 40), h=st.integers(1, 15), turned=st.booleans(), share=st.floats(0, 0.95))
def test_small_box_is_covered_to_the_nearest_pixel(shape: str, w: int, h: int, turned: bool, share: float) -> None:
    w, h = (h, w) if turned else (w, h)
    found = cover(np.array([[7.0, 9.0, w, h]]), (W, H), _recipe(share, occlusion_shape=(shape,)), _streams("small"))
    assert (found.mask > 0).sum() == round(share * w * h)


def test_range_is_spanned_uniformly() -> None:
    found = [one for _, one in _images(_apart, _recipe((0.2, 0.4), occlusion_shape=SHAPES))]
    asked, own = (np.concatenate([getattr(one, name) for one in found]) for name in ("asked", "own"))
    assert len(asked) >= PERSONS
    even = stats.uniform(0.2, 0.2).cdf
    assert stats.kstest(asked, even).pvalue > 0.01
    assert stats.kstest(own, even).statistic < 0.06
    assert np.abs(own - asked).max() < 0.02


def test_persons_are_covered_as_often_as_the_probability_says() -> None:
    found = [one for _, one in _images(_apart, _recipe(0.3, occlusion_probability=0.25))]
    asked = np.concatenate([one.asked for one in found])
    assert (asked > 0).mean() == pytest.approx(0.25, abs=0.06)
    own = np.concatenate([one.own for one in found])
    np.testing.assert_array_equal(own[asked == 0], 0)


def test_person_without_a_box_in_the_frame_has_no_share() -> None:
    boxes = np.array([[np.nan] * 4, [W + 5.0, 3, 20, 20], [10, 10, 50, 50]])
    found = cover(boxes, (W, H), _recipe(0.3), _streams("a"))
    assert np.isnan(found.own[:2]).all()
    assert found.private[:2] == [None, None]
    own = found.covers_own(np.full((3, 1, 2), 20.0), np.ones((3, 1), bool))
    assert not own[:2].any()
    assert found.own[2] == pytest.approx(0.3, abs=0.02)


def test_nobody_in_the_picture_leaves_the_mask_empty() -> None:
    found = cover(np.zeros((0, 4)), (W, H), _recipe(0.3), _streams("a"))
    assert not found.mask.any()


def test_a_persons_occluders_depend_on_nobody_else() -> None:
    boxes = _overlapping(np.random.default_rng(1))
    together = cover(boxes, (W, H), _recipe(0.3), _streams("a"))
    alone = cover(boxes[2:3], (W, H), _recipe(0.3), lambda _: _streams("a")(2))
    assert together.occluders[2] == alone.occluders[0]
    np.testing.assert_array_equal(together.private[2][2], alone.private[0][2])  # type: ignore[index]  # both have a box


def test_same_streams_give_the_same_bytes() -> None:
    boxes = _overlapping(np.random.default_rng(2))
    recipe = _recipe((0.1, 0.8), occlusion_shape=SHAPES)
    one, other = (cover(boxes, (W, H), recipe, _streams("a")) for _ in range(2))
    assert one.mask.tobytes() == other.mask.tobytes()
    assert one.occluders == other.occluders


@pytest.mark.parametrize("most", [1, 3, 6])
def test_there_are_no_more_occluders_than_the_recipe_allows(most: int) -> None:
    counts = set()
    for _, found in _images(_apart, _recipe(0.5, occluders=most, occlusion_shape=SHAPES), 200):
        counts |= {sum(one["shape"] != "rim" for one in person) for person in found.occluders}
    assert max(counts) == most
    assert min(counts) == 1


def test_described_rectangle_is_where_the_mask_is() -> None:
    found = cover(np.array([[30.0, 40, 100, 120]]), (W, H), _recipe(0.25, occluders=1), _streams("a"))
    x, y, w, h = found.occluders[0][0]["box"]
    rows, columns = np.nonzero(found.mask)
    # Pixel edges lie half a pixel beside pixel centres; a rim may add less than a row.
    assert abs(columns.min() - 0.5 - x) <= 1
    assert abs(rows.min() - 0.5 - y) <= 1
    assert abs((found.mask > 0).sum() - w * h) <= 0.02 * 100 * 120


@given(st.integers(0, 2**32 - 1))
def test_joint_is_covered_exactly_when_its_pixel_is_in_the_mask(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = (rng.uniform(size=(20, 30)) < 0.4).astype(np.uint8) * 255
    xy = rng.uniform((-3, -3), (33, 23), (40, 2))
    expected = []
    for x, y in xy:
        column, row = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
        expected.append(0 <= column < 30 and 0 <= row < 20 and mask[row, column] > 0)
    np.testing.assert_array_equal(covered(xy, mask), expected)


def test_unlabelled_joint_is_never_covered() -> None:
    full = np.full((5, 5), 255, np.uint8)
    np.testing.assert_array_equal(covered(np.array([[np.nan, np.nan], [2.0, 2.0]]), full), [False, True])


def test_joints_under_own_occluders_are_told_from_those_under_neighbours() -> None:
    x, y = np.meshgrid(np.arange(W), np.arange(H))
    everywhere = np.stack([x, y], axis=-1).reshape(-1, 2).astype(float)
    boxes = _overlapping(np.random.default_rng(3))
    found = cover(boxes, (W, H), _recipe(0.4), _streams("a"))
    every = np.zeros(len(everywhere), bool)
    joints = np.repeat(everywhere[None], len(boxes), axis=0)
    owns = found.covers_own(joints, covered(joints, found.mask))
    for person, (box, own) in enumerate(zip(boxes, owns, strict=True)):
        inside = own.reshape(H, W)[_pixels(box)]
        assert inside.mean() == pytest.approx(found.own[person])
        assert inside.sum() == own.sum()
        every |= own
    np.testing.assert_array_equal(every, covered(everywhere, found.mask))


def _picture(width: int = W, height: int = H) -> np.ndarray:
    return np.random.default_rng(9).integers(0, 256, (height, width, 3), np.uint8)


def _mask() -> np.ndarray:
    mask = np.zeros((H, W), np.uint8)
    mask[50:90, 100:170] = 255
    return mask


@pytest.mark.parametrize("fill", FILLS)
def test_fill_changes_the_masked_pixels_and_no_other(fill: str) -> None:
    image, mask = _picture(), _mask()
    before = image.copy()
    patch = np.full((100, 400, 3), (1, 2, 3), np.uint8)
    painted = paint(image, mask, _recipe(0.3, occlusion_fill=fill), stream(0, "a", 1, "fill"), patch)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(painted[mask == 0], image[mask == 0])
    assert (painted[mask > 0] != image[mask > 0]).any(axis=-1).mean() > 0.9


def test_mean_fill_is_the_mean_colour_of_the_picture() -> None:
    image = _picture()
    image[..., 0] //= 4
    painted = paint(image, _mask(), _recipe(0.3), stream(0, "a", 1, "fill"))
    np.testing.assert_array_equal(
        np.unique(painted[_mask() > 0], axis=0), [np.rint(image.mean(axis=(0, 1))).astype(int)]
    )


def test_constant_fill_is_the_value_of_the_recipe() -> None:
    recipe = _recipe(0.3, occlusion_fill="constant", occlusion_value=114)
    assert (paint(_picture(), _mask(), recipe, stream(0, "a", 1, "fill"))[_mask() > 0] == 114).all()


def test_noise_fill_has_every_value_and_comes_from_the_stream() -> None:
    recipe = _recipe(0.3, occlusion_fill="noise")
    one, other, third = (paint(_picture(), _mask(), recipe, stream(0, key, 1, "fill")) for key in "aab")
    assert len(np.unique(one[_mask() > 0])) > 250
    np.testing.assert_array_equal(one, other)
    assert (one != third).any()


@pytest.mark.parametrize("size", [(W, H), (900, 700), (20, 30), (1, 1), (2000, 10)])
def test_patch_fill_shows_a_part_of_the_other_picture(size: tuple[int, int]) -> None:
    patch = np.full((size[1], size[0], 3), (10, 200, 30), np.uint8)
    painted = paint(_picture(), _mask(), _recipe(0.3, occlusion_fill="patch"), stream(0, "a", 1, "fill"), patch)
    assert (painted[_mask() > 0] == (10, 200, 30)).all()


def test_patch_is_cut_from_the_other_picture_without_resampling() -> None:
    other = _picture(900, 700)
    painted = paint(_picture(), _mask(), _recipe(0.3, occlusion_fill="patch"), stream(0, "a", 1, "fill"), other)
    cut = painted[50:90, 100:170]
    found = [
        (top, left)
        for top, left in np.argwhere((other[:661, :831] == cut[0, 0]).all(axis=-1))
        if (other[top : top + 40, left : left + 70] == cut).all()
    ]
    assert len(found) == 1


def test_nothing_masked_leaves_the_picture_as_it_is() -> None:
    image = _picture()
    assert paint(image, np.zeros((H, W), np.uint8), _recipe(0.3), stream(0, "a", 1, "fill")) is image
