"""What a contract test knows about its format: which variant, what it may be given, how to write and read it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector
from kpkit.formats.base import Format, Keeps, ReadOptions, WriteOptions
from kpkit.pipelines.find import get_format
from kpkit.pipelines.io import read_with, write
from kpkit.testing.compare import differences
from kpkit.testing.describe import describe
from kpkit.testing.restrict import Unmarked, restrict
from kpkit.testing.samples import sample
from kpkit.testing.strategies import Fields, datasets, overfull

_MEMORY = "/dev/shm"
_UNMARKED: tuple[Unmarked, ...] = ("plain", "left out")


class FormatCase:
    """Attributes a subclass may set; only the first is needed.

    format_name     as registered
    file_name       name of the output, where its ending chooses a variant ("labels.csv"); "": the format's default
    ordered         images and persons come back in the order they were written
    self_delimiting a file that is cut short anywhere is noticed (JSON is, lines of text are not)
    needs_box       a person is held only with a box
    extras, image_extras, meta   the format's own fields ("myformat.field") and strategies of their values
    share           share of the profile's examples to try, for formats that are slow to read
    """

    format_name: ClassVar[str]
    file_name: ClassVar[str] = ""
    ordered: ClassVar[bool] = True
    self_delimiting: ClassVar[bool] = True
    needs_box: ClassVar[bool] = False
    extras: ClassVar[Fields] = {}
    image_extras: ClassVar[Fields] = {}
    meta: ClassVar[Fields] = {}
    share: ClassVar[float] = 1.0

    @property
    def format(self) -> Format:
        """The format under test, from the registry."""
        return get_format(self.format_name)

    @property
    def output_name(self) -> str:
        """Name of the file or folder that the tests write."""
        one = self.format
        return self.file_name or "labels" + (one.suffixes[0] if one.suffixes else "")

    @property
    def keeps(self) -> Keeps:
        """What the variant under test declares."""
        return self.format.keeps_for(Path(self.output_name))

    def options(self, dataset: Dataset) -> ReadOptions:
        """What the reader is told. A file cannot name joints where there are none."""
        return ReadOptions(skeleton=None if len(dataset.skeleton) else dataset.skeleton)

    def kept_datasets(self) -> st.SearchStrategy[Dataset]:
        """Datasets that the format promises to hold in full."""
        return datasets(self.keeps, **self._fields())

    def any_datasets(self) -> st.SearchStrategy[Dataset]:
        """Datasets with more in them than the format may hold."""
        return overfull(self.keeps, **self._fields())

    def sample(self) -> Dataset:
        """One ordinary dataset that the format holds in full."""
        return sample(self.keeps)

    def write(self, dataset: Dataset, folder: Path, *, force: bool = False) -> Path:
        """Write into `folder` as the command line does; returns the output."""
        path = folder / self.output_name
        write(dataset, path, self.format_name, force=force)
        return path

    def write_quickly(self, dataset: Dataset, folder: Path) -> Path:
        """Write without waiting for the disk and without renaming, for tests with many examples."""
        one, path = self.format, folder / self.output_name
        if one.kind == "folder":
            path.mkdir()
        one.write(dataset, path, WriteOptions(final=path), Collector())
        return path

    def read(self, path: Path, dataset: Dataset) -> Dataset:
        """Read what was written from `dataset`."""
        return read_with(self.format, path, self.options(dataset), Collector())

    def differences(self, dataset: Dataset, back: Dataset, keeps: Keeps | None = None) -> list[str]:
        """Where what was read is not what the format promises to keep of `dataset`; one line a difference.

        keeps  another promise than the declared one

        Crowd regions and made boxes that the format cannot mark may come back unmarked or not at all: both are counted.
        """
        keeps = keeps or self.keeps
        found: list[list[str]] = []
        for crowd, made in product(_UNMARKED, repeat=2):
            kept = restrict(dataset, keeps, rounded=False, unmarked_crowd=crowd, unmarked_boxes=made)
            found.append(differences(kept, back, keeps, ordered=self.ordered))
        return min(found, key=len)

    def for_all(self, values: st.SearchStrategy[Dataset], check: Callable[[Dataset], None]) -> None:
        """Run `check` on many datasets; how many, the Hypothesis profile says."""
        count = max(1, round(settings.default.max_examples * self.share)) if settings.default else 50
        # Explaining a failure by line coverage takes minutes and says less than the list of differences; so does
        # shrinking where every example is slow.
        phases = (Phase.explicit, Phase.reuse, Phase.generate, *([Phase.shrink] if self.share == 1 else []))
        chosen = settings(deadline=None, max_examples=count, phases=phases, suppress_health_check=list(HealthCheck))
        chosen(given(_shown(values))(lambda one: check(one.dataset)))()

    def _fields(self) -> dict[str, Any]:
        return {
            "needs_box": self.needs_box,
            "extras": self.extras,
            "image_extras": self.image_extras,
            "meta": self.meta,
        }


class _Shown:
    """A dataset whose repr is short enough to be read when a test fails."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __repr__(self) -> str:
        return describe(self.dataset)


@st.composite
def _shown(draw: st.DrawFn, values: st.SearchStrategy[Dataset]) -> _Shown:
    return _Shown(draw(values))


@contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder for one example; in memory where the system can, for many small files come and go."""
    in_memory = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="kpkit-testing-", dir=in_memory) as folder:
        yield Path(folder)


def content(path: Path) -> dict[str, bytes]:
    """Every file of an output and its bytes, by posix path; the file itself is ""."""
    if path.is_file():
        return {"": path.read_bytes()}
    return {one.relative_to(path).as_posix(): one.read_bytes() for one in sorted(path.rglob("*")) if one.is_file()}
