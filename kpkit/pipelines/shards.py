"""`shards`: what a folder of shards holds, whether it is whole, and how its samples look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from kpkit import storage
from kpkit.execute import Failure, LocalPool, run_tasks
from kpkit.pipelines.heatmaps_folder import PROGRESS
from kpkit.targets.manifest import Manifest, ShardEntry, read_manifest
from kpkit.targets.shard_dataset import ShardDataset
from kpkit.targets.shard_layout import COUNT, MANIFEST, MASKED
from kpkit.targets.shard_verify import Finding, verify_shard

SCHEMA_VERSION = 1
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ShardsInfo:
    """What a folder holds.

    joints  joints with a weight    labelled, covered  joints
    persons different persons       copies   number of the copy -> samples    flipped  samples
    masked  persons of whole pictures without targets
    """

    folder: str
    manifest: Manifest
    persons: int
    joints: dict[str, int]
    copies: dict[int, int]
    flipped: int
    masked: int = 0

    @property
    def bytes(self) -> int:
        """Of all shards."""
        return sum(entry.bytes for entry in self.manifest.shards)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with the schema version."""
        found = {name: value for name, value in asdict(self).items() if name != "manifest"}
        return {"schema_version": SCHEMA_VERSION, "command": "shards info", **found, "bytes": self.bytes} | {
            "manifest": asdict(self.manifest)
        }


def info(folder: Path) -> ShardsInfo:
    """Count what a folder holds; targets and pictures are not read. Raises InputError or FormatError."""
    with ShardDataset(folder) as shards:
        labels = shards.labels()
        pictures = list(zip(labels["image_id"], labels["image_path"], strict=True))
        if shards.whole_images:
            pictures = [one for one, n in zip(pictures, labels[COUNT].tolist(), strict=True) for _ in range(n)]
        persons = list(zip(pictures, labels["instance_id"], strict=True))
        hidden = labels[MASKED].tolist() if shards.whole_images else [False] * len(persons)
        masked = {person for person, one in zip(persons, hidden, strict=True) if one}
        visibility, weights = labels["visibility"], labels["weights"]
        joints = {
            "labelled": int((visibility > 0).sum()),
            "visible": int((visibility == 2).sum()),
            "occluded": int((visibility == 1).sum()),
            "covered": int((labels["occluded"] & (visibility > 0)).sum()),
            "weighted": int((weights > 0).sum()),
        }
        copies = dict(sorted(Counter(labels["copy"].tolist()).items()))
        flipped = int(labels["flipped"].sum())
        return ShardsInfo(str(folder), shards.manifest, len(set(persons)), joints, copies, flipped, len(masked))


@dataclass
class VerifyReport:
    """What was checked, and all that is wrong."""

    folder: str
    shards: int = 0
    samples: int = 0
    bytes: int = 0
    findings: list[Finding] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with the schema version."""
        return {"schema_version": SCHEMA_VERSION, "command": "shards verify", **asdict(self)}


def verify(folder: Path, workers: int = 1, progress: Progress | None = None) -> VerifyReport:
    """Check every byte and every sample. Raises InputError or FormatError where there is no readable manifest."""
    tell = progress or (lambda stage, done, total: None)
    where, folder = folder, storage.bring(folder)
    manifest = read_manifest(folder)
    report = VerifyReport(str(where), len(manifest.shards), manifest.samples)
    report.bytes = sum(entry.bytes for entry in manifest.shards)
    found: dict[str, list[Finding]] = {}
    items = ((entry.path, entry) for entry in manifest.shards)
    done = 0
    with LocalPool(workers) as pool:
        for path, result in run_tasks(partial(_verify, folder, manifest), items, pool):
            found[path] = [Finding(path, result.code, result.message)] if isinstance(result, Failure) else result
            done += next(entry.samples for entry in manifest.shards if entry.path == path)
            tell("checking", done, manifest.samples)
    report.findings = [one for entry in manifest.shards for one in found[entry.path]]
    report.findings += _folder(folder, manifest)
    return report


def _verify(folder: Path, manifest: Manifest, entry: ShardEntry) -> list[Finding]:
    return verify_shard(folder, manifest, entry)


def _folder(folder: Path, manifest: Manifest) -> list[Finding]:
    """Files that nobody named: a killed run's, or shards of another job."""
    named = {entry.path for entry in manifest.shards} | {MANIFEST}
    found = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = file.relative_to(folder).as_posix()
        if name in named:
            continue
        if name.endswith((".h5", ".tmp")) or file.name == PROGRESS:
            message = "a file of an unfinished run, or of another job; kpkit heatmaps --resume sweeps it"
            found.append(Finding(name, "KP-SHARD-STRAY", message))
    twice = [path for path, count in Counter(entry.path for entry in manifest.shards).items() if count > 1]
    return found + [Finding(MANIFEST, "KP-SHARD-TWICE", "a shard is named twice", got=path) for path in twice]
