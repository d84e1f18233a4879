"""Names of what is made from images: unique, and as near to the images' own as can be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]


def distinct(names: list[str]) -> list[str]:
    """The names, with numbers behind those that occur before."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}~{seen[name]}")
    return found


def plain_stem(key: str) -> str:
    """A path without its ending."""
    return str(PurePosixPath(key).with_suffix(""))


def stems(keys: Sequence[str]) -> list[str]:
    """Unique names without ending of what is made from each image."""
    special = special_stems(keys)
    return [special.get(number) or plain_stem(key) for number, key in enumerate(keys)]


def special_stems(keys: Sequence[str]) -> dict[int, str]:
    """Number -> unique stem of the outputs, of those that are not the path without its ending.

    Two pictures that differ in the ending alone keep it in their names.
    """
    found: dict[int, str] = {}
    plain = _hashes(map(plain_stem, keys), len(keys))
    twice = _repeated(plain)
    stems = [plain_stem(keys[number]) for number in twice]
    times = Counter(stems)
    for number, stem in zip(twice, stems, strict=True):
        if times[stem] > 1:
            found[number] = f"{stem}_{PurePosixPath(keys[number]).suffix.lstrip('.')}"
            plain[number] = hash(found[number])
    again = _repeated(plain)
    names = [found.get(number) or plain_stem(keys[number]) for number in again]
    return found | {
        number: after for number, before, after in zip(again, names, distinct(names), strict=True) if after != before
    }


def _hashes(texts: Iterable[str], count: int) -> Index:
    # The texts themselves would take as much memory as the paths.
    return np.fromiter(map(hash, texts), np.int64, count)


def _repeated(hashes: Index) -> list[int]:
    """Numbers, rising, of values that stand more than once."""
    _, place, times = np.unique(hashes, return_inverse=True, return_counts=True)
    found: list[Any] = np.flatnonzero(times[place] > 1).tolist()
    return found
