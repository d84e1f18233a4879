"""Labels in parts give what the whole gives, in memory for one part; a run on them is taken up like any other."""

from __future__ import annotations

import gc
import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kpkit
from kpkit.augment.recipe import Recipe
from kpkit.core.dataset import INSTANCE_COLUMNS, Dataset
from kpkit.core.report import Collector
from kpkit.errors import OutputError
from kpkit.formats import coco, coco_parts
from kpkit.formats.base import WriteOptions
from kpkit.formats.native import NativeFormat, open_parts
from kpkit.guard import work_folders
from kpkit.pipelines import augment_spool
from kpkit.pipelines.augment import AugmentJob, AugmentReport, run
from kpkit.pipelines.augment_stems import distinct, plain_stem, stems
from tests.augment_data import HEIGHT, LABELS, WIDTH, encoded, hashes, picture, rows, somebody, write_labels
from tests.coco_files import document, image

RECIPE = Recipe(rotation=(-30.0, 30.0), flip=0.5, occlusion=(0.2, 0.4), occlusion_fill="patch")
CROPS = RECIPE.with_changes(mode="topdown", input_size=(64, 48), half_body=0.5)


def labels(folder: Path, images: int = 7) -> Path:
    """COCO labels whose pictures are not in the order of their names, with all kinds of fields; returns the file."""
    (folder / "images").mkdir(parents=True)
    table, people = [], []
    for number in range(images):
        name = f"{number * 5 % images:03}.{'png' if number % 3 else 'jpg'}"
        (folder / "images" / name).write_bytes(encoded(picture(number), Path(name).suffix))
        table.append(image(number + 1, file_name=name, width=WIDTH, height=HEIGHT, license=number % 2))
    for i in range(images * 3):
        polygon = {"segmentation": [[20, 12, 60, 12, 60, 50, 20, 50]]} if i % 3 else {}
        huge = {"checked_by": 10**30} if i == 4 else {}
        row = somebody(i + 1, 1 + i * 4 % images, i, **polygon, **huge)
        if i % 5 == 1:
            row |= {"side": "left", "center": [3, 4]}
        if i % 7 == 2:
            row |= {"keypoints": [0] * 51, "num_keypoints": 0}
        people.append(row)
    # Two rows of one file, in other parts as a rule.
    table.append(image(images + 1, file_name=f"./{table[0]['file_name']}", width=WIDTH, height=HEIGHT))
    people.append(somebody(images * 3 + 1, images + 1, 99, attributes={"side": "right"}))
    return write_labels(folder, document(people, table))


def parts(path: Path, output: Path, size: int) -> Path:
    """The same labels as a native dataset in parts."""
    output.mkdir(parents=True)
    dataset = kpkit.read(path).replace(image_root=str(path.parents[1] / "images"))
    NativeFormat().write(dataset, output, WriteOptions(final=output, part_size=size), Collector())
    assert len(open_parts(output) or []) > 1
    return output


def augment(path: Path, output: Path, **options: Any) -> AugmentReport:
    return run(AugmentJob(**{"input": path, "output": output, "recipe": RECIPE, "copies": 2, **options}))


def same(one: Dataset, other: Dataset) -> None:
    """Both hold the same labels."""
    for name in INSTANCE_COLUMNS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    for name in ("id", "path", "width", "height", "split"):
        assert getattr(one.images, name).tolist() == getattr(other.images, name).tolist(), name
    for mine, theirs in ((one.extras, other.extras), (one.images.extras, other.images.extras)):
        assert list(mine) == list(theirs)
        assert {name: column.tolist() for name, column in mine.items()} == {
            name: column.tolist() for name, column in theirs.items()
        }
    assert (one.skeleton, one.meta, one.provenance) == (other.skeleton, other.meta, other.provenance)


def pictures(output: Path) -> dict[str, str]:
    return {name: digest for name, digest in hashes(output).items() if name.startswith(("images/", "masks/"))}


