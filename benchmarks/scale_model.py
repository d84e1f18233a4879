"""What 10^6 to 10^9 persons mean for a cluster: parts, files, index, tasks, requests, hours and money, as one table.

    python scale_model.py [--speed PERSONS] [--bytes BYTES] [--held BYTES] [--part-size N] [--cores N] ...

The speed of a core, the bytes of a person and the memory of the process that plans are what scale.py measured; the
index is made and weighed, not estimated. A task costs a Dask scheduler 1.7 ms, and 2.6 kB while it waits. Prices are
parameters, with those usual at large providers in 2026 as defaults.
"""

from __future__ import annotations

import argparse
import json

import msgspec

from kpkit.formats.native_index import PARTS_PER_FOLDER, Entry, File, Group, Section

SIZES = (10**6, 10**7, 10**8, 10**9)
TASK_SECONDS, TASK_BYTES = 1.7e-3, 2600


def main() -> None:
    parser = argparse.ArgumentParser(description="What a number of persons means for a cluster.")
    parser.add_argument("--speed", type=float, default=25_000, help="persons a second and core, COCO to native")
    parser.add_argument("--bytes", type=float, default=490, help="bytes of a person in the parts")
    parser.add_argument("--held", type=float, default=110, help="bytes a person that the planning process holds")
    parser.add_argument("--part-size", type=int, default=16_384)
    parser.add_argument("--cores", type=int, default=200)
    parser.add_argument("--core-hour", type=float, default=0.04, help="dollars")
    parser.add_argument("--thousand-puts", type=float, default=0.005, help="dollars")
    parser.add_argument("--thousand-gets", type=float, default=0.0004, help="dollars")
    parser.add_argument("--gb-month", type=float, default=0.023, help="dollars")
    given = parser.parse_args()
    columns = [model(persons, given) for persons in SIZES]
    names = list(columns[0])
    rows = [("", *(f"{persons:,} persons" for persons in SIZES))]
    rows += [(name, *(column[name] for column in columns)) for name in names]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    rows.insert(1, tuple("-" * width for width in widths))
    for row in rows:
        print("| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |")


def model(persons: int, given: argparse.Namespace) -> dict[str, str]:
    """One column of the table."""
    parts = -(-persons // given.part_size)
    folders = -(-parts // PARTS_PER_FOLDER)
    index, document = index_bytes(min(parts, PARTS_PER_FOLDER), folders)
    hours = persons / given.speed / 3600
    tasks = parts
    # Each part: two tables written, each in one request; and read again by whoever works on it.
    puts, gets = 2 * parts + folders + 2, 2 * parts + folders + 2
    stored = persons * given.bytes / 1e9
    in_flight, at_once = _size(2 * given.cores * TASK_BYTES), _size(tasks * TASK_BYTES)
    money = hours * given.core_hour + puts / 1000 * given.thousand_puts + gets / 1000 * given.thousand_gets
    return {
        "parts (tasks)": f"{parts:,}",
        "files, folders of parts": f"{2 * parts + folders + 2:,}, {folders:,}",
        "dataset.json, all indexes": f"{document / 1e3:,.1f} kB, {index * folders / 1e6:,.1f} MB",
        "read to find one part": f"{(document + index) / 1e3:,.0f} kB",
        "stored": f"{stored:,.1f} GB",
        "scheduler: seconds of work": f"{tasks * TASK_SECONDS:,.1f}",
        "scheduler: tasks in flight, all at once": f"{in_flight}, {at_once}",
        "planning process holds": _size(persons * given.held),
        "hours of one core": f"{hours:,.2f}",
        f"hours of {given.cores} cores": f"{hours / given.cores:,.3f}",
        "requests: PUT, GET": f"{puts:,}, {gets:,}",
        "work and requests": f"${money:,.2f}",
        "storage a month": f"${stored * given.gb_month:,.2f}",
    }


def index_bytes(parts: int, folders: int) -> tuple[int, int]:
    """Bytes of a folder's index, and of the section on parts in dataset.json."""
    file = File(bytes=8_000_000, sha256="0" * 64, footer_sha256="0" * 64)
    entry = Entry(images=5_423, instances=16_384, images_file=file, instances_file=file, first_row=10**9)
    index = json.dumps(msgspec.to_builtins([entry] * parts), indent=1)
    group = Group(parts=500, images=2_711_500, instances=8_192_000, bytes=len(index), sha256="0" * 64)
    section = json.dumps(msgspec.to_builtins(Section(16_384, 61_036, [group] * folders)), indent=1)
    return len(index), len(section)


def _size(count: float) -> str:
    for unit, one in (("GB", 1e9), ("MB", 1e6)):
        if count >= one:
            return f"{count / one:,.1f} {unit}"
    return f"{count / 1e3:,.1f} kB"


if __name__ == "__main__":
    main()
