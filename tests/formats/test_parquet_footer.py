"""The footer of a Parquet file, read by hand, says what the library says."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kpkit.formats.parquet_footer import chunks
from kpkit.pipelines.io import write
from kpkit.testing.samples import sample


@pytest.fixture
def table(tmp_path: Path) -> Path:
    write(sample(), tmp_path / "labels.kpk", "native")
    return tmp_path / "labels.kpk" / "instances.parquet"


def as_the_library_says(path: Path) -> list[tuple[str, set[str], int]]:
    metadata = pq.ParquetFile(path).metadata
    columns = [
        metadata.row_group(group).column(index)
        for group in range(metadata.num_row_groups)
        for index in range(metadata.num_columns)
    ]
    return [(one.path_in_schema, set(one.encodings), one.total_uncompressed_size) for one in columns]


def as_we_say(path: Path) -> list[tuple[str, set[str], int]]:
    return [(one.path, set(one.encodings), one.unpacked) for one in chunks(path)]


def test_columns_encodings_and_sizes_are_those_of_the_library(table):
    assert as_we_say(table) == as_the_library_says(table)
    assert len(as_we_say(table)) >= 5


@pytest.mark.parametrize("options", [{}, {"row_group_size": 7}, {"use_dictionary": False}, {"compression": "gzip"}])
def test_files_of_others_are_understood(tmp_path, options):
    path = tmp_path / "other.parquet"
    columns = {"n": list(range(30)), "text": ["a", None, "ö"] * 10, "list": [[1.5], [], None] * 10}
    pq.write_table(pa.table(columns), path, **options)
    assert as_we_say(path) == as_the_library_says(path)


def test_a_footer_cut_anywhere_is_refused(table):
    data = table.read_bytes()
    for length in range(0, len(data), 37):
        table.write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"Parquet|footer"):
            chunks(table)


def test_a_footer_that_claims_more_than_the_file_has_is_refused(table):
    data = table.read_bytes()
    table.write_bytes(data[:-8] + (1 << 30).to_bytes(4, "little") + data[-4:])
    with pytest.raises(ValueError, match="larger than the file"):
        chunks(table)
