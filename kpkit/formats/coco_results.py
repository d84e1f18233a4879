"""COCO result lists: detections with a score a person and a score a joint instead of flags."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kpkit.core import catalog
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.report import Collector
from kpkit.core.skeleton import Skeleton
from kpkit.core.table import as_ids
from kpkit.errors import RecordError, UsageError
from kpkit.formats.base import ReadOptions
from kpkit.formats.coco_columns import BLOCK, ColumnReader, Row, first_row
from kpkit.formats.coco_parse import Parsed, fields_of
from kpkit.formats.coco_read import columns_as_read, lookup
from kpkit.formats.jsonrows import MemoryRows, RowSource


def read_results(parsed: Parsed, path: Path, options: ReadOptions, collector: Collector) -> Dataset:
    """Detections as a dataset: every joint with finite coordinates is visible, images are known by id only.

    The joints are those of --skeleton, or COCO-17 where a detection has 51 numbers.
    """
    skeleton = options.skeleton or _guess(parsed, path, collector)
    reader = ColumnReader(path, skeleton.keypoints, results=True, collector=collector, capacity=len(parsed.rows))
    for start in range(0, len(parsed.rows), BLOCK):
        reader.add(parsed.rows[start : start + BLOCK])
    columns = reader.finish()
    ids = as_ids(list(dict.fromkeys(columns["image_id"].tolist())))
    images = ImageTable.build(id=ids, path=[""] * len(ids))
    n = reader.n
    dataset = Dataset.build(
        skeleton=skeleton,
        images=images,
        image_index=lookup(ids, columns["image_id"]),
        xy=columns["xy"],
        visibility=columns["visibility"],
        instance_id=columns["id"],
        category_id=columns["category_id"],
        bbox_xywh=columns["bbox"],
        area=columns["area"],
        score=columns["score"],
        is_crowd=columns["is_crowd"],
        track_id=columns["track_id"],
    )
    every = np.arange(n)
    source = RowSource(
        top=b"[]",
        variant="results",
        rows=MemoryRows(parsed.buffer, parsed.rows),
        image_rows=MemoryRows(b"", []),
        row_of=every,
        image_row_of=np.full(len(ids), -1, np.int64),
        columns=columns_as_read(dataset, np.ones(n, bool)),
        image_columns={"id": images.id},
        image_of=dataset.image_index,
        skeleton=skeleton,
    )
    return dataset.replace(source=source)


def _guess(parsed: Parsed, path: Path, collector: Collector) -> Skeleton:
    if not parsed.rows:
        return catalog.skeleton("coco17")
    first: Row = first_row(path, parsed.rows)
    if not isinstance(first.keypoints, list):
        raise RecordError(
            "the first detection has no keypoints",
            code="KP-COCO-RESULTS",
            place=f"{path}: [0]",
            expected="a field 'keypoints'",
            got=fields_of(parsed.rows[0]),
            help="boxes alone are no keypoint results",
        )
    if len(first.keypoints) == 51:
        collector.note("KP-COCO-RESULTS-17", "detections of 51 numbers are read as COCO-17", place=str(path))
        return catalog.skeleton("coco17")
    raise UsageError(
        "a result list does not name its joints",
        code="KP-COCO-RESULTS",
        place=f"{path}: [0].keypoints",
        expected="51 numbers (COCO-17)",
        got=f"{len(first.keypoints)} numbers",
        help="say what the joints are with --skeleton NAME",
    )
