"""Which paths are URLs."""

from __future__ import annotations

import re
from pathlib import Path

from kpkit.errors import UsageError

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


def named_urls(text: str) -> str:
    """A text for people, in which URLs that travelled as paths have both of their slashes again."""
    if not _state.used:
        return text
    return _SCHEME.sub(lambda found: f"{found[1]}:{'///' if found[1] == 'file' else '//'}", text)
