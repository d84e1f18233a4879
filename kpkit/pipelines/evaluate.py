"""`eval`: predictions held against ground truth."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset, known_rows
from kpkit.core.report import Collector, Issue
from kpkit.errors import UsageError
from kpkit.guard import check_free, publish
from kpkit.pipelines.evaluate_input import Sides, load_sides, with_boxes_and_areas
from kpkit.pipelines.load import LabelSource
from kpkit.qa.match import match
from kpkit.qa.oks_scores import Engine, oks_scores
from kpkit.qa.pck import Norm, Pairs, errors, pair, scales, shares

SCHEMA_VERSION = 1

Metric = Literal["auto", "oks", "pckh", "pck", "all"]
COLUMNS = ("metric", "joint", "visibility", "threshold", "value", "count")
PCKH_THRESHOLD, PCK_THRESHOLD = 0.5, 0.2
NORMS = {"pckh": "head size", "oks": "square root of the area"}


@dataclass(frozen=True, kw_only=True)
class EvalJob:
    """What to evaluate, and how.

    truth, found  labels and predictions; `found` may also be a .mat or .h5 file of MPII predictions
    metric        auto: PCKh where the ground truth has head boxes, else OKS; all: whatever can be computed
    thresholds    for pckh and pck, in their scale; none: 0.5 and 0.2
    norm          what PCK is relative to: the longer side of the box, or the torso
    sigmas        OKS sigmas as text, see kpkit.pipelines.sigmas      engine  what computes OKS scores
    skip_unknown  leave out predictions of images that the ground truth does not have
    csv           where the numbers are written, a row each          force  replace what is there
    """

    truth: LabelSource
    found: LabelSource
    metric: Metric = "auto"
    thresholds: tuple[float, ...] = ()
    norm: Literal["bbox", "torso"] = "bbox"
    sigmas: str = ""
    engine: Engine = "pycocotools"
    skip_unknown: bool = False
    csv: Path | None = None
    force: bool = False


@dataclass
class Evaluation:
    """The numbers, as plain data; a metric that was not asked for, or cannot be computed, is None.

    oks     COCO's ten numbers, 0 to 1; None for one without ground truth      pckh, pck  see kpkit.qa.pck.shares
    errors  see kpkit.qa.pck.errors, with what they are normalised by           left_out   metric: why it is not there
    """

    truth: dict[str, Any]
    found: dict[str, Any]
    matched: dict[str, int]
    oks: dict[str, Any] | None = None
    pckh: list[dict[str, Any]] | None = None
    pck: list[dict[str, Any]] | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    errors_by: str = ""
    left_out: dict[str, str] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)
    csv: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with the schema version."""
        return {"schema_version": SCHEMA_VERSION, **vars(self), "issues": [vars(issue) for issue in self.issues]}

    def rows(self) -> Iterator[dict[str, Any]]:
        """One row a number: metric, joint, visibility, threshold, value, count; for CSV."""
        for name, value in (self.oks or {}).get("values", {}).items():
            yield _row(name, value)
        for metric, tables in (("PCKh", self.pckh), ("PCK", self.pck)):
            for table in tables or []:
                at = table["threshold"]
                for one in table["joints"]:
                    yield _row(metric, one["pck"], one["labelled"], joint=one["joint"], threshold=at)
                    yield _row(f"{metric} AUC", one["auc"], one["labelled"], joint=one["joint"], threshold=at)
                for name in ("mean", "weighted_mean", "auc"):
                    yield _row(f"{metric} {name}", table[name], threshold=at)
        for one in self.errors:
            for name in ("mean_px", "median_px", "mean_normalised"):
                yield _row(
                    f"error {name}", one[name], one["predicted"], joint=one["joint"], visibility=one["visibility"]
                )


def run(job: EvalJob) -> Evaluation:
    """Read both sides and evaluate.

    Raises UsageError where a metric that was asked for cannot be computed, InputError where the predictions are not of
    this ground truth.
    """
    if job.csv is not None:
        check_free(job.csv, force=job.force, directory=False)
    collector = Collector()
    sides = load_sides(job.truth, job.found, job.sigmas, job.skip_unknown, collector)
    result = evaluate(sides, job, collector)
    result.issues = collector.issues
    if job.csv is not None:
        result.csv = str(job.csv)
        with (
            publish(job.csv, force=job.force) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as stream,
        ):
            writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(result.rows())
    return result


