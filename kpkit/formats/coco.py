"""COCO person keypoints: ground truth files and result lists.

Stored: 0-based pixels, visibility 0/1/2 as in the canonical schema, `[x, y, v]` a joint. What COCO has no field for
(truncated joints, head boxes, which rule made a box, other formats' fields) stands under a key `kpkit` of the row,
which COCO's own tools pass over. A row whose labels did not change is written back byte for byte.

Result lists hold scores where ground truth holds flags; coordinates are read as visible.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import ClassVar

from kpkit.core.dataset import Dataset
from kpkit.core.partition import PartSource, PartWriter
from kpkit.core.report import Collector, Loss
from kpkit.formats.base import Format, Keeps, ReadOptions, WriteOptions
from kpkit.formats.coco_cut import cut
from kpkit.formats.coco_nan import has_nan
from kpkit.formats.coco_parse import Parsed, parse_text, read_text
from kpkit.formats.coco_read import read_ground_truth
from kpkit.formats.coco_results import read_results
from kpkit.formats.coco_write import write_file
from kpkit.formats.jsonrows import RowSource
from kpkit.formats.jsonspans import GuessError

HEAD = 1 << 16
# Bytes from which on a file is read part by part where that is possible.
LARGE = 256 << 20
_LIST = re.compile(rb'"(?:images|annotations)"\s*:\s*\[')


class CocoFormat(Format):
    """Reads and writes COCO files."""

    name: ClassVar[str] = "coco"
    title: ClassVar[str] = "COCO person keypoints (ground truth and result files)"
    default_output: ClassVar[str] = "annotations/person_keypoints_default.json"
    suffixes: ClassVar[tuple[str, ...]] = (".json",)
    usual: ClassVar[tuple[str, ...]] = (
        "annotations/person_keypoints_*.json",
        "annotations/*keypoints*.json",
        "person_keypoints_*.json",
    )
    foreign_skeleton: ClassVar[str] = "coco17"
    makes_boxes: ClassVar[bool] = True
    keeps: ClassVar[Keeps] = Keeps(
        truncated=True,
        bbox_source=True,
        head_box=True,
        track_id=True,
        score=True,
        is_crowd=True,
        split=True,
        instance_id=True,
        category_id=True,
        image_id=True,
        extras=("*",),
    )

    def sniff(self, path: Path) -> str | None:
        """COCO by its top-level arrays, results by the fields of the first detection."""
        try:
            with path.open("rb") as stream:
                head = stream.read(HEAD)
        except OSError:
            return None
        text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if text.startswith(b"[") and b'"image_id"' in text and b'"joints_vis"' not in text:
            is_result = b'"keypoints"' in text and b'"keypoint_annotations"' not in text
            return "COCO results" if is_result else None
        if text.startswith(b"{") and _LIST.search(text) and b"kpkit-six2" not in text:
            return "COCO ground truth"
        return None

    def read(self, path: Path, options: ReadOptions, collector: Collector) -> Dataset:
        """Read one file; see coco_parse and coco_columns for what is refused."""
        if options.low_memory:
            from kpkit.formats.coco_stream import read_streamed

            return read_streamed(path, options, collector)
        buffer = read_text(path)
        guessed = cut(buffer)
        if guessed is not None:
            # What is noticed on the way counts only if the guess holds.
            noticed = Collector(collector.mode, places_kept=collector.places_kept)
            with contextlib.suppress(GuessError):
                dataset = _dataset(guessed, path, options, noticed)
                collector.take(noticed.issues)
                return dataset
        return _dataset(parse_text(buffer, path, collector), path, options, collector)

    def parts(self, path: Path, options: ReadOptions, collector: Collector, size: int = 0) -> PartSource | None:
        """A large ground truth, or any where a size is asked for."""
        try:
            large = path.stat().st_size >= LARGE
        except OSError:
            return None
        if not (large or size) or self.sniff(path) != "COCO ground truth":
            return None
        if collector.mode == "collect" and has_nan(path):
            # Only the ordinary reader can name each of them and read on.
            return None
        from kpkit.formats.coco_parts import DEFAULT_SIZE, CocoParts

        return CocoParts(path, options, collector, size or DEFAULT_SIZE)

    def write(self, dataset: Dataset, path: Path, options: WriteOptions, collector: Collector) -> None:
        """Write one file."""
        from kpkit import __version__

        write_file(dataset, path, __version__)

    def part_writer(self, path: Path, options: WriteOptions, scratch: Path) -> PartWriter | None:
        """Rows of each part first, then one file of all."""
        from kpkit import __version__
        from kpkit.formats.coco_part_write import CocoPartWriter

        return CocoPartWriter(path, scratch, __version__)

    def losses(self, dataset: Dataset, final: Path) -> list[Loss]:
        """What is lost beyond the declared limits: leftovers of joints that a new skeleton does not have."""
        found = super().losses(dataset, final)
        source = dataset.source
        if isinstance(source, RowSource) and not source.skeleton.same_joints(dataset.skeleton):
            if source.ghost_count():
                found.append(
                    Loss(
                        "coco.unlabelled_coordinates",
                        source.ghost_count(),
                        "coordinates on unlabelled joints stay only where the skeleton stays",
                    )
                )
            if source.variant == "results":
                found.append(Loss("coco.keypoint_scores", len(dataset), "scores of remapped joints are not known"))
        return found


def _dataset(parsed: Parsed, path: Path, options: ReadOptions, collector: Collector) -> Dataset:
    return (read_results if parsed.results else read_ground_truth)(parsed, path, options, collector)


__all__ = ["CocoFormat"]
