"""What FiftyOne holds of labels: documents as FiftyOne itself makes them, findings, groups, masks, targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import kpkit
from kpkit.augment.recipe import preset
from kpkit.pipelines import augment, demo, heatmaps
from kpkit.pipelines.load import LabelSource
from kpkit.pipelines.pull import PullJob, run
from tests.coco_files import difference, document, image, load, person, points, save
from tests.fiftyone_labels import dataset_of, label_of, labels, show

pytestmark = [
    pytest.mark.usefixtures("fiftyone_uri"),
    # FiftyOne's and its dependencies' own; nothing of ours.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(demo.run(demo.DemoJob(folder=tmp_path_factory.mktemp("view") / "demo", scenes=4)).folder)


def shape(value: Any) -> Any:
    """A document with its types in place of its values; of lists the first element."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value[:1]]
    return type(value).__name__


def test_documents_have_the_shape_that_fiftyone_itself_stores(tmp_path):
    import fiftyone as fo

    show(labels(tmp_path), "shapes", findings=False)
    ours = dataset_of("shapes")._sample_collection.find_one({"image_id": "1"})
    if fo.dataset_exists("shapes-peer"):
        fo.delete_dataset("shapes-peer")
    # Older versions have no instances.
    who = {"instance": fo.Instance()} if hasattr(fo, "Instance") else {}
    names = ["visible"] * 17
    nothing = [[float("nan")] * 2] * 17
    shared = {"person": "7", **who}
    sample = fo.Sample(
        filepath=ours["filepath"],
        metadata=fo.ImageMetadata(width=640, height=480),
        image_id="1",
        people=2,
        occluded=fo.Keypoints(keypoints=[fo.Keypoint(label="occluded", points=nothing, person="8", **who)]),
        keypoints=fo.Keypoints(
            keypoints=[
                fo.Keypoint(label="person", points=nothing, visibility=names, labelled=17, occluded_share=0.0, **shared)
            ]
        ),
        persons=fo.Detections(
            detections=[fo.Detection(label="person", bounding_box=[0.0] * 4, crowd=False, area=1.0, **shared)]
        ),
    )
    peer = fo.Dataset("shapes-peer")
    peer.add_sample(sample, dynamic=True)
    theirs = peer._sample_collection.find_one()
    del ours["kpkit"]
    assert shape(ours) == shape(theirs)


def test_fiftyone_reads_what_was_stored(tmp_path):
    show(labels(tmp_path), "read")
    dataset = dataset_of("read")
    assert dataset.count("keypoints.keypoints") == dataset.count("persons.detections") == 4
    assert dataset.count_values("keypoints.keypoints.visibility") == {"visible": 45, "occluded": 6, "unlabelled": 17}
    assert dataset.default_skeleton.labels == list(kpkit.skeleton("coco17").keypoints)
    _, joints = label_of("read", 8)
    _, box = label_of("read", 8, "persons")
    assert joints.person == box.person
    assert getattr(joints, "instance", None) == getattr(box, "instance", None)
    assert joints.occluded_share == 6 / 17
    _, hidden = label_of("read", 8, "occluded")
    assert int(np.isfinite(np.array(hidden.points)).all(axis=1).sum()) == 6
    assert joints.points[0] == [10 / 640, 20 / 480]


def test_saved_views_show_persons_by_what_can_be_seen_of_them(tmp_path):
    report = show(labels(tmp_path), "views")
    assert {"crowds", "visible joints", "occluded joints"} <= set(report.views)
    view = dataset_of("views").load_saved_view("occluded joints")
    [joints] = view.first().keypoints.keypoints
    assert (joints.person, int(np.isfinite(np.array(joints.points)).all(axis=1).sum())) == ("8", 6)


