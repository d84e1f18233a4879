"""The contract can fail: formats that break one promise are caught by the test of that promise, honest ones pass."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kpkit import registry
from kpkit.formats.base import Format
from kpkit.testing import FormatContract
from tests.plugins import liars

Install = Callable[[type[Format]], None]


class Case(FormatContract):
    format_name = "liar"
    share = 0.4


class UnorderedCase(Case):
    ordered = False


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Registers one class as the format "liar"."""

    def register(kind: type[Format]) -> None:
        monkeypatch.setitem(registry._BUILT_IN[registry.FORMATS], "liar", f"tests.plugins.liars:{kind.__name__}")
        forget()

    def forget() -> None:
        registry.table.cache_clear()
        registry.load.cache_clear()

    yield register
    monkeypatch.undo()
    forget()


def run(name: str, folder: Path, case: FormatContract | None = None) -> None:
    test = getattr(case or Case(), name)
    test(tmp_path=folder) if "tmp_path" in inspect.signature(test).parameters else test()


LIES = [
    (liars.MakesOccludedVisible, "test_round_trip_gives_back_what_it_keeps"),
    (liars.RoundsInSilence, "test_round_trip_gives_back_what_it_keeps"),
    (liars.CountsNoLoss, "test_what_it_does_not_keep_is_counted_and_harms_nothing_else"),
    (liars.CountsTooMuch, "test_nothing_is_counted_as_lost_of_what_it_keeps"),
    (liars.WritesTheTime, "test_two_writes_give_the_same_bytes"),
    (liars.ClaimsEverything, "test_content_of_another_kind_is_refused"),
    (liars.ClaimsEverything, "test_empty_input_is_refused"),
    (liars.KnowsNotItself, "test_output_is_recognised_by_this_format_alone"),
    (liars.KnowsNotItself, "test_output_in_a_folder_is_found_there"),
    (liars.WritesPlainCoco, "test_output_is_recognised_by_this_format_alone"),
    (liars.FailsInItsOwnWay, "test_truncated_file_is_refused_or_says_less"),
    (liars.FailsInItsOwnWay, "test_empty_input_is_refused"),
    (liars.ReadsCutFiles, "test_truncated_file_is_refused_or_says_less"),
    (liars.TouchesItsInput, "test_reading_leaves_the_input_alone"),
    (liars.HidesChanges, "test_change_after_reading_is_written"),
    (liars.SwallowsFullDisks, "test_failed_write_leaves_nothing"),
    (liars.SwallowsFullDisks, "test_failed_write_leaves_the_old_output"),
    (liars.NamesNoPath, "test_content_of_another_kind_is_refused"),
    (liars.MixesUpParts, "test_parts_that_were_moved_and_put_down_make_the_same_output"),
    (liars.NamesAllPartsAlike, "test_parts_that_were_moved_and_put_down_make_the_same_output"),
    (liars.ForgetsParts, "test_dataset_written_in_parts_comes_back"),
]


@pytest.mark.parametrize(("kind", "name"), LIES)
def test_a_broken_promise_is_caught(kind, name, install, tmp_path):
    install(kind)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        run(name, tmp_path)


@pytest.mark.parametrize(("kind", "name"), [(liars.CannotTravel, "test_dataset_read_survives_pickling")])
def test_a_dataset_that_cannot_be_pickled_is_caught(kind, name, install, tmp_path):
    install(kind)
    with pytest.raises((AttributeError, TypeError)):
        run(name, tmp_path)


@pytest.mark.parametrize("name", [name for name in dir(FormatContract) if name.startswith("test_")])
@pytest.mark.parametrize("kind", [liars.Honest, liars.Plain, liars.Poor])
def test_an_honest_format_passes_however_little_it_keeps(kind, name, install, tmp_path):
    if name == "test_another_process_writes_the_same_bytes":
        pytest.skip("another process does not know what is registered here")
    install(kind)
    run(name, tmp_path, UnorderedCase() if kind is liars.Poor else Case())
