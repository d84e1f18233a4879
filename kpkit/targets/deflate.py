"""Streams of chunks: made by zlib-ng where it is installed, else by zlib; every HDF5 library reads them as "gzip".

zstd is another matter: HDF5 needs a plug-in for it (extra `zstd`), on both sides.
"""

from __future__ import annotations

import zlib
from functools import cache
from typing import Any, Literal

from kpkit.errors import MissingExtraError

Compression = Literal["gzip", "zstd", "none"]

LEVEL = 1
# Numbers of the filters in HDF5's registry.
DEFLATE, ZSTD = 1, 32015


@cache
def deflater() -> Any:
    """The module with `compress` and `decompress`."""
    try:
        from zlib_ng import zlib_ng
    except ImportError:
        return zlib
    return zlib_ng


def deflater_name() -> str:
    """Which library makes the streams, with its version: other versions may make other bytes."""
    module = deflater()
    if module is zlib:
        return f"zlib {zlib.ZLIB_RUNTIME_VERSION}, level {LEVEL}, pictures by runs"
    version = getattr(module, "ZLIBNG_RUNTIME_VERSION", None) or getattr(module, "ZLIBNG_VERSION", "")
    return f"zlib-ng {version}, level {LEVEL}, pictures by runs"


def compress(data: Any) -> bytes:
    """A zlib stream of a contiguous buffer."""
    stream: bytes = deflater().compress(data, LEVEL)
    return stream


def compress_picture(data: Any) -> bytes:
    """The same for pixels, where no piece repeats further back: only runs are looked for.

    On crops of photographs that takes two thirds of the time and gives the same size; measured, not derived.
    """
    stream = deflater().compressobj(LEVEL, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    packed: bytes = stream.compress(data) + stream.flush()
    return packed


def decompress(stream: bytes, size: int) -> bytes:
    """What a stream holds, `size` bytes as a rule. Raises ValueError for a damaged stream or another size."""
    module = deflater()
    try:
        data: bytes = module.decompress(stream, zlib.MAX_WBITS, size)
    except module.error as error:
        raise ValueError(f"the compressed data are damaged ({error})") from error
    if len(data) != size:
        raise ValueError(f"a chunk holds {len(data)} bytes in place of {size}")
    return data


def most_compressed(size: int) -> int:
    """No honest stream of `size` bytes is longer; a hostile one could unpack to a thousand times its length.

    zlib-ng writes level 1 with fixed codes, which take up to nine bits a byte, and never stores a block as it is.
    """
    return size + size // 8 + 1024


@cache
def zstd_filter() -> Any:
    """The plug-in's filter, registered with HDF5. Raises MissingExtraError where it is not installed."""
    try:
        import hdf5plugin
    except ImportError as error:
        raise MissingExtraError(
            "zstd in HDF5 needs a plug-in",
            code="KP-EXTRA-ZSTD",
            expected="the package hdf5plugin",
            help='pip install "kpkit[zstd]", or use --compression gzip',
        ) from error
    return hdf5plugin.Zstd(clevel=3)
