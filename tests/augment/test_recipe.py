from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from kpkit.augment.recipe import Recipe, load, preset, preset_names
from kpkit.errors import DefinitionError, InputError, UsageError


def test_every_preset_loads_under_its_name() -> None:
    assert preset_names() == ["hrnet", "none", "simplebaseline", "six2"]
    assert [preset(name).name for name in preset_names()] == preset_names()


def test_presets_hold_what_their_sources_say() -> None:
    hrnet, six2, simple = preset("hrnet"), preset("six2"), preset("simplebaseline")
    assert (hrnet.mode, hrnet.input_size, hrnet.distribution) == ("topdown", (256, 192), "normal")
    assert (hrnet.rotation, hrnet.rotation_probability, hrnet.scale) == ((-45, 45), 0.6, (0.65, 1.35))
    assert (hrnet.flip, hrnet.half_body, hrnet.half_body_joints) == (0.5, 0.3, 8)
    assert (simple.rotation, simple.scale, simple.flip) == ((-40, 40), (0.7, 1.3), 0.5)
    assert (six2.rotation, six2.scale, six2.mode) == ((-30, 30), (0.8, 1.2), "image")


def test_recipe_that_does_nothing_moves_nothing() -> None:
    assert not Recipe().is_spatial
    assert not preset("none").with_changes(occlusion=0.3).is_spatial
    assert preset("six2").is_spatial


@pytest.mark.parametrize("name", ["rotation", "scale", "shift", "crop", "flip", "flip_vertical", "transpose"])
def test_recipe_with_any_movement_is_spatial(name: str) -> None:
    assert Recipe().with_changes(**{name: 0.5}).is_spatial


def test_unknown_field_is_named_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match="no field 'rotatoin'") as caught:
        Recipe().with_changes(rotatoin=3)
    assert caught.value.help == "did you mean 'rotation'?"
    assert caught.value.code == "KP-RECIPE-FIELD"


def test_unknown_preset_is_named_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match="no recipe 'hrnte'") as caught:
        load("hrnte")
    assert caught.value.help == "did you mean 'hrnet'?"


def test_unknown_choice_is_named_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match="occlusion_fill") as caught:
        Recipe(occlusion_fill="constnat")
    assert caught.value.help == "did you mean 'constant'?"


@pytest.mark.parametrize(
    "field",
    [
        {"flip": 1.5},
        {"flip": -0.1},
        {"flip": float("nan")},
        {"flip": True},
        {"flip": "half"},
        {"rotation_probability": 2},
        {"rotation": (30.0, -30.0)},
        {"rotation": (float("nan"), 30.0)},
        {"rotation": (-30.0, 30.0, 40.0)},
        {"rotation": True},
        {"rotation": "30"},
        {"scale": (0.0, 1.0)},
        {"scale": (1.0, float("inf"))},
        {"crop": 1.5},
        {"shift": (-2.0, 0.0)},
        {"occlusion": 0.96},
        {"occlusion": (-0.1, 0.2)},
        {"occlusion_probability": 1.01},
        {"occlusion_shape": ("rectangle", "star")},
        {"occlusion_shape": ()},
        {"occlusion_shape": 3},
        {"occlusion_value": 256},
        {"occlusion_value": 0.5},
        {"occluders": 0},
        {"occluders": 2.5},
        {"half_body_joints": -1},
        {"border_value": -1},
        {"padding": 0.0},
        {"mode": "bottomup"},
        {"warp": "affine"},
        {"interpolation": "area"},
        {"border": "wrap"},
        {"distribution": "gauss"},
        {"input_size": (256,)},
        {"input_size": (256, 0)},
        {"input_size": (256.0, 192.0)},
        {"input_size": 256},
        {"input_size": "256x192"},
        {"albumentations": 3},
        {"name": None},
    ],
    ids=str,
)
def test_value_out_of_range_is_refused_by_its_name(field: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(field))):
        Recipe().with_changes(**field)


def test_top_down_recipe_without_a_size_is_refused() -> None:
    with pytest.raises(UsageError, match="size of its crops") as caught:
        Recipe(mode="topdown")
    assert "--input-size" in caught.value.help


def test_what_only_the_other_mode_knows_is_refused_instead_of_passed_over() -> None:
    with pytest.raises(UsageError, match="'half_body'"):
        Recipe(half_body=0.3)
    with pytest.raises(UsageError, match="'crop'"):
        Recipe(mode="topdown", input_size=(256, 192), crop=(0.5, 1.0))


