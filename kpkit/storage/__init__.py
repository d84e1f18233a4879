"""Object storage and archives, through fsspec: any path that a command takes may be a URL.

A URL travels as a Path, so that nothing between the command line and the file needs to know: Path("s3://bucket/key") is
`s3:/bucket/key`, and `url_of` gives the URL back. Local paths never touch fsspec.

Credentials come from where the provider's own tools take them (environment, profile, instance role). A URL that carries
any is refused, since URLs end up in reports, manifests and logs.
"""

from kpkit.storage.copies import bring, lasting, named, origin, scratch, stand_in
from kpkit.storage.reading import exists, files_below, is_dir, is_file, read_bytes, sizes
from kpkit.storage.urls import is_remote, url_of
from kpkit.storage.writing import put, put_all, remove

__all__ = [
    "bring",
    "exists",
    "files_below",
    "is_dir",
    "is_file",
    "is_remote",
    "lasting",
    "named",
    "origin",
    "put",
    "put_all",
    "read_bytes",
    "remove",
    "scratch",
    "sizes",
    "stand_in",
    "url_of",
]
