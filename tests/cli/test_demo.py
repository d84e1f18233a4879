"""`kpkit demo`: the first thing a newcomer runs."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from kpkit.cli.sizes import parse_size
from kpkit.errors import UsageError

SMALL = ("demo", "--scenes", "2", "--size", "120x160")


def test_demo_prints_what_it_made_and_how_to_do_it_again(kpkit, monkeypatch):
    ran = kpkit(*SMALL)
    assert ran.code == 0, ran.err
    assert "in 2 pictures" in ran.out
    assert Path("kpkit-demo/contact_sheet.png").read_bytes().startswith(b"\x89PNG")
    folder, *commands = [line.strip() for line in ran.out.partition("again:\n")[2].splitlines()]
    monkeypatch.chdir(folder.removeprefix("cd "))
    assert commands
    for command in commands:
        again = kpkit(*shlex.split(command)[1:])
        assert again.code == 0, again.err


def test_labels_of_the_demo_are_found_without_naming_them(kpkit, monkeypatch):
    kpkit(*SMALL)
    monkeypatch.chdir("kpkit-demo")
    ran = kpkit("convert", "mpii", "coco")
    assert ran.code == 0, ran.err
    assert Path("kpkit-out/convert-coco/annotations").is_dir()


def test_folder_that_exists_is_not_replaced(kpkit):
    Path("mine").mkdir()
    ran = kpkit(*SMALL, "mine")
    assert ran.code == 2
    assert "error[KP-OUTPUT-EXISTS]" in ran.err


def test_json_says_the_same(kpkit):
    document = kpkit(*SMALL, "--json").json
    assert document["counts"]["images"] == 2
    assert [one["target"]["format"] for one in document["converted"]] == ["coco", "six2", "native"]


@pytest.mark.parametrize("text", ["480x640", "480X640", " 480 x 640 ", "480×640"])
def test_size_is_height_then_width(text):
    assert parse_size(text, "--size") == (480, 640)


@pytest.mark.parametrize("text", ["480", "480x", "0x640", "-1x5", "480x640x3", "axb", ""])
def test_what_is_no_size_is_refused_with_an_example(text):
    with pytest.raises(UsageError) as caught:
        parse_size(text, "--size")
    assert caught.value.help == "e.g. --size 480x640"
