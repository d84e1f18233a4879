"""The demo: a folder that appears whole, says what it made, and works with the commands it names."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

import kpkit
from kpkit.cli.main import main
from kpkit.errors import OutputError, UsageError
from kpkit.pipelines import demo, demo_looks
from kpkit.pipelines.demo import DemoJob, DemoReport
from kpkit.pipelines.demo_labels import annotate, labelled
from kpkit.pipelines.demo_sheet import pick
from kpkit.synth.scenes import make_scene

SCENES, SEED, SIZE = 6, 3, (240, 320)


def job(folder: Path, **options: object) -> DemoJob:
    return DemoJob(**{"folder": folder, "scenes": SCENES, "seed": SEED, "size": SIZE, **options})  # type: ignore[arg-type] # mixed options


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> DemoReport:
    return demo.run(job(tmp_path_factory.mktemp("demo") / "here"))


@pytest.fixture(scope="module")
def folder(made: DemoReport) -> Path:
    return Path(made.folder)


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_each_format_stands_in_a_folder_of_its_own_with_the_sheet_beside(folder):
    expected = {"mpii", demo.SHEET, demo.PREVIEW, demo.AUGMENTED, *(name for name, _, _ in demo.CONVERSIONS)}
    expected |= {demo.SHARDS, demo.TARGETS, demo.PAGE}
    assert {path.name for path in folder.iterdir()} == expected
    for labels in (demo.MPII_FILE, *(labels for _, _, labels in demo.CONVERSIONS)):
        assert (folder / labels).exists(), labels


@pytest.mark.parametrize(("labels", "name"), [(demo.MPII_FILE, "mpii"), *((c[2], c[0]) for c in demo.CONVERSIONS)])
def test_every_format_reads_back_with_all_persons_and_existing_images(folder, made, labels, name):
    dataset = kpkit.read(folder / labels)
    assert len(dataset) == made.counts["instances"]
    assert len(dataset.images) == SCENES
    for path in dataset.images.path:
        found = [one for one in (folder / name).rglob(str(path).rsplit("/", 1)[-1]) if one.is_file()]
        assert found, path
        assert cv2.imread(str(found[0])).shape == (*SIZE, 3)


def test_augmented_pictures_have_every_person_covered_and_a_sheet(folder, made):
    labels = kpkit.read(folder / demo.AUGMENTED / "annotations" / "person_keypoints_default.json")
    assert len(labels) == made.counts["instances"]
    assert made.augmented.covered > 0
    assert cv2.imread(str(folder / demo.PREVIEW)).shape[1] > 1000
    assert str(folder / demo.PREVIEW) == made.preview == made.augmented.preview
    assert Path(made.augmented.rows).is_file()


def test_shards_hold_the_augmented_persons_with_their_crops(folder, made):
    with kpkit.ShardDataset(folder / demo.SHARDS) as shards:
        assert len(shards) == made.targets.samples > 0
        sample = shards[0]
    assert sample["heatmaps"].shape == (17, 64, 48)
    assert sample["image"].shape == (256, 192, 3)
    assert made.targets.covered > 0
    assert cv2.imread(str(folder / demo.TARGETS)).std() > 20


def test_the_labels_are_checked_and_measured(folder, made):
    assert made.findings == {}
    assert made.rules > 30
    page = (folder / demo.PAGE).read_text()
    assert "coco/annotations/person_keypoints_default.json" in page
    assert "augmented/annotations/person_keypoints_default.json" in page
    assert str(folder) not in page


@pytest.mark.parametrize("installed", [True, False])
def test_fiftyone_is_named_only_where_it_is_installed(monkeypatch, installed):
    monkeypatch.setattr(demo_looks.importlib.util, "find_spec", lambda name: object() if installed else None)
    assert demo_looks.view_commands("coco") == (["kpkit view coco"] if installed else [])


def test_labels_are_the_scenes_own_joints_to_a_sixteenth_of_a_pixel(folder):
    dataset = kpkit.read(folder / demo.MPII_FILE)
    person = 0
    for index in range(SCENES):
        for truth in labelled(make_scene(SEED, index, SIZE[1], SIZE[0])):
            flags = np.where(truth.visible, 2, 1)
            known = dataset.visibility[person] > 0
            edge = truth.inside & ((truth.xy < 0.1) | (truth.xy > np.array(SIZE[::-1]) - 1.1)).any(axis=1)
            assert (known == truth.inside)[~edge].all()
            assert (dataset.visibility[person] == flags)[known].all()
            assert np.abs(dataset.xy[person] - truth.xy)[known].max() <= 1 / 32
            assert np.abs(dataset.head_box[person] - truth.head_box).max() <= 1 / 16
            assert dataset.images.path[dataset.image_index[person]] == f"scene_{index:04d}.jpg"
            person += 1
    assert person == len(dataset)


def test_limb_joints_in_coco_are_those_in_mpii(folder):
    mpii, coco = (kpkit.read(folder / labels) for labels in (demo.MPII_FILE, demo.CONVERSIONS[0][2]))
    shared = [name for name in coco.skeleton.keypoints if name in mpii.skeleton.keypoints]
    assert len(shared) == 12
    for name in shared:
        ours, theirs = coco.skeleton.keypoints.index(name), mpii.skeleton.keypoints.index(name)
        assert np.array_equal(coco.visibility[:, ours], mpii.visibility[:, theirs])
        assert np.array_equal(coco.xy[:, ours], mpii.xy[:, theirs], equal_nan=True)


def test_a_coco_box_holds_the_head_that_coco_has_no_joint_for(folder):
    mpii, coco = (kpkit.read(folder / labels) for labels in (demo.MPII_FILE, demo.CONVERSIONS[0][2]))
    top = mpii.xy[:, mpii.skeleton.keypoints.index("head_top")]
    known = np.isfinite(top).all(axis=1)
    low, high = coco.bbox_xywh[:, :2], coco.bbox_xywh[:, :2] + coco.bbox_xywh[:, 2:]
    assert known.any()
    assert (top >= low - 0.5)[known].all()
    assert (top <= high + 0.5)[known].all()


def test_scale_follows_from_the_head_rectangle_as_in_mpii(folder):
    dataset = kpkit.read(folder / demo.MPII_FILE)
    diagonal = np.hypot(dataset.head_box[:, 2], dataset.head_box[:, 3])
    assert dataset.extras["mpii.scale"].astype(float) == pytest.approx(0.6 * diagonal * 8 / 200)


def test_joints_outside_the_frame_are_counted_as_lost_to_mpii(made):
    (loss,) = made.made.losses
    assert (loss.what, loss.count) == ("truncated", made.counts["truncated"])
    assert loss.count > 0


def test_labelled_joints_lie_in_the_frame_and_the_others_do_not_count(folder):
    dataset = kpkit.read(folder / demo.MPII_FILE)
    xy = dataset.xy[dataset.visibility > 0]
    assert (xy >= 0).all()
    assert (xy <= np.array(SIZE[::-1]) - 1).all()


def test_persons_that_nobody_could_see_get_no_labels():
    for index in range(40):
        for person in labelled(make_scene(SEED, index, 160, 120)):
            assert person.area > 0
            assert person.inside.any()


def test_same_job_gives_the_same_bytes_in_another_folder(made, folder, tmp_path):
    again = demo.run(job(tmp_path / "elsewhere" / "deeper"))
    assert tree(Path(again.folder)) == tree(folder)
    assert again.counts == made.counts


def test_another_seed_gives_other_pictures_and_few_scenes_a_narrow_sheet(folder, tmp_path):
    other = demo.run(job(tmp_path / "other", seed=SEED + 1, scenes=1))
    first = "mpii/images/scene_0000.jpg"
    assert (Path(other.folder) / first).read_bytes() != (folder / first).read_bytes()
    assert cv2.imread(other.sheet).shape[1] < 2 * 320


def test_sheet_shows_a_scene_a_column_and_a_format_a_row(folder):
    sheet = cv2.imread(str(folder / demo.SHEET))
    assert sheet.shape[1] > 4 * 320
    assert sheet.shape[0] > len(demo.SHOWN) * 240
    assert sheet.std() > 20


def test_picked_scenes_are_distinct_and_hold_the_largest_person():
    people = [labelled(make_scene(SEED, index, 160, 120)) for index in range(8)]
    truth = annotate(people, [str(index) for index in range(8)])
    chosen = pick(truth)
    assert len(set(chosen)) == 4
    heights = np.nanmax(truth.xy[..., 1], axis=1) - np.nanmin(truth.xy[..., 1], axis=1)
    assert truth.image_index[int(np.argmax(heights))] in chosen


def test_report_names_the_folder_and_not_where_it_was_built(made):
    text = json.dumps(made.as_dict())
    assert ".kpkit-tmp" not in text
    for report in (made.made, *made.converted, made.augmented, made.targets):
        assert report.output.startswith(made.folder)


def test_nothing_is_left_beside_the_folder(made, folder):
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_the_commands_of_the_report_make_the_same_files_again(made, folder, tmp_path, monkeypatch, capsys):
    shutil.copytree(folder / "mpii", tmp_path / "mpii")
    monkeypatch.chdir(tmp_path)
    for command in made.commands:
        assert main(shlex.split(command)[1:]) == 0, capsys.readouterr().err
    assert tree(tmp_path) == {name: content for name, content in tree(folder).items() if name != demo.SHEET}


def test_an_existing_folder_is_kept_without_force(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("words")
    with pytest.raises(OutputError, match="exists already"):
        demo.run(job(tmp_path / "mine"))
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "words"


def test_force_replaces_an_older_demo_and_progress_is_told(tmp_path):
    (tmp_path / "mine" / "mpii").mkdir(parents=True)
    (tmp_path / "mine" / demo.MPII_FILE).write_bytes(b"of an older demo")
    told: list[tuple[str, int, int]] = []
    demo.run(job(tmp_path / "mine", scenes=2, force=True), lambda *one: told.append(one))
    assert len(kpkit.read(tmp_path / "mine" / demo.MPII_FILE).images) == 2
    assert ("drawing", 2, 2) in told
    assert ("converting", len(demo.CONVERSIONS), len(demo.CONVERSIONS)) in told


def test_force_does_not_replace_a_folder_of_other_things(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("words")
    with pytest.raises(OutputError, match="no folder that kpkit demo made"):
        demo.run(job(tmp_path / "mine", force=True))
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "words"


def test_a_demo_without_scenes_is_refused(tmp_path):
    with pytest.raises(UsageError, match="needs a scene"):
        demo.run(job(tmp_path / "none", scenes=0))


def test_a_failure_leaves_nothing_behind(tmp_path):
    with pytest.raises(UsageError, match="too small"):
        demo.run(job(tmp_path / "tiny", size=(8, 8)))
    assert list(tmp_path.iterdir()) == []


def test_quiet_prints_the_losses_only(tmp_path, capsys):
    arguments = ["demo", str(tmp_path / "demo"), "--scenes", "1", "--size", "120x160", "--quiet"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert out.startswith("Lost")
    assert "Drew" not in out
