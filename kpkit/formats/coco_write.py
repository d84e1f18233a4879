"""The file around the rows: top level, categories, and the order of keys as the source had it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from kpkit.core.dataset import Dataset
from kpkit.core.skeleton import Skeleton
from kpkit.formats.coco_encode import annotation_chunks, image_chunks
from kpkit.formats.coco_read import read_meta
from kpkit.formats.coco_skeleton import describe
from kpkit.formats.jsonrows import RowSource

# Bytes after which the disk begins.
EARLY = 8 << 20


def write_file(dataset: Dataset, path: Path, version: str) -> None:
    """Write a dataset as one COCO file; unchanged rows and fields of its source are given back as they were.

    version  kpkit's version, for the `info` of a file that has no source
    """
    source = dataset.source if isinstance(dataset.source, RowSource) else None
    with path.open("wb", buffering=1 << 20) as stream:
        write_pieces(stream, pieces(dataset, source, version))


def write_pieces(stream: BinaryIO, pieces: Iterable[bytes | memoryview]) -> None:
    """Write all, and have the disk begin with what is there while the rest is made: less is left to wait for in the
    sync at the end."""
    begin = getattr(os, "posix_fadvise", None)
    started = written = 0
    for piece in pieces:
        stream.write(piece)
        written += len(piece)
        if begin is not None and written - started >= EARLY:
            # Linux writes back what is dirty when it is told that it is not needed; elsewhere it is a hint.
            with contextlib.suppress(OSError):
                begin(stream.fileno(), started, written - started, os.POSIX_FADV_DONTNEED)
            started = written


def pieces(
    dataset: Dataset,
    source: RowSource | None,
    version: str,
    rows: Mapping[str, Iterator[bytes | memoryview]] | None = None,
) -> Iterator[bytes | memoryview]:
    """The bytes of the file, in order.

    rows  the rows of "images" and of "annotations" with commas between them, where they are not those of `dataset`
    """
    if rows is None:
        rows = {"images": image_chunks(dataset, source), "annotations": annotation_chunks(dataset, source)}
    if source is not None and source.variant == "results":
        yield b"["
        yield from rows["annotations"]
        yield b"]"
        return
    separator = b"{"
    for key, value in top_level(dataset, source, version).items():
        yield separator + msgspec.json.encode(key) + b":"
        separator = b","
        if key in rows:
            yield b"["
            yield from rows[key]
            yield b"]"
        else:
            yield bytes(value)
    yield b"}"


def top_level(dataset: Dataset, source: RowSource | None, version: str) -> dict[str, bytes | msgspec.Raw]:
    """Top-level fields as JSON, in order; `images` and `annotations` are place-holders."""
    if source is not None:
        top: dict[str, bytes | msgspec.Raw] = dict(msgspec.json.decode(source.top, type=dict[str, msgspec.Raw]))
        if source.skeleton != dataset.skeleton:
            categories = msgspec.json.decode(bytes(top.get("categories", b"[]")))
            top["categories"] = msgspec.json.encode(_with_skeleton(categories, dataset, source.skeleton))
    else:
        top = {
            "info": msgspec.json.encode({"description": "written by kpkit", "version": version}),
            "licenses": b"[]",
            "images": b"[]",
            "annotations": b"[]",
            "categories": msgspec.json.encode(_categories(dataset)),
        }
    if dict(dataset.meta) != (read_meta(source.top) if source is not None else {}):
        top.pop("kpkit", None)
        if dataset.meta:
            top["kpkit"] = msgspec.json.encode({"meta": dict(dataset.meta)})
    return top


def _categories(dataset: Dataset) -> list[dict[str, Any]]:
    ids = list(dict.fromkeys(dataset.category_id.tolist())) or [1]
    entries: list[dict[str, Any]] = [{"supercategory": "person", "id": value, "name": "person"} for value in ids]
    for entry in entries if len(dataset.skeleton) else []:
        describe(entry, dataset.skeleton)
    return entries


def _with_skeleton(categories: list[dict[str, Any]], dataset: Dataset, before: Skeleton) -> list[dict[str, Any]]:
    """The source's categories with the new skeleton in place of the old one."""
    had = [entry for entry in categories if entry.get("keypoints")]
    used = set(dataset.category_id.tolist())
    for entry in had or [entry for entry in categories if entry.get("id") in used]:
        describe(entry, dataset.skeleton, before if had else None)
    return categories or _categories(dataset)
