"""What a user sees first."""

from __future__ import annotations

import subprocess
import sys

import pytest

import kpkit as package

COMMANDS = (
    "convert",
    "heatmaps",
    "shards",
    "info",
    "draw",
    "stats",
    "validate",
    "rule",
    "formats",
    "skeletons",
    "mappings",
    "demo",
    "doctor",
)
HEAVY = (
    "numpy",
    "scipy",
    "cv2",
    "msgspec",
    "pyarrow",
    "pandas",
    "h5py",
    "pycocotools",
    "rich.progress",
    "tomllib",
    "importlib.metadata",
)


def test_version_is_the_packages(kpkit):
    ran = kpkit("--version")
    assert (ran.code, ran.out) == (0, f"kpkit {package.__version__}\n")


def test_help_names_every_command(kpkit):
    ran = kpkit("--help")
    assert ran.code == 0
    for command in COMMANDS:
        assert f" {command} " in ran.out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_shows_examples_and_only_known_options(kpkit, command):
    ran = kpkit(command, "--help")
    assert ran.code == 0
    assert f"Usage: kpkit {command}" in ran.out
    assert "Examples:" in ran.out
    assert "--json" in ran.out


def test_short_help_flag_is_the_same_as_the_long_one(kpkit):
    assert kpkit("convert", "-h").out == kpkit("convert", "--help").out


def test_no_arguments_print_help_and_exit_as_wrong_usage(kpkit):
    ran = kpkit()
    assert ran.code == 2
    assert "Usage: kpkit" in ran.out


def test_help_loads_nothing_heavy(environment, tmp_path):
    code = (
        "import sys; from kpkit.cli.main import main; code = main(['--help']);"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]; print(loaded, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
    )
    assert (done.returncode, done.stderr.strip()) == (0, "[]")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_can_be_shown(kpkit_process, shell):
    ran = kpkit_process(_KPKIT_COMPLETE=f"source_{shell}")
    assert "kpkit" in ran.out


def test_completion_offers_skeleton_names(kpkit_process):
    ran = kpkit_process(
        _KPKIT_COMPLETE="complete_bash", COMP_WORDS="kpkit skeletons coco", COMP_CWORD="2", COMP_LINE="kpkit s"
    )
    assert "coco17" in ran.out.split()
