"""Guards around the file system: outputs appear whole or not at all, and names stay inside their dataset.

`publish` writes beside the output and renames, and `claim` keeps other runs away meanwhile; `contained` and
`resolve_inside` refuse paths that leave a folder. Code that may die runs in a child process: see kpkit.child.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from kpkit import storage
from kpkit.errors import KpkitError, OutputError, RecordError
from kpkit.lock import Owner, lock_path, locked

TEMP_PREFIX = ".kpkit-tmp-"
OLD_PREFIX = ".kpkit-old-"
WORK_PREFIX = ".kpkit-work-"
WORK_DIGITS = 16


@contextlib.contextmanager
def publish(output: Path, *, force: bool = False, directory: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `output`; when the block ends well it is synced and renamed, else removed.

    output     the final path; missing parents are made, and removed again when the block fails
    force      replace what is there; a folder is only ever replaced by a folder
    directory  the output is a folder (the temporary folder exists already when yielded)

    Raises OutputError when the output exists without `force`, or cannot be written.
    """
    check_free(output, force=force, directory=directory)
    stand_in = storage.stand_in(output)
    temporary = stand_in.parent / f"{TEMP_PREFIX}{output.name}-{secrets.token_hex(4)}"
    with claim(output):
        try:
            if directory:
                temporary.mkdir()
            yield temporary
            install(temporary, output, force=force)
        except OSError as error:
            raise output_error(error, output, temporary) from error
        finally:
            remove(temporary)


@contextlib.contextmanager
def claim(output: Path, *, wait: bool = False, tell: Callable[[Owner], None] | None = None) -> Iterator[None]:
    """Keep other runs away from an output while the block runs, and sweep what killed runs left beside it.

    wait, tell  see kpkit.lock.locked; what a thread has claimed it may claim again

    Raises OutputError where another run holds it, or the place cannot be written.
    """
    output = storage.stand_in(output)
    with contextlib.ExitStack() as stack:
        try:
            if stack.enter_context(locked(output, wait=wait, tell=tell)):
                recover(output)
                for one in orphans(output):
                    remove(one)
        except OSError as error:
            raise output_error(error, output, lock_path(output)) from error
        yield


def install(temporary: Path, output: Path, *, force: bool) -> None:
    """Sync what was written and give it its name, in one step; what stood there before takes the temporary name.

    In storage there is no such step: the file that names all others is uploaded last.
    """
    if storage.is_remote(output):
        upload(temporary, output)
        return
    _sync_tree(temporary)
    _swap_in(temporary, output, force=force)
    _sync_dir(output.parent)


def upload(made: Path, output: Path) -> None:
    """Bring what was made on this machine to storage, and remove what the output held beyond it."""
    before = set(storage.files_below(output)) if storage.is_dir(output) else set()
    storage.remove(output, before - set(storage.put_all(made, output)))
    remove(made)


def check_free(output: Path, *, force: bool, directory: bool = True) -> None:
    """Raise OutputError where `output` exists and may not be replaced, or is a folder in the place of a file."""
    remote = storage.is_remote(output)
    if force and not directory and output.is_dir():
        raise OutputError(
            "a folder stands where the file should be written",
            code="KP-OUTPUT-FOLDER",
            place=str(output),
            expected="a file, or nothing",
            help="choose another name with -o; --force replaces a folder only by a folder",
        )
    if not force and (storage.exists(output) if remote else os.path.lexists(output)):
        raise OutputError(
            "the output exists already",
            code="KP-OUTPUT-EXISTS",
            place=str(output),
            help="add --force to replace it, or choose another with -o",
        )


def output_error(error: OSError, output: Path, temporary: Path | None = None) -> OutputError:
    """An OSError of writing, in words that say what to do.

    temporary  what stands for `output` while it is written; messages name the output in its place
    """
    reasons = {
        errno.ENOSPC: ("the disk is full", "free some space or choose another disk with -o"),
        errno.EDQUOT: ("the disk quota is used up", "free some space or choose another disk with -o"),
        errno.EFBIG: ("the file would be larger than allowed", "raise the limit (ulimit -f) or choose another place"),
        errno.EACCES: ("no permission to write here", "check the folder's permissions or choose another with -o"),
        errno.EPERM: ("no permission to write here", "check the folder's permissions or choose another with -o"),
        errno.EROFS: ("the file system is read-only", "choose another place with -o"),
        errno.ENAMETOOLONG: ("the file name is too long", "choose a shorter one with -o"),
        errno.ENOTDIR: ("a part of the path is a file, not a folder", "correct the path after -o"),
    }
    reason, help = reasons.get(error.errno or 0, (f"cannot be written: {error.strerror or error}", "check the path"))
    place = str(error.filename or output)
    if temporary is not None:
        place = place.replace(str(temporary), str(output))
    return OutputError(reason, code="KP-OUTPUT-WRITE", place=place, help=help)


