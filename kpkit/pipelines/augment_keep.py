"""What came of an image as bytes, so that a later run can go on from it; plain data, nothing that is executed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from kpkit.augment.rows import Row
from kpkit.augment.spatial import Labels
from kpkit.errors import InputError
from kpkit.guard import read_bytes
from kpkit.pipelines.augment_plan import Done, ImageTask, Output, Plan
from kpkit.pipelines.fingerprint import picture_checksum

_ARRAY, _NUMBER = 1, 2


class Kept:
    """What an earlier run made of an image still holds."""


def pack(done: Done) -> bytes:
    """A result as bytes."""
    document = {**vars(done), "outputs": [_output(output) for output in done.outputs]}
    return msgspec.msgpack.encode(document, enc_hook=as_ext)


def unpack(data: bytes) -> Done:
    """A result from its bytes, equal to what it was."""
    document = msgspec.msgpack.decode(data, ext_hook=from_ext)
    outputs = [
        Output(
            **{
                **output,
                "size_wh": tuple(output["size_wh"]),
                "labels": Labels(**output["labels"]),
                "rows": [Row(**row) for row in output["rows"]],
            }
        )
        for output in document["outputs"]
    ]
    return Done(**{**document, "outputs": outputs, "notes": tuple(document["notes"])})


def still_holds(plan: Plan, task: ImageTask, sources: list[str], files: dict[str, str]) -> bool:
    """Whether an image's sources and the files made of it are what they were.

    sources  checksums, in the order of `source_files`    files  path in the output -> checksum
    """
    return sources == source_checksums(task) and all(
        _checksum(plan.folder / name) == checksum for name, checksum in files.items()
    )


def source_checksums(task: ImageTask, picture: bytes | None = None) -> list[str]:
    """Of every file that an image's outputs are made from; "" for one that cannot be read.

    picture  the image's file as it was read, where it was
    """
    masks = [mask for mask in (task.mask, *task.own_masks) if isinstance(mask, Path)]
    patches = [file for copy in task.patches for file in copy]
    first = _checksum(task.file) if picture is None else picture_checksum(picture)
    return [first, *(_checksum(file) for file in (*masks, *patches))]


def _checksum(path: Path) -> str:
    try:
        return picture_checksum(read_bytes(path))
    except InputError:
        return ""


def _output(output: Output) -> dict[str, Any]:
    rows = [row.as_dict() for row in output.rows]
    return {**vars(output), "labels": vars(output.labels), "rows": rows}


def as_ext(value: Any) -> Any:
    """An array or a number of numpy as bytes; TypeError for what is no plain data."""
    if isinstance(value, np.ndarray):
        head = msgspec.msgpack.encode((value.dtype.str, value.shape))
        return msgspec.msgpack.Ext(_ARRAY, len(head).to_bytes(4, "little") + head + value.tobytes())
    if isinstance(value, np.generic):
        head = value.dtype.str.encode("ascii")
        return msgspec.msgpack.Ext(_NUMBER, bytes([len(head)]) + head + value.tobytes())
    raise TypeError(f"{type(value).__name__} is no plain data")


def from_ext(code: int, data: memoryview) -> Any:
    """The array or number again."""
    raw = bytes(data)
    if code == _NUMBER:
        size = raw[0]
        return np.frombuffer(raw[1 + size :], np.dtype(raw[1 : 1 + size].decode("ascii")))[0]
    size = int.from_bytes(raw[:4], "little")
    dtype, shape = msgspec.msgpack.decode(raw[4 : 4 + size], type=tuple[str, list[int]])
    return np.frombuffer(raw[4 + size :], np.dtype(dtype)).reshape(shape).copy()
