"""The file below HDF5 while a shard is written.

HDF5 may crash, and take the process along, when the system refuses a write while it closes a file. So it is told that
all is well; the first error is kept here, nothing is written after it, and whoever writes the shard asks.
"""

from __future__ import annotations

import os
from pathlib import Path


class ShardStream:
    """A new file that swallows errors of writing and keeps the first.

    error  what the system said, or None
    """

    def __init__(self, path: Path) -> None:
        """Make the file. Raises OSError where there is one, or it cannot be made."""
        self.error: OSError | None = None
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        self._size = self._place = 0

    def check(self) -> None:
        """Raise the error that there was."""
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        """Close the file; again is no error."""
        if self._file >= 0:
            file, self._file = self._file, -1
            os.close(file)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As files do."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = start + offset
        return self._place

    def tell(self) -> int:
        """As files do."""
        return self._place

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """As files do; zeros where the file has no more, which is so after an error only."""
        view = memoryview(buffer).cast("B")
        found = b""
        try:
            self._go()
            found = os.read(self._file, len(view))
        except OSError as error:
            self.error = self.error or error
        view[: len(found)] = found
        view[len(found) :] = bytes(len(view) - len(found))
        self._place += len(view)
        return len(view)

    def read(self, size: int) -> bytes:
        """As files do; see `readinto`."""
        buffer = bytearray(size)
        self.readinto(buffer)
        return bytes(buffer)

    def write(self, data: bytes | memoryview) -> int:
        """As files do, all of it."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            self._go()
            while len(rest) and self.error is None:
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            self.error = self.error or error
        self._place += size
        self._size = max(self._size, self._place)
        return size

    def truncate(self, size: int) -> int:
        """As files do."""
        try:
            if self.error is None:
                os.ftruncate(self._file, size)
        except OSError as error:
            self.error = error
        self._size = size
        return size

    def flush(self) -> None:
        """Nothing is held back here."""

    def _go(self) -> None:
        os.lseek(self._file, self._place, os.SEEK_SET)