def test_findings_are_tags_with_a_view_each_and_do_not_come_back_as_tags(tmp_path):
    path = labels(tmp_path)
    content = load(path)
    content["annotations"][0]["num_keypoints"] = 3
    save(path, content)
    report = show(path, "findings")
    assert report.findings["KP101 wrong-num-keypoints"] == 1
    assert "wrong num keypoints" in report.views
    _, label = label_of("findings", 7)
    assert "KP101 wrong-num-keypoints" in label.tags
    [found] = dataset_of("findings").load_saved_view("wrong num keypoints").first().keypoints.keypoints
    assert found.person == "7"
    pulled = run(PullJob(name="findings", dry_run=True))
    assert (pulled.tags, pulled.difference.equal) == ([], True)


def test_no_findings_leaves_them_out(tmp_path):
    report = show(labels(tmp_path), "bare", findings=False)
    assert report.findings == {}
    assert label_of("bare", 7)[1].tags == []


def test_augmented_data_are_groups_of_a_source_and_its_copies_with_masks(demo_folder, tmp_path):
    recipe = preset("six2").with_changes(occlusion=0.3)
    job = augment.AugmentJob(
        input=demo_folder / "coco", output=tmp_path / "out", recipe=recipe, copies=2, include_original=True
    )
    augment.run(job)
    report = show(tmp_path / "out", "groups")
    dataset = dataset_of("groups")
    assert (report.groups, report.samples, dataset.media_type) == (4, 12, "group")
    assert sorted(dataset.group_slices) == ["copy 1", "copy 2", "source"]
    group = dataset.get_group(dataset.first().group.id)
    assert group["source"].occlusion_mask is None
    mask = cv2.imread(group["copy 1"].occlusion_mask.mask_path, cv2.IMREAD_GRAYSCALE)
    assert set(np.unique(mask)) == {0, 255}
    pulled = run(PullJob(name="groups", dry_run=True))
    assert (pulled.tags, pulled.difference.equal) == ([], True)


def test_targets_of_shards_peak_where_the_joints_are(demo_folder, tmp_path):
    heatmaps.run(heatmaps.HeatmapsJob(source=LabelSource(input=demo_folder / "coco"), output=tmp_path / "shards"))
    report = show(demo_folder / "coco", "targets", shards=tmp_path / "shards")
    assert report.heatmaps == report.samples == 4
    for sample in dataset_of("targets"):
        heat = sample.heatmap.map
        height, width = heat.shape
        assert (width, height) == (160, 120)
        joints = np.array([point for one in sample.keypoints.keypoints for point in one.points])
        inside = joints[np.isfinite(joints).all(axis=1) & (joints > 0.02).all(axis=1) & (joints < 0.98).all(axis=1)]
        x, y = np.rint(inside * (width, height)).astype(int).T
        # A cell of the heatmap may be larger than one of the map.
        near = [heat[max(b - 2, 0) : b + 3, max(a - 2, 0) : a + 3].max() for a, b in zip(x, y, strict=True)]
        assert np.median(near) > 200
        assert (heat == 0).mean() > 0.5


@pytest.mark.parametrize("kind", ["mpii", "six2", "native"])
def test_labels_of_every_format_come_back_equal(demo_folder, tmp_path, kind):
    images = demo_folder / ("mpii" if kind == "mpii" else "coco") / "images"
    [path] = [one for one in sorted((demo_folder / kind).iterdir()) if one.suffix in {".mat", ".json", ".kpk"}]
    show(path, f"all-{kind}", images=images)
    out = tmp_path / path.name
    report = run(PullJob(name=f"all-{kind}", output=out))
    assert (report.difference.equal, report.tags) == (True, [])
    before, after = kpkit.read(path), kpkit.read(out)
    for column in ("xy", "visibility", "truncated", "bbox_xywh", "head_box", "area"):
        assert np.array_equal(getattr(before, column), getattr(after, column), equal_nan=column != "visibility")


