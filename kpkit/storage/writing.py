"""Uploads: whole or not at all, the file that names all others last."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from kpkit.errors import OutputError
from kpkit.storage.reading import filesystem_of, plain, required_url
from kpkit.storage.urls import READ_ONLY

# Written when all the rest is there: whoever lists the place sees a dataset only when it is whole.
_LAST = (".json", ".toml", ".yaml", ".csv", ".txt")
_MARKERS = frozenset({"manifest.json", "dataset.json"})


def put(local: Path, path: Path) -> None:
    """Upload one file and check that it arrived whole.

    Uploads appear under their name only when they are complete: what a cut connection leaves is an upload without end,
    which storage drops, never a short file. Raises OutputError with the URL.
    """
    url = required_url(path)
    protocol = url.partition(":")[0]
    if protocol in READ_ONLY:
        raise OutputError(
            f"{protocol}:// can only be read", code="KP-OUTPUT-WRITE", place=url, help="choose another place with -o"
        )
    filesystem, where = filesystem_of(url)
    try:
        parent = where.rpartition("/")[0]
        if parent and protocol in {"file", "memory"}:
            filesystem.makedirs(parent, exist_ok=True)
        filesystem.put_file(str(local), where)
        filesystem.invalidate_cache(parent)
        arrived = filesystem.size(where)
    except Exception as error:  # as in `asked`
        raise OutputError(
            "the file cannot be uploaded",
            code="KP-OUTPUT-WRITE",
            place=url,
            got=plain(error),
            help="check the credentials, the bucket and the network, then run the command again",
        ) from error
    if arrived != local.stat().st_size:
        raise OutputError(
            "the upload is not whole",
            code="KP-OUTPUT-WRITE",
            place=url,
            expected=f"{local.stat().st_size} bytes",
            got=f"{arrived} bytes",
        )


def put_all(local: Path, path: Path) -> list[str]:
    """Upload a file, or a tree with its index last; what was uploaded is removed again where a part fails.

    returns the relative names, in the order of their upload; [""] for a file
    """
    if local.is_file():
        put(local, path)
        return [""]
    names = [file.relative_to(local).as_posix() for file in local.rglob("*") if file.is_file()]
    done: list[str] = []
    try:
        for name in sorted(names, key=_turn):
            put(local / name, path / name)
            done.append(name)
    except BaseException:
        remove(path, done)
        raise
    return done


def _turn(name: str) -> tuple[int, str]:
    """Data, then labels and lists, then the file that names all others."""
    pure = PurePosixPath(name)
    return (2 if pure.name in _MARKERS else 1 if pure.suffix.lower() in _LAST else 0), name


def remove(path: Path, names: Iterable[str]) -> None:
    """Remove files below a remote folder, the index first; what is not there is passed over."""
    filesystem, where = filesystem_of(required_url(path))
    for name in sorted(names, key=_turn, reverse=True):
        try:
            filesystem.rm_file(f"{where.rstrip('/')}/{name}" if name else where)
        except FileNotFoundError:
            continue
        except Exception as error:  # as in `asked`
            raise OutputError(
                "a file cannot be removed",
                code="KP-OUTPUT-WRITE",
                place=f"{required_url(path)}/{name}",
                got=plain(error),
            ) from error
