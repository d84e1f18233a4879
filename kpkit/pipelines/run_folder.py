"""A folder of one run's own: its workers make files there and rename them to their places from there.

On a cluster a worker may be at work when its run is over: the client was killed, or had given the worker up. The next
run on the same output takes the folder away before it begins, so that nothing of an earlier run can reach the output
any more, however late it comes. Nobody but the client makes such a folder.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

RUN_PREFIX = ".run-"
# A worker may be adding a file just then.
TRIES = 20


@contextlib.contextmanager
def run_folder(place: Path) -> Iterator[Path]:
    """The folder of this run in `place`, gone afterwards; those of earlier runs are gone before. Raises OSError."""
    end_runs(place)
    folder = place / f"{RUN_PREFIX}{secrets.token_hex(8)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):
            end_runs(place)


def runs(place: Path) -> list[Path]:
    """Folders of runs in `place`."""
    return sorted(place.glob(f"{RUN_PREFIX}*"))


def end_runs(place: Path) -> None:
    """Take the folders of all runs away. Raises OSError where that cannot be done."""
    for folder in runs(place):
        # Under another name first: from here on no path that a worker knows leads into it.
        aside = folder.with_name(f"{RUN_PREFIX}{secrets.token_hex(8)}")
        os.rename(folder, aside)
        for left in reversed(range(TRIES)):
            try:
                shutil.rmtree(aside)
                break
            except OSError:
                if not left:
                    raise
