"""Findings of all rules in one shape: what is wrong, where in the file, of which image, person and joint."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset
from kpkit.core.report import Issue, Severity
from kpkit.formats.jsonrows import MemoryRows, RowSource
from kpkit.qa.rules import Found, Rule

_RECORD = re.compile(r": (?P<table>annotations|images)\[(?P<row>\d+)\](?P<field>\S*)")
_VALUE = re.compile(r"\.keypoints\[(\d+)\]")
_NAMED = re.compile(r" \(([^()]+)\)$")


# The rule that stands for what readers say and no other rule does.
READER = "KP199"


def severity_of(rule: Rule, issue: Issue) -> Severity:
    """The rule's, but what makes other commands refuse the file is an error; remarks of a reader have their own."""
    return issue.severity if rule.id == READER or issue.severity == "error" else rule.severity


class _Stated(msgspec.Struct, gc=False):
    num_keypoints: int | None = None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    rule, name, severity    of the rule               message     what is wrong here
    place       `file.json: annotations[12].keypoints[12] (left_elbow)`
    image, image_id, instance_id, joint   as far as they are known; joint is its name
    image_row, instance_row, joint_index  rows in the dataset, -1 none
    confidence  0 to 1                    help  what to do about it
    count       how many of this kind this one stands for (more than 1: their places are not known one by one)
    raw_row     row in the raw file's list of annotations (or of images, where `raw_table` says so), -1 unknown
    """

    rule: str
    name: str
    severity: Severity
    message: str
    place: str
    image: str = ""
    image_id: int | str | None = None
    instance_id: int | str | None = None
    joint: str = ""
    image_row: int = -1
    instance_row: int = -1
    joint_index: int = -1
    confidence: float = 1.0
    help: str = ""
    count: int = 1
    raw_table: str = ""
    raw_row: int = -1

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON; rows that only this run knows are left out."""
        hidden = {"image_row", "instance_row", "joint_index", "raw_table", "raw_row"}
        fields = {key: value for key, value in asdict(self).items() if key not in hidden}
        fields["joint"] = self.joint or None
        fields["image"] = self.image or None
        fields["confidence"] = round(self.confidence, 4)
        return fields


class _Inverse:
    """Where a number stands in a column; -1 where it does not."""

    def __init__(self, column: NDArray[np.int64]) -> None:
        self._order = np.argsort(column, kind="stable")
        self._sorted = column[self._order]

    def get(self, wanted: int) -> int:
        """The last place of a number, -1 none."""
        at = int(np.searchsorted(self._sorted, wanted, side="right")) - 1
        return int(self._order[at]) if at >= 0 and self._sorted[at] == wanted else -1


