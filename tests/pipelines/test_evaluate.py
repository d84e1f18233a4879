"""`eval` on real files with published figures, and what it makes of sides that do not fit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

import kpkit
from kpkit.core import catalog
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.errors import FormatError, InputError, KpkitError, MissingExtraError, OutputError, RecordError, UsageError
from kpkit.pipelines.evaluate import EvalJob, Evaluation, run
from kpkit.pipelines.load import LabelSource

MPII = "data/mpii/gt_valid_plus_tompson.mat"
HG = "data/mpii/preds/bearpaw-hg_s{}_b1.mat"
COCO = catalog.skeleton("coco17")


def evaluate(truth: Path, found: Path, **job: Any) -> Evaluation:
    of_truth = {name: job.pop(name) for name in ("skeleton", "image_list") if name in job}
    return run(EvalJob(truth=LabelSource(input=truth, **of_truth), found=LabelSource(input=found), **job))


def people(seed: int = 0, persons: int = 6) -> Dataset:
    rng = np.random.default_rng(seed)
    corner = np.tile(np.array([[50.0, 60.0], [300.0, 80.0]]), (persons // 2, 1))
    xy = corner[:, None] + rng.uniform(0, 100, (persons, 17, 2))
    visibility = rng.integers(1, 3, (persons, 17)).astype(np.uint8)
    visibility[:, 16] = 0
    xy[visibility == 0] = np.nan
    return Dataset.build(
        skeleton=COCO,
        images=ImageTable.build(path=["a.jpg", "b.jpg", "c.jpg"], id=[7, 8, 9], width=[640] * 3, height=[480] * 3),
        image_index=np.arange(persons) // 2,
        instance_id=np.arange(persons) + 31,
        xy=xy,
        visibility=visibility,
        bbox_xywh=np.hstack([corner, np.full((persons, 2), 100.0)]),
        area=np.full(persons, 5000.0),
        score=rng.uniform(0.1, 1, persons),
    )


def saved(folder: Path, name: str, data: Dataset) -> Path:
    kpkit.write(data, folder / name, format="native")
    return folder / name


def results_file(folder: Path, data: Dataset, **changed: Any) -> Path:
    """A COCO result list of all persons; `changed` fields are set in every detection, None takes one away."""
    rows = []
    for row in range(len(data)):
        triplets = np.column_stack([np.nan_to_num(data.xy[row]), np.ones(len(data.skeleton))])
        one = {
            "image_id": int(data.images.id[data.image_index[row]]),
            "category_id": 1,
            "keypoints": triplets.reshape(-1).tolist(),
            "score": float(data.score[row]),
        }
        rows.append({name: value for name, value in {**one, **changed}.items() if value is not None})
    path = folder / "results.json"
    path.write_text(json.dumps(rows))
    return path


# Published figures, and those of the reference programs.


def test_the_example_pair_of_coco_wholebody_has_the_known_oks_figures(real_data):
    folder = real_data / "data" / "coco_wholebody"
    found = evaluate(folder / "example_gt.json", folder / "example_pred.json").oks
    rounded = {name: round(value, 6) for name, value in found["values"].items()}
    known = {"AP": 0.853922, "AP50": 1.0, "AP75": 0.935231, "AR": 0.895833}
    assert {name: rounded[name] for name in known} == known


@pytest.mark.parametrize(
    ("stage", "rows", "means"),
    [
        ("1", "95.12 93.61 85.53 79.56 84.51 78.28 73.38", "84.46 85.08"),
        ("2", "95.80 94.57 88.12 83.31 86.24 80.88 77.44", "86.76 87.30"),
    ],
)
def test_stacked_hourglass_has_its_published_pckh(real_data, stage, rows, means):
    (table,) = evaluate(real_data / MPII, real_data / HG.format(stage)).pckh
    groups = {one["group"]: f"{100 * one['pck']:.2f}" for one in table["groups"]}
    order = ("head_top", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    assert " ".join(groups[name] for name in order) == rows
    assert f"{100 * table['mean']:.2f} {100 * table['weighted_mean']:.2f}" == means
    assert table["not_in_mean"] == ["pelvis", "thorax"]
    assert table["persons"] == 2958


def test_the_annotations_of_mpii_serve_as_ground_truth_too(real_data):
    folder = real_data / "data" / "mpii"
    labels, names = folder / "mpii_val_annolist_detections.mat", folder / "valid_images.txt"
    (table,) = evaluate(labels, real_data / HG.format("2"), image_list=names).pckh
    (reference,) = evaluate(real_data / MPII, real_data / HG.format("2")).pckh
    assert table["persons"] == 2958
    # The file of the evaluation lacks some joints and has thirteen coordinates wrong.
    assert table["mean"] == pytest.approx(reference["mean"], abs=0.002)


# Predictions of every form.


@pytest.mark.parametrize("shape", ["as documented", "as in tompson.h5", "two after persons"])
def test_predictions_in_hdf5_are_read_in_any_order_of_axes(real_data, tmp_path, shape):
    values = scipy.io.loadmat(real_data / HG.format("1"))["preds"]
    values = {"as documented": values, "as in tompson.h5": values.T, "two after persons": values.transpose(0, 2, 1)}[
        shape
    ]
    with h5py.File(tmp_path / "preds.h5", "w") as file:
        file["preds"] = values
    (table,) = evaluate(real_data / MPII, tmp_path / "preds.h5").pckh
    (reference,) = evaluate(real_data / MPII, real_data / HG.format("1")).pckh
    assert table == reference


@pytest.mark.parametrize("form", ["results", "native", "coco"])
def test_perfect_predictions_score_one_in_every_form(tmp_path, form):
    data = people()
    truth = saved(tmp_path, "truth.kpk", data.replace(score=np.full(6, np.nan)))
    if form == "results":
        found = results_file(tmp_path, data)
    elif form == "native":
        found = saved(tmp_path, "found.kpk", data.take([4, 3, 5, 0, 1, 2]))
    else:
        found = tmp_path / "found.json"
        kpkit.write(data, found, format="coco")
    result = evaluate(truth, found, metric="all")
    assert [result.oks["values"][name] for name in ("AP", "AR", "APM")] == [1.0, 1.0, 1.0]
    assert result.oks["values"]["APL"] is None
    assert (result.pck[0]["mean"], result.pck[0]["auc"]) == (1.0, 1.0)
    assert result.matched == {"persons": 6, "found": 6, "missed": 0, "predictions_of_nobody": 0}
    assert result.errors[0]["mean_px"] == 0.0
    assert list(result.left_out) == ["pckh"]


def test_result_lists_have_the_joints_of_the_ground_truth(tmp_path):
    skeleton = catalog.skeleton("crowdpose14")
    data = people()
    data = data.replace(
        skeleton=skeleton, xy=data.xy[:, :14], visibility=data.visibility[:, :14], truncated=data.truncated[:, :14]
    )
    result = evaluate(saved(tmp_path, "truth.kpk", data), results_file(tmp_path, data))
    assert result.oks["values"]["AP"] == 1.0
    assert "crowdpose" in result.oks["sigmas"].lower()


def test_joints_in_another_order_are_matched_by_name(tmp_path):
    data = people()
    order = list(range(17))[::-1]
    names = tuple(COCO.keypoints[i] for i in order)
    other = replace(COCO, name="reversed", keypoints=names, flip_pairs=(), edges=(), sigmas=None)
    found = data.replace(
        skeleton=other, xy=data.xy[:, order], visibility=data.visibility[:, order], truncated=data.truncated[:, order]
    )
    result = evaluate(saved(tmp_path, "truth.kpk", data), saved(tmp_path, "found.kpk", found))
    assert result.oks["values"]["AP"] == 1.0


# What counts, and how.


def test_a_person_nobody_found_counts_as_wrong_joints(tmp_path):
    data = people()
    result = evaluate(saved(tmp_path, "t.kpk", data), saved(tmp_path, "f.kpk", data.take([0, 1, 2])), metric="pck")
    assert result.matched["missed"] == 3
    assert result.pck[0]["mean"] == 0.5
    assert result.errors[0]["predicted"] < result.errors[0]["labelled"]


def test_joints_off_by_ten_pixels_are_ten_pixels_off_in_every_table(tmp_path):
    data = people()
    found = data.replace(xy=data.xy + np.array([6.0, 8.0]))
    truth, pred = saved(tmp_path, "t.kpk", data), saved(tmp_path, "f.kpk", found)
    result = evaluate(truth, pred, metric="pck", thresholds=(0.099, 0.11))
    assert [table["mean"] for table in result.pck] == [0.0, 1.0]
    of_nose = {one["visibility"]: one for one in result.errors if one["joint"] == "nose"}
    for kind, flag in (("visible", 2), ("occluded", 1)):
        assert of_nose[kind]["labelled"] == (data.visibility[:, 0] == flag).sum()
        assert of_nose[kind]["mean_px"] == pytest.approx(10.0)
        assert of_nose[kind]["mean_normalised"] == pytest.approx(0.1)
    torso = np.linalg.norm(data.xy[:, 5] - data.xy[:, 12], axis=1)
    (table,) = evaluate(truth, pred, metric="pck", norm="torso", thresholds=(0.2,)).pck
    assert table["joints"][0]["pck"] == pytest.approx(np.mean(10 / torso <= 0.2))


def test_crowds_and_persons_without_joints_do_not_count(tmp_path):
    data = people()
    flags, xy = np.array(data.visibility), np.array(data.xy)
    flags[0], xy[0] = 0, np.nan
    truth = data.replace(is_crowd=np.arange(6) == 5, visibility=flags, xy=xy)
    result = evaluate(saved(tmp_path, "t.kpk", truth), saved(tmp_path, "f.kpk", data), metric="all")
    assert result.matched == {"persons": 4, "found": 4, "missed": 0, "predictions_of_nobody": 2}
    assert result.oks["values"]["AP"] == 1.0


def test_boxes_and_areas_that_are_missing_are_made_and_counted(tmp_path):
    data = people()
    truth = data.replace(
        area=np.full(6, np.nan),
        area_source=np.zeros(6, np.uint8),
        bbox_xywh=np.full((6, 4), np.nan),
        bbox_source=np.zeros(6, np.uint8),
    )
    result = evaluate(saved(tmp_path, "t.kpk", truth), saved(tmp_path, "f.kpk", data))
    assert {issue.code: issue.count for issue in result.issues} == {"KP-BOX-MADE": 6, "KP-AREA-MADE": 6}
    assert result.oks["values"]["AP"] == 1.0


def test_sigmas_can_be_given_for_a_skeleton_without(tmp_path):
    skeleton = catalog.skeleton("lsp14")
    data = people()
    data = data.replace(
        skeleton=skeleton, xy=data.xy[:, :14], visibility=data.visibility[:, :14], truncated=data.truncated[:, :14]
    )
    truth, found = saved(tmp_path, "t.kpk", data), saved(tmp_path, "f.kpk", data)
    with pytest.raises(UsageError, match="lsp14") as refused:
        evaluate(truth, found)
    assert "--sigmas" in refused.value.help
    result = evaluate(truth, found, sigmas=",".join(["0.1"] * 14))
    assert result.oks["values"]["AP"] == 1.0
    assert "given with --sigmas" in result.oks["sigmas"]


def test_the_csv_holds_every_number_once(tmp_path):
    data = people()
    table = tmp_path / "numbers.csv"
    truth, found = saved(tmp_path, "t.kpk", data), saved(tmp_path, "f.kpk", data)
    result = evaluate(truth, found, metric="all", csv=table)
    lines = table.read_text().splitlines()
    assert lines[0] == "metric,joint,visibility,threshold,value,count"
    assert lines[1].startswith("AP,,,,1.0,")
    assert len(lines) == 1 + 10 + 2 * 17 + 3 + 3 * 2 * 18
    assert len({line.rsplit(",", 2)[0] for line in lines}) == len(lines)
    assert result.csv == str(table)
    with pytest.raises(OutputError, match="exists already"):
        evaluate(truth, found, csv=table)


# What does not fit.


def test_predictions_of_images_the_ground_truth_lacks_are_refused_or_left_out_when_asked(tmp_path):
    data = people()
    truth = data.take([0, 1, 2, 3]).replace(images=data.images.take(np.array([0, 1])))
    truth_path, found = saved(tmp_path, "t.kpk", truth), results_file(tmp_path, data)
    with pytest.raises(InputError, match="1 images that the ground truth does not have") as refused:
        evaluate(truth_path, found)
    assert (refused.value.code, refused.value.got) == ("KP-EVAL-IMAGE", "9")
    result = evaluate(truth_path, found, skip_unknown=True)
    assert result.oks["values"]["AP"] == 1.0
    assert [(issue.code, issue.count) for issue in result.issues] == [("KP-EVAL-IMAGE", 2)]


def test_predictions_of_other_images_altogether_are_refused_in_any_case(tmp_path):
    data = people()
    truth = saved(tmp_path, "t.kpk", data.replace(images=ImageTable.build(path=["x.jpg"] * 3, id=[1, 2, 3])))
    with pytest.raises(InputError, match="does not have"):
        evaluate(truth, results_file(tmp_path, data), skip_unknown=True)


def test_predictions_without_scores_are_refused_by_oks_alone(tmp_path):
    data = people()
    truth, found = saved(tmp_path, "t.kpk", data), results_file(tmp_path, data, score=None)
    with pytest.raises(UsageError, match="6 of 6 predictions have no score") as refused:
        evaluate(truth, found)
    assert "--metric pck" in refused.value.help
    assert evaluate(truth, found, metric="pck").pck[0]["mean"] == 1.0
    assert "score" in evaluate(truth, found, metric="all").left_out["oks"]


def test_a_result_list_of_another_number_of_joints_is_refused_with_its_place(tmp_path):
    data = people()
    with pytest.raises(RecordError, match=r"\[0\].keypoints.*expected 51 numbers.*got 6 numbers"):
        evaluate(saved(tmp_path, "t.kpk", data), results_file(tmp_path, data, keypoints=[1, 2, 3, 4, 5, 6]))


def test_predictions_without_some_joints_are_refused_naming_both_skeletons(tmp_path):
    data = people()
    other = catalog.skeleton("mpii16")
    found = data.replace(
        skeleton=other, xy=data.xy[:, :16], visibility=data.visibility[:, :16], truncated=data.truncated[:, :16]
    )
    with pytest.raises(UsageError, match=r"'mpii16'.*'coco17'.*without nose"):
        evaluate(saved(tmp_path, "t.kpk", data), saved(tmp_path, "f.kpk", found))


def test_the_only_category_of_either_side_is_the_same_one(tmp_path):
    data = people()
    truth = saved(tmp_path, "t.kpk", data)
    result = evaluate(truth, saved(tmp_path, "f.kpk", data.replace(category_id=np.full(6, 5))))
    assert result.oks["values"]["AP"] == 1.0
    assert [issue.code for issue in result.issues] == ["KP-EVAL-CATEGORY"]


def test_predictions_of_an_unknown_category_do_not_count(tmp_path):
    data = people()
    truth = saved(tmp_path, "t.kpk", data)
    result = evaluate(truth, saved(tmp_path, "f.kpk", data.replace(category_id=np.array([1, 1, 1, 1, 1, 9]))))
    assert result.oks["values"]["AR"] == pytest.approx(5 / 6)
    assert [(issue.code, issue.count) for issue in result.issues] == [("KP-EVAL-CATEGORY", 1)]
    nobody = saved(tmp_path, "g.kpk", data.replace(category_id=np.array([8, 8, 8, 9, 9, 9])))
    with pytest.raises(InputError, match="other categories"):
        evaluate(truth, nobody)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"predictions": np.zeros((6, 17, 2))}, "KP-EVAL-PREDS"),
        ({"preds": np.zeros((5, 17, 2))}, "KP-EVAL-SHAPE"),
        ({"preds": np.zeros((6, 16, 2))}, "KP-EVAL-SHAPE"),
        ({"preds": np.zeros((6, 34))}, "KP-EVAL-SHAPE"),
        ({"preds": "text"}, "KP-EVAL-PREDS"),
        ({"preds": np.array([[1, "a"]], object)}, "KP-EVAL-PREDS"),
    ],
)
def test_a_mat_file_that_holds_no_predictions_for_these_persons_is_refused(tmp_path, content, code):
    scipy.io.savemat(tmp_path / "p.mat", content)
    with pytest.raises(InputError) as refused:
        evaluate(saved(tmp_path, "t.kpk", people()), tmp_path / "p.mat", metric="pck")
    assert refused.value.code == code
    assert "p.mat" in refused.value.place


def test_a_cut_mat_file_is_refused(real_data, tmp_path):
    whole = (real_data / HG.format("1")).read_bytes()
    (tmp_path / "cut.mat").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError):
        evaluate(real_data / MPII, tmp_path / "cut.mat")


def test_an_hdf5_file_must_hold_the_predictions_itself(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["preds"] = np.zeros((6, 17, 2))
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["preds"] = h5py.ExternalLink("other.h5", "preds")
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout((6, 17, 2), "f8")
        layout[:] = h5py.VirtualSource("other.h5", "preds", (6, 17, 2))
        file.create_virtual_dataset("preds", layout)
    (tmp_path / "raw.bin").write_bytes(bytes(6 * 17 * 2 * 8))
    with h5py.File(tmp_path / "external.h5", "w") as file:
        file.create_dataset("preds", (6, 17, 2), "f8", external=[(str(tmp_path / "raw.bin"), 0, 1632)])
    truth = saved(tmp_path, "t.kpk", people())
    assert evaluate(truth, tmp_path / "other.h5", metric="pck").matched["found"] == 6
    for name in ("link", "virtual", "external"):
        with pytest.raises(FormatError, match="no array 'preds'"):
            evaluate(truth, tmp_path / f"{name}.h5", metric="pck")


def test_a_damaged_hdf5_file_is_refused(tmp_path):
    with h5py.File(tmp_path / "p.h5", "w") as file:
        file["preds"] = np.zeros((6, 17, 2))
    whole = (tmp_path / "p.h5").read_bytes()
    (tmp_path / "p.h5").write_bytes(whole[:600])
    with pytest.raises(FormatError, match="HDF5"):
        evaluate(saved(tmp_path, "t.kpk", people()), tmp_path / "p.h5", metric="pck")


@pytest.mark.parametrize("empty", ["[]", '{"images": [], "annotations": [], "categories": []}'])
def test_empty_predictions_are_refused(tmp_path, empty):
    (tmp_path / "empty.json").write_text(empty)
    with pytest.raises(InputError, match="no predictions"):
        evaluate(saved(tmp_path, "t.kpk", people()), tmp_path / "empty.json")


def test_metrics_that_cannot_be_computed_say_what_is_missing(tmp_path):
    data = people()
    truth, found = saved(tmp_path, "t.kpk", data), saved(tmp_path, "f.kpk", data)
    with pytest.raises(UsageError, match="head boxes"):
        evaluate(truth, found, metric="pckh")
    with pytest.raises(UsageError, match="above 0"):
        evaluate(truth, found, metric="pck", thresholds=(0.0,))
    aic = replace(COCO, name="torsoless", keypoints=tuple(f"j{i}" for i in range(17)), flip_pairs=(), edges=())
    other = saved(tmp_path, "o.kpk", data.replace(skeleton=aic))
    with pytest.raises(UsageError, match="no torso"):
        evaluate(other, other, metric="pck", norm="torso")


def test_the_engine_that_is_not_installed_is_an_error_that_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "hotcoco", None)
    data = people()
    truth, found = saved(tmp_path, "t.kpk", data), saved(tmp_path, "f.kpk", data)
    with pytest.raises(MissingExtraError, match="hotcoco") as refused:
        evaluate(truth, found, engine="hotcoco")
    assert "pip install" in refused.value.help


def test_an_empty_ground_truth_is_refused(tmp_path):
    data = people()
    with pytest.raises(KpkitError, match="no persons in the ground truth"):
        evaluate(saved(tmp_path, "t.kpk", data.take([])), saved(tmp_path, "f.kpk", data))
