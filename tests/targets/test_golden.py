"""Arrays that the reference implementations made are made again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kpkit.core import catalog
from kpkit.core.skeleton import Skeleton
from kpkit.targets import kernels
from kpkit.targets.make import make_codec

SIZES = {"256x192": ((256, 192), (64, 48)), "384x288": ((384, 288), (96, 72))}
COCO = catalog.skeleton("coco17")

sizes = pytest.mark.parametrize("size", SIZES)


@pytest.fixture(scope="module")
def golden(real_data: Path) -> dict[str, np.ndarray]:
    with np.load(real_data / "golden" / "golden.npz") as arrays:
        return dict(arrays)


@pytest.fixture(params=["numba", "numpy"], autouse=True)
def _backend(request):
    if request.param == "numba" and kernels.available() != "numba":
        pytest.skip("numba is not installed")
    with kernels.use(request.param):
        yield


def codec(name, size, **parameters):
    return make_codec(name, COCO, *SIZES[size], **parameters)


def inputs(golden, size):
    xy, visible = golden[f"{size}/keypoints"].astype(float), golden[f"{size}/visible"]
    visibility = np.where(visible > 0, 2, 0).astype(np.uint8)
    return np.where((visibility > 0)[..., None], xy, np.nan), visibility


def check(golden, size, reference, ours, maps=2e-6, scale=1.0):
    arrays, weights = ours.encode(*inputs(golden, size))
    np.testing.assert_array_equal(weights, golden[f"{size}/{reference}/weights"])
    error = np.abs(arrays["heatmaps"] - golden[f"{size}/{reference}/heatmaps"]).max()
    assert error <= maps


def check_decoded(golden, size, reference, ours, scores=1e-6):
    xy, found = ours.decode({"heatmaps": golden[f"{size}/{reference}/heatmaps"]})
    weighted = golden[f"{size}/{reference}/weights"] > 0
    error = np.abs(xy - golden[f"{size}/{reference}/decoded"])[weighted].max()
    assert error <= 1e-4
    np.testing.assert_allclose(found[weighted], golden[f"{size}/{reference}/scores"][weighted], atol=scores)
    assert np.isfinite(xy).all()
    assert np.isfinite(found).all()


@sizes
@pytest.mark.parametrize("reference", ["hrnet", "msra"])
def test_msra_compat_is_the_references(golden, size, reference):
    check(golden, size, reference, codec("msra", size, compat="hrnet"))


@sizes
def test_msra_decodes_as_the_reference(golden, size):
    check_decoded(golden, size, "msra", codec("msra", size))


@sizes
def test_unbiased_is_the_references(golden, size):
    check(golden, size, "msra_unbiased", codec("unbiased", size))


@sizes
def test_unbiased_decodes_as_the_reference(golden, size):
    check_decoded(golden, size, "msra_unbiased", codec("unbiased", size))


@sizes
def test_udp_compat_is_the_references(golden, size):
    check(golden, size, "udp", codec("udp", size, compat="mmpose"), 3e-6)


@sizes
def test_udp_compat_decodes_as_the_reference(golden, size):
    check_decoded(golden, size, "udp", codec("udp", size, compat="mmpose"))


@sizes
def test_quarter_offset_is_hrnets(golden, size):
    (h, w), (H, W) = SIZES[size]
    xy, scores = codec("msra", size, decoder="quarter").decode({"heatmaps": golden[f"{size}/decode/heatmaps"]})
    cells = xy * (W / w, H / h)
    np.testing.assert_allclose(cells, golden[f"{size}/decode/hrnet_quarter_offset"], atol=1e-5)
    np.testing.assert_allclose(scores, golden[f"{size}/decode/maxvals"], atol=1e-7)


@sizes
def test_megvii_is_the_references(golden, size):
    check(golden, size, "megvii", codec("megvii", size, compat="mmpose"), 1e-3)


@sizes
def test_megvii_stays_within_its_stated_range(golden, size):
    high = codec("megvii", size).spec()["heatmaps"].high
    assert golden[f"{size}/megvii/heatmaps"].max() <= high < 340


@sizes
def test_megvii_compat_decodes_as_the_reference(golden, size):
    check_decoded(golden, size, "megvii", codec("megvii", size, compat="mmpose"), 1e-5)


@sizes
@pytest.mark.parametrize(("reference", "target"), [("simcc", "gaussian"), ("simcc_standard", "standard")])
def test_simcc_is_the_references(golden, size, reference, target):
    arrays, weights = codec("simcc", size, target=target).encode(*inputs(golden, size))
    np.testing.assert_array_equal(weights, golden[f"{size}/{reference}/weights"])
    for axis in "xy":
        np.testing.assert_allclose(arrays[f"simcc_{axis}"], golden[f"{size}/{reference}/{axis}"], rtol=0, atol=2e-6)


def test_paf_is_the_references(golden):
    labelled, limbs = golden["paf/labelled"], golden["paf/limbs"]
    names = tuple(f"joint{index}" for index in range(labelled.shape[1]))
    skeleton = Skeleton("openpose18", names, edges=tuple(map(tuple, limbs.tolist())))
    ours = make_codec("paf", skeleton, (368, 368), (46, 46), thickness=float(golden["paf/thickness_cells"]))
    xy = np.where(labelled[..., None], golden["paf/keypoints"], np.nan)
    arrays, weights = ours.encode(xy, labelled.astype(np.uint8))
    np.testing.assert_array_equal(weights, labelled)
    np.testing.assert_allclose(arrays["pafs"], golden["paf/maps"], rtol=0, atol=2e-6)