def evaluate(sides: Sides, job: EvalJob, collector: Collector) -> Evaluation:
    """The numbers of two sides that are read already."""
    _check(job)
    metrics = _metrics(job, sides.truth)
    if metrics != ["pckh"]:
        sides = replace(sides, truth=with_boxes_and_areas(sides.truth, sides.truth_path, collector))
    pairs, missed = _pairs(sides)
    result = Evaluation(
        truth=sides.facts(sides.truth_path, sides.truth),
        found=sides.facts(sides.found_path, sides.found),
        matched={
            "persons": len(pairs.found),
            "found": int((pairs.found >= 0).sum()),
            "missed": missed,
            "predictions_of_nobody": len(sides.found) - int((pairs.found >= 0).sum()),
        },
    )
    for metric in metrics:
        try:
            scale = _METRICS[metric](result, sides, pairs, job)
        except UsageError as error:
            if job.metric != "all":
                raise
            result.left_out[metric] = error.message
            continue
        if not result.errors:
            result.errors, result.errors_by = errors(pairs, scale), NORMS.get(metric, f"{job.norm} size")
    if len(result.left_out) == len(metrics):
        raise UsageError(
            "none of the metrics can be computed",
            code="KP-EVAL-NONE",
            got="; ".join(f"{metric}: {why}" for metric, why in result.left_out.items()),
        )
    return result


def _check(job: EvalJob) -> None:
    for threshold in job.thresholds:
        if not 0 < threshold < np.inf:
            raise UsageError("a threshold must be a number above 0", code="KP-EVAL-THRESHOLD", got=str(threshold))


def _metrics(job: EvalJob, truth: Dataset) -> list[str]:
    if job.metric == "all":
        return ["oks", "pckh", "pck"]
    if job.metric == "auto":
        return ["pckh" if known_rows(truth.head_box).any() else "oks"]
    return [job.metric]


def _pairs(sides: Sides) -> tuple[Pairs, int]:
    """Persons that count, with what was predicted for each: by id where both have the same, else the most alike."""
    truth, found = sides.truth, sides.found
    rows = np.flatnonzero(~truth.is_crowd & (truth.visibility > 0).any(axis=1))
    persons = truth.take(rows)
    matched = match(persons, found.replace(images=truth.images, image_index=sides.image_of), by=sides.by)
    of = np.full(len(persons), -1, np.int64)
    of[matched.persons[:, 0]] = matched.persons[:, 1]
    return pair(persons, found, of), int((of < 0).sum())


def _oks(result: Evaluation, sides: Sides, pairs: Pairs, job: EvalJob) -> NDArray[np.float64]:
    unscored = int(np.isnan(sides.found.score).sum())
    if unscored:
        raise UsageError(
            f"{unscored:,} of {len(sides.found):,} predictions have no score, which OKS precision needs to rank them",
            code="KP-EVAL-SCORE",
            place=str(sides.found_path),
            expected="a score a person",
            help="add a field 'score', or choose --metric pck or pckh, which need none",
        )
    values = oks_scores(sides.truth, sides.found, sides.image_of, engine=job.engine)
    skeleton = sides.truth.skeleton
    result.oks = {"values": values, "engine": job.engine, "sigmas": skeleton.sigma_source}
    return np.sqrt(np.where(pairs.truth.area > 0, pairs.truth.area, np.nan))


def _pckh(result: Evaluation, sides: Sides, pairs: Pairs, job: EvalJob) -> NDArray[np.float64]:
    scale = scales(pairs.truth, "head")
    if not np.isfinite(scale).any():
        raise UsageError(
            "PCKh needs head boxes, and the ground truth has none",
            code="KP-EVAL-HEAD",
            place=str(sides.truth_path),
            help="give MPII's .mat file, which has them, or choose --metric pck",
        )
    result.pckh = [shares(pairs, scale, threshold) for threshold in job.thresholds or (PCKH_THRESHOLD,)]
    return scale


def _pck(result: Evaluation, sides: Sides, pairs: Pairs, job: EvalJob) -> NDArray[np.float64]:
    norm: Norm = job.norm
    scale = scales(pairs.truth, norm)
    if not np.isfinite(scale).any():
        raise UsageError(
            f"PCK needs {'boxes' if norm == 'bbox' else 'persons with a torso'}, and the ground truth has none",
            code="KP-EVAL-SCALE",
            place=str(sides.truth_path),
            help="choose the other one with --norm",
        )
    result.pck = [{"norm": norm, **shares(pairs, scale, one)} for one in job.thresholds or (PCK_THRESHOLD,)]
    return scale


_METRICS = {"oks": _oks, "pckh": _pckh, "pck": _pck}


def _row(metric: str, value: Any, count: Any = None, **where: Any) -> dict[str, Any]:
    return {"metric": metric, **where, "value": value, "count": count}
