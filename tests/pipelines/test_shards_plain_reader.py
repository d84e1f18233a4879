"""The reader that the data sheet of shards shows needs numpy and h5py, and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kpkit
from tests.augment_data import dataset
from tests.shard_data import shards

SHEET = Path(__file__).resolve().parents[2] / "docs" / "formats" / "shards.md"
# Stands before the code: whatever is neither named here nor part of Python itself cannot be imported.
GUARD = """
import sys

class Guard:
    allowed = {"numpy", "h5py", *sys.stdlib_module_names}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in self.allowed:
            raise ImportError(f"{name} is forbidden here")

sys.meta_path.insert(0, Guard())
"""
# Stands behind it: what was read, for the test.
KEEP = """
np.savez("read.npz", first=first, source=source)
"""


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    # -I: no PYTHONPATH, no user's packages, and not the working folder.
    command = [sys.executable, "-I", "-c", GUARD + code]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def code_of_the_sheet() -> str:
    blocks: list[str] = re.findall(r"```python\n(.*?)```", SHEET.read_text(encoding="utf-8"), re.DOTALL)
    (block,) = (one for one in blocks if "h5py" in one)
    return block


def test_guard_forbids_kpkit_and_what_it_stands_on(tmp_path):
    for name in ("kpkit", "cv2", "msgspec", "zlib_ng"):
        done = run(f"import {name}", tmp_path)
        assert done.returncode != 0
        assert f"{name} is forbidden here" in done.stderr


@pytest.mark.parametrize("dtype", ["float16", "float32", "uint8"])
def test_code_of_the_sheet_reads_a_shard_with_numpy_and_h5py_alone(dtype, tmp_path):
    labels = dataset(tmp_path / "data", images=2, persons=2)
    shards(labels, tmp_path / "plain-shards", dtype=dtype, with_images=True)
    done = run(code_of_the_sheet() + KEEP, tmp_path)
    assert done.returncode == 0, done.stderr
    with kpkit.ShardDataset(tmp_path / "plain-shards") as found:
        sample = found[0]
        source = found.to_source(sample["keypoints"], sample["affine"])
    with np.load(tmp_path / "read.npz") as read:
        np.testing.assert_allclose(read["first"], sample["heatmaps"], rtol=1e-6)
        np.testing.assert_allclose(read["source"], source, atol=1e-9)
