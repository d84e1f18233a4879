"""The Python face of kpkit: small, pinned, and quick to import."""

from __future__ import annotations

import subprocess
import sys

import pytest

import kpkit

NAMES = [
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


def test_public_names_are_these():
    assert kpkit.__all__ == NAMES
    assert len(NAMES) <= 25


@pytest.mark.parametrize("name", NAMES)
def test_public_name_can_be_used(name):
    assert getattr(kpkit, name) is not None


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        kpkit.nope  # noqa: B018 - reading the attribute is the test


def test_names_are_listed_for_those_who_ask():
    assert set(NAMES) <= set(dir(kpkit))


def test_import_is_light():
    code = (
        "import sys, kpkit; print([name for name in ('numpy', 'pandas', 'typer', 'kpkit.core') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
