"""Real pictures with real labels: four of COCO, five of MPII."""

from __future__ import annotations

import numpy as np
import pytest

from kpkit.augment import back
from kpkit.augment.recipe import Recipe, preset
from kpkit.core.catalog import skeleton
from kpkit.pipelines.augment import AugmentJob, run
from kpkit.pipelines.io import read
from tests.augment_data import read_picture, rows

SETS = {
    "coco": ("coco/mmpose_test_coco.json", "images/coco", 14, 4),
    "mpii": ("mpii/hrnet_test_mpii.json", "images/mpii", 5, 5),
}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("recipe", ["six2", "hrnet"])
def test_real_joints_map_back_and_are_covered_exactly_where_the_mask_is(real_data, tmp_path, name, recipe):
    labels, images, persons, pictures = SETS[name]
    path, folder = real_data / "data" / labels, real_data / "data" / images
    job = AugmentJob(
        input=path,
        images=folder,
        output=tmp_path / "out",
        to="native",
        copies=2,
        preview=tmp_path / "sheet.png",
        recipe=preset(recipe).with_changes(occlusion=0.3),
    )
    report = run(job)
    assert report.failures == []
    source, out = read(path), read(tmp_path / "out" / "dataset.kpk")
    found = rows(tmp_path / "out")
    assert len(out) == len(found) == 2 * persons
    assert len(out.images) == 2 * (persons if recipe == "hrnet" else pictures)
    flip = skeleton("coco17" if name == "coco" else "mpii16").flip_index
    before = dict(zip(source.instance_id.tolist(), source.xy, strict=True))
    for row, xy, flags in zip(found, out.xy, out.visibility, strict=True):
        expected = before[row["source_instance_id"]]
        expected = expected[flip] if row["mirrored"] else expected
        labelled = flags > 0
        np.testing.assert_allclose(back(xy, row)[labelled], expected[labelled], rtol=0, atol=1e-6)
        assert labelled.sum() + len(row["left_frame"]) == np.isfinite(expected).all(axis=1).sum()
        if row["mask"]:
            mask = read_picture(tmp_path / "out" / row["mask"])[..., 0]
            pixel = np.floor(xy[labelled] + 0.5).astype(int)
            hidden = mask[pixel[:, 1], pixel[:, 0]] > 0
            assert (flags[labelled][hidden] == 1).all()
            assert len(row["occluded_by"]) == hidden.sum()


def test_real_pictures_are_the_same_for_two_workers(real_data, tmp_path):
    labels, images, _, _ = SETS["coco"]
    recipe = Recipe(rotation=(-30.0, 30.0), flip=0.5, occlusion=(0.2, 0.4), occlusion_fill="patch")
    for workers in (1, 2):
        run(
            AugmentJob(
                input=real_data / "data" / labels,
                images=real_data / "data" / images,
                output=tmp_path / str(workers),
                recipe=recipe,
                workers=workers,
            )
        )
    one, two = ({f.name: f.read_bytes() for f in (tmp_path / n).rglob("*") if f.is_file()} for n in "12")
    assert len(one) == 10
    assert one == two
