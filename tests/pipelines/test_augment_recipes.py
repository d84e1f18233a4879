"""Recipes as files: the JSON Schema says what the code takes, and the shipped ones are what they say."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from kpkit import resources
from kpkit.augment import recipe as recipes
from kpkit.augment.recipe import Recipe, preset, preset_names

TOP = Path(__file__).resolve().parents[2]
SCHEMA: dict[str, Any] = resources.json_schema("recipe")
FOLDER = resources.schemas_dir() / "recipes"


def accepts(document: dict[str, Any]) -> bool:
    return jsonschema.Draft202012Validator(SCHEMA).is_valid({"schema": 1, **document})


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", preset_names())
def test_shipped_recipes_fit_the_schema_and_can_be_loaded(name):
    document = resources.read_toml(FOLDER / f"{name}.toml")
    jsonschema.validate(document, SCHEMA, jsonschema.Draft202012Validator)
    assert preset(name).name == document["name"] == name
    assert document["description"]


def test_the_example_fits_the_schema_and_can_be_loaded():
    path = TOP / "examples" / "recipe.toml"
    jsonschema.validate(resources.read_toml(path), SCHEMA, jsonschema.Draft202012Validator)
    assert recipes.load(str(path)).name == "street"


def test_every_field_of_a_recipe_is_in_the_schema_and_no_other():
    own = {"schema", "description", "source", "base"}
    assert set(SCHEMA["properties"]) - own == {field.name for field in fields(Recipe)}


@pytest.mark.parametrize(
    ("field", "allowed"),
    [
        ("mode", recipes.MODES),
        ("warp", recipes.WARPS),
        ("distribution", recipes.DISTRIBUTIONS),
        ("border", recipes.BORDERS),
        ("interpolation", recipes.INTERPOLATIONS),
        ("occlusion_fill", recipes.FILLS),
    ],
)
def test_choices_of_the_schema_are_those_of_the_code(field, allowed):
    assert SCHEMA["properties"][field]["enum"] == list(allowed)


@pytest.mark.parametrize(
    "document",
    [
        {"rotation": [-30, 30], "scale": [0.8, 1.2]},
        {"rotation": 15},
        {"occlusion": [0.2, 0.4], "occlusion_shape": ["rectangle", "polygon"], "occlusion_fill": "patch"},
        {"occlusion": 0.3, "occlusion_shape": "ellipse"},
        {"base": "hrnet", "input_size": [384, 288]},
        {"mode": "topdown", "input_size": [256, 192], "half_body": 0.3, "half_body_joints": 8},
        {"albumentations": "mine.yaml", "border": "reflect", "border_value": 114},
    ],
)
def test_what_the_schema_takes_the_code_takes(tmp_path, document):
    assert accepts(document)
    values = {name: value for name, value in document.items() if name != "base"}
    (preset(document["base"]) if "base" in document else Recipe()).with_changes(**values)


@pytest.mark.parametrize(
    "document",
    [
        {"rotatoin": [-30, 30]},
        {"rotation": [-400, 30]},
        {"rotation": "30"},
        {"scale": [0, 1]},
        {"flip": 1.5},
        {"flip": True},
        {"occlusion": 0.99},
        {"occlusion_shape": []},
        {"occlusion_shape": ["circle"]},
        {"occluders": 0},
        {"occluders": 1.5},
        {"input_size": [256]},
        {"input_size": [0, 192]},
        {"mode": "whole"},
        {"border_value": 256},
        {"padding": 0},
        {"crop": [0.5, 1.5]},
    ],
)
def test_what_the_schema_refuses_the_code_refuses(document):
    assert not accepts(document)
    from kpkit.errors import UsageError

    with pytest.raises(UsageError):
        Recipe().with_changes(**document)
