"""Errors carry their fields wherever they go."""

from __future__ import annotations

import pickle
import re

import pytest

from kpkit import errors
from kpkit.errors import KpkitError, RecordError, did_you_mean

FIELDS = {"code": "KP-X", "place": "a.json: images[3]", "expected": "1", "got": "2", "help": "mend it"}
TREE = {
    "UsageError": 2,
    "InputError": 2,
    "FormatError": 2,
    "RecordError": 2,
    "DefinitionError": 2,
    "OutputError": 2,
    "MissingExtraError": 2,
    "LossError": 1,
    "ItemsFailedError": 3,
}


@pytest.mark.parametrize("name", TREE)
def test_every_error_has_its_exit_code_and_a_code_of_its_own(name):
    error = getattr(errors, name)("what happened")
    assert isinstance(error, KpkitError)
    assert error.exit_code == TREE[name]
    assert error.code.startswith("KP-")
    assert getattr(errors, name)("x", code="KP-MINE").code == "KP-MINE"


def test_the_tree_in_the_docstring_is_the_tree():
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or ""))
    assert drawn == set(TREE)


def test_a_format_error_is_an_input_error():
    assert issubclass(errors.FormatError, errors.InputError)
    assert issubclass(errors.RecordError, errors.InputError)


def test_text_says_place_message_expected_and_got():
    assert str(RecordError("wrong", **FIELDS)) == "a.json: images[3]: wrong; expected 1; got 2"
    assert str(RecordError("wrong")) == "wrong"


@pytest.mark.parametrize("name", TREE)
def test_nothing_is_lost_on_the_way_to_another_process(name):
    error = getattr(errors, name)("wrong", **FIELDS)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert again.as_dict() == error.as_dict() == {"message": "wrong", **FIELDS}


def test_a_place_is_put_in_front():
    error = RecordError("wrong", place="images[3]")
    assert error.at("a.json") is error
    assert error.place == "a.json: images[3]"
    assert RecordError("wrong").at("a.json").place == "a.json"


@pytest.mark.parametrize(
    ("name", "known", "help"),
    [
        ("coc", ["coco", "mpii"], "did you mean 'coco'?"),
        ("xyz", ["coco", "mpii"], "known: coco, mpii"),
        ("xyz", [], "none are known"),
    ],
)
def test_a_typo_gets_the_nearest_name(name, known, help):
    assert did_you_mean(name, known) == help
