"""MPII Human Pose: the official MATLAB file and HRNet's json, told apart by content.

Stored: 1-based pixels, 16 joints in a fixed order. The .mat file says occluded or visible, the json only labelled or
not.
docs/formats/mpii.md is the data sheet.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from kpkit.core import catalog
from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector, Loss
from kpkit.core.table import as_column
from kpkit.errors import UsageError
from kpkit.formats.base import Format, Keeps, ReadOptions, WriteOptions

HEAD = 1 << 16
HRNET_FILES = ("train", "valid", "test")
_FIRST = re.compile(rb"\[\s*\{")
_POSITION = (b'"image"', b'"scale"', b'"center"')
_JSON_EXTRAS = frozenset({"scale", "objpos", "unlabelled_xy", "json_other", "raw_xy", "raw_head_box"})
_MAT_EXTRAS = frozenset({"annolist_index", "person_index", "scale", "objpos", "single_person", "visible_unknown"})
_MAT_EXTRAS |= {"raw_xy", "raw_head_box", "other", "rows", "vididx", "frame_sec", "act", "video_list", "version"}


class MpiiFormat(Format):
    """Reads .mat (RELEASE or a bare annolist) and HRNet json; writes json, or .mat where the output ends in .mat."""

    name: ClassVar[str] = "mpii"
    title: ClassVar[str] = "MPII Human Pose (.mat and HRNet json)"
    default_output: ClassVar[str] = "annot/mpii.json"
    suffixes: ClassVar[tuple[str, ...]] = (".json", ".mat")
    usual: ClassVar[tuple[str, ...]] = (
        "mpii_human_pose_v1_u12_1.mat",
        "*/mpii_human_pose_v1_u12_1.mat",
        "annot/*.json",
    )
    fixed_joints: ClassVar[bool] = True
    keeps: ClassVar[Keeps] = Keeps(
        skeletons=("mpii16",),
        visibility=frozenset({0, 2}),
        decimals=4,
        bbox=False,
        area=False,
        image_size=False,
        empty_images=False,
    )
    mat_keeps: ClassVar[Keeps] = Keeps(
        skeletons=("mpii16",), decimals=9, bbox=False, area=False, head_box=True, split=True, image_size=False
    )

    def sniff(self, path: Path) -> str | None:
        """The .mat by the names of its variables, the json by the fields of its first person."""
        try:
            with path.open("rb") as stream:
                head = stream.read(HEAD)
            if head.startswith(b"MATLAB 5.0 MAT-file"):
                return self._sniff_mat(path)
        except OSError:
            return None
        if head.startswith(b"MATLAB 7.3 MAT-file"):
            return "MPII .mat (version 7.3)" if b"RELEASE" in head or b"annolist" in head else None
        text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if _FIRST.match(text) and (b'"joints_vis"' in text or all(name in text for name in _POSITION)):
            return "MPII HRNet json"
        if text.rstrip() == b"[]":
            return "MPII HRNet json (no persons)"
        return None

    def read(self, path: Path, options: ReadOptions, collector: Collector) -> Dataset:
        """Read one file; by content, so that the name's ending does not matter."""
        from kpkit.guard import read_bytes

        head = read_bytes(path, limit=8)
        if head.startswith(b"MATLAB") or head == b"\x89HDF\r\n\x1a\n" or path.suffix.lower() == ".mat":
            from kpkit.formats.mpii_mat import read_mat

            return read_mat(path, options, collector)
        from kpkit.formats.mpii_json import read_json

        dataset = read_json(path, options, collector)
        if path.stem not in HRNET_FILES:
            return dataset
        # HRNet tells its splits by the names of its files.
        split = as_column([path.stem] * len(dataset.images))
        return dataset.replace(images=replace(dataset.images, split=split))

    def together(self, found: list[Path]) -> list[Path]:
        """HRNet's annot/ folder is one dataset: train, valid and test; trainval.json repeats two of them."""
        names = {path.stem: path for path in found if path.parent.name == "annot"}
        if len(names) != len(found) or not names.keys() <= {*HRNET_FILES, "trainval"}:
            return []
        if {"train", "valid"} <= names.keys():
            names.pop("trainval", None)
        return [names[stem] for stem in (*HRNET_FILES, "trainval") if stem in names]

    def write(self, dataset: Dataset, path: Path, options: WriteOptions, collector: Collector) -> None:
        """Write .mat where the final name ends so, else json."""
        if not dataset.skeleton.same_joints(catalog.skeleton("mpii16")):
            raise UsageError(
                "MPII holds its own 16 joints only",
                code="KP-MPII-SKELETON",
                expected="skeleton mpii16",
                got=f"skeleton {dataset.skeleton.name}",
                help="convert to it with --skeleton mpii16",
            )
        if _is_mat(options.final):
            from kpkit.formats.mpii_mat_write import write_mat

            write_mat(dataset, path, collector)
        else:
            from kpkit.formats.mpii_json import write_json

            write_json(dataset, path, collector)

    def keeps_for(self, final: Path) -> Keeps:
        """The .mat file keeps more than the json."""
        return self.mat_keeps if _is_mat(final) else self.keeps

    def losses(self, dataset: Dataset, final: Path) -> list[Loss]:
        """What is lost. Of MPII's own fields each variant keeps some; coordinates are compared as they are stored."""
        from kpkit.formats.mpii_position import inexact

        mat = _is_mat(final)
        kept = {"coordinates", *(f"mpii.{name}" for name in (_MAT_EXTRAS if mat else _JSON_EXTRAS))}
        found = [loss for loss in super().losses(dataset, final) if loss.what not in kept]
        decimals = self.keeps_for(final).decimals or 0
        count = inexact(dataset, decimals, rounded=not mat)
        if count:
            why = "counted from 1 the last digits may change" if mat else "values are rounded"
            found.append(Loss("coordinates", count, f"the format has {decimals} decimals; {why}"))
        return found if mat else found + _rounded_scales(dataset)

    @staticmethod
    def _sniff_mat(path: Path) -> str | None:
        from kpkit.formats.mat5 import variable_names

        names = variable_names(path)
        if "RELEASE" in names:
            return "MPII .mat"
        return "MPII .mat (annolist)" if "annolist" in names else None


def _is_mat(final: Path) -> bool:
    return final.suffix.lower() == ".mat"


def _rounded_scales(dataset: Dataset) -> list[Loss]:
    column = dataset.extras.get("mpii.scale")
    if column is None:
        return []
    scales = np.array([np.nan if value is None else value for value in column], np.float64)
    with np.errstate(over="ignore"):  # what overflows in rounding differs, which is all that is asked
        count = int(np.count_nonzero(np.isfinite(scales) & (np.round(scales, 6) != scales)))
    return [Loss("mpii.scale", count, "the format has 6 decimals; values are rounded")] if count else []
