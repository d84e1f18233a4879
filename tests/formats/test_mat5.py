"""MATLAB 5 files as values: our reader against what scipy writes, our writer against what scipy reads."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

from kpkit.errors import FormatError, UsageError
from kpkit.formats import mat5_write
from kpkit.formats.mat5 import HEADER, Variable, variable_names, variables
from kpkit.formats.mat5_bulk import ABSENT, EMPTY, NUMBER, OTHER, TEXT, Scalars
from kpkit.formats.mpii_mat_write import pack

WANTED = frozenset({"v"})

numbers = st.integers(-(2**40), 2**40).map(float) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
names = st.from_regex(r"\A[a-z][a-z0-9_]{0,11}\Z")
plain = st.recursive(
    st.none() | numbers | texts,
    lambda inner: (
        st.dictionaries(names, inner, min_size=1, max_size=4)
        | st.lists(texts, min_size=2, max_size=3)
        | st.lists(numbers, min_size=2, max_size=5)
    ),
    max_leaves=8,
)


def load(content: bytes) -> Variable:
    found = dict(variables(content, WANTED))["v"]
    assert found is not None
    return found


def scipys(folder: Path, value: Any, *, compressed: bool = True) -> Variable:
    path = folder / "scipy.mat"
    scipy.io.savemat(path, {"other": np.ones(3), "v": value}, do_compression=compressed)
    return load(path.read_bytes())


def big_endian(kind: int, shape: tuple[int, int], data: bytes, name: bytes = b"v") -> bytes:
    """A whole file with one variable, as a big-endian machine would write it."""

    def element(code: int, content: bytes) -> bytes:
        return struct.pack(">II", code, len(content)) + content + bytes(-len(content) % 8)

    body = element(6, struct.pack(">II", kind, 0)) + element(5, struct.pack(">ii", *shape)) + element(1, name) + data
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI" + struct.pack(">II", 14, len(body)) + body


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mat5")


@given(value=plain)
def test_what_is_packed_is_read_back(value: Any, folder: Path) -> None:
    path = folder / "ours.mat"
    mat5_write.save(path, "v", pack(value))
    variable = load(path.read_bytes())
    assert variable.value(0, len(variable.data)) == value


@given(row=st.dictionaries(names, numbers | texts, min_size=1, max_size=5))
def test_scipy_reads_what_is_packed(row: dict[str, Any], folder: Path) -> None:
    path = folder / "ours.mat"
    mat5_write.save(path, "v", pack(row))
    read = scipy.io.loadmat(path, squeeze_me=True)["v"]
    assert {name: read[name].item() for name in read.dtype.names} == row


@given(row=st.dictionaries(names, numbers | texts, min_size=1, max_size=5), compressed=st.booleans())
def test_what_scipy_writes_is_read(row: dict[str, Any], compressed: bool, folder: Path) -> None:
    variable = scipys(folder, row, compressed=compressed)
    assert variable.value(0, len(variable.data)) == row


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8", "i8", "u8", "?"])
def test_every_type_of_number_is_decoded_in_bulk(kind: str, folder: Path) -> None:
    values = np.array([0, 1, 100]).astype(kind)
    fields = np.empty((1, 3), [("n", object), ("m", object)])
    for column, value in enumerate(values):
        fields[0, column]["n"], fields[0, column]["m"] = value, 7
    variable = scipys(folder, fields)
    scalars = Scalars(variable)
    at = scalars.columns([variable.fields(variable.root())], ("m", "n", "none"))
    decoded, kinds = scalars.decode(at.reshape(-1))
    assert decoded.reshape(3, 3)[:, 1].tolist() == values.astype(float).tolist()
    assert kinds.reshape(3, 3).tolist() == [[NUMBER, NUMBER, ABSENT]] * 3


def test_what_is_no_number_is_told_apart_in_bulk(folder: Path) -> None:
    row = {"text": "7", "long": "77", "none": np.empty((0, 0)), "two": np.array([1.0, 2.0]), "inner": {"a": 1}, "z": 1j}
    variable = scipys(folder, row)
    scalars = Scalars(variable)
    at = scalars.columns([variable.fields(variable.root())], tuple(row))
    values, kinds = scalars.decode(at.reshape(-1))
    assert kinds.tolist() == [TEXT, OTHER, EMPTY, OTHER, OTHER, OTHER]
    assert values[0] == ord("7")


def test_many_structs_and_one_huge_one_are_decoded_alike(folder: Path) -> None:
    cells = np.empty((1, 3), object)
    for column, count in enumerate((2, 700, 1)):
        inner = np.empty((1, count), [("a", object)])
        for index in range(count):
            inner[0, index]["a"] = 1000 * column + index
        cells[0, column] = inner
    variable = scipys(folder, cells)
    root = variable.root()
    at = variable.offsets(root.body, root.end, root.length)
    views = [variable.fields(variable.matrix(one, root.end)) for one in at]
    scalars = Scalars(variable)
    values, _ = scalars.decode(scalars.columns(views, ("a",))[:, 0])
    assert values.tolist() == [0, 1, *range(1000, 1700), 2000]


def test_big_endian_files_are_read() -> None:
    content = big_endian(6, (1, 2), struct.pack(">II", 9, 16) + struct.pack(">2d", 1.5, -2.0))
    variable = load(content)
    assert variable.value(0, len(variable.data)) == [1.5, -2.0]
    short = big_endian(4, (1, 2), struct.pack(">HH", 4, 4) + struct.pack(">2H", 0xE9, 0x4EBA))
    variable = load(short)
    assert variable.value(0, len(variable.data)) == "é人"


def test_names_are_read_without_reading_the_variables(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "m.mat", {"big": np.ones((300, 300)), "v": 1, "w": "x"}, do_compression=True)
    assert variable_names(tmp_path / "m.mat") == ["big", "v", "w"]
    scipy.io.savemat(tmp_path / "m.mat", {"big": np.ones((300, 300)), "v": 1})
    assert variable_names(tmp_path / "m.mat") == ["big", "v"]


def test_the_same_values_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.mat", "b.mat"):
        mat5_write.save(tmp_path / name, "v", pack({"x": [1.0, 2.5], "name": "é"}))
    assert (tmp_path / "a.mat").read_bytes() == (tmp_path / "b.mat").read_bytes()


@pytest.mark.parametrize("compressed", [True, False])
def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path, compressed: bool) -> None:
    scipy.io.savemat(tmp_path / "m.mat", {"v": {"a": 1, "b": "text", "c": np.ones(9)}}, do_compression=compressed)
    content = (tmp_path / "m.mat").read_bytes()
    for length in range(HEADER + 1, len(content)):
        with pytest.raises(FormatError):
            load(content[:length])


def test_a_variable_that_inflates_to_less_than_it_claims_is_refused() -> None:
    variable = big_endian(6, (1, 2), bytes(24))[HEADER:]
    packed = zlib.compress(struct.pack(">II", 14, 1000) + variable[8:])
    content = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI" + struct.pack(">II", 15, len(packed)) + packed
    with pytest.raises(FormatError):
        load(content).root()


@pytest.mark.parametrize("shape", [(1, 2**31 - 1), (2**31 - 1, 2**31 - 1)])
@pytest.mark.parametrize("kind", [1, 2, 4, 6])
def test_sizes_that_the_bytes_cannot_hold_are_refused(kind: int, shape: tuple[int, int]) -> None:
    data = struct.pack(">HHi", 4, 5, 8) + struct.pack(">II", 1, 8) + b"a".ljust(8, b"\0") if kind == 2 else bytes(8)
    variable = load(big_endian(kind, shape, data))
    with pytest.raises(FormatError):
        variable.value(0, len(variable.data))


def test_structs_nested_without_end_are_refused(tmp_path: Path) -> None:
    value: Any = 1.0
    for _ in range(60):
        value = {"a": value}
    mat5_write.save(tmp_path / "m.mat", "v", pack(value))
    variable = load((tmp_path / "m.mat").read_bytes())
    with pytest.raises(FormatError, match="nested too deep"):
        variable.value(0, len(variable.data))


def test_a_variable_too_large_for_the_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mat5_write, "LARGEST", 1000)
    with pytest.raises(UsageError, match="too many labels"):
        mat5_write.save(tmp_path / "m.mat", "v", pack([0.5] * 200))
