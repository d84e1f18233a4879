"""Reads MPII's .mat files: columns that `mpii_walk` brings from a limited child process, judged and made a Dataset.

Stored: 1-based pixels; a joint that is not labelled has no point; `is_visible` is a number or a character, 0 occluded
or 1 visible, or empty, which counts as visible (it occurs on upper neck and head top only).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from kpkit.child import limited_call
from kpkit.core import catalog
from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector
from kpkit.errors import FormatError, InputError, RecordError, UsageError
from kpkit.formats.base import ReadOptions
from kpkit.formats.mpii_images import image_root, image_table
from kpkit.formats.mpii_people import identity, joints, others, persons
from kpkit.guard import read_bytes

Columns = dict[str, NDArray[Any]]


def read_mat(path: Path, options: ReadOptions, collector: Collector) -> Dataset:
    """Read a RELEASE, or a bare annolist whose image names `options.image_list` gives.

    Raises FormatError for a file that is no MATLAB 5 file with MPII labels, RecordError for a wrong point or person,
    UsageError where names are missing.
    """
    _check_version(path)
    columns, info = limited_call("kpkit.formats.mpii_walk:flatten", {"path": str(path)}, place=str(path))
    return assemble(columns, info, path, options, collector)


def assemble(columns: Columns, info: dict[str, Any], path: Path, options: ReadOptions, collector: Collector) -> Dataset:
    """The Dataset from the columns of `mpii_walk.walk`."""
    for place, message, expected, got in info["faults"]:
        collector.error(
            RecordError(message, code="KP-MPII-FIELD", place=f"{path}: {place}", expected=expected, got=got)
        )
    rows = len(columns["row_slots"])
    named = info["names"] is not None or not rows
    names = info["names"] or [] if named else _listed(options.image_list, rows, path)
    if named and options.image_list is not None:
        collector.note("KP-MPII-IMAGE-LIST", "the file names its images itself; the image list was not used")
    if info["unread"]:
        what = "passed over, no labels: " + ", ".join(info["unread"])
        collector.note("KP-MPII-UNREAD", what, place=str(path), count=len(info["unread"]))
    images, image_of_row = image_table(names, columns, info, options.sizes, path, collector)
    extras: dict[str, Any] = {}
    xy, visibility = joints(columns, path, collector, extras)
    head_box = persons(columns, path, collector, extras)
    identity(columns, info, path, collector, extras)
    others(columns, info, extras)
    meta = {f"mpii.{name}": info[name] for name in ("video_list", "version") if info[name] is not None}
    return Dataset.build(
        skeleton=catalog.skeleton("mpii16"),
        images=images,
        image_index=image_of_row[columns["person_row"]],
        xy=xy,
        visibility=visibility,
        head_box=head_box,
        extras=extras,
        meta=meta,
        image_root=image_root(path, images.path.tolist()),
    )


def _check_version(path: Path) -> None:
    head = read_bytes(path, limit=1024)
    if head.startswith(b"MATLAB 7.3") or b"\x89HDF\r\n\x1a\n" in (head[:8], head[512:520]):
        raise FormatError(
            "this is a MATLAB 7.3 file (HDF5), which is not read",
            code="KP-MAT-VERSION",
            place=str(path),
            expected="a MATLAB 5 file",
            help="load it in MATLAB and write it again with save(name, 'RELEASE', '-v7')",
        )
    if not head.startswith(b"MATLAB 5.0 MAT-file"):
        raise FormatError(
            "this is no MATLAB 5 file",
            code="KP-MAT-HEADER",
            place=str(path),
            expected="a header 'MATLAB 5.0 MAT-file'",
            got=repr(head[:20]) if head else "an empty file",
            help="check the file, or name its format with --from",
        )


def _listed(image_list: Path | None, rows: int, path: Path) -> list[str]:
    if image_list is None:
        raise UsageError(
            "this annolist has no image names",
            code="KP-MPII-NO-NAMES",
            place=str(path),
            expected=f"a text file of {rows} image names, one a line, in the order of annolist",
            help="give the names with --image-list FILE.txt",
        )
    try:
        lines = read_bytes(image_list).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(
            "the image list is not UTF-8 text", code="KP-MPII-IMAGE-LIST", place=str(image_list), got=str(error)
        ) from None
    names = [line.strip() for line in lines]
    while names and not names[-1]:
        names.pop()
    if len(names) != rows:
        raise InputError(
            "the image list does not fit the labels",
            code="KP-MPII-IMAGE-LIST",
            place=str(image_list),
            expected=f"{rows} names, as many as annolist of {path.name} has entries",
            got=f"{len(names)} names",
            help="give the list that belongs to this file",
        )
    return names
