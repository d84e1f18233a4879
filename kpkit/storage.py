"""Object storage and archives, through fsspec: any path that a command takes may be a URL.

A URL travels as a Path, so that nothing between the command line and the file needs to know: Path("s3://bucket/key") is
`s3:/bucket/key`, and `url_of` gives the URL back. Local paths never touch fsspec.

Credentials come from where the provider's own tools take them (environment, profile, instance role). A URL that carries
any is refused, since URLs end up in reports, manifests and logs.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from kpkit.errors import InputError, MissingExtraError, OutputError, UsageError

PROTOCOLS = {
    "s3": "pip install 'kpkit[s3]'",
    "gs": "pip install gcsfs",
    "az": "pip install adlfs",
    "abfs": "pip install adlfs",
    "file": "pip install fsspec",
    "memory": "pip install fsspec",
    "zip": "pip install fsspec",
    "http": "pip install fsspec aiohttp",
    "https": "pip install fsspec aiohttp",
}
READ_ONLY = frozenset({"zip", "http", "https"})
_SCHEME = re.compile(rf"\b({'|'.join(PROTOCOLS)}):/+")
_URL = re.compile(rf"({'|'.join(PROTOCOLS)}):/(?!$)")
# Written when all the rest is there: whoever lists the place sees a dataset only when it is whole.
_LAST = (".json", ".toml", ".yaml", ".csv", ".txt")
_MARKERS = frozenset({"manifest.json", "dataset.json"})

T = TypeVar("T")


class _State:
    """Whether this process has met a URL: until then no text needs a second look."""

    used = False


_state = _State()


def url_of(path: Path | str) -> str | None:
    """The URL that a path stands for; None for a local path.

    Raises UsageError where the URL holds a user name, a password or a token.
    """
    text = str(path)
    if _URL.match(text) is None:
        return None
    _state.used = True
    url = _SCHEME.sub(lambda scheme: f"{scheme[1]}:{'///' if scheme[1] == 'file' else '//'}", text)
    if re.search(r"//[^/]*@", url) or "?" in url:
        raise UsageError(
            "the URL carries credentials",
            code="KP-URL-SECRET",
            place=re.sub(r"//[^/]*@|\?.*", lambda found: "//***@" if found[0][0] == "/" else "?***", url),
            expected="a URL without a user name, a password or a query",
            help="give credentials as the provider's own tools take them, e.g. in AWS_ACCESS_KEY_ID or a profile",
        )
    return url


def is_remote(path: Path | str) -> bool:
    """Whether the path is a URL."""
    return url_of(path) is not None


@cache
def _filesystem(url: str) -> tuple[Any, str]:
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
        raise InputError("the storage cannot be reached", code="KP-URL", place=url, got=_plain(error)) from error
    return filesystem, path


def _plain(error: BaseException) -> str:
    """What a storage library says, in one line, without what may follow of requests and keys."""
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200]


def _asked(url: str, question: Callable[[Any, str], T]) -> T:
    """Ask the storage; every failure is an InputError with the URL."""
    filesystem, path = _filesystem(url)
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
            got=_plain(error),
            help="check the URL, the credentials and the network",
        ) from error


def _fresh(filesystem: Any) -> Any:
    """Without remembered listings: others write to the same storage."""
    filesystem.invalidate_cache()
    return filesystem


def read_bytes(path: Path, limit: int | None = None) -> bytes:
    """The content of a remote file, or its first `limit` bytes. Raises InputError with the URL."""
    url = _url(path)
    return bytes(_asked(url, lambda fs, where: fs.cat_file(where, end=limit)))


def is_file(path: Path) -> bool:
    """Whether a remote file is there."""
    return bool(_asked(_url(path), lambda fs, where: _fresh(fs).isfile(where)))


def is_dir(path: Path) -> bool:
    """Whether anything lies below a remote folder."""
    return bool(_asked(_url(path), lambda fs, where: _fresh(fs).isdir(where)))


def sizes(path: Path, most: int) -> dict[str, int]:
    """Bytes of a remote file; of a folder, of its first files and the sum of the rest."""

    def listed(fs: Any, where: str) -> dict[str, int]:
        root = where.rstrip("/") + "/"
        found = _fresh(fs).find(where, detail=True)
        return {name.removeprefix(root): int(entry["size"] or 0) for name, entry in sorted(found.items())}

    every = _asked(_url(path), listed)
    first = dict(list(every.items())[:most])
    rest = list(every.values())[most:]
    return first | ({f"{len(rest)} more files": sum(rest)} if rest else {})


def files_below(path: Path) -> list[str]:
    """Relative posix paths of all files below a remote folder, sorted."""

    def listed(fs: Any, where: str) -> list[str]:
        root = where.rstrip("/") + "/"
        return sorted(name[len(root) :] for name in _fresh(fs).find(where) if name.startswith(root))

    return _asked(_url(path), listed)


def _url(path: Path | str) -> str:
    url = url_of(path)
    if url is None:
        raise ValueError(f"{path} is no URL")
    return url


@cache
def scratch() -> Path:
    """A folder of this process for local copies, removed when it ends."""
    folder = Path(tempfile.mkdtemp(prefix="kpkit-storage-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


_origins: dict[Path, Path] = {}


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
    _origins[local] = path
    return local


def _get(url: str, name: str, local: Path) -> None:
    _asked(url, lambda fs, where: fs.get_file(f"{where.rstrip('/')}/{name}" if name else where, str(local)))


def origin(path: Path) -> Path:
    """Where a local copy came from; any other path as it is."""
    for local, remote in _origins.items():
        if path == local or local in path.parents:
            return remote / path.relative_to(local)
    return path


def named(text: str) -> str:
    """A text for people: local copies are called by the URL they came from, and URLs have both of their slashes."""
    if not _state.used:
        return text
    for local, remote in _origins.items():
        text = text.replace(str(local), str(remote))
    return _SCHEME.sub(lambda found: f"{found[1]}:{'///' if found[1] == 'file' else '//'}", text)


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


def exists(path: Path) -> bool:
    """Whether a remote file or folder is there."""
    return is_file(path) or is_dir(path)


def put(local: Path, path: Path) -> None:
    """Upload one file and check that it arrived whole.

    Uploads appear under their name only when they are complete: what a cut connection leaves is an upload without end,
    which storage drops, never a short file. Raises OutputError with the URL.
    """
    url = _url(path)
    protocol = url.partition(":")[0]
    if protocol in READ_ONLY:
        raise OutputError(
            f"{protocol}:// can only be read", code="KP-OUTPUT-WRITE", place=url, help="choose another place with -o"
        )
    filesystem, where = _filesystem(url)
    try:
        parent = where.rpartition("/")[0]
        if parent and protocol in {"file", "memory"}:
            filesystem.makedirs(parent, exist_ok=True)
        filesystem.put_file(str(local), where)
        filesystem.invalidate_cache(parent)
        arrived = filesystem.size(where)
    except Exception as error:  # as in `_asked`
        raise OutputError(
            "the file cannot be uploaded",
            code="KP-OUTPUT-WRITE",
            place=url,
            got=_plain(error),
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
    filesystem, where = _filesystem(_url(path))
    for name in sorted(names, key=_turn, reverse=True):
        try:
            filesystem.rm_file(f"{where.rstrip('/')}/{name}" if name else where)
        except FileNotFoundError:
            continue
        except Exception as error:  # as in `_asked`
            raise OutputError(
                "a file cannot be removed", code="KP-OUTPUT-WRITE", place=f"{_url(path)}/{name}", got=_plain(error)
            ) from error