@pytest.mark.parametrize("field", [{"rotation": (0.0, 30.0)}, {"scale": (0.5, 1.0)}])
def test_normal_draws_need_a_range_about_their_middle(field: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(field))) as caught:
        Recipe(distribution="normal", **field)
    assert "symmetric" in caught.value.help


def test_one_number_is_a_range_of_one() -> None:
    assert Recipe().with_changes(occlusion=0.3).occlusion == (0.3, 0.3)
    assert Recipe().with_changes(rotation=15).rotation == (15.0, 15.0)


def test_hash_does_not_depend_on_the_name_or_on_how_numbers_are_written() -> None:
    assert Recipe(name="a").content_hash() == Recipe(name="b").content_hash()
    assert Recipe().with_changes(rotation=[-3, 3]).content_hash() == Recipe(rotation=(-3.0, 3.0)).content_hash()


CHANGED: dict[str, Any] = {
    "mode": "topdown",
    "input_size": (128, 96),
    "warp": "udp",
    "padding": 1.5,
    "rotation": (-1.0, 1.0),
    "rotation_probability": 0.5,
    "scale": (0.9, 1.1),
    "shift": (0.0, 0.1),
    "distribution": "normal",
    "flip": 0.5,
    "flip_vertical": 0.5,
    "transpose": 0.5,
    "crop": (0.5, 1.0),
    "half_body": 0.5,
    "half_body_joints": 9,
    "border": "reflect",
    "border_value": 114,
    "interpolation": "cubic",
    "occlusion": (0.2, 0.3),
    "occlusion_probability": 0.5,
    "occlusion_shape": ("ellipse",),
    "occlusion_fill": "noise",
    "occlusion_value": 5,
    "occluders": 2,
}


def test_hash_changes_with_every_field() -> None:
    whole, crops = Recipe(), Recipe(mode="topdown", input_size=(256, 192))
    assert set(CHANGED) == {field.name for field in fields(Recipe)} - {"name", "albumentations"}
    for name, value in CHANGED.items():
        before = crops if name == "half_body" else whole
        after = crops if name == "mode" else before.with_changes(**{name: value})
        assert after.content_hash() != before.content_hash(), name


def test_hash_changes_with_the_bytes_of_the_pipeline_and_not_with_its_place(tmp_path: Path) -> None:
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_text("transform: a")
    other.write_text("transform: a")
    first = Recipe(albumentations=str(one)).content_hash()
    assert first != Recipe().content_hash()
    assert first == Recipe(albumentations=str(other)).content_hash()
    one.write_text("transform: b")
    assert first != Recipe(albumentations=str(one)).content_hash()


def test_missing_pipeline_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        Recipe(albumentations=str(tmp_path / "none.yaml")).content_hash()
    assert "none.yaml" in caught.value.place


def test_recipe_file_starts_from_its_base(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('schema = 1\nname = "mine"\nbase = "hrnet"\nflip = 0.25\nocclusion = [0.1, 0.4]\n')
    recipe = load(str(file))
    assert recipe == preset("hrnet").with_changes(name="mine", flip=0.25, occlusion=[0.1, 0.4])


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("flip = 0.25\nrotation = 10\n")
    recipe = Recipe.from_toml(file).with_changes(flip=1.0)
    assert (recipe.flip, recipe.rotation) == (1.0, (10.0, 10.0))


def test_pipeline_is_named_from_the_place_of_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('albumentations = "pipeline.yaml"\n')
    assert Recipe.from_toml(tmp_path / "mine.toml").albumentations == str(tmp_path / "pipeline.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rotatoin = 3\n", "did you mean 'rotation'?"),
        ("flip = 7\n", "flip"),
        ('base = "hrnte"\n', "did you mean 'hrnet'?"),
        ("base = 3\n", "known"),
        ("flip = \n", "TOML"),
    ],
)
def test_error_in_a_recipe_file_names_the_file(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises((UsageError, DefinitionError)) as caught:
        Recipe.from_toml(file)
    assert str(file) in str(caught.value)
    assert said in f"{caught.value} {caught.value.help}"


def test_recipe_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="cannot be read") as caught:
        load(str(tmp_path / "none.toml"))
    assert caught.value.place == str(tmp_path / "none.toml")


def test_recipe_written_out_reads_back_equal() -> None:
    for name in preset_names():
        recipe = preset(name)
        assert Recipe().with_changes(**recipe.to_dict()) == recipe