@pytest.mark.parametrize("recipe", [RECIPE, CROPS], ids=["image", "topdown"])
@pytest.mark.parametrize("size", [1, 4, 9])
def test_native_parts_give_the_labels_pictures_and_rows_of_the_whole(tmp_path, recipe, size):
    path = labels(tmp_path / "coco")
    kpkit.write(kpkit.read(path).replace(image_root=str(tmp_path / "coco" / "images")), tmp_path / "whole.kpk")
    options = {"recipe": recipe, "include_original": True, "drop_empty": True}
    whole = augment(tmp_path / "whole.kpk", tmp_path / "a", **options)
    cut = augment(parts(path, tmp_path / "cut.kpk", size), tmp_path / "b", **options)
    assert len(open_parts(tmp_path / "b" / "dataset.kpk") or []) > 1
    assert open_parts(tmp_path / "a" / "dataset.kpk") is None
    same(kpkit.read(tmp_path / "a" / "dataset.kpk"), kpkit.read(tmp_path / "b" / "dataset.kpk"))
    assert pictures(tmp_path / "a") == pictures(tmp_path / "b")
    assert rows(tmp_path / "a") == rows(tmp_path / "b")
    assert said(whole) == said(cut)


def said(report: AugmentReport) -> Any:
    """What a report says of the labels."""
    return (
        report.counts,
        report.left_frame,
        report.covered,
        sorted((loss.what, loss.why, loss.count) for loss in report.losses),
        sorted((issue.code, issue.message, issue.count, issue.places) for issue in report.issues),
        report.failures,
    )


