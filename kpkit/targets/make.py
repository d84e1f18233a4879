"""Makes codecs from their names and parameters, as users and shards state them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from kpkit import registry
from kpkit.core.skeleton import Skeleton
from kpkit.errors import UsageError, did_you_mean
from kpkit.targets.base import Codec

_SHARED = ("skeleton", "input_size", "heatmap_size")


def make_codec(
    name: str,
    skeleton: Skeleton,
    input_size: tuple[int, int],
    heatmap_size: tuple[int, int] | None = None,
    **parameters: Any,
) -> Codec:
    """The codec of a name; what is not given has its default.

    input_size    (height, width) pixels
    heatmap_size  (height, width) cells; None: a quarter of the input, rounded up

    Raises UsageError for an unknown name or parameter, and for a value that does not fit.
    """
    kind: type[Codec] = registry.load(registry.CODECS, name)
    _check_size("input_size", input_size)
    if heatmap_size is None:
        heatmap_size = (-(-input_size[0] // 4), -(-input_size[1] // 4))
    _check_size("heatmap_size", heatmap_size)
    known = parameter_names(kind)
    for parameter in parameters:
        if parameter not in known:
            raise UsageError(
                f"codec '{name}' has no parameter '{parameter}'",
                code="KP-CODEC-PARAMETER",
                help=did_you_mean(parameter, known),
            )
    return kind(skeleton, _pair(input_size), _pair(heatmap_size), **parameters)


def from_parameters(skeleton: Skeleton, parameters: Mapping[str, Any]) -> Codec:
    """The codec that `Codec.parameters` described, for the same skeleton.

    Raises UsageError where the description does not say which codec, and as `make_codec` does.
    """
    rest = dict(parameters)
    name, input_size = rest.pop("codec", None), rest.pop("input_size", None)
    if not isinstance(name, str) or input_size is None:
        raise UsageError(
            "this does not describe a codec",
            code="KP-CODEC-PARAMETER",
            expected="'codec' and 'input_size'",
            got=", ".join(sorted(parameters)) or "nothing",
        )
    return make_codec(name, skeleton, input_size, rest.pop("heatmap_size", None), **rest)


def parameter_names(kind: type[Codec]) -> list[str]:
    """The parameters of a codec beside its skeleton and sizes."""
    return [name for name in inspect.signature(kind).parameters if name not in _SHARED]


def _check_size(what: str, size: Any) -> None:
    fits = isinstance(size, list | tuple) and len(size) == 2
    if not fits or not all(isinstance(side, int) and not isinstance(side, bool) and side > 1 for side in size):
        raise UsageError(
            f"'{what}' is no size",
            code="KP-CODEC-SIZE",
            expected="height and width, whole numbers above 1",
            got=repr(size),
        )


def _pair(size: tuple[int, int]) -> tuple[int, int]:
    height, width = size
    return height, width