def contained(name: str, *, place: str) -> str:
    """The posix form of a relative file name that stays inside its dataset.

    Raises RecordError for absolute names, drive letters, `..` that leaves the folder, and NUL bytes.
    """
    posix = name.replace("\\", "/")
    depth = 0
    escapes = posix.startswith("/") or "\0" in posix or (len(posix) > 1 and posix[1] == ":" and posix[0].isalpha())
    for part in posix.split("/"):
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        escapes = escapes or depth < 0
    if escapes:
        raise RecordError(
            "the file name points outside the dataset",
            code="KP-PATH-OUTSIDE",
            place=place,
            expected="a path relative to the image folder",
            got=repr(name),
            help="correct the file name in the labels",
        )
    return posix


def resolve_inside(root: Path, name: str, *, place: str) -> Path:
    """`root / name` after following links; RecordError where that is not below `root`."""
    path = root / PurePosixPath(contained(name, place=place))
    if storage.is_remote(root):
        return path
    real, base = path.resolve(), root.resolve()
    if real != base and base not in real.parents:
        raise RecordError(
            "the file is a link that leads outside the dataset",
            code="KP-PATH-OUTSIDE",
            place=place,
            expected=f"a file below {root}",
            got=str(real),
        )
    return path


def orphans(output: Path) -> list[Path]:
    """Temporary files and folders that killed runs left beside `output`."""
    return _beside(output, TEMP_PREFIX)


def unfinished(output: Path) -> list[Path]:
    """The same, and the output itself where a killed run had just put it aside."""
    return [*orphans(output), *_beside(output, OLD_PREFIX)]


def work_folders(output: Path) -> list[Path]:
    """Folders beside `output` with the finished items of runs that ended early."""
    return _beside(output, WORK_PREFIX, digits=WORK_DIGITS)


def recover(output: Path) -> None:
    """Give an output its name back where a run was killed between taking the old one away and naming the new one."""
    for old in _beside(output, OLD_PREFIX):
        if os.path.lexists(output):
            remove(old)
        else:
            os.rename(old, output)


def _beside(output: Path, prefix: str, digits: int = 8) -> list[Path]:
    # So many digits and no more: another output's name may begin with this one's.
    ours = re.compile(re.escape(f"{prefix}{output.name}-") + f"[0-9a-f]{{{digits}}}(\\.parts)?")
    folder = storage.stand_in(output).parent
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return sorted(folder / name for name in names if ours.fullmatch(name))


def _swap_in(temporary: Path, output: Path, *, force: bool) -> None:
    if not force:
        _claim(temporary, output)
    elif not (temporary.is_dir() and os.path.lexists(output)):
        os.replace(temporary, output)
    elif not _exchange(temporary, output):
        old = output.parent / f"{OLD_PREFIX}{output.name}-{secrets.token_hex(4)}"
        os.rename(output, old)
        try:
            os.rename(temporary, output)
        except OSError:
            os.rename(old, output)
            raise
        remove(old)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names at once, so that neither is ever missing; False where the system cannot."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    at_cwd, exchange = -100, 2
    return function is not None and function(at_cwd, os.fsencode(one), at_cwd, os.fsencode(other), exchange) == 0


def _claim(temporary: Path, output: Path) -> None:
    """Rename onto a name that is free; what has appeared there since the first check stays."""
    check_free(output, force=False)
    if temporary.is_dir() or temporary.is_symlink():
        os.rename(temporary, output)
        return
    try:
        # Unlike a rename, a link never replaces; so nothing can slip in between check and rename.
        os.link(temporary, output)
    except FileExistsError:
        check_free(output, force=False)
        raise
    except OSError:  # a file system without hard links
        os.replace(temporary, output)


def _sync_tree(path: Path) -> None:
    """Sync one file, or the folders of a tree. The files of a tree are synced by whoever writes few of them."""
    if path.is_dir():
        for folder, _, _ in os.walk(path):
            _sync_dir(Path(folder))
    else:
        sync_file(path)


def sync_file(path: Path) -> None:
    """Flush one file's content to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_dir(path: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there
        return
    sync_file(path)


def remove(path: Path) -> None:
    """Remove a file or a folder, as far as that can be done."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def read_bytes(path: Path, *, limit: int | None = None) -> bytes:
    """The content of an input file; every failure is an InputError that names it."""
    if storage.is_remote(path):
        return storage.read_bytes(path, limit)
    try:
        with path.open("rb") as stream:
            if limit is None:
                return stream.read()
            # Reading up to a limit sets memory aside for all of it; a device or a pipe has no size.
            size = os.fstat(stream.fileno()).st_size
            data = stream.read(min(limit, size + 1))
            return data + stream.read(limit - len(data)) if len(data) > size else data
    except OSError as error:
        raise input_error(error, path) from error


def input_error(error: OSError, path: Path) -> KpkitError:
    """An OSError of reading, in words that say what to do."""
    from kpkit.errors import InputError

    reasons = {
        errno.ENOENT: ("there is no such file", "check the path"),
        errno.EISDIR: ("this is a folder, a file was expected", "name the file inside it"),
        errno.EACCES: ("no permission to read this file", "check its permissions"),
        errno.EPERM: ("no permission to read this file", "check its permissions"),
        errno.ENOTDIR: ("a part of the path is a file, not a folder", "check the path"),
    }
    reason, help = reasons.get(error.errno or 0, (f"cannot be read: {error.strerror or error}", "check the file"))
    return InputError(reason, code="KP-INPUT-READ", place=str(path), help=help)
