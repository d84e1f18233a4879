"""What was encoded is decoded to within what the codec can hold, at 256x192 with cells of 4 pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpkit.targets import decoders
from kpkit.targets.make import make_codec
from tests.targets.strategies import COCO

SIZE = (256, 192)
seeds = st.integers(0, 2**32)

# Codec, parameters, pixels from the border from which the bound holds, and the bound in pixels along each axis.
BOUNDS = {
    "msra argmax: half a cell": ("msra", {"decoder": "argmax"}, 2, 2.0),
    "msra quarter: half a cell": ("msra", {"decoder": "quarter"}, 2, 2.0),
    "msra adaptive: half a cell": ("msra", {"sigma": "adaptive"}, 2, 2.0),
    "unbiased argmax: half a cell": ("unbiased", {"decoder": "argmax"}, 2, 2.0),
    "unbiased quarter: a quarter of a cell": ("unbiased", {"decoder": "quarter"}, 16, 1.0),
    "unbiased dark: to numbers, six cells from the border": ("unbiased", {"decoder": "dark"}, 24, 0.003),
    "udp: to numbers, six cells from the border": ("udp", {}, 24, 0.001),
    "udp adaptive: to numbers": ("udp", {"sigma": "adaptive"}, 32, 0.003),
    "udp combined: to numbers, up to the border": ("udp", {"target": "combined"}, 0, 1e-3),
    "megvii: half a cell": ("megvii", {}, 24, 2.0),
    "megvii argmax: half a cell": ("megvii", {"decoder": "argmax"}, 24, 2.0),
    "simcc: half a part of a pixel, up to the border": ("simcc", {}, 0, 0.25),
    "simcc standard: half a part of a pixel, up to the border": ("simcc", {"target": "standard"}, 0, 0.25),
    "bottomup: to numbers": ("bottomup", {}, 24, 0.001),
    "paf: two and a half cells": ("paf", {}, 16, 10.0),
}


def persons(seed, border=0.0, n=3, size=SIZE):
    xy = np.random.default_rng(seed).uniform(border, np.array(size[::-1]) - 1 - border, (n, 17, 2))
    return xy, np.full((n, 17), 2, np.uint8)


@pytest.mark.parametrize("bound", BOUNDS)
@given(seed=seeds)
def test_decoding_gives_the_joints_back_within_the_codecs_bound(bound, seed):
    name, parameters, border, most = BOUNDS[bound]
    # Points nearer to the far edge than half a cell have no cell of their own.
    xy, visibility = persons(seed, border)
    codec = make_codec(name, COCO, SIZE, **parameters)
    found, scores = codec.decode(codec.encode(xy, visibility)[0])
    assert np.abs(found - xy).max() <= most + 1e-9
    assert (scores > 0).all()


@pytest.mark.parametrize("name", ["msra", "unbiased", "udp", "megvii", "simcc", "paf", "bottomup"])
@pytest.mark.parametrize("decoder", ["argmax", "quarter", "dark", "dark-udp", "megvii", None])
def test_nothing_gives_score_0_and_no_nan(name, decoder):
    codec = make_codec(name, COCO, SIZE)
    if decoder is not None and decoder not in getattr(codec, "decoder_names", ()):
        return
    codec = codec if decoder is None else make_codec(name, COCO, SIZE, decoder=decoder)
    empty = {key: np.zeros((2, *spec.shape), np.float32) for key, spec in codec.spec().items()}
    xy, scores = codec.decode(empty)
    assert np.isfinite(xy).all()
    assert not scores.any()
    assert xy.shape == (2, 17, 2)
    assert scores.shape == (2, 17)


@given(seed=seeds)
def test_the_source_is_where_the_matrix_came_from(seed):
    rng = np.random.default_rng(seed)
    turn = rng.uniform(0, 2 * np.pi, 4)
    size = rng.uniform(0.2, 5.0, (4, 1, 1))
    linear = size * np.stack([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]).transpose(2, 0, 1)
    affine = np.concatenate([linear, rng.normal(size=(4, 2, 1)) * 100.0], axis=2)
    source = rng.uniform(-500, 500, (4, 17, 2))
    there = np.einsum("nij,nkj->nki", affine[..., :2], source) + affine[:, None, :, 2]
    np.testing.assert_allclose(decoders.to_source(there, affine), source, atol=1e-9)


def test_scores_are_the_maxima():
    codec = make_codec("msra", COCO, SIZE)
    xy, visibility = persons(1, 16)
    maps = codec.encode(xy, visibility)[0]["heatmaps"] * np.float32(0.5)
    np.testing.assert_allclose(codec.decode({"heatmaps": maps})[1], 0.5)


def test_udp_without_its_references_scaling_is_nearer():
    xy, visibility = persons(1, 24)
    ours, theirs = (make_codec("udp", COCO, SIZE, compat=compat) for compat in (None, "mmpose"))
    arrays, _ = ours.encode(xy, visibility)
    near, far = (np.linalg.norm(codec.decode(arrays)[0] - xy, axis=-1).mean() for codec in (ours, theirs))
    assert near < 0.01
    assert far > 0.3
