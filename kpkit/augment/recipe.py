"""Recipes: what may happen to an image, as data. A recipe says ranges and probabilities; `draw` throws the dice.

A TOML file has the fields below as keys; presets stand in schemas/recipes/. Flags of the command line win over both.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from kpkit import resources
from kpkit.errors import UsageError, did_you_mean
from kpkit.guard import read_bytes

Range = tuple[float, float]

MODES = ("image", "topdown")
WARPS = ("hrnet", "udp")
DISTRIBUTIONS = ("uniform", "normal")
BORDERS = ("constant", "reflect", "replicate")
INTERPOLATIONS = ("linear", "cubic", "nearest")
SHAPES = ("rectangle", "ellipse", "polygon")
FILLS = ("mean", "constant", "noise", "patch")
MAX_OCCLUSION = 0.95


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Ranges and probabilities of every change.

    mode          "image": whole images; "topdown": one crop a person at input_size
    input_size    (height, width) pixels of the output; None keeps the image's size (image mode)
    warp, padding see kpkit.augment.topdown (topdown mode)
    rotation      degrees, clockwise on the screen        rotation_probability  else 0 degrees
    scale         factor                                  shift  share of the frame's (or crop's) size
    distribution  "uniform" over the ranges, or "normal" as HRNet draws: scale 1 + N f within [1 - f, 1 + f], rotation
                  N r within [-2r, 2r], for the ranges scale = [1 - f, 1 + f] and rotation = [-r, r]
    flip, flip_vertical, transpose   probabilities        crop   share of the frame's sides that is kept (image mode)
    half_body     probability of a crop around the upper or lower half, for persons with more than half_body_joints
                  labelled joints (topdown mode)
    border, border_value, interpolation   of the warp
    occlusion     share of each person's box that own occluders cover; None: none
    occlusion_probability, occlusion_shape, occlusion_fill, occlusion_value, occluders (at most, a person)
    albumentations  path of a pipeline file; "" for none
    """

    name: str = "none"
    mode: str = "image"
    input_size: tuple[int, int] | None = None
    warp: str = "hrnet"
    padding: float = 1.25
    rotation: Range = (0.0, 0.0)
    rotation_probability: float = 1.0
    scale: Range = (1.0, 1.0)
    shift: Range = (0.0, 0.0)
    distribution: str = "uniform"
    flip: float = 0.0
    flip_vertical: float = 0.0
    transpose: float = 0.0
    crop: Range = (1.0, 1.0)
    half_body: float = 0.0
    half_body_joints: int = 8
    border: str = "constant"
    border_value: int = 0
    interpolation: str = "linear"
    occlusion: Range | None = None
    occlusion_probability: float = 1.0
    occlusion_shape: tuple[str, ...] = ("rectangle",)
    occlusion_fill: str = "mean"
    occlusion_value: int = 0
    occluders: int = 1
    albumentations: str = ""

    def __post_init__(self) -> None:
        _check_choices(self)
        for name in (
            "rotation_probability",
            "flip",
            "flip_vertical",
            "transpose",
            "half_body",
            "occlusion_probability",
        ):
            _check_range(name, getattr(self, name), 0.0, 1.0)
        for name, low, high in (
            ("rotation", -360.0, 360.0),
            ("scale", 0.01, 100.0),
            ("shift", -1.0, 1.0),
            ("crop", 0.01, 1.0),
        ):
            object.__setattr__(self, name, _pair(name, getattr(self, name), low, high))
        if self.occlusion is not None:
            object.__setattr__(self, "occlusion", _pair("occlusion", self.occlusion, 0.0, MAX_OCCLUSION))
        _check_range("padding", self.padding, 0.1, 10.0)
        for name, low, high in (
            ("border_value", 0, 255),
            ("occlusion_value", 0, 255),
            ("occluders", 1, 1000),
            ("half_body_joints", 0, 10_000),
        ):
            _check_range(name, getattr(self, name), low, high, whole=True)
        _check_together(self)

    @property
    def is_spatial(self) -> bool:
        """Whether anything moves."""
        still = replace(Recipe(), mode=self.mode, input_size=self.input_size)
        moving = ("rotation", "scale", "shift", "flip", "flip_vertical", "transpose", "crop", "half_body")
        return self.input_size is not None or any(getattr(self, name) != getattr(still, name) for name in moving)

    def with_changes(self, **changes: Any) -> Recipe:
        """The recipe with some fields exchanged; a field that does not exist is a UsageError with the nearest name."""
        _check_names(changes, "recipe")
        return replace(self, **{name: _from_plain(name, value) for name, value in changes.items()})

    def to_dict(self) -> dict[str, Any]:
        """Plain data, every field."""
        return asdict(self)

    def content_hash(self) -> str:
        """SHA-256 (hex) of all fields but the name, and of the pipeline file, for whose absence there is InputError."""
        content = {name: value for name, value in self.to_dict().items() if name not in {"name", "albumentations"}}
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode("ascii"))
        if self.albumentations:
            digest.update(read_bytes(Path(self.albumentations)))
        return digest.hexdigest()

    @classmethod
    def from_toml(cls, path: Path) -> Recipe:
        """A recipe file; `base = "hrnet"` starts from a preset. UsageError or DefinitionError name the file."""
        document = resources.read_toml(path)
        try:
            recipe = _from_document(document)
        except UsageError as error:
            raise error.at(str(path)) from None
        if recipe.albumentations:
            # A pipeline is named relative to the recipe that names it.
            return replace(recipe, albumentations=str(path.parent / recipe.albumentations))
        return recipe


