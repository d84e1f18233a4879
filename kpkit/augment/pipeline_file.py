"""Reads a saved Albumentations pipeline as plain data and makes its transforms: nothing else is imported or run."""

from __future__ import annotations

import inspect
import os
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from kpkit.errors import FormatError, MissingExtraError, UsageError, did_you_mean
from kpkit.safe_yaml import read_yaml

VERSION = "2.0.8"
# The newer names of Compose among them: inside a pipeline all three run their transforms one after the other.
NESTS = {
    "Compose": "Sequential",
    "ReplayCompose": "Sequential",
    "Sequential": "Sequential",
    "OneOf": "OneOf",
    "OneOrOther": "OneOrOther",
    "SomeOf": "SomeOf",
    "RandomOrder": "RandomOrder",
}
# What Compose is told about points, boxes, masks and dice, which are kpkit's business.
OURS = (
    "bbox_params",
    "keypoint_params",
    "additional_targets",
    "is_check_shapes",
    "strict",
    "mask_interpolation",
    "seed",
    "save_applied_params",
    "save_key",
)
_PIECES = "it cuts the picture into pieces, and a person's joints with it"
_OTHERS = "it mixes other pictures in, whose labels it does not know here"
_FILES = "it reads files from any path that the pipeline names"
_BOXES = "it needs boxes, which kpkit moves itself"
_OBJECTS = "it needs a mask of objects, which kpkit does not hand over"
_CODE = "it runs code or data that a pipeline file cannot hold"
_NUMBERS = "its result is no picture any more; do that when training"
_VOLUMES = "it works on volumes, not on pictures"
REFUSED = {
    "RandomGridShuffle": _PIECES,
    "Mosaic": _OTHERS,
    "MixUp": _OTHERS,
    "OverlayElements": _OTHERS,
    "TextImage": _FILES,
    "HistogramMatching": _FILES,
    "FDA": _FILES,
    "PixelDistributionAdaptation": _FILES,
    "AtLeastOneBBoxRandomCrop": _BOXES,
    "BBoxSafeRandomCrop": _BOXES,
    "RandomSizedBBoxSafeCrop": _BOXES,
    "RandomCropNearBBox": _BOXES,
    "MaskDropout": _OBJECTS,
    "ConstrainedCoarseDropout": _OBJECTS,
    "CropNonEmptyMaskIfExists": _OBJECTS,
    "Lambda": _CODE,
    "TemplateTransform": _CODE,
    "SelectiveChannelTransform": "it moves single channels of the picture, and no points with them",
    "Morphological": "it moves edges, and what lies on them, by pixels that no point follows",
    "Normalize": _NUMBERS,
    "ToTensorV2": _NUMBERS,
    "ToTensor3D": _NUMBERS,
    "GridShuffle3D": _VOLUMES,
}
# Classes that others are built on.
_BASES = frozenset({"BasicTransform", "DualTransform", "ImageOnlyTransform", "Transform3D", "MaxSizeTransform"})
MAX_TRANSFORMS = 1000
MAX_DEPTH = 50


def albumentations() -> Any:
    """The library, or MissingExtraError where it is not installed in the one version that is supported."""
    # Without this it asks the network for its newest version when it is imported.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    try:
        import albumentations as library
    except ImportError as error:
        raise _missing("not installed") from error
    if library.__version__ != VERSION:
        # Older ones name their arguments otherwise; the successors are under another licence.
        raise _missing(library.__version__)
    return library


def _missing(got: str) -> MissingExtraError:
    return MissingExtraError(
        "pipelines of one's own need Albumentations",
        code="KP-EXTRA-ALBUMENTATIONS",
        expected=f"albumentations {VERSION}",
        got=got,
        help="pip install 'kpkit[albumentations]'",
    )


def read_transforms(path: Path, mark_covered: bool = True) -> Any:
    """The pipeline of a file that `albumentations.save` wrote (YAML, or JSON by its ending), as one transform.

    mark_covered  whether dropouts mark on the mask what they cover

    Raises MissingExtraError without Albumentations, FormatError where the file is no such pipeline, UsageError for a
    transform that is unknown or refused.
    """
    albumentations()
    document = read_yaml(path, code="KP-PIPELINE")
    if not isinstance(document, dict) or not isinstance(document.get("transform"), dict):
        raise FormatError(
            "not a saved pipeline",
            code="KP-PIPELINE",
            place=str(path),
            expected="a document with 'transform', as albumentations.save writes it",
        )
    return _build(document["transform"], f"{path}: transform", _Build(mark_covered))


@dataclass
class _Build:
    mark_covered: bool
    made: int = 0


