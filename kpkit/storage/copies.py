"""Copies on this machine: of labels that are read, and of outputs until they are uploaded."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path, PurePosixPath

from kpkit.errors import InputError, OutputError
from kpkit.storage.reading import asked, files_below, is_dir, is_file
from kpkit.storage.urls import named_urls, url_of


@cache
def scratch() -> Path:
    """A folder of this process for local copies, removed when it ends."""
    folder = Path(tempfile.mkdtemp(prefix="kpkit-storage-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


_origins: dict[Path, Path] = {}
# Folders in which a single copy stands.
_folders: dict[Path, Path] = {}


# An archive of a few kB may claim terabytes.
MAX_UNPACKED = 16 << 30


def bring(path: Path, leave_out: frozenset[str] = frozenset()) -> Path:
    """A local copy of a remote file or folder; a local path is handed back as it is.

    leave_out  endings (".jpg") of files in a folder that are not brought
    """
    url = url_of(path)
    if url is None:
        return path
    folder = Path(tempfile.mkdtemp(dir=scratch()))
    # The last part of the path names the copy: formats look at endings, and messages show it.
    local = folder / (PurePosixPath(url.partition("::")[0]).name or "root")
    if is_file(path):
        _get(url, "", local)
    elif is_dir(path):
        for name in files_below(path):
            if PurePosixPath(name).suffix.lower() not in leave_out and ".." not in PurePosixPath(name).parts:
                (local / name).parent.mkdir(parents=True, exist_ok=True)
                _get(url, name, local / name)
    else:
        raise InputError(
            "there is no such file or folder", code="KP-INPUT-READ", place=url, help="check the URL, its bucket first"
        )
    _origins[local], _folders[folder] = path, path
    return local


def _get(url: str, name: str, local: Path) -> None:
    if url.startswith("zip:"):
        _check_size(url, name)
    asked(url, lambda fs, where: fs.get_file(f"{where.rstrip('/')}/{name}" if name else where, str(local)))


def origin(path: Path) -> Path:
    """Where a local copy came from; any other path as it is.

    What labels call by a path beside them ("../images") is beside what they were copied from.
    """
    for local, remote in _origins.items():
        if path == local or local in path.parents:
            return remote / path.relative_to(local)
    for folder, remote in _folders.items():
        if "::" not in str(remote) and (path == folder or folder in path.parents):
            return remote.parent / path.relative_to(folder)
    return path


def lasting(path: Path) -> Path | None:
    """Where a folder that labels name still is when local copies are gone; None inside an archive.

    A path that goes on from a folder in an archive would go on from the archive's own name.
    """
    for folder, remote in _folders.items():
        if path == folder or folder in path.parents:
            return None if "::" in str(remote) else origin(path)
    return path


def named(text: str) -> str:
    """A text for people: local copies are called by the URL they came from, and URLs have both of their slashes."""
    for local, remote in _origins.items():
        text = text.replace(str(local), str(remote))
    return named_urls(text)


def stand_in(path: Path) -> Path:
    """Where an output is made: a local path itself; for storage a place on this machine that survives a killed run.

    Raises OutputError where that place belongs to somebody else.
    """
    url = url_of(path)
    if url is None:
        return path
    user = os.getuid() if hasattr(os, "getuid") else 0
    root = Path(tempfile.gettempdir()) / f"kpkit-upload-{user}"
    root.mkdir(mode=0o700, exist_ok=True)
    if hasattr(os, "getuid") and (root.is_symlink() or root.stat().st_uid != user):
        raise OutputError(
            "the place for outputs on their way to storage belongs to somebody else",
            code="KP-OUTPUT-WRITE",
            place=str(root),
            help="name another temporary folder in TMPDIR",
        )
    # What stands in this process's memory is no other's.
    owner = str(os.getpid()) if url.startswith("memory:") else ""
    folder = root / hashlib.sha256(f"{url}{owner}".encode()).hexdigest()[:16]
    folder.mkdir(exist_ok=True)
    local = folder / (path.name or "root")
    _origins[local] = path
    return local


def _check_size(url: str, name: str) -> None:
    size = asked(url, lambda fs, where: fs.size(f"{where.rstrip('/')}/{name}" if name else where))
    if size is not None and size > MAX_UNPACKED:
        raise InputError(
            "the archive's member is too large",
            code="KP-URL-SIZE",
            place=f"{url}/{name}" if name else url,
            expected=f"at most {MAX_UNPACKED:,} bytes",
            got=f"{size:,} bytes",
            help="unpack the archive yourself, if you trust it",
        )