@dataclass
class Places:
    """Names places of a dataset in the file that it was read from.

    labelled  [N]  labelled joints of each person, where the dataset is an outline without points
    """

    dataset: Dataset
    path: Path
    labelled: NDArray[Any] | None = None
    root: str = field(init=False)

    def __post_init__(self) -> None:
        self.root = str(self.path)

    @cached_property
    def source(self) -> RowSource | None:
        """The raw rows of a COCO file, where there are some."""
        found = self.dataset.source
        return found if isinstance(found, RowSource) and len(found.row_of) == len(self.dataset) else None

    @cached_property
    def _instance_of(self) -> _Inverse:
        return _Inverse(np.zeros(0, np.int64) if self.source is None else self.source.row_of)

    @cached_property
    def _image_of(self) -> _Inverse:
        return _Inverse(np.zeros(0, np.int64) if self.source is None else self.source.image_row_of)

    def from_rule(self, rule: Rule, found: Found, limit: int | None = None) -> Iterator[Finding]:
        """The findings that a rule gives as columns, by instance, else by image; the first `limit` of them."""
        names = self.dataset.skeleton.keypoints
        columns = {name: _list(values) for name, values in found.numbers.items()}
        for i in _in_order(found)[:limit]:
            instance, joint, other = (_at(column, i) for column in (found.instance, found.joint, found.other))
            image = _at(found.image, i)
            if image < 0 <= instance:
                image = int(self.dataset.image_index[instance])
            said = {"joint": names[joint] if joint >= 0 else "", "other": names[other] if other >= 0 else ""}
            raw_table, raw_row = self._raw(instance, image)
            yield Finding(
                rule=rule.id,
                name=rule.name,
                severity=rule.severity,
                message=found.message.format(**said, **{name: values[i] for name, values in columns.items()}),
                place=self._place(instance, image, joint, found.field, "" if found.places is None else found.places[i]),
                confidence=1.0 if found.confidence is None else float(found.confidence[i]),
                help=rule.help,
                raw_table=raw_table,
                raw_row=raw_row,
                **self._whose(instance, image, joint),
            )

    def from_issue(self, rule: Rule, issue: Issue, limit: int | None = None) -> Iterator[Finding]:
        """The findings that a reader has made already, the first `limit` of them."""
        severity = severity_of(rule, issue)
        message = f"{issue.code}: {issue.message}" if rule.id == READER else issue.message
        told: dict[str, Any] = {"rule": rule.id, "name": rule.name, "severity": severity}
        told["help"] = issue.help or rule.help
        # One place for many is where all of them are, not the first of them.
        lump = len(issue.places) == 1 < issue.count
        for place in issue.places[:limit]:
            instance, image, joint, table, raw = self._parsed(place)
            whose = self._whose(instance, image, joint)
            if issue.code == "KP-COCO-NUM-KEYPOINTS" and instance >= 0:
                message = self._counted(instance, raw)
            if instance < 0 and table == "annotations" and self.source is not None:
                whose["instance_id"] = _id_of(self.source, raw)
            if joint >= 0 and _NAMED.search(place) is None:
                place = f"{place} ({whose['joint']})"
            count = issue.count if lump else 1
            yield Finding(**told, message=message, place=place, raw_table=table, raw_row=raw, count=count, **whose)
        # Cut short, the rest goes without saying.
        rest = 0 if lump or (limit is not None and issue.places) else issue.count - len(issue.places)
        if rest > 0:
            yield Finding(**told, message=message, place="" if issue.places else self.root, count=rest)

    def _counted(self, instance: int, raw: int) -> str:
        """What a row says of its number of joints, and what they are."""
        assert self.source is not None
        stated = msgspec.json.decode(self.source.rows.get(raw), type=_Stated).num_keypoints
        if self.labelled is None:
            labelled = int(np.count_nonzero(self.dataset.visibility[instance]))
        else:
            labelled = int(self.labelled[instance])
        return f"num_keypoints is {stated}, and {labelled} joints are labelled"

    def _whose(self, instance: int, image: int, joint: int) -> dict[str, Any]:
        dataset = self.dataset
        return {
            "image": str(dataset.images.path[image]) if image >= 0 else "",
            "image_id": _plain(dataset.images.id[image]) if image >= 0 else None,
            "instance_id": _plain(dataset.instance_id[instance]) if instance >= 0 else None,
            "joint": dataset.skeleton.keypoints[joint] if joint >= 0 else "",
            "image_row": image,
            "instance_row": instance,
            "joint_index": joint,
        }

    def _raw(self, instance: int, image: int) -> tuple[str, int]:
        if self.source is None:
            return "", -1
        if instance >= 0:
            return "annotations", int(self.source.row_of[instance])
        if image >= 0 and len(self.source.image_rows):
            return "images", int(self.source.image_row_of[image])
        return "", -1

    def _place(self, instance: int, image: int, joint: int, field: str, given: str) -> str:
        if given:
            return given if given.startswith(self.root) else f"{self.root}: {given}"
        names, images = self.dataset.skeleton.keypoints, self.dataset.images
        table, raw = self._raw(instance, image)
        if raw >= 0:
            prefix = "" if self.source is not None and self.source.variant == "results" else table
            at = f".keypoints[{3 * joint}] ({names[joint]})" if joint >= 0 else f".{field}" if field else ""
            return f"{self.root}: {prefix}[{raw}]{at}"
        where = f"{self.root}: "
        if instance >= 0:
            where += f"instance {self.dataset.instance_id[instance]} in "
        where += str(images.path[image]) if image >= 0 and images.path[image] else f"image {image}"
        return where + (f" ({names[joint]})" if joint >= 0 else f" ({field})" if field else "")

    def _parsed(self, place: str) -> tuple[int, int, int, str, int]:
        """Instance, image, joint, raw table and raw row that a reader's place names; -1 and "" where it does not."""
        names = self.dataset.skeleton.keypoints
        named = _NAMED.search(place)
        joint = names.index(named[1]) if named is not None and named[1] in names else -1
        record = _RECORD.search(place)
        if record is None:
            return -1, -1, joint, "", -1
        raw = int(record["row"])
        if record["table"] == "images":
            return -1, self._image_of.get(raw), joint, "images", raw
        instance = self._instance_of.get(raw)
        value = _VALUE.search(place)
        if joint < 0 and value is not None and int(value[1]) < 3 * len(names):
            joint = int(value[1]) // 3
        image = int(self.dataset.image_index[instance]) if instance >= 0 else -1
        return instance, image, joint, "annotations", raw


@dataclass(frozen=True)
class Lines:
    """Lines and columns of raw rows in their file, counted from 1."""

    source: RowSource | None

    @cached_property
    def _breaks(self) -> NDArray[np.int64]:
        rows = None if self.source is None else self.source.rows
        if not isinstance(rows, MemoryRows):
            return np.zeros(0, np.int64)
        return np.flatnonzero(np.frombuffer(rows.buffer, np.uint8) == ord("\n"))

    def of(self, finding: Finding) -> tuple[int, int] | None:
        """Line and column of the record, or None where they are not known."""
        if self.source is None or finding.raw_row < 0:
            return None
        rows = self.source.rows if finding.raw_table == "annotations" else self.source.image_rows
        if not isinstance(rows, MemoryRows) or not rows.buffer:
            return None
        start = rows.start(finding.raw_row)
        line = int(np.searchsorted(self._breaks, start))
        return line + 1, start - (int(self._breaks[line - 1]) + 1 if line else 0) + 1


def _id_of(source: RowSource, raw: int) -> int | str | None:
    """The id in a raw row that was left out of the dataset."""
    try:
        found = msgspec.json.decode(source.rows.get(raw)).get("id")
    except (msgspec.MsgspecError, RecursionError, AttributeError, IndexError):
        return None
    return found if isinstance(found, int | str) else None


def _in_order(found: Found) -> list[int]:
    """Positions of the findings by instance, else by image; equal ones as they come."""
    key = found.instance if found.instance is not None else found.image
    return list(range(len(found))) if key is None else np.argsort(key, kind="stable").tolist()


def _at(column: NDArray[np.int64] | None, i: int) -> int:
    return -1 if column is None else int(column[i])


def _list(values: Any) -> Sequence[Any]:
    return values.tolist() if isinstance(values, np.ndarray) else list(values)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
