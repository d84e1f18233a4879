"""Errors name the fault, the place, and one thing that helps; the exit code says whose fault it is."""

from __future__ import annotations

import pytest

from kpkit.cli import skeletons
from kpkit.errors import ItemsFailedError, LossError, RecordError


def test_mistyped_command_gets_the_nearest_name(kpkit):
    ran = kpkit("conver")
    assert ran.code == 2
    assert ran.err == (
        "error[KP-USAGE]: no such command 'conver'\n  help: did you mean 'convert'? see `kpkit --help`\n"
    )


def test_mistyped_option_gets_the_nearest_name(kpkit):
    ran = kpkit("convert", "coco", "six2", "--frce")
    assert ran.code == 2
    assert ran.err == (
        "error[KP-USAGE]: no such option: --frce\n  help: did you mean --force? see `kpkit convert --help`\n"
    )


def test_missing_argument_is_named(kpkit):
    ran = kpkit("convert", "coco")
    assert ran.code == 2
    assert "missing argument 'DST'" in ran.err


def test_wrong_value_names_the_option_and_what_is_allowed(kpkit):
    ran = kpkit("convert", "coco", "six2", "--bbox", "round")
    assert ran.code == 2
    assert "'--bbox'" in ran.err
    assert "keypoints" in ran.err


def test_mistyped_skeleton_gets_the_nearest_name(kpkit):
    ran = kpkit("skeletons", "coco71")
    assert (ran.code, ran.out) == (2, "")
    assert "error[KP-USAGE]: no skeleton is called 'coco71'" in ran.err
    assert "  help: did you mean 'coco17'?" in ran.err


def test_json_error_is_one_document_on_stdout(kpkit):
    ran = kpkit("skeletons", "coco71", "--json")
    assert (ran.code, ran.err) == (2, "")
    assert ran.json["schema_version"] == 1
    assert ran.json["error"]["code"] == "KP-USAGE"
    assert ran.json["error"]["help"] == "did you mean 'coco17'?"


def test_wrong_usage_is_json_too_where_asked_for(kpkit):
    ran = kpkit("skeletons", "--nope", "--json")
    assert ran.code == 2
    assert "no such option: --nope" in ran.json["error"]["message"]


def test_error_has_no_traceback_unless_debug(kpkit):
    assert "Traceback" not in kpkit("skeletons", "coco71").err
    assert "Traceback" in kpkit("skeletons", "coco71", "--debug").err


def raising(error):
    def fail(console, found):
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code"),
    [(LossError("lost"), 1), (RecordError("bad"), 2), (ItemsFailedError("some failed"), 3), (ValueError("ours"), 2)],
)
def test_exit_code_follows_the_kind_of_error(kpkit, monkeypatch, error, code):
    monkeypatch.setattr(skeletons, "_list", raising(error))
    assert kpkit("skeletons").code == code


def test_all_fields_of_an_error_are_printed_in_order(kpkit, monkeypatch):
    error = RecordError(
        "a joint is cut short",
        code="KP-COCO-LENGTH",
        place="a.json: annotations[12].keypoints",
        expected="51 numbers",
        got="50",
        help="correct the file",
    )
    monkeypatch.setattr(skeletons, "_list", raising(error))
    assert kpkit("skeletons").err.splitlines() == [
        "error[KP-COCO-LENGTH]: a joint is cut short",
        "  --> a.json: annotations[12].keypoints",
        "  expected: 51 numbers",
        "  got: 50",
        "  help: correct the file",
    ]


def test_unforeseen_exception_is_said_to_be_our_fault_with_its_origin_under_debug(kpkit, monkeypatch):
    monkeypatch.setattr(skeletons, "_list", raising(ValueError("ours")))
    ran = kpkit("skeletons", "--debug")
    assert "error[KP-INTERNAL]: unexpected ValueError: ours" in ran.err
    assert "in fail" in ran.err


def test_too_little_memory_is_said_in_words(kpkit, monkeypatch):
    monkeypatch.setattr(skeletons, "_list", raising(MemoryError()))
    assert "error[KP-MEMORY]: there is not enough memory" in kpkit("skeletons").err


def test_operating_system_errors_name_the_file(kpkit, monkeypatch):
    monkeypatch.setattr(skeletons, "_list", raising(PermissionError(13, "Permission denied", "labels.json")))
    ran = kpkit("skeletons")
    assert (ran.code, ran.err.splitlines()[:2]) == (2, ["error[KP-OS]: permission denied", "  --> labels.json"])


def test_control_characters_of_a_file_name_do_not_reach_the_terminal(kpkit):
    ran = kpkit("skeletons", "red\x1b[31m.toml")
    assert "\x1b" not in ran.err
    assert "red\\x1b[31m.toml" in ran.err
