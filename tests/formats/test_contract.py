"""Every built-in format, in every variant, keeps the public contract."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from kpkit import registry
from kpkit.core.dataset import Dataset
from kpkit.formats.base import ReadOptions
from kpkit.testing import FormatContract


class TestCoco(FormatContract):
    format_name = "coco"


class TestCocoInLittleMemory(FormatContract):
    format_name = "coco"

    def options(self, dataset: Dataset) -> ReadOptions:
        return replace(super().options(dataset), low_memory=True)


class TestNative(FormatContract):
    format_name = "native"
    file_name = "labels.kpk"


class TestSix2Json(FormatContract):
    format_name = "six2"
    file_name = "labels.six2.json"
    ordered = False


class TestSix2Csv(FormatContract):
    format_name = "six2"
    file_name = "labels.csv"
    ordered = False
    self_delimiting = False


class TestYoloPose(FormatContract):
    format_name = "yolo-pose"
    ordered = False
    needs_box = True


class TestMpiiJson(FormatContract):
    format_name = "mpii"
    file_name = "labels.json"
    ordered = False


class TestMpiiMat(FormatContract):
    format_name = "mpii"
    file_name = "labels.mat"
    ordered = False
    # Every reading starts a process.
    share = 0.2
    cuts = 12

    def any_datasets(self) -> st.SearchStrategy[Dataset]:
        # Numbers of more decimals than declared may survive all the same, and only those that do not are counted, which
        # test_mpii_mat_write.py looks at.
        whole = super().any_datasets()
        return whole.map(lambda one: one.replace(xy=np.round(one.xy, 9), head_box=np.round(one.head_box, 9)))


def test_every_built_in_format_runs_through_the_contract() -> None:
    tested = {one.format_name for one in globals().values() if isinstance(one, type) and hasattr(one, "format_name")}
    every = registry.names(registry.FORMATS)
    assert {name for name in every if registry.distribution_of(registry.FORMATS, name) == "kpkit"} <= tested
