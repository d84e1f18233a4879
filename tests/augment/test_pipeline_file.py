"""A pipeline file is data from somebody else: it makes Albumentations' transforms and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpkit.augment.photometric import load_pipeline
from kpkit.augment.pipeline_file import MAX_DEPTH, MAX_TRANSFORMS, REFUSED, read_transforms
from kpkit.errors import FormatError, InputError, KpkitError, UsageError

pytest.importorskip("albumentations", reason="needs the extra 'albumentations'")

import albumentations as A  # noqa: N812  # its own name for itself
from albumentations.core.serialization import SERIALIZABLE_REGISTRY

FLIP = {"__class_fullname__": "HorizontalFlip", "p": 1.0}


def _file(folder: Path, transform: Any, name: str = "a.json") -> Path:
    path = folder / name
    path.write_text(json.dumps({"__version__": "2.0.8", "transform": transform}))
    return path


def _nest(*inner: Any, kind: str = "Compose") -> dict[str, Any]:
    return {"__class_fullname__": kind, "p": 1.0, "transforms": list(inner)}


@pytest.mark.parametrize("name", ["RandomGridShuffle", "Mosaic"])
@pytest.mark.parametrize("path", ["{}", "albumentations.{}", "albumentations.augmentations.geometric.transforms.{}"])
def test_transform_whose_points_mean_nothing_is_refused_by_name(tmp_path: Path, name: str, path: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is refused") as caught:
        load_pipeline(_file(tmp_path, _nest(FLIP, {"__class_fullname__": path.format(name), "p": 1.0})))
    assert caught.value.code == "KP-PIPELINE-REFUSED"
    assert caught.value.place.endswith("a.json: transform.transforms[1]")


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_everything_that_is_refused_is_refused_in_a_nest_too(tmp_path: Path, name: str) -> None:
    nest = _nest(_nest({"__class_fullname__": name, "p": 1.0}, FLIP, kind="OneOf"))
    with pytest.raises(UsageError, match=f"{name} is refused: "):
        load_pipeline(_file(tmp_path, nest))


@pytest.mark.parametrize("name", ["RandomCrop3D", "Pad3D", "CubicSymmetry", "CoarseDropout3D"])
def test_transform_of_volumes_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="volumes"):
        load_pipeline(_file(tmp_path, _nest({"__class_fullname__": name, "p": 1.0})))


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "subprocess.Popen",
        "builtins.eval",
        "kpkit.augment.photometric.Pipeline",
        "os.HorizontalFlip",
        "albumentations_of_somebody.HorizontalFlip",
        "albumentations.core.serialization.load",
        "albumentations.os.system",
        "__import__",
        "BasicTransform",
        "DualTransform",
        "BaseCompose",
        "BboxParams",
        "KeypointParams",
        "_BaseRandomSizedCrop",
        "",
        ".",
        "x" * 100_000,
    ],
    ids=lambda name: name[:40],
)
def test_class_that_is_no_transform_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="no transform of Albumentations") as caught:
        load_pipeline(_file(tmp_path, _nest({"__class_fullname__": name, "p": 1.0})))
    assert caught.value.code == "KP-PIPELINE-UNKNOWN"
    assert len(str(caught.value)) < 1000


def test_mistyped_transform_gets_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_pipeline(_file(tmp_path, _nest({"__class_fullname__": "HorisontalFlip"})))
    assert caught.value.help == "did you mean 'HorizontalFlip'?"


def test_mistyped_argument_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    """Albumentations itself warns and goes on without it."""
    with pytest.raises(FormatError, match="no argument 'limt'") as caught:
        load_pipeline(_file(tmp_path, _nest({"__class_fullname__": "Rotate", "limt": [30, 30], "p": 1.0})))
    assert caught.value.help == "did you mean 'limit'?"


@pytest.mark.parametrize(
    "arguments",
    [
        {"p": 2},
        {"p": "often"},
        {"p": None},
        {"limit": "wide"},
        {"limit": {"a": 1}},
        {"interpolation": 99},
        {"border_mode": [1]},
        {"fill": {"a": []}},
    ],
    ids=str,
)
def test_argument_of_a_wrong_kind_is_refused_with_its_place(tmp_path: Path, arguments: dict[str, Any]) -> None:
    with pytest.raises(FormatError, match="does not take these arguments") as caught:
        load_pipeline(_file(tmp_path, _nest({"__class_fullname__": "Rotate", **arguments})))
    assert caught.value.place.endswith("transform.transforms[0]")


MALICIOUS = {
    "object": "transform: !!python/object/apply:os.system ['touch HERE']\n",
    "name": "transform: {__class_fullname__: !!python/name:os.system , p: 1}\n",
    "new": "transform: !!python/object/new:os.system ['touch HERE']\n",
    "module": "transform: {__class_fullname__: Compose, transforms: [!!python/module:os ]}\n",
    "path": "transform: {__class_fullname__: os.system, command: touch HERE}\n",
    "lambda": "transform: {__class_fullname__: Lambda, name: a, image: 'lambda x: touch HERE'}\n",
    "aliases": "transform: &a {__class_fullname__: Compose, transforms: [*a, *a]}\n",
}


@pytest.mark.parametrize("name", MALICIOUS)
def test_malicious_file_is_refused_and_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.yaml"
    path.write_text(MALICIOUS[name].replace("HERE", str(tmp_path / "touched")))
    with pytest.raises((FormatError, UsageError)):
        load_pipeline(path)
    assert [one.name for one in tmp_path.iterdir()] == ["a.yaml"]


def test_foreign_class_that_registered_itself_is_not_reached(tmp_path: Path) -> None:
    code = """
        import albumentations as A
        class Foreign(A.NoOp):
            def __init__(self, p=1.0):
                raise SystemExit("it ran")
        from pathlib import Path
        from kpkit.augment.photometric import load_pipeline
        from kpkit.errors import UsageError
        for name in ("Foreign", "__main__.Foreign", "albumentations.Foreign"):
            Path("a.yaml").write_text("transform: {__class_fullname__: " + name + "}")
            try:
                load_pipeline(Path("a.yaml"))
            except UsageError as error:
                print(error.code)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"NO_ALBUMENTATIONS_UPDATE": "1"},
    )
    assert done.stdout.split() == ["KP-PIPELINE-UNKNOWN"] * 3


