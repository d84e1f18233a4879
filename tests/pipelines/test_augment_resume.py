"""A run that was ended is taken up, and gives the bytes of an undisturbed one."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from kpkit.augment.recipe import Recipe
from kpkit.errors import OutputError
from kpkit.guard import work_folders
from kpkit.lock import locked
from kpkit.pipelines.augment import AugmentJob, AugmentReport, run
from kpkit.pipelines.augment_keep import pack, unpack
from kpkit.pipelines.augment_plan import Done
from kpkit.pipelines.work_folder import WorkFolder
from tests.augment_data import dataset, encoded, hashes, picture

RECIPE = Recipe(occlusion=(0.2, 0.4), rotation=(-30.0, 30.0), occlusion_fill="patch", flip=0.5)


def job(folder: Path, output: str = "out", **options: object) -> AugmentJob:
    return AugmentJob(folder=folder, output=folder / output, **{"recipe": RECIPE, "copies": 2, **options})  # type: ignore[arg-type]


def stop_after(count: int):
    """A progress that is Ctrl-C once so many images are done."""

    def tell(stage: str, done: int, total: int) -> None:
        if stage == "augmenting" and done == count:
            raise KeyboardInterrupt

    return tell


def interrupted(folder: Path, count: int = 3, **options: object) -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        run(job(folder, **options), stop_after(count))
    assert caught.value.__notes__ == [f"{count} finished items are kept: run the same command again with --resume"]
    assert not (folder / "out").exists()


def undisturbed(folder: Path, **options: object) -> dict[str, str]:
    run(job(folder, "undisturbed", **options))
    return hashes(folder / "undisturbed")


def resumed(folder: Path, **options: object) -> AugmentReport:
    report = run(job(folder, resume=True, **options))
    assert work_folders(folder / "out") == []
    return report


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("mode", ["image", "topdown"])
def test_resumed_run_gives_the_bytes_of_an_undisturbed_one(tmp_path, workers, mode):
    dataset(tmp_path, images=6)
    recipe = RECIPE.with_changes(mode=mode, input_size=(64, 48))
    interrupted(tmp_path, recipe=recipe, workers=workers)
    report = resumed(tmp_path, recipe=recipe)
    assert report.kept == 3
    assert hashes(tmp_path / "out") == undisturbed(tmp_path, recipe=recipe)


def test_nothing_to_resume_is_a_run_from_the_start(tmp_path):
    dataset(tmp_path)
    assert resumed(tmp_path).kept == 0
    assert hashes(tmp_path / "out") == undisturbed(tmp_path)


@pytest.mark.parametrize("damage", ["gone", "cut", "zeros"])
def test_a_finished_picture_that_is_not_what_it_was_is_made_again(tmp_path, damage):
    dataset(tmp_path, images=6)
    interrupted(tmp_path)
    made = sorted((work_folders(tmp_path / "out")[0] / "data").rglob("*.jpg"))[0]
    data = made.read_bytes()
    if damage == "gone":
        made.unlink()
    else:
        made.write_bytes(data[:-1] if damage == "cut" else bytes(len(data)))
    assert resumed(tmp_path).kept == 2
    assert hashes(tmp_path / "out") == undisturbed(tmp_path)


def test_a_source_picture_that_changed_is_taken_anew_by_all_that_used_it(tmp_path):
    dataset(tmp_path, images=6)
    interrupted(tmp_path)
    (tmp_path / "images" / "001.png").write_bytes(encoded(picture(77)))
    assert resumed(tmp_path).kept < 3
    assert hashes(tmp_path / "out") == undisturbed(tmp_path)


@pytest.mark.parametrize("change", ["labels", "seed", "recipe"])
def test_another_job_does_not_take_up_the_work(tmp_path, change):
    labels = dataset(tmp_path, images=6)
    interrupted(tmp_path)
    options: dict[str, object] = {}
    if change == "labels":
        labels.write_text(labels.read_text() + " ")
    else:
        options = {"seed": 1} if change == "seed" else {"recipe": RECIPE.with_changes(flip=0.4)}
    with pytest.raises(OutputError) as caught:
        run(job(tmp_path, resume=True, **options))
    assert caught.value.code == "KP-RESUME-OTHER"
    assert change in caught.value.got


def test_other_workers_are_the_same_job(tmp_path):
    dataset(tmp_path, images=6)
    interrupted(tmp_path, workers=2)
    assert resumed(tmp_path, workers=1).kept == 3


def test_unfinished_work_is_not_thrown_away_unasked(tmp_path):
    dataset(tmp_path, images=6)
    interrupted(tmp_path)
    with pytest.raises(OutputError) as caught:
        run(job(tmp_path))
    assert caught.value.code == "KP-UNFINISHED"
    assert run(job(tmp_path, force=True)).kept == 0


def test_image_that_failed_is_tried_again(tmp_path):
    dataset(tmp_path, images=6)
    good = (tmp_path / "images" / "000.png").read_bytes()
    (tmp_path / "images" / "000.png").write_bytes(b"no picture")
    with pytest.raises(KeyboardInterrupt):
        run(job(tmp_path), stop_after(4))
    (tmp_path / "images" / "000.png").write_bytes(good)
    report = resumed(tmp_path)
    assert report.failures == []
    assert hashes(tmp_path / "out") == undisturbed(tmp_path)


def test_second_run_on_the_output_is_refused_and_leaves_nothing(tmp_path):
    dataset(tmp_path)
    errors: list[str] = []

    def second() -> None:
        try:
            run(job(tmp_path))
        except OutputError as error:
            errors.append(error.code)

    with locked(tmp_path / "out"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(60)
    assert errors == ["KP-OUTPUT-LOCKED"]
    assert sorted(os.listdir(tmp_path)) == ["annotations", "images"]


def test_result_survives_the_way_through_bytes(tmp_path, monkeypatch):
    dataset(tmp_path, images=2)
    seen: list[Done] = []

    def keep(self, key, item):
        seen.append(unpack(item))
        assert pack(seen[-1]) == item

    monkeypatch.setattr(WorkFolder, "note", keep)
    run(job(tmp_path))
    assert len(seen) == 2
    for done in seen:
        assert len(done.files) >= 2
        for output in done.outputs:
            assert output.labels.xy.dtype == np.float64
            assert output.labels.visibility.dtype == np.uint8
            assert isinstance(output.size_wh, tuple)
