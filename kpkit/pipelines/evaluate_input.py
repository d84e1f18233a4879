"""Reading for `eval`: ground truth made ready, and predictions brought onto its images, joints and categories."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core import boxes
from kpkit.core.dataset import AREA_BBOX, Dataset, known_rows
from kpkit.core.report import Collector
from kpkit.core.skeleton import Skeleton
from kpkit.errors import InputError, UsageError
from kpkit.formats import mpii_scores
from kpkit.formats.base import ReadOptions
from kpkit.formats.jsonrows import RowSource
from kpkit.formats.segmentation import segmentation_areas
from kpkit.pipelines.find import find_input
from kpkit.pipelines.io import read_with
from kpkit.pipelines.load import LabelSource, load_labels
from kpkit.pipelines.sigmas import read_sigmas
from kpkit.qa.match import By, match_images

NAMED = 5
PAD = 0.25


@dataclass(frozen=True)
class Sides:
    """Ground truth and predictions on the same joints and categories.

    truth     as it was read
    found     [N] predictions      image_of  [N]  int64  row in the images of `truth`
    by        how persons may be matched: ids mean something only where the predictions have them
    """

    truth_path: Path
    found_path: Path
    truth: Dataset
    found: Dataset
    image_of: NDArray[np.int64]
    by: By

    @staticmethod
    def facts(path: Path, data: Dataset) -> dict[str, Any]:
        """What was read, in a few words."""
        return {
            "path": str(path),
            "skeleton": data.skeleton.name,
            "images": len(data.images),
            "persons": len(data),
            "crowds": int(data.is_crowd.sum()),
        }


def load_sides(truth: LabelSource, found: LabelSource, sigmas: str, skip_unknown: bool, collector: Collector) -> Sides:
    """Read both; raises UsageError and InputError where they do not belong together."""
    truth_path, labels = _truth(truth, collector)
    if sigmas:
        labels = labels.replace(skeleton=read_sigmas(sigmas, labels.skeleton))
    found_path, predictions, by = _found(found, labels, collector)
    if not len(predictions):
        raise InputError("there are no predictions in this file", code="KP-EVAL-EMPTY", place=str(found_path))
    if not len(labels):
        raise InputError("there are no persons in the ground truth", code="KP-EVAL-EMPTY", place=str(truth_path))
    predictions = _onto_joints(predictions, labels.skeleton, found_path)
    predictions, image_of = _onto_images(predictions, labels, found_path, skip_unknown, collector)
    predictions = _onto_categories(predictions, labels, found_path, collector)
    return Sides(truth_path, found_path, labels, predictions, image_of, by)


def _truth(where: LabelSource, collector: Collector) -> tuple[Path, Dataset]:
    if where.input is not None and not where.from_ and mpii_scores.is_truth(where.input):
        return where.input, mpii_scores.read_truth(where.input)
    loaded = load_labels(where, collector)
    return loaded.path, loaded.dataset


def _found(where: LabelSource, truth: Dataset, collector: Collector) -> tuple[Path, Dataset, By]:
    if where.input is not None and not where.from_ and mpii_scores.is_array_file(where.input):
        return where.input, mpii_scores.read_predictions(where.input, truth), "id"
    path, source = find_input(where.input, where.from_, where.folder)
    if source.name == "coco" and source.sniff(path) == "COCO results":
        # A result list has the joints of the ground truth it was made for, and its persons have no ids.
        skeleton = truth.skeleton
        return path, read_with(source, path, ReadOptions(skeleton=skeleton), collector), "position"
    loaded = load_labels(where, collector)
    has_ids = loaded.format.keeps_for(loaded.path).instance_id
    return loaded.path, loaded.dataset, "auto" if has_ids else "position"


def _onto_joints(found: Dataset, skeleton: Skeleton, path: Path) -> Dataset:
    """Predictions on the joints of the ground truth, by name; more joints than that are left out."""
    if found.skeleton.same_joints(skeleton):
        return found.replace(skeleton=skeleton, source=None)
    missing = [name for name in skeleton.keypoints if name not in found.skeleton.keypoints]
    if missing:
        raise UsageError(
            f"the predictions are of skeleton '{found.skeleton.name}', the ground truth of '{skeleton.name}'",
            code="KP-EVAL-SKELETON",
            place=str(path),
            expected=f"the {len(skeleton)} joints of {skeleton.name}",
            got=f"{len(found.skeleton)} joints, without " + ", ".join(missing),
            help=f"bring one onto the joints of the other: kpkit convert ... --skeleton {skeleton.name}",
        )
    order = [found.skeleton.index(name) for name in skeleton.keypoints]
    return found.replace(
        skeleton=skeleton,
        xy=found.xy[:, order],
        visibility=found.visibility[:, order],
        truncated=found.truncated[:, order],
        source=None,
    )


def _onto_images(
    found: Dataset, truth: Dataset, path: Path, skip: bool, collector: Collector
) -> tuple[Dataset, NDArray[np.int64]]:
    pairs, _ = match_images(truth.images, found.images)
    row_of = np.full(len(found.images), -1, np.int64)
    row_of[pairs[:, 1]] = pairs[:, 0]
    image_of = row_of[found.image_index]
    unknown = image_of < 0
    if unknown.any():
        rows = np.unique(found.image_index[unknown])
        names = [found.images.path[row] or str(found.images.id[row]) for row in rows[:NAMED]]
        if not skip or unknown.all():
            raise InputError(
                f"predictions of {len(rows):,} images that the ground truth does not have",
                code="KP-EVAL-IMAGE",
                place=str(path),
                expected="images of the ground truth, by path or id",
                got=", ".join(names) + (", ..." if len(rows) > NAMED else ""),
                help="" if unknown.all() else "leave them out with --skip-unknown",
            )
        collector.issue(
            "KP-EVAL-IMAGE",
            "predictions of images that the ground truth does not have were left out",
            count=int(unknown.sum()),
            places=names,
        )
    return found.take(~unknown), image_of[~unknown]


def _onto_categories(found: Dataset, truth: Dataset, path: Path, collector: Collector) -> Dataset:
    """Categories are compared by id; where each side has one only, they are the same."""
    ours, theirs = set(truth.category_id.tolist()), set(found.category_id.tolist())
    if ours >= theirs:
        return found
    if len(ours) == len(theirs) == 1:
        collector.note("KP-EVAL-CATEGORY", f"category {theirs.pop()} of the predictions is taken for {ours.pop()}")
        return found.replace(category_id=np.full(len(found), truth.category_id[0], truth.category_id.dtype))
    if not ours & theirs:
        raise InputError(
            "the predictions are of other categories than the ground truth",
            code="KP-EVAL-CATEGORY",
            place=str(path),
            expected=", ".join(sorted(map(str, ours))[:NAMED]),
            got=", ".join(sorted(map(str, theirs))[:NAMED]),
        )
    other = np.array([name not in ours for name in found.category_id.tolist()])
    collector.issue(
        "KP-EVAL-CATEGORY",
        "predictions of categories that the ground truth does not have do not count",
        place=str(path),
        count=int(other.sum()),
    )
    return found


def with_boxes_and_areas(truth: Dataset, path: Path, collector: Collector) -> Dataset:
    """Ground truth with boxes and areas: OKS divides by the area, and ignored persons are known by their box."""
    areas = np.full(len(truth), np.nan)
    missing = np.flatnonzero(np.isnan(truth.area))
    if isinstance(truth.source, RowSource) and len(missing):
        areas[missing] = segmentation_areas(truth.source, missing)
    boxed = boxes.with_boxes(truth, "auto", PAD)
    made = boxes.with_areas(boxed, areas)
    count = int((~known_rows(truth.bbox_xywh) & known_rows(made.bbox_xywh)).sum())
    collector.note("KP-BOX-MADE", f"boxes made from the joints (hull + {PAD:.0%})", place=str(path), count=count)
    count = int((np.isnan(truth.area) & (made.area_source == AREA_BBOX)).sum())
    collector.note("KP-AREA-MADE", "areas made: 0.53 x box", place=str(path), count=count)
    nowhere = ~known_rows(made.bbox_xywh) | np.isnan(made.area)
    collector.issue(
        "KP-EVAL-NOWHERE",
        "persons with neither joints nor a box do not count",
        place=str(path),
        count=int(nowhere.sum()),
    )
    return made.take(~nowhere)