def test_deep_nest_is_refused(tmp_path: Path) -> None:
    nest: Any = FLIP
    for _ in range(MAX_DEPTH + 1):
        nest = _nest(nest)
    with pytest.raises(FormatError, match="too large"):
        load_pipeline(_file(tmp_path, nest))
    path = tmp_path / "deep.yaml"
    path.write_text("transform: " + "{__class_fullname__: Compose, transforms: [" * 300)
    with pytest.raises(FormatError):
        load_pipeline(path)


def test_long_pipeline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="too large"):
        load_pipeline(_file(tmp_path, _nest(*[{"__class_fullname__": "NoOp"}] * MAX_TRANSFORMS)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "transform: 3",
        "transform: {}",
        "transform: {__class_fullname__: 3}",
        "transform: {__class_fullname__: Compose}",
        "transform: {__class_fullname__: Compose, transforms: []}",
        "transform: {__class_fullname__: Compose, transforms: {a: 1}}",
        "transform: {__class_fullname__: Compose, transforms: [3]}",
        "transform: {__class_fullname__: Compose, transforms: [[]]}",
        "transform: {__class_fullname__: OneOf, transforms: [{__class_fullname__: D4}], p: often}",
        "transform: {__class_fullname__: SomeOf, transforms: [{__class_fullname__: D4}], m: 3}",
        "transform: {__class_fullname__: SomeOf, transforms: [{__class_fullname__: D4}], n: some}",
        "transform: {__class_fullname__: D4, 3: 4}",
        "a: b\n",
        "\0",
    ],
)
def test_file_that_is_no_pipeline_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(FormatError) as caught:
        load_pipeline(path)
    assert str(path) in caught.value.place


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none.yaml") as caught:  # noqa: RUF043  # a dot for a dot
        load_pipeline(tmp_path / "none.yaml")
    assert caught.value.code == "KP-INPUT-READ"


values = st.recursive(
    st.none() | st.booleans() | st.integers(-300, 300) | st.floats(-2, 2) | st.sampled_from(["a", "random", "mask"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y", "p"]), inner, max_size=2),
    max_leaves=4,
)
NAMES = sorted(SERIALIZABLE_REGISTRY)


@given(st.data())
def test_any_arguments_make_a_pipeline_or_are_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(NAMES))
    known = sorted({"p", "limit", "fill", "scale", "height", "width", "transforms", "interpolation", "shear", "alpha"})
    arguments = data.draw(st.dictionaries(st.sampled_from(known), values, max_size=3))
    path = tmp_path_factory.getbasetemp() / "fuzz.json"
    path.write_text(json.dumps({"transform": {"__class_fullname__": name, **arguments}}))
    try:
        read_transforms(path)
    except KpkitError:
        return


# What the constructors of these cannot do without, for the test below.
NEEDED: dict[str, dict[str, Any]] = {
    "CenterCrop": {"height": 20, "width": 20},
    "RandomCrop": {"height": 20, "width": 20},
    "RandomResizedCrop": {"size": (20, 20)},
    "RandomSizedCrop": {"min_max_height": (10, 20), "size": (20, 20)},
    "Resize": {"height": 20, "width": 20},
    "LongestMaxSize": {"max_size": 30},
    "SmallestMaxSize": {"max_size": 30},
    "CropAndPad": {"percent": 0.1},
    "Crop": {"x_max": 20, "y_max": 20},
    "XYMasking": {
        "num_masks_x": 1, "num_masks_y": 1, "mask_x_length": 3, "mask_y_length": 3,
    },
    "GridElasticDeform": {"num_grid_xy": (4, 4), "magnitude": 4},
    "ToGray": {},
}  # fmt: skip


def _kinds() -> list[str]:
    refused = set(REFUSED) | {"Normalize", "ToFloat", "FromFloat"}
    found = []
    for name, kind in SERIALIZABLE_REGISTRY.items():
        known = issubclass(kind, A.BasicTransform) and not issubclass(kind, A.Transform3D) and hasattr(A, name)
        if known and name not in refused | {
            "BasicTransform",
            "DualTransform",
            "ImageOnlyTransform",
            "MaxSizeTransform",
        }:
            found.append(name)
    return sorted(found)


@pytest.mark.parametrize("name", _kinds())
def test_every_other_transform_is_loaded_as_it_was_saved_and_loses_no_point(tmp_path: Path, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = getattr(A, name)(p=1.0, **NEEDED.get(name, {}))
        A.save(A.Compose([made]), tmp_path / "a.yaml", data_format="yaml")
        pipeline = load_pipeline(tmp_path / "a.yaml")
        rng = np.random.default_rng(0)
        image = rng.integers(0, 256, (48, 64, 3), np.uint8)
        xy = np.concatenate([rng.uniform(0, (63, 47), (15, 2)), [[np.nan, np.nan], [70.0, -5.0]]])
        one, other = (pipeline.apply(image, xy, seed) for seed in (5, 5))
    assert one.image.tobytes() == other.image.tobytes()
    np.testing.assert_array_equal(one.xy, other.xy)
    np.testing.assert_array_equal(np.isnan(one.xy).any(axis=1), np.isnan(xy).any(axis=1))
    assert one.lost == 0
