"""Reports are as schemas/json/report.schema.json says, and the schema says all there is."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import kpkit
from kpkit.cli.main import main
from kpkit.core import catalog
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.report import Issue, JointLine, Loss, Report
from kpkit.resources import schemas_dir


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((schemas_dir() / "json" / "report.schema.json").read_text(encoding="utf-8"))
    return found


def check(document: Any, schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(schema).validate(document)


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """A COCO file with a visible, an occluded and an unlabelled joint of one person, and a field of somebody's own."""
    xy = np.full((1, 17, 2), np.nan)
    visibility = np.zeros((1, 17), np.uint8)
    xy[0, 5], xy[0, 6] = (10, 20), (30, 20)
    visibility[0, 5:7] = (2, 1)
    dataset = Dataset.build(
        skeleton=catalog.skeleton("coco17"),
        images=ImageTable.build(path=["a.jpg"], width=[64], height=[48]),
        image_index=[0],
        xy=xy,
        visibility=visibility,
    )
    kpkit.write(dataset, tmp_path / "coco.json", "coco")
    return tmp_path / "coco.json"


def test_the_schema_is_a_schema(schema):
    jsonschema.Draft202012Validator.check_schema(schema)


def test_an_empty_report_fits(schema):
    check(Report("convert").as_dict(), schema)


def test_reports_of_reading_and_writing_fit(schema, labels, tmp_path):
    check(kpkit.write(kpkit.read(labels), tmp_path / "again.json", "coco").as_dict(), schema)


def test_report_of_a_conversion_with_losses_and_notes_fits(schema, labels, tmp_path):
    report = kpkit.convert("coco", "mpii", labels, output=tmp_path / "mpii.json")
    assert report.losses
    assert report.issues
    check(report.as_dict(), schema)


def test_report_file_and_printed_report_fit_and_agree(schema, labels, tmp_path, capsys):
    arguments = ["convert", "coco", "mpii", str(labels), "-o", str(tmp_path / "out.json"), "--json"]
    assert main([*arguments, "--report", str(tmp_path / "report.json")]) == 0
    printed = json.loads(capsys.readouterr().out)
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    check(written, schema)
    check(printed, schema)
    assert printed == written


@pytest.mark.parametrize(
    ("kind", "where"),
    [(Report, None), (JointLine, "joint"), (Loss, "loss"), (Issue, "issue")],
    ids=["report", "joint", "loss", "issue"],
)
def test_every_field_is_described_and_required(schema, kind, where):
    described = schema if where is None else schema["$defs"][where]
    names = {field.name for field in dataclasses.fields(kind)}
    names |= {"schema_version", "lossless"} if where is None else set()
    assert set(described["properties"]) == names
    assert set(described["required"]) == names


@pytest.mark.parametrize(
    "broken",
    [{"schema_version": 2}, {"seconds": -1.0}, {"losses": [{"what": "truncated"}]}, {"surprise": 1}],
    ids=["version", "time", "loss without a count", "unknown field"],
)
def test_a_broken_report_does_not_fit(schema, broken):
    with pytest.raises(jsonschema.ValidationError):
        check(Report("convert").as_dict() | broken, schema)
