"""`convert` end to end: what is written, what is reported, and what is refused before anything is written."""

from __future__ import annotations

import contextlib
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import kpkit
from kpkit.core import catalog
from kpkit.core.dataset import Dataset
from kpkit.core.report import Report
from kpkit.errors import LossError, OutputError, UsageError
from kpkit.pipelines.convert import ConvertJob, run
from tests.coco_files import category, difference, document, image, load, person, points, save

CROWD = {"size": [480, 640], "counts": [4, 2, 307194]}


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Two persons and a crowd in two images, with a score, a track and a field of its own."""
    rows = [
        person(11, 1, score=0.5),
        person(12, 2, keypoints=points(flag=1), track_id=3, note="x"),
        person(13, 2, iscrowd=1, segmentation=CROWD, keypoints=[0] * 51, num_keypoints=0),
    ]
    return save(tmp_path / "in" / "labels.json", document(rows, [image(1), image(2), image(3)]))


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def losses(report: Report) -> dict[str, int]:
    return {loss.what: loss.count for loss in report.losses}


def from_mpii(real_data: Path, folder: Path, **options: Any) -> tuple[Path, Report]:
    """The persons of MPII's validation split, from the original structs, as COCO."""
    mpii = real_data / "data" / "mpii"
    report = kpkit.convert(
        "mpii",
        "coco",
        mpii / "mpii_val_annolist_detections.mat",
        image_list=mpii / "valid_images.txt",
        output=folder / "out.json",
        **options,
    )
    return folder / "out.json", report


