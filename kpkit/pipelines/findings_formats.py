"""Findings for programs: SARIF 2.1.0 for code scanning, and the annotations of GitHub's workflows."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kpkit.pipelines.findings import Finding, Lines
from kpkit.qa.rules import Rule

if TYPE_CHECKING:
    from kpkit.pipelines.validate import Validation

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
# Code scanning takes no more of one run.
SARIF_LIMIT = 25_000
LEVELS = {"error": "error", "warning": "warning", "note": "notice"}


def sarif(found: Validation) -> str:
    """A SARIF 2.1.0 log of one run; the text ends with a line break."""
    from kpkit import __version__

    lines = Lines(found.places.source)
    uri = _uri(found.loaded.path)
    index = {rule.id: number for number, rule in enumerate(found.rules)}
    findings = found.findings()
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "kpkit",
                "semanticVersion": __version__,
                "rules": [_rule(rule) for rule in found.rules],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [_result(one, index[one.rule], uri, lines) for one in findings[:SARIF_LIMIT]],
    }
    notes = [f"{code} was not checked: {why}" for code, why in found.unchecked.items()]
    if len(findings) > SARIF_LIMIT:
        notes.append(f"{len(findings) - SARIF_LIMIT} findings more than a SARIF run may hold were left out")
    invocation: dict[str, Any] = {"executionSuccessful": True}
    if notes:
        invocation["toolExecutionNotifications"] = [{"level": "note", "message": {"text": text}} for text in notes]
    run["invocations"] = [invocation]
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def github(found: Validation) -> str:
    """One workflow command a finding, `::error file=...,line=...,title=...::message`."""
    lines = Lines(found.places.source)
    file = _relative(found.loaded.path)
    return "".join(_command(one, file, lines) for one in found.findings())


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.name.split("-")),
        "shortDescription": {"text": rule.reason},
        "fullDescription": {"text": rule.explanation},
        "help": {"text": rule.help or rule.explanation},
        "defaultConfiguration": {"level": rule.severity},
        "properties": {"tags": ["keypoints"], "precision": "high" if rule.severity == "error" else "medium"},
    }


def _result(one: Finding, rule: int, uri: str, lines: Lines) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": uri}}
    at = lines.of(one)
    # Code scanning shows no result without a line.
    physical["region"] = {"startLine": at[0], "startColumn": at[1]} if at is not None else {"startLine": 1}
    location: dict[str, Any] = {"physicalLocation": physical}
    if one.place:
        location["logicalLocations"] = [{"fullyQualifiedName": one.place.partition(": ")[2] or one.place}]
    properties = {
        "image": one.image,
        "imageId": one.image_id,
        "instanceId": one.instance_id,
        "joint": one.joint,
        "confidence": round(one.confidence, 4),
    }
    return {
        "ruleId": one.rule,
        "ruleIndex": rule,
        "level": one.severity,
        "message": {"text": _sentence(one)},
        "locations": [location],
        "occurrenceCount": one.count,
        "partialFingerprints": {"kpkit/v1": _fingerprint(one)},
        "properties": {key: value for key, value in properties.items() if value not in ("", None)},
    }


def _sentence(one: Finding) -> str:
    where = one.place.partition(": ")[2]
    return f"{one.message} ({where})" if where else one.message


def _fingerprint(one: Finding) -> str:
    """The same for the same fault of the same person in another version of the file, wherever it stands there."""
    parts = [one.rule, one.image, one.instance_id, one.joint]
    if one.instance_id is None and not one.image:
        parts.append(one.place.partition(": ")[2])
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:32]


def _command(one: Finding, file: str, lines: Lines) -> str:
    fields: list[tuple[str, Any]] = [("file", file)]
    at = lines.of(one)
    if at is not None:
        fields += [("line", at[0]), ("col", at[1])]
    fields.append(("title", f"{one.rule} {one.name}"))
    written = ",".join(f"{name}={_escaped(str(value), ',:')}" for name, value in fields)
    return f"::{LEVELS[one.severity]} {written}::{_escaped(_sentence(one))}\n"


def _escaped(text: str, more: Sequence[str] = ()) -> str:
    """Escaped as the runner unescapes it: actions/toolkit, packages/core/src/command.ts."""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    for sign in more:
        text = text.replace(sign, f"%{ord(sign):02X}")
    return text


def _relative(path: Path) -> str:
    """The path from the current folder, where it is below it: what GitHub calls a file of the repository."""
    full = Path(os.path.abspath(path))
    here = Path.cwd()
    return (full.relative_to(here) if here in full.parents else path).as_posix()


def _uri(path: Path) -> str:
    relative = _relative(path)
    return quote(relative) if not relative.startswith("/") else "file://" + quote(relative)