def test_tags_that_the_format_cannot_hold_are_named_and_what_it_never_held_is_not(demo_folder, tmp_path):
    path = demo_folder / "mpii"
    [path] = [one for one in path.iterdir() if one.suffix == ".mat"]
    show(path, "no-place", images=demo_folder / "coco" / "images")
    sample = dataset_of("no-place").first()
    sample.keypoints.keypoints[0].tags.append("seen")
    sample.save()
    report = run(PullJob(name="no-place", output=tmp_path / "out.mat"))
    assert [(loss.what, loss.count) for loss in report.report.losses] == [("fiftyone.tags", 1)]


def test_persons_without_joints_or_box_and_images_without_persons_are_shown_and_come_back(tmp_path):
    bare = person(1, 1, keypoints=[0] * 51, num_keypoints=0)
    del bare["bbox"]
    path = labels(tmp_path)
    save(path, document([bare, person(2, 3, keypoints=points(shift=3))], [image(1), image(2), image(3)]))
    show(path, "empty")
    report = run(PullJob(name="empty", output=tmp_path / "out.json"))
    assert report.difference.equal
    assert load(tmp_path / "out.json") == load(path)


def test_images_of_unknown_size_get_it_from_the_picture_and_stay_without_in_the_labels(tmp_path):
    path = labels(tmp_path)
    content = load(path)
    for one in content["images"]:
        del one["width"], one["height"]
    content["images"][1]["file_name"] = "not-there.jpg"
    save(path, content)
    report = show(path, "sizes")
    assert (report.samples, report.left_out) == (2, 1)
    assert [issue.code for issue in report.issues if issue.severity == "warning"][:1] == ["KP-IMAGE-MISSING"]
    sample, label = label_of("sizes", 12)
    label.points[0] = (0.5, 0.5)
    sample.save()
    pulled = run(PullJob(name="sizes", output=tmp_path / "out.json"))
    assert pulled.difference.counts() == {"moved": 1}
    after = load(tmp_path / "out.json")
    assert after["images"] == content["images"]
    assert after["annotations"][3]["keypoints"][:2] == [166.5, 108.5]


def test_real_labels_come_back_byte_for_byte_as_kpkit_writes_them(real_data, tmp_path):
    for name in ("mmpose_test_coco.json", "cocomini_person_keypoints_val2017.json"):
        path = real_data / "data" / "coco" / name
        folder = tmp_path / name
        folder.mkdir()
        dataset = kpkit.read(path)
        for picture in dataset.images.path:
            (folder / picture).parent.mkdir(parents=True, exist_ok=True)
            (folder / picture).touch()
        show(path, "real-back", images=folder)
        run(PullJob(name="real-back", output=folder / "out.json"))
        kpkit.write(dataset, folder / "plain.json", "coco")
        assert (folder / "out.json").read_bytes() == (folder / "plain.json").read_bytes()


def test_a_tag_and_an_edited_point_of_real_labels_are_all_that_comes_back(real_data, tmp_path):
    path = real_data / "data" / "coco" / "mmpose_test_coco.json"
    show(path, "real-two", images=real_data / "data" / "images" / "coco")
    sample = dataset_of("real-two").first()
    joints = sample.keypoints.keypoints[0]
    nose = [120.5, 80.25]
    joints.points[0] = [nose[0] / sample.metadata.width, nose[1] / sample.metadata.height]
    joints.tags.append("kpkit:ok")
    sample.save()
    report = run(PullJob(name="real-two", output=tmp_path / "out.json"))
    [change] = report.difference.changes()
    [tag] = report.tags
    assert (change.kind, change.joint, change.after, str(change.person)) == ("moved", "nose", nose, joints.person)
    assert (str(tag.person), tag.before, tag.after) == (joints.person, [], ["kpkit:ok"])
    before, after = load(path), load(tmp_path / "out.json")
    [row] = [row for row in before["annotations"] if str(row["id"]) == joints.person]
    row["keypoints"][:2] = nose
    row["kpkit"] = {"extras": {"fiftyone.tags": ["kpkit:ok"]}}
    assert difference(before, after) == ""
