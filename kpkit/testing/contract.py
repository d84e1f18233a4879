"""The contract of a format as tests: whoever subclasses `FormatContract` inherits all of them.

    class TestMyFormat(FormatContract):
        format_name = "myformat"

Pytest collects the inherited tests like any other. What a
subclass may say about its format stands in `FormatCase`.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from kpkit import registry
from kpkit.core.dataset import Dataset
from kpkit.errors import KpkitError
from kpkit.formats.base import Format, Keeps
from kpkit.pipelines.find import all_formats
from kpkit.pipelines.io import write_into
from kpkit.testing.case import FormatCase, content, scratch
from kpkit.testing.compare import assert_equal
from kpkit.testing.faults import FaultContract
from kpkit.testing.parts import PartContract
from kpkit.testing.restrict import also, lost
from kpkit.testing.samples import changes

_WRITE = """
import pickle, sys
from pathlib import Path
from kpkit.pipelines.io import write

write(pickle.loads(Path(sys.argv[1]).read_bytes()), sys.argv[2], sys.argv[3])
"""


class KeepsContract(FormatCase):
    """What a format says it keeps, it keeps; what it does not keep, it counts."""

    def test_format_describes_itself(self) -> None:
        """The class attributes that commands rely on."""
        one = self.format
        assert isinstance(one, Format)
        assert one.name == registry.canonical_name(self.format_name), "the name differs from the registered one"
        assert one.title
        assert isinstance(one.keeps, Keeps)
        assert one.kind == "folder" or (one.suffixes and all(ending.startswith(".") for ending in one.suffixes))
        assert not Path(one.default_output).is_absolute()

    def test_round_trip_gives_back_what_it_keeps(self) -> None:
        """A dataset restricted to `keeps` comes back equal."""

        def check(dataset: Dataset) -> None:
            with scratch() as folder:
                back = self.read(self.write_quickly(dataset, folder), dataset)
            assert_equal(dataset, back, self.keeps, ordered=self.ordered)

        self.for_all(self.kept_datasets(), check)

    def test_what_it_does_not_keep_is_counted_and_harms_nothing_else(self) -> None:
        """Every column that `keeps` leaves out is named as a Loss or survives, and the others come back equal."""

        def check(dataset: Dataset) -> None:
            named = {loss.what for loss in self.format.losses(dataset, Path(self.output_name)) if loss.count > 0}
            with scratch() as folder:
                back = self.read(self.write_quickly(dataset, folder), dataset)
            unequal = self.differences(dataset, back)
            assert not unequal, "\n".join(unequal[:9])
            for what in sorted(lost(dataset, self.keeps) - named):
                unequal = self.differences(dataset, back, also(self.keeps, what))
                assert not unequal, f"'{what}' is lost in silence: {unequal[0]}"

        self.for_all(self.any_datasets(), check)

    def test_nothing_is_counted_as_lost_of_what_it_keeps(self) -> None:
        """A dataset restricted to `keeps` has no losses."""

        def check(dataset: Dataset) -> None:
            assert self.format.losses(dataset, Path(self.output_name)) == []

        self.for_all(self.kept_datasets(), check)

    def test_persons_in_images_of_unknown_size_are_refused_where_the_size_is_needed(self) -> None:
        """Where `persons_need_size`, writing says so; it never drops them."""
        if not self.keeps.persons_need_size:
            pytest.skip("this format needs no image sizes")
        whole = self.sample()
        images = whole.images
        unsized = type(images).build(id=images.id, path=images.path, split=images.split)
        with scratch() as folder, pytest.raises(KpkitError) as caught:
            self.write(whole.replace(images=unsized), folder)
        assert caught.value.help


class WritingContract(FormatCase):
    """Same input, same bytes; and the output is recognised."""

    def test_two_writes_give_the_same_bytes(self) -> None:
        """Nothing of the moment or the place goes into the output."""

        def check(dataset: Dataset) -> None:
            with scratch() as one, scratch() as other:
                assert content(self.write_quickly(dataset, one)) == content(self.write_quickly(dataset, other))

        self.for_all(self.any_datasets(), check)

    def test_another_process_writes_the_same_bytes(self, tmp_path: Path) -> None:
        """Neither the hash seed nor the clock nor the working directory goes into the output."""
        dataset = self.sample()
        before = content(self.write(dataset, tmp_path))
        handed, there = tmp_path / "dataset.pickle", tmp_path / "other" / self.output_name
        handed.write_bytes(pickle.dumps(dataset))
        path = os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path)
        subprocess.run(
            [sys.executable, "-c", _WRITE, str(handed), str(there), self.format_name],
            check=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "4711", "TZ": "Asia/Tokyo", "LC_ALL": "C"},
        )
        assert content(there) == before

    def test_what_was_read_is_written_as_it_was(self) -> None:
        """Reading and writing again changes no byte."""

        def check(dataset: Dataset) -> None:
            with scratch() as one, scratch() as other:
                path = self.write_quickly(dataset, one)
                again = self.write_quickly(self.read(path, dataset), other)
                assert content(again) == content(path)

        self.for_all(self.kept_datasets(), check)

    def test_change_after_reading_is_written(self) -> None:
        """What a reader keeps of its file hides no change: every kept column, changed alone, comes back changed."""

        def check(dataset: Dataset) -> None:
            with scratch() as folder:
                back = self.read(self.write_quickly(dataset, folder), dataset)
                for what, changed in changes(back, self.keeps):
                    with scratch() as other:
                        again = self.read(self.write_quickly(changed, other), dataset)
                    unequal = self.differences(changed, again)
                    assert not unequal, f"a change of '{what}' after reading is lost: {unequal[0]}"

        check(self.sample())

    def test_output_is_recognised_by_this_format_alone(self) -> None:
        """`sniff` of this format knows it, and no other format claims it."""
        others = [one for one in all_formats() if one.name != self.format.name]

        def check(dataset: Dataset) -> None:
            with scratch() as folder:
                path = self.write_quickly(dataset, folder)
                assert self.format.sniff(path), "the format does not recognise its own output"
                claims = [one.name for one in others if one.sniff(path) is not None]
            assert claims == []

        self.for_all(self.kept_datasets(), check)

    def test_output_in_a_folder_is_found_there(self, tmp_path: Path) -> None:
        """`discover` looks where `default_output` puts the labels."""
        from kpkit.core.report import Collector
        from kpkit.formats.base import WriteOptions

        one = self.format
        inner = tmp_path / one.default_output
        write_into(one, self.sample(), tmp_path, WriteOptions(final=inner), Collector())
        assert [path.resolve() for path in one.discover(tmp_path)] != []

    def test_dataset_read_survives_pickling(self) -> None:
        """Workers are handed datasets; what they write equals what the parent would."""

        def check(dataset: Dataset) -> None:
            with scratch() as one, scratch() as other:
                path = self.write_quickly(dataset, one)
                here = self.read(path, dataset)
                there = pickle.loads(pickle.dumps(here))
                assert_equal(here, there)
                assert content(self.write_quickly(there, other)) == content(path)

        self.for_all(self.kept_datasets(), check)


class FormatContract(KeepsContract, WritingContract, PartContract, FaultContract):
    """All promises of a format; see `FormatCase` for what a subclass may say."""


__all__ = ["FormatContract"]
