"""Small file systems in memory, whose room for bytes and files is set while they are mounted."""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
ROOMY = "rw,size=64m,nr_inodes=10000"


class Disk:
    """A mounted tmpfs."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def set(self, options: str) -> None:
        """Other options for what is mounted; what is in it stays."""
        _mount("-o", f"remount,{options}", str(self.place))

    def roomy(self) -> None:
        """Enough of everything."""
        self.set(ROOMY)

    def leave_bytes(self, pages: int) -> None:
        """Room for so many pages more than now."""
        state = os.statvfs(self.place)
        used = (state.f_blocks - state.f_bfree) * state.f_frsize // PAGE
        self.set(f"rw,size={(used + pages) * PAGE}")

    def leave_inodes(self, count: int) -> None:
        """Room for so many files and folders more than now."""
        state = os.statvfs(self.place)
        self.set(f"rw,nr_inodes={state.f_files - state.f_ffree + count}")

    def read_only(self) -> None:
        """Nobody writes, not even root."""
        self.set("ro")


@contextlib.contextmanager
def disk(place: Path) -> Iterator[Disk]:
    """A disk of one's own at `place`; the test is skipped where none may be mounted."""
    place.mkdir()
    if sys.platform != "linux" or os.getuid() != 0:
        pytest.skip("only root mounts file systems")
    command = ["mount", "-t", "tmpfs", "-o", ROOMY, "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")
    try:
        yield Disk(place)
    finally:
        _unmount(place)


def _unmount(place: Path) -> None:
    # Errors of this process may still hold frames with open files, and those the disk.
    gc.collect()
    for _ in range(10):
        if not subprocess.run(["umount", str(place)], capture_output=True, check=False).returncode:
            return
        time.sleep(0.2)
    # Then it goes away with the last file: what was to be tested has been tested.
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def _mount(*words: str) -> None:
    done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    assert not done.returncode, f"mount {' '.join(words)}: {done.stderr}"
