"""Streams of chunks: made by zlib-ng where it is installed, else by zlib; every HDF5 library reads them as "gzip".

zstd is another matter: HDF5 needs a plug-in for it (extra `zstd`), on both sides.
"""

from __future__ import annotations

import zlib
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kpkit.errors import MissingExtraError

Compression = Literal["gzip", "zstd", "none"]

LEVEL, STORED = 1, 0
# Pixels of three bytes fall into step with words of eight after so many words.
PERIOD = 3
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
        return f"zlib {zlib.ZLIB_RUNTIME_VERSION}, level {LEVEL}, photographs stored"
    version = getattr(module, "ZLIBNG_RUNTIME_VERSION", None) or getattr(module, "ZLIBNG_VERSION", "")
    return f"zlib-ng {version}, level {LEVEL}, photographs stored"


def compress(data: Any) -> bytes:
    """A zlib stream of a contiguous buffer."""
    stream: bytes = deflater().compress(data, LEVEL)
    return stream


def compress_picture(data: NDArray[np.uint8]) -> bytes:
    """The same for the pixels of a crop, [h,w,3]. Those of a photograph go into the stream as they are.

    Searching them takes forty times as long as all else that is done to write them and makes them a tenth to a fifth
    smaller. So they are compressed only where a quarter is plain: eight bytes that equal those eight pixels before.
    """
    words = data.reshape(-1)[: data.size // 8 * 8].view(np.uint64)
    plain = np.count_nonzero(words[PERIOD:] == words[:-PERIOD])
    stream: bytes = deflater().compress(data, LEVEL if plain >= len(words) / 4 else STORED)
    return stream


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
