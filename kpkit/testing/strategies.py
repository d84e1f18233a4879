"""Hypothesis strategies of canonical datasets: small ones, full of what breaks readers and writers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from kpkit.core import catalog
from kpkit.core.dataset import AREA_SOURCES, BBOX_SOURCES, Dataset, ImageTable
from kpkit.core.joint_names import infer_flip_pairs
from kpkit.core.skeleton import Skeleton
from kpkit.formats.base import Keeps
from kpkit.testing.restrict import EVERYTHING, restrict

Fields = Mapping[str, st.SearchStrategy[Any]]

# Catalog skeletons a format without joints of its own is tried with.
COMMON = ("coco17", "mpii16", "lsp14", "six2_knee")

_JOINTS = (
    "nose", "left_hip", "right_hip", "left_knee", "right_knee", "head top", "Nabel", "膝", "a,b", "no", "1", "null",
    '"q"', "#x", "spine: upper", "'",
)  # fmt: skip
_FOLDERS = ("", "a/", "train2017/", "größe/", "日本/", "with space/", "x/y.z/", "labels/", "1/")
_STEMS = ("img", "000000", "été ", "人", "a.b", "100%", "it's", '"q"', "c,d", "#1", "-", "{}")
_ENDINGS = (".jpg", ".png", ".JPEG", ".tif")
_TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)

_small = st.integers(-50, 5000)
_coordinates = (
    _small.map(float)
    | _small.map(lambda one: one / 4)
    | st.sampled_from([0.0, 0.1, 620.7, -1.0, 1e-7, 99999.999999])
    # Plus 0.0: the sign of zero says nothing, and no format need keep it.
    | st.floats(-1e4, 1e4, allow_subnormal=False).map(lambda one: one + 0.0)
)
_lengths = st.integers(0, 5000).map(float) | st.floats(0, 1e4, allow_subnormal=False)
_ids = st.integers(0, 20) | st.integers(-(2**63), 2**63 - 1) | st.integers(2**63, 2**70) | _TEXTS

json_values: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e6, 1e6).map(lambda one: one + 0.5) | _TEXTS,
    lambda inner: (
        st.lists(inner | st.none(), max_size=3) | st.dictionaries(st.text("ab.é ", max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)
"""Anything JSON can say, nested; never None at the top, which means "no value" in extras."""


def skeletons(names: tuple[str, ...] | None = None) -> st.SearchStrategy[Skeleton]:
    """Catalog skeletons by name; without names, common ones and made-up ones of few joints, also none and one."""
    if names is not None:
        return st.sampled_from([catalog.skeleton(name) for name in names])
    return st.sampled_from([catalog.skeleton(name) for name in COMMON]) | _made_up()


def datasets(
    keeps: Keeps = EVERYTHING,
    *,
    needs_box: bool = False,
    extras: Fields | None = None,
    image_extras: Fields | None = None,
    meta: Fields | None = None,
) -> st.SearchStrategy[Dataset]:
    """Datasets that a format with these `keeps` holds in full: 0 to 4 images, 0 to 6 persons.

    needs_box     every person has a box
    extras, image_extras, meta   fields by name ("myformat.field") and the values they take; where all extras are kept,
                  names and values of other formats are added

    A joint may be far outside its image; ids are integers, huge integers or texts; sizes may be unknown.
    """
    extras, image_extras, meta = (
        foreign(one) if "*" in keeps.extras else one or {} for one in (extras, image_extras, meta)
    )
    return _datasets(keeps, needs_box, extras, image_extras, meta, cut=True)


def overfull(
    keeps: Keeps,
    *,
    needs_box: bool = False,
    extras: Fields | None = None,
    image_extras: Fields | None = None,
    meta: Fields | None = None,
) -> st.SearchStrategy[Dataset]:
    """Datasets of a skeleton that the format has, full of what it may not hold; fields as in `datasets`."""
    return _datasets(keeps, needs_box, foreign(extras), foreign(image_extras), foreign(meta))


def foreign(fields: Fields | None) -> Fields:
    """The same fields and some of formats that do not exist."""
    return {**(fields or {}), "other.note": json_values, "aux.value": json_values}


@st.composite
def _made_up(draw: st.DrawFn) -> Skeleton:
    names = draw(st.lists(st.sampled_from(_JOINTS), max_size=5, unique=True))
    k = len(names)
    edges: list[tuple[int, int]] = []
    if k > 1:
        ends = st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)).filter(lambda edge: edge[0] < edge[1])
        edges = draw(st.lists(ends, max_size=3, unique=True))
    return Skeleton(
        name="none" if k == 0 else "person",
        keypoints=tuple(names),
        flip_pairs=infer_flip_pairs(names),
        edges=tuple(edges),
    )


@st.composite
def _datasets(
    draw: st.DrawFn,
    keeps: Keeps,
    needs_box: bool,
    extras: Fields,
    image_extras: Fields,
    meta: Fields,
    cut: bool = False,
) -> Dataset:
    skeleton = draw(skeletons(keeps.skeletons))
    images = draw(_image_tables(image_extras))
    able = np.arange(len(images))
    if keeps.persons_need_size:
        able = np.flatnonzero(images.width > 0)
    index = draw(st.lists(st.sampled_from(able.tolist()), max_size=6)) if len(able) else []
    n = len(index)
    xy, visibility, truncated = _joints(draw, n, len(skeleton))
    box, box_source = _boxes(draw, n, always=needs_box)
    head_box, _ = _boxes(draw, n, always=False)
    area = _column(draw, _lengths, n, np.nan)
    area_source = _column(draw, st.integers(1, len(AREA_SOURCES) - 1), n, 1)
    whole = Dataset.build(
        skeleton=skeleton,
        images=images,
        image_index=index,
        xy=xy,
        visibility=visibility,
        truncated=truncated,
        instance_id=_unique_ids(draw, n),
        category_id=_column(draw, st.sampled_from([1, 2, 7, "person"]), n, 1),
        bbox_xywh=box,
        bbox_source=box_source,
        area=area,
        area_source=np.where(np.isnan(np.array(area, float)), 0, area_source),
        head_box=head_box,
        track_id=_column(draw, st.none() | _ids, n, None),
        score=_column(draw, st.floats(-1, 2, allow_subnormal=False), n, np.nan),
        is_crowd=_column(draw, st.booleans(), n, False),
        extras=_fields(draw, extras, n),
        meta={name: draw(values) for name, values in meta.items() if draw(st.booleans())},
    )
    return restrict(whole, keeps) if cut else whole


@st.composite
def _image_tables(draw: st.DrawFn, extras: Fields) -> ImageTable:
    m = draw(st.integers(0, 4))
    paths, sizes = [], []
    for number in range(m):
        folder, stem = draw(st.sampled_from(_FOLDERS)), draw(st.sampled_from(_STEMS))
        # The number keeps two images from differing in nothing but folder or ending.
        paths.append(f"{folder}{stem}{number}{draw(st.sampled_from(_ENDINGS))}")
        sizes.append(draw(st.tuples(st.integers(1, 9000), st.integers(1, 9000)) | st.just((-1, -1))))
    return ImageTable.build(
        id=_unique_ids(draw, m),
        path=paths,
        width=[width for width, _ in sizes],
        height=[height for _, height in sizes],
        split=_column(draw, st.sampled_from(["", "train", "val", "test", "fold 1"]), m, ""),
        extras=_fields(draw, extras, m),
    )


def _joints(draw: st.DrawFn, n: int, k: int) -> tuple[NDArray[np.float64], NDArray[np.uint8], NDArray[np.bool_]]:
    """Flags and coordinates from few draws: bytes choose among the five legal states and a handful of numbers."""
    numbers = np.array(draw(st.lists(_coordinates, min_size=1, max_size=8)))
    raw = np.frombuffer(draw(st.binary(min_size=3 * n * k, max_size=3 * n * k)), np.uint8).reshape(n, k, 3)
    states = np.array([(0, False), (2, False), (1, False), (1, True), (0, True)], np.uint8)[raw[..., 0] % 5]
    visibility, truncated = states[..., 0], states[..., 1].astype(bool)
    xy = numbers[raw[..., 1:] % len(numbers)]
    return np.where(visibility[..., None] > 0, xy, np.nan), visibility, truncated


def _boxes(draw: st.DrawFn, n: int, *, always: bool) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """[n,4] boxes, some unknown unless `always`, and the rule that made each."""
    box = st.tuples(_coordinates, _coordinates, _lengths, _lengths)
    unknown = (np.nan,) * 4
    rows = draw(st.lists(box if always else box | st.just(unknown), min_size=n, max_size=n)) if n else []
    if not always and not draw(st.booleans()):
        rows = [unknown] * n
    boxes = np.array(rows, np.float64).reshape(n, 4)
    source = np.array(_column(draw, st.integers(1, len(BBOX_SOURCES) - 1), n, 1), np.uint8)
    return boxes, np.where(np.isnan(boxes[:, 0]), 0, source).astype(np.uint8)


def _unique_ids(draw: st.DrawFn, n: int) -> list[int | str] | None:
    """None (1..n), or unique ids; never the text of a number, which a table of text cannot tell from the number."""
    if n == 0 or draw(st.booleans()):
        return None
    return draw(st.lists(_ids.filter(_clear), min_size=n, max_size=n, unique_by=str))


def _clear(one: int | str) -> bool:
    return isinstance(one, int) or (one.strip() == one and not any(letter.isnumeric() for letter in one))


def _column(draw: st.DrawFn, values: st.SearchStrategy[Any], n: int, missing: Any) -> list[Any]:
    """n values, some of them missing; often all of them."""
    if n == 0 or not draw(st.booleans()):
        return [missing] * n
    return draw(st.lists(values | st.just(missing), min_size=n, max_size=n))


def _fields(draw: st.DrawFn, fields: Fields, n: int) -> dict[str, list[Any]]:
    columns = {name: _column(draw, st.none() | values, n, None) for name, values in fields.items()}
    return {name: values for name, values in columns.items() if any(one is not None for one in values)}