def preset_names() -> list[str]:
    """Names of the shipped recipes."""
    return sorted(path.stem for path in (resources.schemas_dir() / "recipes").glob("*.toml"))


def preset(name: str) -> Recipe:
    """A shipped recipe; UsageError, with the nearest name, for an unknown one."""
    if name not in preset_names():
        raise UsageError(f"there is no recipe '{name}'", code="KP-RECIPE", help=did_you_mean(name, preset_names()))
    return _from_document(resources.read_toml(resources.schemas_dir() / "recipes" / f"{name}.toml"))


def load(name_or_path: str) -> Recipe:
    """A preset by name, or a file."""
    if name_or_path.endswith(".toml") or "/" in name_or_path:
        return Recipe.from_toml(Path(name_or_path))
    return preset(name_or_path)


def _from_document(document: dict[str, Any]) -> Recipe:
    values = {
        name: value for name, value in document.items() if name not in {"schema", "description", "source", "base"}
    }
    base = preset(str(document["base"])) if "base" in document else Recipe()
    return base.with_changes(**values)


def _check_names(changes: dict[str, Any], what: str) -> None:
    known = {field.name for field in fields(Recipe)}
    for name in changes:
        if name not in known:
            raise UsageError(f"a {what} has no field '{name}'", code="KP-RECIPE-FIELD", help=did_you_mean(name, known))


def _from_plain(name: str, value: Any) -> Any:
    """Lists of TOML as the tuples that the fields are; one number as a range of one."""
    if name == "occlusion_shape" and isinstance(value, str):
        return (value,)
    if name in {"rotation", "scale", "shift", "crop", "occlusion"} and _is_number(value):
        return (float(value), float(value))
    return tuple(value) if isinstance(value, list) else value


def _check_choices(recipe: Recipe) -> None:
    for name, allowed in (
        ("mode", MODES),
        ("warp", WARPS),
        ("distribution", DISTRIBUTIONS),
        ("border", BORDERS),
        ("interpolation", INTERPOLATIONS),
        ("occlusion_fill", FILLS),
    ):
        _check_choice(name, getattr(recipe, name), allowed)
    shapes: object = recipe.occlusion_shape
    if not isinstance(shapes, tuple) or not shapes:
        _check_choice("occlusion_shape", shapes, SHAPES)
    for shape in recipe.occlusion_shape:
        _check_choice("occlusion_shape", shape, SHAPES)
    for name in ("name", "albumentations"):
        if not isinstance(getattr(recipe, name), str):
            raise UsageError(f"'{name}' is not text", code="KP-RECIPE", got=str(getattr(recipe, name)))
    size = recipe.input_size
    if size is not None and not _is_size(size):
        raise UsageError(
            "'input_size' is not a size", code="KP-RECIPE", expected="[height, width], e.g. [256, 192]", got=str(size)
        )


def _is_size(size: Any) -> bool:
    return isinstance(size, tuple) and len(size) == 2 and all(type(side) is int and 1 <= side <= 16384 for side in size)


def _check_choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(
            f"'{name}' is not one of its choices",
            code="KP-RECIPE",
            expected=", ".join(allowed),
            got=str(value),
            help=did_you_mean(str(value), allowed),
        )


def _check_together(recipe: Recipe) -> None:
    """What is right by itself and cannot be meant together."""
    if recipe.mode == "topdown" and recipe.input_size is None:
        raise UsageError(
            "a top-down recipe needs the size of its crops", code="KP-RECIPE", help="add --input-size 256x192"
        )
    if recipe.mode == "topdown" and recipe.crop != (1.0, 1.0):
        raise UsageError(
            "'crop' is for whole images; a top-down recipe cuts each person out",
            code="KP-RECIPE",
            help="use 'scale' and 'shift', or mode \"image\"",
        )
    if recipe.mode == "image" and recipe.half_body > 0:
        raise UsageError(
            "'half_body' is for top-down crops", code="KP-RECIPE", help='set half_body to 0, or mode to "topdown"'
        )
    if recipe.distribution == "normal":
        for name, middle in (("rotation", 0.0), ("scale", 1.0)):
            low, high = getattr(recipe, name)
            if abs((low + high) / 2 - middle) > 1e-9:
                raise UsageError(
                    f"'{name}' is drawn about {middle:g} by the distribution \"normal\"",
                    code="KP-RECIPE",
                    expected=f"a range about {middle:g}",
                    got=f"[{low:g}, {high:g}]",
                    help='make it symmetric, or use the distribution "uniform"',
                )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_range(name: str, value: Any, low: float, high: float, *, whole: bool = False) -> None:
    if not _is_number(value) or not low <= value <= high or (whole and not isinstance(value, int)):
        raise UsageError(
            f"'{name}' is not a number in its range",
            code="KP-RECIPE",
            expected=f"{'a whole number from ' if whole else ''}{low:g} to {high:g}",
            got=str(value),
        )


def _pair(name: str, value: Any, low: float, high: float) -> Range:
    good = isinstance(value, tuple) and len(value) == 2 and all(_is_number(one) for one in value)
    if not good or not low <= value[0] <= value[1] <= high:
        raise UsageError(
            f"'{name}' is not a range",
            code="KP-RECIPE",
            expected=f"[low, high] within {low:g} to {high:g}",
            got=str(list(value) if isinstance(value, tuple) else value),
        )
    return (float(value[0]), float(value[1]))
