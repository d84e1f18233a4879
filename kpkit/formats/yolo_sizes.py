"""Image sizes given by the user, under the names that people give: path, file name, or name without ending."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile

from kpkit.formats.base import Size

Found = tuple[str, Size]


class SizeBook:
    """Sizes by image name; a size is looked up only when it is asked for, because that may open the image.

    sizes  image path, file name or stem -> (width, height) in pixels
    """

    def __init__(self, sizes: Mapping[str, Size]) -> None:
        self._sizes = sizes
        self._keys = {name.replace("\\", "/").removeprefix("./"): name for name in sizes}
        self._by_name: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        for name in self._keys:
            base = name.rpartition("/")[2]
            self._by_name.setdefault(base, []).append(name)
            # A name without an ending is a stem itself; "a.b" may be either.
            for stem in {base, base.rpartition(".")[0] or base}:
                self._by_stem.setdefault(stem, []).append(name)

    def find(self, path: str) -> Found | None:
        """(name, size) of an image; None where none is given, or several that differ fit equally well."""
        if path in self._keys:
            return path, self._sizes[self._keys[path]]
        base = path.rpartition("/")[2]
        stem = base.rpartition(".")[0] or base
        for candidates in (self._by_name.get(base), self._by_stem.get(stem)):
            if candidates:
                return self._choose(path, candidates)
        return None

    def _choose(self, path: str, candidates: list[str]) -> Found | None:
        shared = {name: _folders_shared(path, name) for name in candidates}
        most = max(shared.values())
        best = [name for name in candidates if shared[name] == most]
        found = {self._sizes[self._keys[name]] for name in best}
        return (best[0], found.pop()) if len(found) == 1 else None


def _folders_shared(one: str, other: str) -> int:
    """How many folders, counted from the file upwards, two paths have in common."""
    folders = zip(one.split("/")[-2::-1], other.split("/")[-2::-1], strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], folders))
