"""Shards for PyTorch: a map-style dataset that reads whole batches at once. Needs the extra `torch`.

    shards = kpkit.torch.ShardDataset("shards", flip=0.5)
    loader = DataLoader(shards, batch_size=64, shuffle=True, num_workers=2, collate_fn=shards.collate)
    for batch in loader:
        batch["heatmaps"]   # float32 [64, K, H, W]

Without `collate_fn` the loader's own collation gives the same batches, at the cost of one more copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kpkit.errors import MissingExtraError
from kpkit.targets.shard_dataset import ShardDataset as _ShardDataset
from kpkit.targets.shard_layout import COUNT, FIRST, IMAGE

try:
    import torch
    from torch.utils.data import Dataset
except ImportError as error:
    raise MissingExtraError(
        "PyTorch is not installed",
        code="KP-EXTRA-TORCH",
        expected="the package torch",
        help='pip install "kpkit[torch]"',
    ) from error


class Batch(Sequence[dict[str, Any]]):
    """Samples that were read together; `tensors` holds them stacked."""

    def __init__(self, tensors: dict[str, Any], size: int, of_persons: frozenset[str] = frozenset()) -> None:
        self.tensors = tensors
        self._size = size
        self._of_persons = of_persons

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: Any) -> Any:
        if not -self._size <= index < self._size:
            raise IndexError(index)
        found = {name: values[index] for name, values in self.tensors.items() if name not in self._of_persons}
        if self._of_persons:
            first, count = int(found[FIRST]), int(found[COUNT])
            found |= {name: self.tensors[name][first : first + count] for name in self._of_persons}
            found[FIRST] = torch.zeros_like(found[FIRST])
        return found


class ShardDataset(Dataset[dict[str, Any]]):
    """The samples of a folder that `kpkit heatmaps` wrote, as tensors.

    folder  with the manifest        names  arrays to read; None: all
    dtype   of the targets, see `kpkit.ShardDataset`
    flip    probability that a sample is mirrored, drawn by PyTorch's generator, anew each time

    Samples are dicts: name -> tensor, ids and paths as int and str; pictures are uint8 [3,h,w] in RGB. Workers open
    files themselves, however they are started. Of whole pictures, arrays of persons are of different lengths: only
    `collate` puts them together, one picture's after the other's. Raises as `kpkit.ShardDataset` does.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        names: Sequence[str] | None = None,
        dtype: str = "float32",
        flip: float = 0.0,
    ) -> None:
        self.shards = _ShardDataset(folder, names=names, dtype=dtype)
        self.flip = float(flip)

    @property
    def spatial_weights(self) -> torch.Tensor | None:
        """Weights by place, factors of a loss: float32 [H,W], which batches of [n,K,H,W] are multiplied by.

        None where the shards were made without.
        """
        weights = self.shards.spatial_weights
        return None if weights is None else torch.from_numpy(weights)

    def __len__(self) -> int:
        return len(self.shards)

    def __getitem__(self, index: int) -> dict[str, Any]:
        n = len(self)
        if not -n <= index < n:
            raise IndexError(f"sample {index} of {n}")
        sample: dict[str, Any] = self.__getitems__([index % n])[0]
        return sample

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Samples of a batch, read at once."""
        flips: Any = False
        if self.flip > 0:
            flips = (torch.rand(len(indices)) < self.flip).numpy()
        read = self.shards.read(np.asarray(indices, np.int64), flip=flips)
        of_persons = frozenset(name for name in read if self.shards.is_of_persons(name))
        return Batch({name: _tensor(name, values) for name, values in read.items()}, len(indices), of_persons)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[index] for index in range(len(self)))

    @staticmethod
    def collate(batch: Any) -> dict[str, Any]:
        """The batch as it was read: name -> tensor [n, ...], lists for ids and paths; for a loader's `collate_fn`."""
        tensors: dict[str, Any] = batch.tensors
        return tensors


def _tensor(name: str, values: Any) -> Any:
    if not isinstance(values, np.ndarray):
        return values
    if name == IMAGE:
        values = np.ascontiguousarray(values[..., ::-1].transpose(0, 3, 1, 2))
    return torch.from_numpy(values)
