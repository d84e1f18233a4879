"""Rows found by their braces are the rows a parser finds, whatever stands in the file; else the file is parsed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import kpkit
from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector
from kpkit.formats import coco, coco_cut
from kpkit.formats.base import ReadOptions
from kpkit.formats.coco import CocoFormat
from kpkit.formats.coco_cut import cut
from kpkit.formats.coco_parse import Parsed, parse_text
from tests.coco_files import document, image, person, save

COMPACT, USUAL = (",", ":"), (", ", ": ")
signs = st.sampled_from(
    ["},{", "}, {", "}]", "}", "{", "]", "[", '"', "\\", " ", ",", "a", "annotations", '"images":[{']
)
strings = st.lists(signs, max_size=6).map("".join)
values = st.recursive(
    st.one_of(strings, st.integers(0, 9), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(strings, inner, max_size=3)),
    max_leaves=8,
)
layouts = st.sampled_from([(COMPACT, None), (USUAL, None), ((" ,", ":"), None), ((",\n", ":"), None), (COMPACT, 1)])
ORDERS = (("images", "annotations", "categories"), ("annotations", "own", "images"), ("own", "images", "annotations"))


def text_of(rows: list[Any], images: list[Any], own: Any, order: tuple[str, ...], layout: tuple[Any, Any]) -> bytes:
    """A file with fields of one's own in its rows, its images and at its top, with keys in some order."""
    persons = [{**person(i, 1), "note": value} for i, value in enumerate(rows, start=1)]
    content = {
        **document(persons, [{**image(i), "note": value} for i, value in enumerate([0, *images], 1)]),
        "own": own,
    }
    content = {key: content[key] for key in dict.fromkeys([*order, *content])}
    separators, indent = layout
    return json.dumps(content, separators=separators, indent=indent).encode()


def outcome(buffer: bytes, path: Path) -> tuple[Any, ...]:
    """What a reader makes of a file: columns, raw rows, what it noticed."""
    path.write_bytes(buffer)
    collector = Collector("collect")
    dataset = CocoFormat().read(path, ReadOptions(), collector)
    return *columns(dataset), [(one.code, one.count, one.places) for one in collector.issues]


def columns(dataset: Dataset) -> tuple[Any, ...]:
    source: Any = dataset.source
    raw = [[rows.get(i) for i in range(len(rows))] for rows in (source.rows, source.image_rows)]
    joined = [
        b"".join(bytes(piece) for piece in rows.chunks(np.arange(len(rows))))
        for rows in (source.rows, source.image_rows)
    ]
    return dataset.xy.tobytes(), dataset.instance_id.tolist(), dataset.images.path.tolist(), raw, joined, source.top


def parsed_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coco, "cut", lambda buffer: None)


@settings(max_examples=300, deadline=None)
@given(st.lists(values, min_size=1, max_size=4), st.lists(values, max_size=3), values, st.sampled_from(ORDERS), layouts)
@example([[{}, {}]], [], 0, ORDERS[0], (COMPACT, None))
@example(["},{"], [], '"annotations":[{', ORDERS[2], (COMPACT, None))
@example([{"a": [{}]}], [], 0, ORDERS[1], (COMPACT, None))
def test_a_file_is_read_as_if_it_was_parsed(tmp_path_factory, rows, images, own, order, layout) -> None:
    buffer = text_of(rows, images, own, order, layout)
    path = tmp_path_factory.mktemp("cut") / "labels.json"
    guessed = outcome(buffer, path)
    with pytest.MonkeyPatch.context() as patch:
        parsed_only(patch)
        assert guessed == outcome(buffer, path)


@pytest.mark.parametrize("style", [COMPACT, USUAL])
@pytest.mark.parametrize("order", ORDERS)
def test_the_usual_forms_are_not_parsed(style, order, tmp_path, monkeypatch) -> None:
    def refuse(*_: object) -> Parsed:
        raise AssertionError("parsed")

    path = tmp_path / "labels.json"
    path.write_bytes(text_of([{"a": 1}, [1, 2], "x"], [None], {"b": [1]}, order, (style, None)))
    monkeypatch.setattr(coco, "parse_text", refuse)
    assert len(kpkit.read(path)) == 3


def test_a_border_across_the_pieces_that_are_looked_through_is_found(monkeypatch) -> None:
    buffer = text_of([0, 1, 2], [0, 0], 0, ORDERS[0], (USUAL, None))
    whole = parse_text(buffer, Path("labels.json"))
    for size in range(1, 200):
        monkeypatch.setattr(coco_cut, "CHUNK", size)
        found = cut(buffer)
        assert found is not None
        assert [bytes(row) for row in found.rows] == [bytes(row) for row in whole.rows]
        assert [bytes(row) for row in found.image_rows] == [bytes(row) for row in whole.image_rows]


@pytest.mark.parametrize(
    "text",
    [
        b'{"images":[],"annotations":[]}',
        b'{"images":[{"id":1}],"annotations":[{"id":1} ]}',
        b'{"images":[{"id":1}],"annotations":[{"id":1}\n,{"id":2}]}',
        b'{"images":[{"id":1}],"annotations":[{"id":1},  {"id":2}]}',
        b'{"images":[{"id":1}],"annotations":[{"id":1}',
        b'{"images":[{"id":1}],"annotations":[{"id":1}]',
        b'{"info":{"images":[{"id":1}]},"annotations":[{"id":1}]}',
        b'{"info":"\\"annotations\\":[{}]","images":[{"id":1}]}',
        b'[{"id":1}] [',
        b"[]",
        b"[1]",
        b"",
    ],
)
def test_other_forms_are_left_to_the_parser(text: bytes) -> None:
    assert cut(text) is None


def test_nothing_is_noticed_twice_when_the_guess_was_wrong(tmp_path) -> None:
    """The first rows are read, with something to notice, before a row shows that the guess does not hold."""
    rows = [person(i, 1, num_keypoints=3) for i in range(1, 6001)]
    rows[-1]["own"] = [{"a": 1}, {"b": 2}]
    path = save(tmp_path / "labels.json", document(rows, [image(1)]), separators=COMPACT)
    collector = Collector("collect")
    dataset = CocoFormat().read(path, ReadOptions(), collector)
    assert len(dataset) == 6000
    counts = {one.code: one.count for one in collector.issues}
    assert counts["KP-COCO-NUM-KEYPOINTS"] == 6000


def test_a_name_that_the_top_level_gives_twice_is_refused(tmp_path) -> None:
    path = tmp_path / "labels.json"
    path.write_bytes(text_of([0], [], 0, ORDERS[0], (COMPACT, None))[:-1] + b',"annotations":[]}')
    with pytest.raises(kpkit.KpkitError, match="twice"):
        kpkit.read(path)


def test_rows_of_a_list_of_results_are_found(tmp_path, monkeypatch) -> None:
    def refuse(*_: object) -> Parsed:
        raise AssertionError("parsed")

    rows = [{"image_id": 1, "category_id": 1, "keypoints": [1, 2, 0.5] * 17, "score": 0.5}] * 3
    path = save(tmp_path / "results.json", rows, separators=COMPACT)
    monkeypatch.setattr(coco, "parse_text", refuse)
    assert len(kpkit.read(path)) == 3