def _build(spec: Any, place: str, build: _Build, depth: int = 0) -> Any:
    build.made += 1
    if build.made > MAX_TRANSFORMS or depth > MAX_DEPTH:
        raise FormatError(
            "the pipeline is too large",
            code="KP-PIPELINE",
            place=place[:200],
            expected=f"at most {MAX_TRANSFORMS} transforms, nested {MAX_DEPTH} deep",
        )
    if not isinstance(spec, dict) or not isinstance(spec.get("__class_fullname__"), str):
        raise FormatError(
            "not a transform", code="KP-PIPELINE", place=place, expected="an object with '__class_fullname__'"
        )
    name = _name(spec["__class_fullname__"], place)
    arguments = {str(key): value for key, value in spec.items() if key != "__class_fullname__"}
    kind = _registry()[NESTS.get(name, name)]
    if name not in NESTS:
        return _make(kind, _single(kind, arguments, build.mark_covered, name, place), name, place)
    inner = arguments.get("transforms")
    if not isinstance(inner, list) or not inner:
        raise FormatError(f"{name} has no list of transforms", code="KP-PIPELINE", place=place)
    arguments = {key: value for key, value in arguments.items() if key not in OURS}
    arguments["transforms"] = [_build(one, f"{place}.transforms[{i}]", build, depth + 1) for i, one in enumerate(inner)]
    if NESTS[name] != name:
        arguments.setdefault("p", 1.0)
    # Nests do not check what they are given.
    chance, count = arguments.get("p", 1.0), arguments.get("n", 1)
    if isinstance(chance, bool) or not isinstance(chance, int | float) or not 0 <= chance <= 1:
        raise FormatError(f"'p' of {name} is no probability", code="KP-PIPELINE", place=place, got=str(chance)[:80])
    if type(count) is not int or count < 1:
        raise FormatError(f"'n' of {name} is no number of transforms", code="KP-PIPELINE", place=place, got=str(count))
    return _make(kind, arguments, name, place)


def _make(kind: Any, arguments: dict[str, Any], name: str, place: str) -> Any:
    try:
        with warnings.catch_warnings():
            # Advice on what to use instead; what is really wrong raises, being built strictly.
            warnings.simplefilter("ignore")
            return kind(**arguments)
    except Exception as error:
        # Constructors of a foreign library, fed from a file: whatever they raise, the file is wrong.
        raise FormatError(
            f"{name} does not take these arguments",
            code="KP-PIPELINE",
            place=place,
            got=" ".join(str(error).split())[:200],
        ) from error


def is_dropout(transform: Any) -> bool:
    """Whether a transform, or a class of them, covers parts of the picture."""
    from albumentations.augmentations.dropout.transforms import BaseDropout

    return issubclass(transform if isinstance(transform, type) else type(transform), BaseDropout)


def _single(kind: Any, arguments: dict[str, Any], mark_covered: bool, name: str, place: str) -> dict[str, Any]:
    """Arguments of one transform, with ours: holes are told apart from the edges of the picture.

    A saved pipeline also names arguments of the classes that a transform is built on, which it does not take itself.
    """
    accepted = inspect.signature(kind.__init__).parameters
    inherited = {one for base in kind.__mro__ for one in inspect.signature(base.__init__).parameters}
    for key in arguments:
        if key not in inherited:
            raise FormatError(
                f"{name} has no argument '{key[:100]}'",
                code="KP-PIPELINE",
                place=place,
                help=did_you_mean(key[:100], set(accepted) - {"self", "strict"}),
            )
    holes = 255 if mark_covered else None
    # The empty corners of a rotation are no occlusion, and noise of single pixels is none.
    ours = {"fill_mask": holes if is_dropout(kind) else 0, "mask_drop_value": None}
    taken = {key: value for key, value in (arguments | ours).items() if key in accepted}
    # Validated constructors turn some errors into warnings and defaults, unless they are told to be strict.
    return {**taken, "strict": True} if hasattr(kind.__init__, "__signature__") else taken


def _name(full: str, place: str) -> str:
    """The transform's bare name, if it is one of Albumentations' and not refused."""
    module, _, name = full.rpartition(".")
    known = _registry()
    if (module and module.split(".")[0] != "albumentations") or (name not in known and name not in REFUSED):
        raise UsageError(
            f"'{full[:100]}' is no transform of Albumentations",
            code="KP-PIPELINE-UNKNOWN",
            place=place,
            expected="one of Albumentations' own transforms",
            help=did_you_mean(name[:100], known),
        )
    reason = REFUSED.get(name) or (_VOLUMES if issubclass(known[name], albumentations().Transform3D) else "")
    if reason:
        raise UsageError(
            f"{name} is refused: {reason}",
            code="KP-PIPELINE-REFUSED",
            place=place,
            help="leave it out of the pipeline",
        )
    return name


@cache
def _registry() -> dict[str, Any]:
    library = albumentations()
    from albumentations.core.serialization import SERIALIZABLE_REGISTRY

    return {
        name: kind
        for name, kind in SERIALIZABLE_REGISTRY.items()
        if issubclass(kind, library.BasicTransform | library.BaseCompose)
        and name not in _BASES
        and not name.startswith(("Base", "_"))
    }
