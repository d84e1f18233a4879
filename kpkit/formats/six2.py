"""6-2: eight joints (six main, two extended) in kpkit's own JSON or CSV, or in a team's own file with a layout."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector
from kpkit.errors import FormatError, UsageError
from kpkit.formats.base import Format, Keeps, ReadOptions, WriteOptions
from kpkit.formats.six2_rows import NAMES
from kpkit.guard import read_bytes

JSON_MARK = re.compile(rb'"format"\s*:\s*"kpkit-six2"')
_HEAD = 4096

_JSON_KEEPS = Keeps(
    skeletons=NAMES,
    truncated=True,
    bbox_source=True,
    head_box=True,
    track_id=True,
    score=True,
    is_crowd=True,
    split=True,
    instance_id=True,
    category_id=True,
    image_id=True,
    extras=("six2",),
)
_CSV_KEEPS = Keeps(skeletons=NAMES, truncated=True, area=False, instance_id=True, extras=("six2",))


class Six2Format(Format):
    """6-2 labels. JSON keeps every column; CSV keeps joints, sizes, ids of persons and annotated boxes."""

    name: ClassVar[str] = "six2"
    title: ClassVar[str] = "6-2: eight joints with the states not visible, visible, truncated (JSON or CSV)"
    default_output: ClassVar[str] = "labels.six2.json"
    suffixes: ClassVar[tuple[str, ...]] = (".json", ".csv")
    usual: ClassVar[tuple[str, ...]] = ("six2/*.json", "*.six2.json", "six2/*.csv", "*.six2.csv")
    keeps: ClassVar[Keeps] = _JSON_KEEPS
    fixed_joints: ClassVar[bool] = True

    def sniff(self, path: Path) -> str | None:
        """By content, "6-2 JSON" (the format mark) or "6-2 CSV" (a header with 6-2's columns)."""
        try:
            with path.open("rb") as stream:
                head = stream.read(_HEAD)
                size = stream.seek(0, 2)
                stream.seek(max(0, size - _HEAD))
                tail = stream.read()
        except OSError:
            return None
        if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
            return "6-2 JSON" if JSON_MARK.search(head) or JSON_MARK.search(tail) else None
        header = set(re.split(rb'["\s]*[,;\t]["\s]*', head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0]))
        return "6-2 CSV" if {b"head_x", b"torso_center_y", b"left_hip_v"} <= header else None

    def read(self, path: Path, options: ReadOptions, collector: Collector) -> Dataset:
        """Read 6-2 JSON or CSV, told apart by content; with `options.layout` a team's own CSV or JSON."""
        if options.layout is not None:
            from kpkit.formats.layout import read_with_layout

            return read_with_layout(path, options, collector)
        content = read_bytes(path)
        start = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
        if start in (b"{", b"["):
            from kpkit.formats.six2_json import read_json

            return read_json(path, content, options, collector)
        if not start:
            raise FormatError("the file is empty", code="KP-SIX2-EMPTY", place=str(path), expected="6-2 JSON or CSV")
        from kpkit.formats.six2_csv import read_csv

        return read_csv(path, content, options, collector)

    def write(self, dataset: Dataset, path: Path, options: WriteOptions, collector: Collector) -> None:
        """Write JSON, or CSV where the output's name ends in .csv.

        Raises UsageError for other joints than 6-2's, and for a layout: layouts are for reading.
        """
        if options.layout is not None:
            raise UsageError(
                "a layout describes files to read; kpkit does not write by it",
                code="KP-LAYOUT-WRITE",
                place=str(options.layout),
                help="leave the layout out: kpkit writes 6-2 as JSON, or as CSV where the output ends in .csv",
            )
        if _is_csv(options.final if options.final.name else path):
            from kpkit.formats.six2_csv_write import write_csv

            write_csv(dataset, path, collector)
        else:
            from kpkit.formats.six2_json_write import write_json

            write_json(dataset, path)

    def keeps_for(self, final: Path) -> Keeps:
        """JSON keeps more than CSV."""
        return _CSV_KEEPS if _is_csv(final) else _JSON_KEEPS


def _is_csv(final: Path) -> bool:
    return final.suffix.lower() == ".csv"
