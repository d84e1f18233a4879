"""Which rows of a dataset name occlusion masks; rows that name none are not decoded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kpkit.core.dataset import Dataset
from kpkit.formats.jsonrows import RowSource
from kpkit.pipelines.augment_fields import fields_of
from kpkit.pipelines.augment_masks import IMAGE_FIELDS, PERSON_FIELDS

Fields = dict[int, dict[str, Any]]


def mask_fields(dataset: Dataset) -> tuple[Fields, Fields]:
    """The fields that name masks: row of an image -> field -> value, and the same of persons."""
    wanted = {*IMAGE_FIELDS, *PERSON_FIELDS}
    if isinstance(dataset.source, RowSource) and wanted & dataset.source.extra_counts().keys():
        # Labels of others, with masks in rows of their own: all rows are decoded for them.
        fields = fields_of(dataset)
        return _rows(fields.images, IMAGE_FIELDS), _rows(fields.persons, PERSON_FIELDS)
    return _columns(dataset.images.extras, IMAGE_FIELDS), _columns(dataset.extras, PERSON_FIELDS)


def _rows(rows: Iterable[dict[str, Any]], names: tuple[str, ...]) -> Fields:
    found = {}
    for number, row in enumerate(rows):
        named = {name: row[name] for name in names if row.get(name) is not None}
        if named:
            found[number] = named
    return found


def _columns(extras: Any, names: tuple[str, ...]) -> Fields:
    found: Fields = {}
    for name in names:
        column = extras.get(name)
        for row, value in enumerate([] if column is None else column.tolist()):
            if value is not None:
                found.setdefault(row, {})[name] = value
    return found
