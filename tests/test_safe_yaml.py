from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kpkit.errors import FormatError, InputError, KpkitError
from kpkit.safe_yaml import MAX_BYTES, read_yaml


def _file(tmp_path: Path, text: str | bytes, name: str = "a.yaml") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_plain_yaml_is_read(tmp_path: Path) -> None:
    text = "a: 1\nb: [1.5, x, null, true]\nc: {d: 'e'}\n"
    assert read_yaml(_file(tmp_path, text)) == {"a": 1, "b": [1.5, "x", None, True], "c": {"d": "e"}}


def test_json_is_read_as_json(tmp_path: Path) -> None:
    text = '{\n\t"a": 1e-05,\n\t"b": [1, "x", null]\n}'
    assert read_yaml(_file(tmp_path, text, "a.json")) == {"a": 1e-05, "b": [1, "x", None]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x [1]\nb: *x\n", "aliases"),
        ("a: !!python/object/apply:os.system [true]\n", "tags"),
        ("a: !!python/name:os.system\n", "tags"),
        ("a: !!python/tuple [1, 2]\n", "tags"),
        ("a: !!int ''\n", "tags"),
        ("a: !!timestamp x\n", "tags"),
        ("!!set {a, b}\n", "tags"),
        ("a: !own 1\n", "tags"),
        ("a: [1,\n", "expected"),
        ("a: 1\n\tb: 2\n", "tab|expected|token"),
        ("? [a]\n: 1\n", "unhashable"),
        ("a: 1\n---\nb: 2\n", "another document"),
    ],
)
def test_anything_but_plain_data_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    path = _file(tmp_path, text)
    with pytest.raises(FormatError, match=said) as caught:
        read_yaml(path)
    assert caught.value.code == "KP-YAML"
    assert caught.value.place.startswith(f"{path}: line ")


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": 1', "", "[1,]", b"\xff\xfe{"])
def test_damaged_json_is_refused(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(FormatError, match="JSON"):
        read_yaml(_file(tmp_path, text, "a.json"))


def test_bomb_of_aliases_is_refused_before_it_grows(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    with pytest.raises(FormatError, match="aliases"):
        read_yaml(_file(tmp_path, "\n".join(lines)))


@pytest.mark.parametrize(("opening", "name"), [("[", "a.yaml"), ("[", "a.json"), ("- ", "a.yaml"), ("{a: ", "a.yaml")])
def test_huge_nest_is_refused(tmp_path: Path, opening: str, name: str) -> None:
    with pytest.raises(FormatError):
        read_yaml(_file(tmp_path, opening * 5000, name))


def test_large_file_is_refused_unread(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="too large") as caught:
        read_yaml(_file(tmp_path, b" " * (MAX_BYTES + 1)))
    assert caught.value.expected == "at most 1 MB"


def test_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_yaml(tmp_path / "none.yaml")
    assert caught.value.place == str(tmp_path / "none.yaml")


def test_errors_carry_the_code_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(FormatError) as caught:
        read_yaml(_file(tmp_path, "a: *x"), code="KP-OWN")
    assert caught.value.code == "KP-OWN"


# Not every character: PyYAML writes some (a next line, U+0085) so that it reads them back as others.
words = st.text(alphabet="ab1 :-#'\"[]{}&*!|>%@é漢", max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


@given(plain)
def test_what_yaml_writes_plainly_is_read_back(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    path = tmp_path_factory.mktemp("yaml") / "a.yaml"
    path.write_bytes(yaml.safe_dump(content, allow_unicode=True).encode("utf-8"))
    assert read_yaml(path) == content


PIECES = ["a", ":", " ", "\n", "- ", "[", "]", "{", "}", "&x ", "*x", "!!int ", "!!bool ", "!", "'", "1e5", "0x", "~"]


@given(
    st.lists(st.sampled_from([*PIECES, "? ", "|", ">", "%", "@", "`", "2024-99-99", "<<: ", "\t", "\0"]), max_size=14)
)
@pytest.mark.parametrize("name", ["a.yaml", "a.json"])
def test_any_text_is_plain_data_or_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, pieces: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / f"fuzz-{name}"
    path.write_text("".join(pieces), encoding="utf-8")
    try:
        read_yaml(path)
    except KpkitError:
        return
