"""Shards of small datasets, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kpkit.pipelines.heatmaps import HeatmapsJob, HeatmapsReport, run
from kpkit.pipelines.load import LabelSource


def job(labels: Path, output: Path, **options: Any) -> HeatmapsJob:
    """A small job: 64x48 crops, so that tests are quick."""
    settings = {"input_size": (64, 48), "codec_parameters": {"sigma": 1.0}} | options
    return HeatmapsJob(source=LabelSource(input=labels), output=output, **settings)


def shards(labels: Path, output: Path, **options: Any) -> HeatmapsReport:
    """Make them."""
    return run(job(labels, output, **options))
