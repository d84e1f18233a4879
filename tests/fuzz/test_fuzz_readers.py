"""Every reader, fed damaged files: a dataset or a KpkitError, nothing else, and no output from what was refused."""

from __future__ import annotations

import random
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from kpkit.core.report import Collector
from kpkit.errors import KpkitError
from kpkit.testing import differences
from kpkit.testing.case import scratch
from tests.fuzz.engine import damaged, replay, run
from tests.fuzz.readers import READERS, Reader, mend_native
from tests.fuzz.shards import checked_blocks, lookup3, shard_seeds, stop_server

INPUTS = 2_000
INPUTS_SLOW = 20_000
REGRESSIONS = sorted((Path(__file__).parent / "regressions").iterdir())

BY_NAME = {one.name: one for one in READERS}


@pytest.fixture(scope="module", autouse=True)
def no_process_stays() -> Iterator[None]:
    yield
    stop_server()


def slug(reader: Reader) -> str:
    return reader.name.replace(" ", "_").replace(",", "")


BY_SLUG = {slug(one): one for one in READERS}


def assert_understood(reader: Reader, inputs: int, seed: int) -> None:
    with scratch() as folder:
        outcome = run(reader, max(1, round(inputs * reader.rate)), folder, seed, conversions=20)
    assert not outcome.crashes, (
        f"{len(outcome.crashes)} of {outcome.inputs} inputs, the first:\n" + outcome.crashes[0].trace
    )
    assert outcome.refused, "the damage does no harm: nothing was tried"


@pytest.mark.parametrize("reader", READERS, ids=slug)
def test_damaged_input_is_read_or_refused(reader):
    assert_understood(reader, INPUTS, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS, ids=slug)
def test_much_damaged_input_is_read_or_refused(reader):
    assert_understood(reader, INPUTS_SLOW, seed=1)


@pytest.mark.parametrize("file", REGRESSIONS, ids=lambda file: file.stem)
def test_input_that_once_was_not_understood_is_now(file, tmp_path):
    name, _, inner = file.name.split("--") if file.name.count("--") == 2 else (*file.name.split("--"), "")
    reader = BY_SLUG[name]
    sound = tmp_path / "sound"
    sound.mkdir()
    tried = 0
    for number, seed in enumerate(reader.seeds(sound)):
        path = tmp_path / f"try-{number}" / seed.name
        path.parent.mkdir()
        if seed.is_dir():
            shutil.copytree(seed, path)
            if not (path / inner.replace("__", "/")).is_file():
                continue
        shutil.copyfile(file, path / inner.replace("__", "/") if inner else path)
        if reader.format == "native":
            mend_native(path)
        replay(reader, path)
        tried += 1
    assert tried, f"no sound input has a file {inner}"


def test_low_memory_reading_refuses_and_reads_the_same_files(tmp_path):
    ordinary, streamed = BY_NAME["coco"], BY_NAME["coco, little memory"]
    (tmp_path / "sound").mkdir()
    seeds = ordinary.seeds(tmp_path / "sound")
    for number in range(600):
        rng = random.Random(number)
        with damaged(ordinary, rng.choice(seeds), rng, tmp_path / "damaged") as one:
            results = [_read(reader, one.path) for reader in (ordinary, streamed)]
            kinds = [type(result).__name__ == "str" for result in results]
            assert kinds[0] == kinds[1], f"{results}: {one.file.read_bytes()[:2000]!r}"
            if not kinds[0]:
                assert differences(*results) == []


def _read(reader: Reader, path: Path) -> object:
    try:
        return reader.read(path, Collector())
    except KpkitError as error:
        return str(error)


def test_checksums_of_sound_shards_are_those_that_the_mending_makes(tmp_path):
    for folder in shard_seeds(tmp_path):
        data = (folder / "shard-00000.h5").read_bytes()
        blocks = list(checked_blocks(data))
        assert len(blocks) > data.count(b"OHDR")
        for start, stop in blocks:
            assert struct.unpack_from("<I", data, stop) == (lookup3(data[start:stop]),)
