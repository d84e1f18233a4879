"""How what is freed is treated, by the system's allocator and by Python, in processes that are kpkit's own."""

from __future__ import annotations

import gc
import sys

# Numbers of malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_BLOCK, _REST = 32 << 20, 128 << 20

# Python's own number is 700 (2,000 from 3.12 on).
_NEW_OBJECTS = 20_000


def keep_freed() -> None:
    """Have the C library keep freed blocks for what comes next (glibc on Linux; elsewhere nothing is done).

    It gives blocks of a megabyte back to the system at once and asks for them again, and every page of such a block is
    cleared and mapped anew: half of all page faults in work that goes through arrays block by block. Nothing that a
    process holds at its peak grows by it. Not for a process that is somebody else's: these are settings for all of it.
    """
    if sys.platform != "linux":
        return
    import ctypes

    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_MMAP_THRESHOLD, _BLOCK)
        set_option(_TRIM_THRESHOLD, _REST)


def collect_seldom() -> None:
    """Have Python look for objects that only hold each other after many more new ones than it does by itself.

    Labels are many small objects and hardly any cycles: looking through them is in vain, and a look goes through
    memory that the work on pixels has driven out of the processor's caches. Not for a process that is somebody else's.
    """
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