@pytest.fixture(scope="module")
def made(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    return from_mpii(real_data, tmp_path_factory.mktemp("mpii"), keep_skeleton=True)


@pytest.fixture(scope="module")
def made17(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    return from_mpii(real_data, tmp_path_factory.mktemp("mpii17"))


class TestMpii:
    def test_every_joint_is_there_under_its_flag(self, made):
        path, report = made
        content = load(path)
        flags = Counter(v for row in content["annotations"] for v in row["keypoints"][2::3])
        assert (flags[2], flags[1]) == (33_997, 10_243)
        assert flags[2] + flags[1] == 44_240
        assert (len(content["annotations"]), len(content["images"])) == (2_958, 2_729)
        assert report.counts["labelled"] == 44_240
        assert sum(row["num_keypoints"] for row in content["annotations"]) == 44_240

    def test_joints_keep_their_places_where_some_are_absent(self, made):
        path, _ = made
        assert {len(row["keypoints"]) for row in load(path)["annotations"]} == {48}
        assert load(path)["categories"][0]["keypoints"] == list(catalog.skeleton("mpii16").keypoints)

    def test_coordinates_count_from_zero(self, made, real_data):
        """HRNet's file of the same persons counts from one."""
        path, _ = made
        rows = load(path)["annotations"]
        hrnet = load(real_data / "data/mpii/derived_hrnet_valid_2958.json")
        ours = np.array([row["keypoints"] for row in rows], float).reshape(-1, 16, 3)
        theirs = np.array([row["joints"] for row in hrnet], float)
        labelled = ours[..., 2] > 0
        assert (labelled == (np.array([row["joints_vis"] for row in hrnet]) > 0)).all()
        np.testing.assert_allclose(ours[..., :2][labelled], theirs[labelled] - 1, atol=1e-3)

    def test_image_names_are_those_of_the_list(self, made, real_data):
        path, _ = made
        content = load(path)
        names = {row["id"]: row["file_name"] for row in content["images"]}
        listed = (real_data / "data/mpii/valid_images.txt").read_text().split()
        assert [names[row["image_id"]] for row in content["annotations"]] == listed

    def test_without_keep_skeleton_it_is_coco17(self, made17):
        path, report = made17
        content = load(path)
        assert content["categories"][0]["keypoints"] == list(catalog.skeleton("coco17").keypoints)
        assert {len(row["keypoints"]) for row in content["annotations"]} == {51}
        lines = {line.joint: line for line in report.joints}
        assert lines["nose"].kind == "absent"
        assert lines["left_ankle"].persons_with + lines["left_ankle"].persons_without == 2_958
        assert set(losses(report)) == {"joint pelvis", "joint thorax", "joint upper_neck", "joint head_top"}

    def test_head_boxes_are_no_person_boxes(self, made):
        path, _ = made
        for row in load(path)["annotations"][:50]:
            assert row["kpkit"]["head_box"] != row["bbox"]
            assert row["kpkit"]["bbox_source"] == "keypoints"

    @pytest.mark.parametrize("which", ["made", "made17"])
    def test_pycocotools_finds_the_file_equal_to_itself(self, which, request):
        path, report = request.getfixturevalue(which)
        truth = quietly(COCO, str(path))
        assert (len(truth.anns), len(truth.imgs)) == (2_958, 2_729)
        # Persons without a joint are nobody's target in COCOeval.
        detections = [
            {"image_id": row["image_id"], "category_id": 1, "keypoints": row["keypoints"], "score": 1.0}
            for row in truth.anns.values()
            if row["num_keypoints"]
        ]
        evaluation = quietly(COCOeval, truth, quietly(truth.loadRes, detections), "keypoints")
        skeleton = catalog.skeleton(report.target["skeleton"])
        sigmas = skeleton.sigmas or (0.07,) * len(skeleton)
        evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        for step in (evaluation.evaluate, evaluation.accumulate, evaluation.summarize):
            quietly(step)
        assert evaluation.stats[0] == 1.0
        assert evaluation.stats[5] == 1.0


def quietly(call: Any, *arguments: Any) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        return call(*arguments)


class TestSkeletonOption:
    def test_coco_keeps_its_own_skeleton(self, tmp_path):
        content = document([person(keypoints=points()[:6])], categories=[category(keypoints=["a", "b"], skeleton=[])])
        report = kpkit.convert("coco", "coco", save(tmp_path / "a.json", content), output=tmp_path / "b.json")
        assert report.lossless
        assert load(tmp_path / "b.json") == content

    def test_a_named_skeleton_is_mapped_onto(self, labels, tmp_path):
        report = kpkit.convert("coco", "coco", labels, output=tmp_path / "out.json", skeleton="mpii16")
        assert report.target["skeleton"] == "mpii16"
        pelvis = next(line for line in report.joints if line.joint == "pelvis")
        assert (pelvis.kind, pelvis.persons_with, pelvis.persons_without) == ("derived", 2, 1)

    def test_composed_mappings_say_what_they_went_through(self, tmp_path, labels):
        kpkit.convert("coco", "coco", labels, output=tmp_path / "mpii.json", skeleton="mpii16")
        report = kpkit.convert("coco", "coco", tmp_path / "mpii.json", output=tmp_path / "out.json", skeleton="halpe26")
        assert report.via == ["coco17"]

    def test_six2_makes_the_default_of_two(self, labels, tmp_path):
        report = kpkit.convert("coco", "six2", labels, output=tmp_path / "out.json")
        assert report.target["skeleton"] == "six2_knee"

    def test_six2_cannot_keep_coco_s_skeleton(self, labels, tmp_path):
        with pytest.raises(UsageError) as caught:
            kpkit.convert("coco", "six2", labels, output=tmp_path / "out.json", keep_skeleton=True)
        assert caught.value.code == "KP-SKELETON-TARGET"
        assert "six2_knee" in caught.value.expected
        assert not (tmp_path / "out.json").exists()

    @pytest.mark.parametrize(
        "options",
        [{"skeleton": "coco17", "keep_skeleton": True}, {"copy_images": True, "link_images": True}],
    )
    def test_options_that_contradict_each_other_are_refused(self, labels, tmp_path, options):
        with pytest.raises(UsageError, match="exclude each other"):
            kpkit.convert("coco", "coco", labels, output=tmp_path / "out", images=tmp_path, **options)

    @pytest.mark.parametrize(("source", "target"), [("coc", "coco"), ("coco", "mpi")])
    def test_a_mistyped_format_gets_the_nearest_name(self, labels, source, target):
        with pytest.raises(UsageError) as caught:
            kpkit.convert(source, target, labels)
        assert "did you mean" in caught.value.help

    def test_labels_of_another_format_are_called_by_their_name(self, labels, tmp_path):
        kpkit.convert("coco", "six2", labels, output=tmp_path / "out.json")
        with pytest.raises(kpkit.InputError) as caught:
            kpkit.convert("coco", "coco", tmp_path / "out.json", output=tmp_path / "again.json")
        assert "use 'six2' in place of 'coco'" in caught.value.help


class TestBoxes:
    def test_labels_that_stay_coco_get_no_boxes(self, tmp_path):
        bare = {key: value for key, value in person().items() if key not in {"bbox", "area"}}
        path = save(tmp_path / "labels.json", document([bare]))
        kpkit.convert("coco", "coco", path, output=tmp_path / "out.json")
        assert load(tmp_path / "out.json")["annotations"] == [bare]

    def test_asked_for_they_are_made_and_say_how(self, tmp_path):
        bare = {key: value for key, value in person().items() if key not in {"bbox", "area", "segmentation"}}
        path = save(tmp_path / "labels.json", document([bare, person(2)]))
        report = kpkit.convert("coco", "coco", path, output=tmp_path / "out.json", bbox="auto", bbox_pad=0)
        first, second = load(tmp_path / "out.json")["annotations"]
        assert first["bbox"] == [10, 20, 32, 16]
        assert first["area"] == pytest.approx(0.53 * 32 * 16)
        assert first["kpkit"] == {"bbox_source": "keypoints", "area_source": "0.53 x bbox"}
        assert second == person(2)
        assert {issue.code: issue.count for issue in report.issues} == {"KP-BBOX-MADE": 1, "KP-AREA-MADE": 1}

    def test_an_area_comes_from_the_segmentation_first(self, tmp_path):
        square = [[0, 0, 10, 0, 10, 10, 0, 10]]
        rows = [
            {k: v for k, v in person(1, segmentation=square).items() if k != "area"},
            {k: v for k, v in person(2, segmentation=CROWD).items() if k != "area"},
            {k: v for k, v in person(3, segmentation=square * 2).items() if k != "area"},
            {k: v for k, v in person(4, segmentation="odd").items() if k != "area"},
        ]
        path = save(tmp_path / "labels.json", document(rows))
        kpkit.convert("coco", "coco", path, output=tmp_path / "out.json", bbox="auto")
        after = load(tmp_path / "out.json")["annotations"]
        assert [row["area"] for row in after[:3]] == [100, 2, 200]
        assert [row["kpkit"]["area_source"] for row in after] == ["segmentation"] * 3 + ["0.53 x bbox"]
        assert after[3]["segmentation"] == "odd"

    def test_polygons_have_the_area_that_coco_says(self, real_data, tmp_path):
        """Within the rounding of COCO's own masks."""
        content = load(real_data / "data/coco/cocomini_person_keypoints_val2017.json")
        # The areas of crowds are not those of their run lengths in COCO's own files.
        content["annotations"] = [row for row in content["annotations"] if not row["iscrowd"]]
        areas = [row.pop("area") for row in content["annotations"]]
        path = save(tmp_path / "labels.json", content)
        kpkit.convert("coco", "coco", path, output=tmp_path / "out.json", bbox="auto")
        made = [row["area"] for row in load(tmp_path / "out.json")["annotations"]]
        np.testing.assert_allclose(made, areas, rtol=1e-3)

    def test_keypoints_replace_annotated_boxes(self, labels, tmp_path):
        kpkit.convert("coco", "coco", labels, output=tmp_path / "out.json", bbox="keypoints", bbox_pad=0)
        after = load(tmp_path / "out.json")["annotations"]
        assert after[0]["bbox"] == [10, 20, 32, 16]
        assert "bbox" not in after[2]

    def test_none_leaves_boxes_out(self, labels, tmp_path):
        kpkit.convert("coco", "coco", labels, output=tmp_path / "out.json", bbox="none")
        assert not any("bbox" in row for row in load(tmp_path / "out.json")["annotations"])


class TestReport:
    def test_what_six2_cannot_hold_is_named_and_counted(self, labels, tmp_path):
        report = kpkit.convert("coco", "six2", labels, output=tmp_path / "out.json")
        lost = losses(report)
        assert lost["coco.segmentation"] == 3
        assert lost["coco.note"] == 1
        assert lost["coco.image.license"] == 3
        assert lost["coco.info"] == lost["coco.licenses"] == 1
        assert lost["joint left_elbow"] == 2
        assert not report.lossless

    def test_a_six2_table_holds_less(self, labels, tmp_path):
        lost = losses(kpkit.convert("coco", "six2", labels, output=tmp_path / "out.csv"))
        assert lost["is_crowd"] == 1
        assert lost["score"] == 1
        assert lost["track_id"] == 1
        assert lost["area"] == 3

    def test_what_yolo_cannot_hold_is_named_and_counted(self, labels, tmp_path):
        report = kpkit.convert("coco", "yolo-pose", labels, output=tmp_path / "out")
        lost = losses(report)
        assert lost["coco.segmentation"] == 3
        assert lost["instance_id"] == 3
        assert lost["track_id"] == 1
        assert lost["is_crowd"] == 1
        assert report.files

    def test_unlabelled_coordinates_are_a_loss_outside_coco(self, tmp_path):
        values = points()
        values[3:6] = [33, 4, 0]
        path = save(tmp_path / "labels.json", document([person(keypoints=values, num_keypoints=16)]))
        lost = losses(kpkit.convert("coco", "six2", path, output=tmp_path / "out.json"))
        assert lost["coco.unlabelled_coordinates"] == 1

    def test_coco_to_coco_and_native_lose_nothing(self, labels, tmp_path):
        for target, output in (("coco", "out.json"), ("native", "out.kpk")):
            report = kpkit.convert("coco", target, labels, output=tmp_path / output)
            assert report.losses == []
            assert report.lossless

    def test_counts_files_and_joints_are_those_of_the_output(self, labels, tmp_path):
        report = kpkit.convert("coco", "coco", labels, output=tmp_path / "out.json")
        assert report.counts == {
            "images": 3,
            "instances": 3,
            "crowd": 1,
            "labelled": 34,
            "visible": 17,
            "occluded": 17,
            "unlabelled": 17,
            "truncated": 0,
        }
        assert report.files == {"out.json": (tmp_path / "out.json").stat().st_size}
        assert [line.persons_with for line in report.joints] == [2] * 17
        assert report.source == {"format": "coco", "variant": "COCO ground truth", "skeleton": "coco17"}

    def test_strict_publishes_nothing_and_names_the_losses(self, labels, tmp_path):
        with pytest.raises(LossError) as caught:
            kpkit.convert("coco", "six2", labels, output=tmp_path / "out.json", strict=True)
        assert caught.value.exit_code == 1
        assert "3 coco.segmentation" in caught.value.got
        assert tree(tmp_path) == ["in/labels.json"]

    def test_strict_under_force_leaves_the_old_output(self, labels, tmp_path):
        (tmp_path / "out.json").write_text("old")
        with pytest.raises(LossError):
            kpkit.convert("coco", "six2", labels, output=tmp_path / "out.json", strict=True, force=True)
        assert (tmp_path / "out.json").read_text() == "old"

    def test_strict_without_loss_is_done(self, labels, tmp_path):
        kpkit.convert("coco", "coco", labels, output=tmp_path / "out.json", strict=True)
        assert (tmp_path / "out.json").is_file()

    def test_a_report_file_is_json_and_says_the_same(self, labels, tmp_path):
        report = kpkit.convert("coco", "six2", labels, output=tmp_path / "out.json", report=tmp_path / "report.json")
        document = json.loads((tmp_path / "report.json").read_text())
        assert document == json.loads(json.dumps(report.as_dict()))
        assert document["schema_version"] == 1
        assert document["losses"]

    def test_a_report_never_replaces_the_labels(self, labels, tmp_path):
        before = labels.read_bytes()
        with pytest.raises(UsageError) as caught:
            kpkit.convert("coco", "six2", labels, output=tmp_path / "out.json", report=labels)
        assert caught.value.code == "KP-OUTPUT-INPUT"
        assert labels.read_bytes() == before
        assert not (tmp_path / "out.json").exists()

    @pytest.mark.parametrize("target", ["coco", "six2", "yolo-pose", "native"])
    def test_a_dry_run_writes_nothing_and_reports_the_same(self, labels, tmp_path, target):
        dry = kpkit.convert("coco", target, labels, output=tmp_path / "out", dry_run=True)
        assert tree(tmp_path) == ["in/labels.json"]
        wet = kpkit.convert("coco", target, labels, output=tmp_path / "out")
        assert dry.losses == wet.losses
        assert dry.counts == wet.counts
        assert dry.joints == wet.joints
        assert dry.files == {}

    def test_a_dry_run_looks_at_nothing_that_is_there(self, labels, tmp_path):
        (tmp_path / "out.json").write_text("old")
        kpkit.convert("coco", "coco", labels, output=tmp_path / "out.json", dry_run=True)
        assert (tmp_path / "out.json").read_text() == "old"


class TestOutput:
    def test_left_out_it_is_a_folder_beside_the_work(self, labels, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        report = kpkit.convert("coco", "coco", labels)
        assert report.output == str(Path("kpkit-out/convert-coco"))
        assert tree(tmp_path / "kpkit-out") == ["convert-coco/annotations/person_keypoints_default.json"]

    def test_a_name_with_the_format_s_ending_is_a_file(self, labels, tmp_path):
        kpkit.convert("coco", "coco", labels, output=tmp_path / "a" / "labels.json")
        assert tree(tmp_path / "a") == ["labels.json"]

    def test_any_other_name_is_a_folder(self, labels, tmp_path):
        kpkit.convert("coco", "coco", labels, output=tmp_path / "labels")
        assert tree(tmp_path / "labels") == ["annotations/person_keypoints_default.json"]

    def test_an_output_that_exists_is_refused_before_the_input_is_read(self, tmp_path):
        (tmp_path / "out.json").write_text("old")
        with pytest.raises(OutputError) as caught:
            kpkit.convert("coco", "coco", tmp_path / "no.json", output=tmp_path / "out.json")
        assert caught.value.code == "KP-OUTPUT-EXISTS"

    def test_force_replaces_it(self, labels, tmp_path):
        (tmp_path / "out.json").write_text("old")
        kpkit.convert("coco", "coco", labels, output=tmp_path / "out.json", force=True)
        assert load(tmp_path / "out.json") == load(labels)

    def test_a_folder_is_never_replaced_by_a_file(self, labels, tmp_path):
        (tmp_path / "out.json").mkdir()
        with pytest.raises(OutputError) as caught:
            kpkit.convert("coco", "coco", labels, output=tmp_path / "out.json", force=True)
        assert caught.value.code == "KP-OUTPUT-FOLDER"
        assert (tmp_path / "out.json").is_dir()

    @pytest.mark.parametrize("low_memory", [False, True])
    def test_a_file_may_be_replaced_by_itself(self, tmp_path, low_memory):
        path = save(tmp_path / "labels.json", document([person(n) for n in range(50)]), indent=1)
        before = load(path)
        kpkit.convert("coco", "coco", path, output=path, force=True, low_memory=low_memory)
        assert difference(before, load(path)) == ""

    def test_progress_is_told_by_stage(self, labels, tmp_path):
        told: list[tuple[str, int, int]] = []
        job = ConvertJob(source="coco", target="coco", inputs=(labels,), output=tmp_path / "out.json")
        run(job, progress=lambda *step: told.append(step))
        assert told[0] == ("reading", 0, 1)
        assert told[-1] == ("writing", 1, 1)


class TestInput:
    def test_a_folder_with_one_candidate_is_enough(self, tmp_path):
        save(tmp_path / "data" / "annotations" / "person_keypoints_val2017.json", document())
        report = kpkit.convert("coco", "coco", tmp_path / "data", output=tmp_path / "out.json")
        assert report.inputs == [str(tmp_path / "data/annotations/person_keypoints_val2017.json")]

    def test_two_candidates_are_listed(self, tmp_path):
        for name in ("train", "val"):
            save(tmp_path / "annotations" / f"person_keypoints_{name}.json", document())
        with pytest.raises(UsageError) as caught:
            kpkit.convert("coco", "coco", folder=tmp_path)
        assert caught.value.code == "KP-INPUT-SEVERAL"
        assert "person_keypoints_train.json, annotations/person_keypoints_val.json" in caught.value.got
        assert not (tmp_path / "kpkit-out").exists()

    def test_no_candidate_says_what_was_looked_for(self, tmp_path):
        with pytest.raises(UsageError) as caught:
            kpkit.convert("coco", "coco", folder=tmp_path)
        assert caught.value.code == "KP-INPUT-NONE"
        assert "person_keypoints_" in caught.value.expected

    @pytest.mark.parametrize("target", ["coco", "six2", "yolo-pose", "native"])
    @pytest.mark.parametrize("content", [document([]), document([], [])], ids=["no person", "no image"])
    def test_labels_of_nobody_convert_to_labels_of_nobody(self, tmp_path, target, content):
        path = save(tmp_path / "labels.json", content)
        report = kpkit.convert("coco", target, path, output=tmp_path / "out")
        assert report.counts["instances"] == 0

    @pytest.mark.parametrize("target", ["coco", "six2", "yolo-pose", "native"])
    def test_low_memory_gives_the_same_output(self, labels, tmp_path, target):
        written = []
        for low_memory in (False, True):
            output = tmp_path / f"out-{low_memory}"
            kpkit.convert("coco", target, labels, output=output, low_memory=low_memory)
            written.append({name: (output / name).read_bytes() for name in tree(output)})
        assert written[0].keys() == written[1].keys()
        if target != "native":  # its checksums and provenance name the run
            assert written[0] == written[1]

    def test_sigmas_from_the_command_line_reach_the_output(self, labels, tmp_path):
        kpkit.convert("coco", "native", labels, output=tmp_path / "a.kpk", sigmas=",".join(["0.5"] * 17))
        assert kpkit.read(tmp_path / "a.kpk").skeleton.sigmas == (0.5,) * 17

    @pytest.mark.parametrize(("sigmas", "words"), [("1,2", "number of sigmas"), ("a,b", "not a list")])
    def test_sigmas_that_do_not_fit_are_refused(self, labels, tmp_path, sigmas, words):
        with pytest.raises(UsageError, match=words):
            kpkit.convert("coco", "native", labels, output=tmp_path / "a.kpk", sigmas=sigmas)
        assert not (tmp_path / "a.kpk").exists()

    def test_sigmas_in_a_file_go_by_name(self, labels, tmp_path):
        names = catalog.skeleton("coco17").keypoints
        lines = [f"{name} = {0.01 * (k + 1):.2f}" for k, name in enumerate(names)]
        (tmp_path / "sigmas.toml").write_text("\n".join(reversed(lines)))
        kpkit.convert("coco", "native", labels, output=tmp_path / "a.kpk", sigmas=str(tmp_path / "sigmas.toml"))
        skeleton = kpkit.read(tmp_path / "a.kpk").skeleton
        assert skeleton.sigmas == tuple(round(0.01 * (k + 1), 2) for k in range(17))
        (tmp_path / "sigmas.toml").write_text("\n".join(lines[1:]))
        with pytest.raises(UsageError, match="lacks a sigma") as caught:
            kpkit.convert("coco", "native", labels, output=tmp_path / "b.kpk", sigmas=str(tmp_path / "sigmas.toml"))
        assert caught.value.got == "nothing for nose"


def test_same_input_same_bytes(labels, tmp_path):
    for name in ("a", "b"):
        kpkit.convert("coco", "coco", labels, output=tmp_path / f"{name}.json", skeleton="mpii16")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_python_and_command_line_write_the_same(labels, tmp_path):
    from kpkit.cli.main import main

    kpkit.convert("coco", "coco", labels, output=tmp_path / "a.json", skeleton="mpii16")
    assert main(["convert", "coco", "coco", str(labels), "-o", str(tmp_path / "b.json"), "--skeleton", "mpii16"]) == 0
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_a_dataset_of_ones_own_is_written_whole(tmp_path):
    """From Python, without any file behind it."""
    skeleton = catalog.skeleton("coco17")
    flags = np.full((1, 17), 2, np.uint8)
    table = kpkit.ImageTable.build(path=["a.jpg"], width=[64], height=[48])
    mine = Dataset.build(
        skeleton=skeleton, images=table, image_index=[0], xy=np.full((1, 17, 2), 0.1 + 0.2), visibility=flags
    )
    report = kpkit.write(mine, tmp_path / "out.json", "coco")
    again = kpkit.read(tmp_path / "out.json")
    np.testing.assert_array_equal(again.xy, mine.xy)
    assert report.lossless
    assert load(tmp_path / "out.json")["images"] == [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}]
