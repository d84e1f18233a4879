"""`kpkit demo`: the first thing a newcomer runs."""

from __future__ import annotations

import importlib.util
import shlex
from itertools import takewhile
from pathlib import Path

import pytest

from kpkit.cli.sizes import parse_size
from kpkit.errors import UsageError

SMALL = ("demo", "--scenes", "2", "--size", "120x160")


def commands_after(text: str, heading: str) -> list[list[str]]:
    """The command lines listed below a heading, as arguments of `kpkit`."""
    lines = text.partition(heading)[2].splitlines()[1:]
    return [shlex.split(line)[1:] for line in takewhile(lambda line: line.startswith("  kpkit "), lines)]


def test_commands_that_the_demo_prints_work_as_printed(kpkit, monkeypatch):
    out = kpkit(*SMALL).out
    assert out.startswith("Drew 2 pictures of ")
    monkeypatch.chdir("kpkit-demo")
    same, new = commands_after(out, "The same by hand"), commands_after(out, "Now try")
    assert same
    assert new
    viewed = [one for one in new if one[0] == "view"]
    assert bool(viewed) == (importlib.util.find_spec("fiftyone") is not None)
    again_over = [[*one, "--force"] if {"-o", "--html"} & {*one} else one for one in same]
    for arguments in [*again_over, *(one for one in new if one not in viewed)]:
        again = kpkit(*arguments)
        assert again.code == 0, again.err


def test_it_ends_by_naming_the_picture_of_targets(kpkit):
    last = kpkit(*SMALL).out.splitlines()[-1]
    assert last.startswith("Look at kpkit-demo/targets.png")
    assert Path("kpkit-demo/targets.png").is_file()


def test_folder_that_exists_is_not_replaced(kpkit):
    Path("mine").mkdir()
    ran = kpkit(*SMALL, "mine")
    assert ran.code == 2
    assert "error[KP-OUTPUT-EXISTS]" in ran.err


def test_json_says_the_same(kpkit):
    document = kpkit(*SMALL, "--json").json
    assert document["counts"]["images"] == 2
    assert document["targets"]["samples"] > 0
    assert document["findings"] == {}
    assert {"coco", "six2", "native"} <= {one["target"]["format"] for one in document["converted"]}


@pytest.mark.parametrize("text", ["480x640", "480X640", " 480 x 640 ", "480×640"])
def test_size_is_height_then_width(text):
    assert parse_size(text, "--size") == (480, 640)


@pytest.mark.parametrize("text", ["480", "480x", "0x640", "-1x5", "480x640x3", "axb", ""])
def test_what_is_no_size_is_refused_with_an_example(text):
    with pytest.raises(UsageError) as caught:
        parse_size(text, "--size")
    assert caught.value.help == "e.g. --size 480x640"
