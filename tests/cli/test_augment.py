"""`kpkit augment`: flags, text, exit codes, and the demo's folders."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest

from kpkit.augment.recipe import Recipe, preset
from kpkit.cli.augment import parse_range, recipe_of
from kpkit.errors import UsageError
from kpkit.pipelines import demo
from tests.augment_data import LABELS, dataset, read_labels, rows, write_labels


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory):
    return Path(demo.run(demo.DemoJob(folder=tmp_path_factory.mktemp("demo") / "d", scenes=4, size=(120, 160))).folder)


@pytest.mark.parametrize("folder", ["coco", "mpii", "native", "six2"])
def test_bare_command_in_a_folder_of_the_demo_works(kpkit, monkeypatch, demo_folder, tmp_path, folder):
    monkeypatch.chdir(demo_folder / folder)
    out = tmp_path / "out"
    ran = kpkit("augment", "--occlusion", "0.3", "-o", out)
    assert ran.code == 0, ran.err
    assert ran.out.startswith("Wrote 4 pictures of ")
    assert f"{out}/augment.parquet" in ran.out
    found = rows(out)
    assert found
    assert all(row["matrix"] == [1, 0, 0, 0, 1, 0] for row in found)
    assert all(abs(row["own"] - 0.3) < 0.02 for row in found if row["occluders"])


def test_output_left_out_is_a_folder_here(kpkit, monkeypatch, tmp_path):
    dataset(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert kpkit("augment", "--flip", "1").code == 0
    assert (tmp_path / "kpkit-out" / "augment-coco" / LABELS).is_file()
    again = kpkit("augment", "--flip", "1")
    assert again.code == 2
    assert "error[KP-OUTPUT-EXISTS]" in again.err


FLAGS = {
    "mode": (["topdown"], "topdown"),
    "input_size": (["256x192"], (256, 192)),
    "warp": (["udp"], "udp"),
    "padding": (["1.1"], 1.1),
    "rotation": (["-30:30"], (-30.0, 30.0)),
    "rotation_probability": (["0.6"], 0.6),
    "scale": (["0.8:1.2"], (0.8, 1.2)),
    "shift": (["-0.1:0.1"], (-0.1, 0.1)),
    "distribution": (["normal"], "normal"),
    "flip": (["0.5"], 0.5),
    "flip_vertical": (["0.25"], 0.25),
    "transpose": (["0.1"], 0.1),
    "crop": (["0.8:1"], (0.8, 1.0)),
    "half_body": (["0.3"], 0.3),
    "half_body_joints": (["6"], 6),
    "border": (["reflect"], "reflect"),
    "border_value": (["114"], 114),
    "interpolation": (["cubic"], "cubic"),
    "occlusion": (["0.2:0.4"], (0.2, 0.4)),
    "occlusion_probability": (["0.5"], 0.5),
    "occlusion_shape": (["ellipse,polygon", "--occlusion-shape", "rectangle"], ("ellipse", "polygon", "rectangle")),
    "occlusion_fill": (["noise"], "noise"),
    "occlusion_value": (["9"], 9),
    "occluders": (["5"], 5),
}
# What these fields need beside them.
WITH = {"mode": ["--input-size", "256x192"], "half_body": ["--mode", "topdown", "--input-size", "256x192"]}


def test_every_field_of_a_recipe_has_a_flag():
    assert FLAGS.keys() == {field.name for field in fields(Recipe)} - {"name", "albumentations"}


@pytest.mark.parametrize("field", FLAGS)
def test_flag_sets_its_field(kpkit, monkeypatch, tmp_path, field):
    dataset(tmp_path, images=1, persons=1)
    monkeypatch.chdir(tmp_path)
    values, expected = FLAGS[field]
    ran = kpkit("augment", f"--{field.replace('_', '-')}", *values, *WITH.get(field, []), "--dry-run", "--json")
    assert ran.code == 0, ran.out
    found = ran.json["recipe"][field]
    assert (tuple(found) if isinstance(found, list) else found) == expected


def test_flags_win_over_the_recipe():
    made = recipe_of("hrnet", {"rotation": "-10:10", "flip": 0.0, "scale": None, "copies": 3})
    assert made == preset("hrnet").with_changes(rotation=[-10.0, 10.0], flip=0.0)


def test_flag_wins_over_a_recipe_file(kpkit, monkeypatch, tmp_path):
    dataset(tmp_path, images=1, persons=1)
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text('base = "six2"\nname = "mine"\nflip = 0.25\nocclusion = 0.2\n')
    recipe = kpkit("augment", "--recipe", "mine.toml", "--occlusion", "0.4", "--dry-run", "--json").json["recipe"]
    assert (recipe["name"], recipe["rotation"], recipe["flip"]) == ("mine", [-30.0, 30.0], 0.25)
    assert recipe["occlusion"] == [0.4, 0.4]


@pytest.mark.parametrize(("text", "near"), [("rotatoin = 5", "rotation"), ("oclusion = 0.3", "occlusion")])
def test_unknown_field_of_a_recipe_is_named_with_the_nearest(kpkit, tmp_path, text, near):
    dataset(tmp_path, images=1, persons=1)
    Path("mine.toml").write_text(text + "\n")
    ran = kpkit("augment", LABELS, "--recipe", "mine.toml")
    assert ran.code == 2
    assert text.split()[0] in ran.err
    assert "mine.toml" in ran.err
    assert f"did you mean '{near}'?" in ran.err


def test_unknown_recipe_is_named_with_the_nearest(kpkit):
    ran = kpkit("augment", "--recipe", "hrnett")
    assert ran.code == 2
    assert "did you mean 'hrnet'?" in ran.err


@pytest.mark.parametrize("text", ["a", "1:2:3", "", "1:", "0.4:0.2", "nan"])
def test_what_is_no_range_is_refused(kpkit, tmp_path, text):
    dataset(tmp_path, images=1, persons=1)
    ran = kpkit("augment", LABELS, "--occlusion", text)
    assert ran.code == 2
    assert "occlusion" in ran.err


def test_range_of_one_number_is_that_number():
    assert parse_range("-30", "--rotation") == (-30.0, -30.0)
    with pytest.raises(UsageError) as caught:
        parse_range("x", "--scale")
    assert caught.value.help == "e.g. --scale 0.2:0.4"


def test_failed_pictures_are_listed_and_the_exit_code_is_three(kpkit, tmp_path):
    dataset(tmp_path)
    (tmp_path / "images" / "001.png").write_text("no picture")
    ran = kpkit("augment", LABELS, "--flip", "1")
    assert ran.code == 3
    assert "Failed: 1 picture" in ran.out
    assert "001.png" in ran.out
    assert "Wrote 2 pictures of 4 persons" in ran.out
    quiet = kpkit("augment", LABELS, "--flip", "1", "--force", "--quiet")
    assert (quiet.code, quiet.out.count("001.png") > 0) == (3, True)


def test_json_lists_failures_losses_and_the_profile(kpkit, tmp_path):
    dataset(tmp_path)
    (tmp_path / "images" / "001.png").write_text("no picture")
    ran = kpkit("augment", LABELS, "--flip", "1", "--json")
    assert ran.code == 3
    assert [one["key"] for one in ran.json["failures"]] == ["001.png"]
    assert ran.json["losses"] == []
    assert {"decode", "warp", "encode", "write", "total"} <= ran.json["profile"].keys()


def test_when_all_pictures_fail_the_exit_code_is_three(kpkit, tmp_path):
    dataset(tmp_path)
    for file in (tmp_path / "images").iterdir():
        file.write_text("no picture")
    ran = kpkit("augment", LABELS, "--flip", "1")
    assert ran.code == 3
    assert "Wrote 0 pictures of 0 persons" in ran.out


@pytest.mark.parametrize("change", ["no picture at all", "outside"])
def test_labels_that_cannot_be_meant_exit_with_two(kpkit, tmp_path, change):
    dataset(tmp_path)
    content = read_labels(tmp_path)
    if change == "outside":
        content["images"][0]["file_name"] = "../x.png"
    else:
        content |= {"images": [], "annotations": []}
    write_labels(tmp_path, content)
    ran = kpkit("augment", LABELS, "--flip", "1")
    assert ran.code == 2
    assert not Path("kpkit-out").exists()


def test_dry_run_prints_what_would_be_and_still_draws_the_preview(kpkit, tmp_path):
    dataset(tmp_path)
    ran = kpkit("augment", LABELS, "--flip", "1", "--dry-run", "--preview", "sheet.png")
    assert ran.code == 0
    assert ran.out.startswith("Would write 3 pictures of 6 persons")
    assert Path("sheet.png").is_file()
    assert not Path("kpkit-out").exists()


def test_losses_are_printed_with_their_reason(kpkit, tmp_path):
    dataset(tmp_path)
    content = read_labels(tmp_path)
    content["annotations"][0]["face_kpts"] = [1, 2, 2]
    write_labels(tmp_path, content)
    ran = kpkit("augment", LABELS, "--flip", "1", "--quiet")
    assert ran.code == 0
    assert "coco.face_kpts" in ran.out


def test_settings_reach_the_command(kpkit, tmp_path):
    dataset(tmp_path)
    Path("kpkit.toml").write_text('[augment]\nocclusion = "0.25"\nseed = 9\n')
    ran = kpkit("augment", LABELS, "--dry-run", "--json")
    assert ran.json["recipe"]["occlusion"] == [0.25, 0.25]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_signal_ends_the_work_and_leaves_nothing(tmp_path, environment, number, code, workers):
    dataset(tmp_path, images=100, persons=1)
    command = [sys.executable, "-m", "kpkit", "augment", LABELS, "--rotation", "-30:30", "--copies", "3000"]
    started = subprocess.Popen([*command, "--workers", workers], cwd=tmp_path, env=environment)
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("kpkit-out/.kpkit-work-*/data/images/*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        started.send_signal(number)
        assert started.wait(60) == code
    finally:
        started.kill()
        started.wait()
    assert not (tmp_path / "kpkit-out").exists()
