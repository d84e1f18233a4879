"""Plain text in a pipe, colours on a terminal, one JSON document with --json."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from kpkit.cli.output import Console, plural, size


def on_a_terminal(environment, *arguments, **variables):
    """Everything `kpkit` prints where stdout and stderr are a terminal."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "kpkit", *arguments],
        stdout=follower,
        stderr=follower,
        stdin=follower,
        env={**environment, **variables},
    )
    os.close(follower)
    chunks = []
    # Linux reports the end of a terminal as an error.
    while True:
        try:
            chunk = os.read(leader, 65536)
        except OSError:
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(leader)
    assert process.wait(timeout=60) == 0
    return b"".join(chunks).decode()


def test_pipe_gets_plain_aligned_text(kpkit_process):
    ran = kpkit_process("skeletons")
    assert "\x1b" not in ran.out
    lines = ran.out.splitlines()
    assert all(line == line.rstrip() for line in lines)
    assert {line.index("yes" if " yes " in line else "no") for line in lines[1:4]} == {lines[0].index("sigmas")}


def test_pipe_gets_one_line_a_row_however_long(kpkit_process):
    ran = kpkit_process("skeletons", COLUMNS="40")
    names = [line.split()[0] for line in ran.out.splitlines()[1:]]
    assert "coco17" in names
    assert len(names) == len(set(names))


def test_terminal_gets_colours_and_lines_that_fit(environment, empty_folder):
    text = on_a_terminal(environment, "skeletons", COLUMNS="60", LINES="40")
    assert "\x1b[" in text
    assert "coco17" in text


def test_no_color_is_obeyed_on_a_terminal(environment, empty_folder):
    text = on_a_terminal(environment, "skeletons", NO_COLOR="1")
    assert "\x1b[36m" not in text
    assert "\x1b[1;36m" not in text


def test_force_color_is_obeyed_in_a_pipe(kpkit_process):
    assert "\x1b[" in kpkit_process("skeletons", FORCE_COLOR="1").out


def test_error_on_a_terminal_is_red(environment, empty_folder, kpkit_process):
    assert "\x1b[1;31merror[KP-USAGE]" in kpkit_process("skeletons", "coco71", FORCE_COLOR="1").err


@pytest.mark.parametrize("command", ["formats", "skeletons", "mappings", "doctor"])
def test_json_is_the_same_as_format_json_and_carries_the_schema_version(kpkit, command):
    short, long = kpkit(command, "--json"), kpkit(command, "--format", "json")
    assert short.json["schema_version"] == 1
    assert short.json.keys() == long.json.keys()


def test_unencodable_file_names_are_spelled_out(kpkit_process):
    ran = kpkit_process("skeletons", "caf\udce9.toml", PYTHONIOENCODING="ascii")
    assert ran.code == 2
    assert "caf\\udce9.toml" in ran.err


def test_notes_are_left_out_when_quiet(capsys):
    Console(quiet=True).note("reading")
    Console().note("writing")
    assert capsys.readouterr() == ("", "writing\n")


def test_no_progress_off_a_terminal():
    with Console().progress() as progress:
        assert progress is None


@pytest.mark.parametrize(("count", "text"), [(0, "0 persons"), (1, "1 person"), (2048, "2,048 persons")])
def test_counts_carry_their_noun(count, text):
    assert plural(count, "person") == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (2_000_000_000_000, "2.0 TB")]
)
def test_sizes_are_for_readers(count, text):
    assert size(count) == text
