"""What a manifest says about arrays and codec, checked before anything is read or rendered by it."""

from __future__ import annotations

import math
import re
from typing import Any, get_args

from kpkit.errors import FormatError
from kpkit.targets.base import Codec
from kpkit.targets.make import from_parameters
from kpkit.targets.manifest import Manifest
from kpkit.targets.shard_layout import (
    COUNT,
    IDENTITY,
    IMAGE,
    MAX_SAMPLE,
    MISS,
    REGION,
    SPATIAL,
    ArrayLayout,
    Layout,
    Per,
    label_arrays,
    per_of,
)
from kpkit.targets.weights import SPATIAL_RULES

_DTYPE = re.compile(r"bool|u?int(?:8|16|32|64)|float(?:16|32|64)|S[1-9][0-9]{0,6}")
MAX_SIDE, MAX_AXES = 1 << 24, 8
# Far from the largest float32, so that nothing overflows on the way to values.
MAX_NUMBER = 1e30


def layout_from(manifest: Manifest) -> dict[str, ArrayLayout]:
    """The arrays that every shard holds, as the manifest says. Raises FormatError where it says nonsense."""
    found = {name: _array(name, said) for name, said in manifest.arrays.items()}
    whole = COUNT in found
    wanted = label_arrays(len(manifest.skeleton_object()), whole=whole)
    for name, array in wanted.items():
        _agree(name, found.get(name), array.shape, array.dtype, array.per)
    encodings = manifest.job.get("identity")
    encodings = encodings.get("encodings") if isinstance(encodings, dict) else None
    for name in IDENTITY:
        encoding = encodings.get(name, "int") if isinstance(encodings, dict) else "int"
        said = found.get(name)
        fits = said is not None and said.dtype.startswith("S") == (encoding != "int")
        if encoding not in ("int", "utf-8", "json") or not fits:
            raise _refuse(f"the manifest does not say how '{name}' is stored", got=str(encoding)[:80])
        dtype = said.dtype if said is not None and encoding != "int" else "int64"
        _agree(name, said, (), dtype, per_of(name, whole))
    return found


def codec_from(manifest: Manifest, layout: Layout) -> Codec:
    """The codec that the arrays were made by.

    Raises FormatError where the manifest's codec does not fit its arrays, UsageError where it is not installed.
    """
    try:
        codec = from_parameters(manifest.skeleton_object(), manifest.codec)
        specs = codec.spec()
    except (TypeError, ValueError, ArithmeticError, AttributeError, LookupError, MemoryError) as error:
        got = f"{type(error).__name__}: {error}"[:160]
        raise _refuse("the codec of the manifest cannot be made", got=got) from error
    if manifest.job.get("occluded_target", "ignore") not in ("ignore", "absent", "keep"):
        raise _refuse("the manifest has no rule for covered joints", got=str(manifest.job["occluded_target"])[:80])
    joints, whole = len(codec.skeleton), codec.whole_images
    if whole != (COUNT in layout):
        raise _refuse("the manifest's codec and its arrays do not agree on what a sample is", got=codec.name)
    if manifest.store == "params":
        _agree("mu", layout.get("mu"), (joints, 2), "float32", per_of("mu", whole))
        _agree("sigma", layout.get("sigma"), (joints,), "float32", per_of("sigma", whole))
    if whole:
        _agree(MISS, layout.get(MISS), codec.heatmap_size, "uint8")
    for name, spec in specs.items():
        if manifest.store == "heatmaps":
            _agree(name, layout.get(name), tuple(spec.shape), manifest.dtype)
        elif math.prod(spec.shape) * 4 > MAX_SAMPLE:
            raise _refuse(f"a sample of '{name}' would be too large", got=str(tuple(spec.shape)))
    if spatial_rule(manifest) != "none" or SPATIAL in layout:
        _agree(SPATIAL, layout.get(SPATIAL), codec.heatmap_size, "float32", "shard")
    for name, shape in ((REGION, codec.heatmap_size), (IMAGE, (*codec.input_size, 3))):
        if name in layout:
            _agree(name, layout[name], shape, "uint8")
    return codec


def spatial_rule(manifest: Manifest) -> str:
    """The rule of the weights by place, "none" where there are none. Raises FormatError for an unknown one."""
    rule = manifest.job.get("spatial_weights", "none")
    if not isinstance(rule, str) or rule not in ("none", *SPATIAL_RULES):
        raise _refuse("the manifest has no such rule for weights by place", got=str(rule)[:80])
    return rule


def _array(name: str, said: Any) -> ArrayLayout:
    try:
        shape = tuple(int(side) for side in said["shape"])
        scale, offset = float(said["scale"]), float(said["offset"])
        per = said.get("per", "sample")
        found = ArrayLayout(shape, str(said["dtype"]), bool(said["dense"]), scale, offset, per=per)
        good = _DTYPE.fullmatch(found.dtype) is not None and len(shape) < MAX_AXES
        good = (
            good
            and per in get_args(Per)
            and not (found.dense and per != "sample")
            and all(0 < side < MAX_SIDE for side in shape)
            and abs(scale) <= MAX_NUMBER
            and abs(offset) <= MAX_NUMBER
        )
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        good = False
    if not good:
        raise _refuse(f"the manifest does not say what '{name}' is", got=str(said)[:120])
    return found


def _agree(name: str, said: ArrayLayout | None, shape: tuple[int, ...], dtype: str, per: Per = "sample") -> None:
    if said is None or (said.shape, said.dtype, said.per) != (shape, dtype, per):
        got = "nothing" if said is None else f"{list(said.shape)} of {said.dtype}"
        raise _refuse(f"'{name}' is not what shards hold", expected=f"{list(shape)} of {dtype}", got=got)


def _refuse(message: str, *, expected: str = "", got: str = "") -> FormatError:
    help = "copy manifest.json again, or make the shards again"
    return FormatError(message, code="KP-SHARD-MANIFEST", expected=expected, got=got, help=help)
