"""A flag wins, then the environment, then the nearest settings file."""

from __future__ import annotations

from pathlib import Path

import pytest

from kpkit.cli.settings import collect
from kpkit.errors import UsageError

OPTIONS = {"convert": {"bbox": False, "images": True, "quiet": False}, "info": {"quiet": False}}


def test_environment_names_an_option_of_every_command_that_has_it(tmp_path):
    settings = collect(OPTIONS, {"KPKIT_QUIET": "1", "KPKIT_BBOX": "none"}, tmp_path)
    assert settings.values == {"convert": {"quiet": "1", "bbox": "none"}, "info": {"quiet": "1"}}


def test_variables_that_name_no_option_are_somebody_elses(tmp_path):
    assert collect(OPTIONS, {"KPKIT_REAL_DATA": "x", "BBOX": "none"}, tmp_path).values == {}


def test_table_of_a_command_wins_over_the_top_level(tmp_path):
    (tmp_path / "kpkit.toml").write_text("quiet = true\n[convert]\nquiet = false\n")
    assert collect(OPTIONS, {}, tmp_path).values == {"convert": {"quiet": False}, "info": {"quiet": True}}


def test_environment_wins_over_the_file(tmp_path):
    (tmp_path / "kpkit.toml").write_text('[convert]\nbbox = "none"\n')
    settings = collect(OPTIONS, {"KPKIT_BBOX": "auto"}, tmp_path)
    assert settings.values["convert"]["bbox"] == "auto"
    assert settings.origins["convert", "bbox"] == "environment variable KPKIT_BBOX"


def test_file_is_looked_for_upwards_and_its_paths_are_relative_to_it(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.kpkit.convert]\nimages = "pictures"\n')
    (tmp_path / "deep" / "down").mkdir(parents=True)
    settings = collect(OPTIONS, {}, tmp_path / "deep" / "down")
    assert settings.values["convert"]["images"] == str(tmp_path / "pictures")


def test_pyproject_without_a_table_of_ours_is_passed_by(tmp_path):
    (tmp_path / "kpkit.toml").write_text("quiet = true\n")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "pyproject.toml").write_text("[tool.other]\n")
    assert collect(OPTIONS, {}, tmp_path / "inner").values["info"] == {"quiet": True}


@pytest.mark.parametrize(
    ("text", "help"),
    [
        ("quit = true", "did you mean 'quiet'?"),
        ("[conver]\nquiet = true", "did you mean 'convert'?"),
        ("[info]\nbbx = 1", "known: quiet"),
    ],
)
def test_mistyped_setting_is_refused_with_the_nearest_name(tmp_path, text, help):
    (tmp_path / "kpkit.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        collect(OPTIONS, {}, tmp_path)
    assert caught.value.help == help
    assert caught.value.place == str(tmp_path / "kpkit.toml")


def test_setting_reaches_the_command(kpkit, monkeypatch):
    monkeypatch.setenv("KPKIT_JSON", "1")
    assert kpkit("skeletons").json["schema_version"] == 1


def test_flag_wins_over_the_environment(kpkit, monkeypatch):
    monkeypatch.setenv("KPKIT_FORMAT", "json")
    assert kpkit("skeletons", "--format", "text").out.startswith("name")


def test_wrong_value_of_a_setting_names_where_it_came_from(kpkit, monkeypatch):
    monkeypatch.setenv("KPKIT_BBOX", "round")
    ran = kpkit("convert", "coco", "six2")
    assert ran.code == 2
    assert "  --> environment variable KPKIT_BBOX" in ran.err


def test_file_that_is_no_toml_is_named(kpkit):
    Path("kpkit.toml").write_text("quiet = = true")
    ran = kpkit("skeletons")
    assert ran.code == 2
    assert "not valid TOML" in ran.err
    assert "kpkit.toml" in ran.err


def test_help_needs_no_valid_settings(kpkit):
    Path("kpkit.toml").write_text("quiet = = true")
    assert kpkit("--help").code == 0
