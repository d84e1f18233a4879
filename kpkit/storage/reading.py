"""What lies in storage: whether it is there, and its bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from kpkit.errors import InputError, MissingExtraError
from kpkit.storage.urls import PROTOCOLS, url_of

T = TypeVar("T")


@cache
def filesystem_of(url: str) -> tuple[Any, str]:
    """fsspec's file system for a URL, and the path in it."""
    protocol = url.partition(":")[0]
    try:
        import fsspec

        filesystem, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise MissingExtraError(
            f"reading {protocol}:// needs a package that is not installed",
            code="KP-EXTRA",
            place=url,
            got=str(error),
            help=PROTOCOLS[protocol],
        ) from error
    except (OSError, ValueError) as error:
        raise InputError("the storage cannot be reached", code="KP-URL", place=url, got=plain(error)) from error
    return filesystem, path


def plain(error: BaseException) -> str:
    """What a storage library says, in one line, without what may follow of requests and keys."""
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200]


def asked(url: str, question: Callable[[Any, str], T]) -> T:
    """Ask the storage; every failure is an InputError with the URL."""
    filesystem, path = filesystem_of(url)
    try:
        return question(filesystem, path)
    except FileNotFoundError as error:
        raise InputError(
            "there is no such file", code="KP-INPUT-READ", place=url, help="check the URL, its bucket first"
        ) from error
    except PermissionError as error:
        raise InputError(
            "no permission to read this",
            code="KP-INPUT-READ",
            place=url,
            help="check the credentials that the provider's own tools use",
        ) from error
    except Exception as error:  # each storage library has a tree of errors of its own
        raise InputError(
            "the storage does not answer as it should",
            code="KP-URL",
            place=url,
            got=plain(error),
            help="check the URL, the credentials and the network",
        ) from error


def _fresh(filesystem: Any) -> Any:
    """Without remembered listings: others write to the same storage."""
    filesystem.invalidate_cache()
    return filesystem


def read_bytes(path: Path, limit: int | None = None) -> bytes:
    """The content of a remote file, or its first `limit` bytes. Raises InputError with the URL."""
    url = required_url(path)
    return bytes(asked(url, lambda fs, where: fs.cat_file(where, end=limit)))


def is_file(path: Path) -> bool:
    """Whether a remote file is there."""
    return bool(asked(required_url(path), lambda fs, where: _fresh(fs).isfile(where)))


def is_dir(path: Path) -> bool:
    """Whether anything lies below a remote folder."""
    return bool(asked(required_url(path), lambda fs, where: _fresh(fs).isdir(where)))


def sizes(path: Path, most: int) -> dict[str, int]:
    """Bytes of a remote file; of a folder, of its first files and the sum of the rest."""

    def listed(fs: Any, where: str) -> dict[str, int]:
        root = where.rstrip("/") + "/"
        found = _fresh(fs).find(where, detail=True)
        return {name.removeprefix(root): int(entry["size"] or 0) for name, entry in sorted(found.items())}

    every = asked(required_url(path), listed)
    first = dict(list(every.items())[:most])
    rest = list(every.values())[most:]
    return first | ({f"{len(rest)} more files": sum(rest)} if rest else {})


def files_below(path: Path) -> list[str]:
    """Relative posix paths of all files below a remote folder, sorted."""

    def listed(fs: Any, where: str) -> list[str]:
        root = where.rstrip("/") + "/"
        return sorted(name[len(root) :] for name in _fresh(fs).find(where) if name.startswith(root))

    return asked(required_url(path), listed)


def required_url(path: Path | str) -> str:
    """The URL that a path stands for; ValueError for a local path."""
    url = url_of(path)
    if url is None:
        raise ValueError(f"{path} is no URL")
    return url


def exists(path: Path) -> bool:
    """Whether a remote file or folder is there."""
    return is_file(path) or is_dir(path)