@pytest.fixture
def cut_coco(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Every COCO file is large, and has parts of four."""
    monkeypatch.setattr(coco_parts, "DEFAULT_SIZE", 4)
    monkeypatch.setattr(coco, "LARGE", 1)
    return monkeypatch


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("recipe", [RECIPE, CROPS], ids=["image", "topdown"])
def test_large_coco_file_gives_the_bytes_of_one_that_is_read_whole(tmp_path, monkeypatch, recipe, workers):
    path = labels(tmp_path / "coco")
    whole = augment(path, tmp_path / "a", recipe=recipe, preview=tmp_path / "a.png")
    monkeypatch.setattr(coco_parts, "DEFAULT_SIZE", 4)
    monkeypatch.setattr(coco, "LARGE", 1)
    monkeypatch.setattr(augment_spool, "HELD", 1)
    options = {"recipe": recipe, "preview": tmp_path / "b.png", "workers": workers}
    cut = augment(path, tmp_path / "b", **options)
    assert hashes(tmp_path / "a", ["augment.parquet"]) == hashes(tmp_path / "b", ["augment.parquet"])
    assert rows(tmp_path / "a") == rows(tmp_path / "b")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert said(whole) == said(cut)


def test_the_same_labels_of_another_format_are_the_same_parts(tmp_path, cut_coco):
    path = labels(tmp_path / "coco")
    native = parts(path, tmp_path / "cut.kpk", 4)
    augment(path, tmp_path / "a", to="native")
    augment(native, tmp_path / "b")
    augment(native, tmp_path / "c", to="coco")
    augment(path, tmp_path / "d")
    assert pictures(tmp_path / "a") == pictures(tmp_path / "b") == pictures(tmp_path / "c")
    found, other = (kpkit.read(tmp_path / name / "dataset.kpk") for name in "ab")
    np.testing.assert_array_equal(found.xy, other.xy)
    assert [one["file_name"] for one in document_of(tmp_path / "c")["images"]] == found.images.path.tolist()
    assert document_of(tmp_path / "c")["annotations"] == document_of(tmp_path / "d")["annotations"]


def document_of(output: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((output / LABELS).read_text())
    return loaded


@pytest.mark.parametrize("to", ["native", "coco"])
def test_run_on_parts_that_was_ended_is_taken_up(tmp_path, to):
    native = parts(labels(tmp_path / "coco"), tmp_path / "cut.kpk", 4)
    augment(native, tmp_path / "a", to=to)
    with pytest.raises(KeyboardInterrupt):
        run(AugmentJob(input=native, output=tmp_path / "b", recipe=RECIPE, copies=2, to=to), stop_after(5))
    (work,) = work_folders(tmp_path / "b")
    (work / "data" / "images" / "half.jpg").write_bytes(b"of a worker that was killed")
    (work / ".parts").mkdir(exist_ok=True)
    (work / ".parts" / "7.rows").write_bytes(b"of a run that was killed")
    report = augment(native, tmp_path / "b", to=to, resume=True)
    assert report.kept == 5
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")
    assert work_folders(tmp_path / "b") == []


def stop_after(count: int) -> Any:
    """A progress that is Ctrl-C once so many images are done."""

    def tell(stage: str, done: int, total: int) -> None:
        if stage == "augmenting" and done == count:
            raise KeyboardInterrupt

    return tell


def test_progress_counts_the_images_of_all_parts(tmp_path):
    native = parts(labels(tmp_path / "coco"), tmp_path / "cut.kpk", 4)
    told: list[tuple[int, int]] = []

    def tell(stage: str, done: int, total: int) -> None:
        if stage == "augmenting":
            told.append((done, total))

    run(AugmentJob(input=native, output=tmp_path / "out", recipe=RECIPE), tell)
    assert told == [(number, 7) for number in range(8)]


def test_pictures_that_fail_are_named_and_the_ids_of_the_others_count_on(tmp_path):
    path = labels(tmp_path / "coco")
    native = parts(path, tmp_path / "cut.kpk", 4)
    for name in ("000.jpg", "004.png"):
        (tmp_path / "coco" / "images" / name).write_bytes(b"no picture")
    report = augment(native, tmp_path / "out", include_original=True)
    assert [failure.key for failure in report.failures] == ["000.jpg", "004.png"]
    found = kpkit.read(tmp_path / "out" / "dataset.kpk")
    assert found.instance_id.tolist() == list(range(1, len(found) + 1))
    assert found.images.id.tolist() == list(range(1, len(found.images) + 1))
    assert report.counts["images"] == len(found.images) == 15


def test_dry_run_on_parts_counts_all_and_writes_nothing(tmp_path):
    native = parts(labels(tmp_path / "coco"), tmp_path / "cut.kpk", 4)
    dry = augment(native, tmp_path / "out", dry_run=True, preview=tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").exists()
    assert not (tmp_path / "out").exists()
    assert said(augment(native, tmp_path / "out")) == said(dry)


def test_format_without_parts_is_written_from_the_whole(tmp_path):
    path = labels(tmp_path / "coco")
    native = parts(path, tmp_path / "cut.kpk", 4)
    augment(native, tmp_path / "a", to="yolo-pose")
    kpkit.write(kpkit.read(native), tmp_path / "whole.kpk")
    augment(tmp_path / "whole.kpk", tmp_path / "b", to="yolo-pose")
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")


def test_no_room_for_temporary_files_is_said_with_their_folder(tmp_path, monkeypatch):
    native = parts(labels(tmp_path / "coco"), tmp_path / "cut.kpk", 4)
    monkeypatch.setattr(augment_spool, "HELD", 1)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(OutputError) as error:
        augment(native, tmp_path / "out")
    assert str(tmp_path / "gone") in str(error.value)


NAMES = st.lists(
    st.sampled_from(["a.jpg", "a.png", "a_jpg.bmp", "a_jpg~2.jpg", "b/a.jpg", "b", "a_png.x.jpg", "a.b.c"])
)


@given(NAMES.map(lambda names: sorted(set(names))))
def test_stems_are_those_of_the_rule_told_in_one_sentence(keys):
    # The path without its ending; with it, where two have the same; with a number, where that is taken.
    plain = [plain_stem(key) for key in keys]
    ended = [
        stem if plain.count(stem) == 1 else f"{stem}_{Path(key).suffix.lstrip('.')}"
        for stem, key in zip(plain, keys, strict=True)
    ]
    assert stems(keys) == distinct(ended)


def peak_of(folder: Path, images: int) -> int:
    """The most memory that an augmentation of so many images, three persons each, takes beyond what is there."""
    (folder / "images").mkdir(parents=True)
    tiny = encoded(picture(0, 16, 12))
    polygon = np.random.default_rng(0).uniform(0, 12, 400).round(3).tolist()
    for number in range(images):
        (folder / "images" / f"{number:05}.png").write_bytes(tiny)
    table = [image(i + 1, file_name=f"{i:05}.png", width=16, height=12) for i in range(images)]
    people = [somebody(i + 1, i // 3 + 1, i, segmentation=[polygon]) for i in range(3 * images)]
    native = parts(write_labels(folder, document(people, table)), folder / "cut.kpk", 64)
    gc.collect()
    tracemalloc.start()
    try:
        augment(native, folder / "out", copies=1, recipe=Recipe())
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_labels(tmp_path, monkeypatch):
    monkeypatch.setattr(augment_spool, "HELD", 1 << 10)
    # What is loaded once is loaded in the first run.
    _, few, many = (peak_of(tmp_path / name, images) for name, images in (("first", 24), ("few", 48), ("many", 240)))
    # 576 persons more, of 3 kB of polygons at least.
    assert many < few + 576 * 700, (few, many)
