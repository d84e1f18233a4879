"""kpkit: human-keypoint labels converted, augmented and checked, with nothing lost in silence.

    dataset = kpkit.read("annotations/person_keypoints_val2017.json")
    report = kpkit.write(dataset, "labels.kpk", format="native")

Everything here is loaded when it is first used; importing kpkit costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kpkit.core.catalog import mapping, skeleton
    from kpkit.core.dataset import Dataset, ImageTable
    from kpkit.core.mapping import Mapping
    from kpkit.core.report import Report
    from kpkit.core.skeleton import Skeleton
    from kpkit.errors import (
        DefinitionError,
        InputError,
        ItemsFailedError,
        KpkitError,
        LossError,
        MissingExtraError,
        OutputError,
        UsageError,
    )
    from kpkit.pipelines.convert import convert
    from kpkit.pipelines.io import read, write
    from kpkit.targets.shard_dataset import ShardDataset

__version__ = "0.1.0"

__all__ = [
    "Dataset",
    "DefinitionError",
    "ImageTable",
    "InputError",
    "ItemsFailedError",
    "KpkitError",
    "LossError",
    "Mapping",
    "MissingExtraError",
    "OutputError",
    "Report",
    "ShardDataset",
    "Skeleton",
    "UsageError",
    "__version__",
    "convert",
    "mapping",
    "read",
    "skeleton",
    "write",
]

_HOME = {
    "Dataset": "kpkit.core.dataset",
    "ImageTable": "kpkit.core.dataset",
    "Mapping": "kpkit.core.mapping",
    "Report": "kpkit.core.report",
    "ShardDataset": "kpkit.targets.shard_dataset",
    "Skeleton": "kpkit.core.skeleton",
    "convert": "kpkit.pipelines.convert",
    "mapping": "kpkit.core.catalog",
    "read": "kpkit.pipelines.io",
    "skeleton": "kpkit.core.catalog",
    "write": "kpkit.pipelines.io",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'kpkit' has no attribute '{name}'")
    found = getattr(import_module(_HOME.get(name, "kpkit.errors")), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
