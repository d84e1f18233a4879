"""Conversions that run part by part give what the same conversion of the whole gives, and nothing where they fail."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

import kpkit
from kpkit.core.report import Collector, Report
from kpkit.errors import FormatError, InputError, KpkitError, LossError, OutputError, UsageError
from kpkit.formats.base import WriteOptions
from kpkit.guard import TEMP_PREFIX, WORK_PREFIX
from kpkit.pipelines import convert_parts
from kpkit.pipelines.convert import ConvertJob
from kpkit.pipelines.convert import run as run_convert
from kpkit.pipelines.io import get_format
from tests.coco_files import document, image, load, person, points, save


def labels(path: Path, persons: int = 60, images: int = 17) -> Path:
    """Persons not in the order of their images, some without a box, some crowds, two categories."""
    rows = []
    for n in range(persons):
        fields: dict[str, Any] = {"note": n, "keypoints": points(flag=1 + n % 2, shift=n / 4)}
        if n % 7 == 0:
            fields |= {"kpkit": {"head_box": [1, 2, 3, n], "extras": {f"x.{n % 3}": n}}}
        rows.append(person(1000 - n, 1 + n * 5 % images, **fields))
    return save(path, document(rows, [image(n, kpkit={"split": "ab"[n % 2]}) for n in range(1, images + 1)]))


def tree(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file()}


def account(report: Report) -> dict[str, Any]:
    """The report without what differs by nature."""
    found = report.as_dict()
    return {key: found[key] for key in ("counts", "joints", "losses", "issues", "source", "target", "via", "lossless")}


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every COCO file counts as a large one."""
    monkeypatch.setattr("kpkit.formats.coco.LARGE", 0)
    monkeypatch.setattr("kpkit.formats.coco_parts.DEFAULT_SIZE", 8)


class TestSame:
    @pytest.mark.parametrize("workers", [1, 2])
    def test_any_number_of_workers_gives_the_bytes_of_the_whole_cut(self, tmp_path: Path, workers: int) -> None:
        path = labels(tmp_path / "in.json")
        kpkit.convert("coco", "native", path, output=tmp_path / "out.kpk", part_size=8, workers=workers)
        (tmp_path / "whole").mkdir()
        options = WriteOptions(final=tmp_path / "out.kpk", part_size=8)
        get_format("native").write(kpkit.read(path), tmp_path / "whole", options, Collector())
        assert len(tree(tmp_path / "whole")) > 10
        assert tree(tmp_path / "out.kpk") == tree(tmp_path / "whole")

    @pytest.mark.parametrize("workers", [1, 2])
    def test_coco_comes_back_from_parts_byte_for_byte(self, tmp_path: Path, workers: int) -> None:
        path = labels(tmp_path / "in.json")
        kpkit.convert("coco", "coco", path, output=tmp_path / "direct.json")
        kpkit.convert("coco", "native", path, output=tmp_path / "x.kpk", part_size=8)
        kpkit.convert("native", "coco", tmp_path / "x.kpk", output=tmp_path / "back.json", workers=workers)
        assert load(tmp_path / "back.json") == load(path)
        kpkit.convert("coco", "native", path, output=tmp_path / "y.kpk")
        kpkit.convert("native", "coco", tmp_path / "y.kpk", output=tmp_path / "from-whole.json")
        assert (tmp_path / "back.json").read_bytes() == (tmp_path / "from-whole.json").read_bytes()

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"skeleton": "mpii16"},
            {"skeleton": "six2_knee"},
            {"bbox": "keypoints"},
            {"bbox": "none"},
            {"sigmas": ",".join(["0.1"] * 17)},
        ],
    )
    @pytest.mark.usefixtures("large")
    def test_options_do_in_parts_what_they_do_to_the_whole(
        self, tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = labels(tmp_path / "in.json")
        parted = kpkit.convert("coco", "coco", path, output=tmp_path / "parts.json", **options)
        native = kpkit.convert("coco", "native", path, output=tmp_path / "parts.kpk", **options)
        monkeypatch.setattr("kpkit.formats.coco.LARGE", 1 << 40)
        whole = kpkit.convert("coco", "coco", path, output=tmp_path / "whole.json", **options)
        whole_native = kpkit.convert("coco", "native", path, output=tmp_path / "whole.kpk", **options)
        assert (tmp_path / "parts.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
        for one, other in ((parted, whole), (native, whole_native)):
            one.issues = [issue for issue in one.issues if issue.code != "KP-PARTS"]
            assert account(one) == account(other)
        for name in ("parts", "whole"):
            kpkit.convert("native", "six2", tmp_path / f"{name}.kpk", output=tmp_path / f"{name}.six2.json")
        assert (tmp_path / "parts.six2.json").read_bytes() == (tmp_path / "whole.six2.json").read_bytes()

    def test_sizes_from_a_table_reach_every_part(self, tmp_path: Path) -> None:
        images = [{"id": n, "file_name": f"{n}.jpg"} for n in range(1, 10)]
        path = save(tmp_path / "in.json", document([person(n, n) for n in range(1, 10)], images))
        table = tmp_path / "sizes.csv"
        table.write_text("path,width,height\n" + "".join(f"{n}.jpg,{n + 100},200\n" for n in range(1, 10)))
        kpkit.convert("coco", "native", path, output=tmp_path / "x.kpk", part_size=2, image_sizes=table)
        assert kpkit.read(tmp_path / "x.kpk").images.width.tolist() == list(range(101, 110))

    def test_a_native_dataset_keeps_its_parts_and_takes_others_on_demand(self, tmp_path: Path) -> None:
        path = labels(tmp_path / "in.json")
        kpkit.convert("coco", "native", path, output=tmp_path / "a.kpk", part_size=8)
        kpkit.convert("native", "native", tmp_path / "a.kpk", output=tmp_path / "b.kpk")
        assert tree(tmp_path / "a.kpk") == tree(tmp_path / "b.kpk")
        kpkit.convert("native", "native", tmp_path / "a.kpk", output=tmp_path / "c.kpk", part_size=30)
        kpkit.convert("coco", "native", path, output=tmp_path / "d.kpk", part_size=30)
        assert tree(tmp_path / "c.kpk") == tree(tmp_path / "d.kpk")

    def test_a_folder_output_has_the_labels_at_their_usual_place(self, tmp_path: Path) -> None:
        path = labels(tmp_path / "in.json")
        kpkit.convert("coco", "native", path, output=tmp_path / "x.kpk", part_size=8)
        kpkit.convert("native", "coco", tmp_path / "x.kpk", output=tmp_path / "out")
        assert list(tree(tmp_path / "out")) == ["annotations/person_keypoints_default.json"]

    def test_a_file_without_persons_or_images_comes_back(self, tmp_path: Path) -> None:
        for name, content in {"no-persons": document([]), "nothing": document([], [])}.items():
            path = save(tmp_path / f"{name}.json", content)
            kpkit.convert("coco", "native", path, output=tmp_path / f"{name}.kpk", part_size=8)
            kpkit.convert("native", "coco", tmp_path / f"{name}.kpk", output=tmp_path / f"{name}-back.json")
            assert load(tmp_path / f"{name}-back.json") == content

    def test_detections_come_back_from_parts(self, tmp_path: Path) -> None:
        rows = [
            {"image_id": 1 + n % 3, "category_id": 1, "keypoints": [5, 6, 0.5] * 17, "score": 0.5, "n": n}
            for n in range(9)
        ]
        path = save(tmp_path / "results.json", rows)
        kpkit.convert("coco", "native", path, output=tmp_path / "x.kpk", part_size=2)
        kpkit.convert("native", "coco", tmp_path / "x.kpk", output=tmp_path / "back.json")
        assert load(tmp_path / "back.json") == rows

    @pytest.mark.parametrize("name", ["val2017_subset_2213_manhph", "cocomini_person_keypoints_val2017"])
    def test_real_files_come_back_from_parts_byte_for_byte(self, real_data: Path, tmp_path: Path, name: str) -> None:
        path = real_data / "data" / "coco" / f"{name}.json"
        kpkit.convert("coco", "native", path, output=tmp_path / "x.kpk", part_size=40)
        kpkit.convert("native", "coco", tmp_path / "x.kpk", output=tmp_path / "back.json")
        kpkit.convert("coco", "coco", path, output=tmp_path / "direct.json")
        assert (tmp_path / "back.json").read_bytes() == (tmp_path / "direct.json").read_bytes()


class TestSaid:
    @pytest.mark.usefixtures("large")
    def test_a_large_input_chooses_parts_and_says_so(self, tmp_path: Path) -> None:
        report = kpkit.convert("coco", "native", labels(tmp_path / "in.json"), output=tmp_path / "x.kpk")
        assert [issue.severity for issue in report.issues if issue.code == "KP-PARTS"] == ["note"]
        assert json.loads((tmp_path / "x.kpk" / "dataset.json").read_text())["parts"]["size"] == 8

    def test_what_the_user_asked_for_is_not_told_again(self, tmp_path: Path) -> None:
        report = kpkit.convert("coco", "native", labels(tmp_path / "in.json"), output=tmp_path / "x.kpk", part_size=8)
        assert report.issues == []

    def test_progress_counts_the_parts(self, tmp_path: Path) -> None:
        kpkit.convert("coco", "native", labels(tmp_path / "in.json"), output=tmp_path / "x.kpk", part_size=8)
        job = ConvertJob(source="native", target="coco", inputs=(tmp_path / "x.kpk",), output=tmp_path / "y.json")
        told: list[tuple[str, int, int]] = []
        run_convert(job, lambda *one: told.append(one))
        steps = [(done, total) for stage, done, total in told if stage == "converting"]
        assert steps == [(n, len(steps)) for n in range(1, len(steps) + 1)]
        assert len(steps) > 5

    def test_a_dry_run_says_the_same_and_writes_nothing(self, tmp_path: Path) -> None:
        path = labels(tmp_path / "in.json")
        dry = kpkit.convert("coco", "native", path, output=tmp_path / "x.kpk", part_size=8, dry_run=True)
        assert [one.name for one in tmp_path.iterdir()] == ["in.json"]
        assert account(dry) == account(kpkit.convert("coco", "native", path, output=tmp_path / "x.kpk", part_size=8))

    def test_parts_of_another_format_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="only native datasets have parts"):
            kpkit.convert("coco", "coco", labels(tmp_path / "in.json"), output=tmp_path / "x.json", part_size=8)


class TestFaults:
    def test_loss_under_strict_writes_nothing(self, tmp_path: Path) -> None:
        path = labels(tmp_path / "in.json")
        with pytest.raises(LossError) as caught:
            kpkit.convert("coco", "native", path, output=tmp_path / "x", part_size=8, skeleton="mpii16", strict=True)
        assert "nose" in caught.value.got
        assert [one.name for one in tmp_path.iterdir()] == ["in.json"]

    @pytest.mark.parametrize("workers", [1, 2])
    def test_a_damaged_part_is_named_and_nothing_is_written(self, tmp_path: Path, workers: int) -> None:
        path = labels(tmp_path / "in.json")
        kpkit.convert("coco", "native", path, output=tmp_path / "x.kpk", part_size=8)
        damaged = [tmp_path / "x.kpk" / "parts" / "000" / f"{number:05}.instances.parquet" for number in (2, 5)]
        for file in damaged:
            file.write_bytes(file.read_bytes()[:-1])
        with pytest.raises(FormatError) as caught:
            kpkit.convert("native", "coco", tmp_path / "x.kpk", output=tmp_path / "y.json", workers=workers)
        assert caught.value.place == str(damaged[0])
        assert sorted(one.name for one in tmp_path.iterdir()) == ["in.json", "x.kpk"]

    def test_a_file_that_changes_while_it_is_converted_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = labels(tmp_path / "in.json")
        real = convert_parts.convert_part

        def slow(task: convert_parts.Task) -> Any:
            if task.number == 1:
                path.write_bytes(path.read_bytes() + b" ")
            return real(task)

        monkeypatch.setattr(convert_parts, "convert_part", slow)
        with pytest.raises(InputError, match="changed while it was read"):
            kpkit.convert("coco", "native", path, output=tmp_path / "x.kpk", part_size=8)
        assert [one.name for one in tmp_path.iterdir()] == ["in.json"]

    def test_a_failing_disk_is_an_error_of_the_output(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*given: Any) -> None:
            raise OSError(28, "No space left on device", str(given[0]))

        monkeypatch.setattr("kpkit.formats.native_part_write.sync_file", full)
        with pytest.raises(OutputError, match="the disk is full") as caught:
            kpkit.convert("coco", "native", labels(tmp_path / "in.json"), output=tmp_path / "x.kpk", part_size=8)
        assert TEMP_PREFIX not in caught.value.place
        assert WORK_PREFIX not in caught.value.place
        assert [one.name for one in tmp_path.iterdir()] == ["in.json"]

    def test_a_part_whose_worker_dies_each_time_ends_the_run_and_leaves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(convert_parts, "convert_part", _die)
        with pytest.raises(KpkitError, match="the worker"):
            kpkit.convert("coco", "native", labels(tmp_path / "in.json"), output=tmp_path / "x", part_size=8, workers=2)
        assert [one.name for one in tmp_path.iterdir()] == ["in.json"]


def _die(task: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_an_image_is_never_cut(tmp_path: Path) -> None:
    """An image with more persons than fit is one part."""
    path = save(tmp_path / "in.json", document([person(n) for n in range(50)]))
    kpkit.convert("coco", "native", path, output=tmp_path / "x.kpk", part_size=8)
    index = json.loads((tmp_path / "x.kpk" / "parts" / "000" / "index.json").read_text())
    assert [one["instances"] for one in index] == [50]


def test_sizes_that_changed_between_two_runs_are_read_anew(tmp_path: Path) -> None:
    images = [{"id": n, "file_name": f"{n}.jpg"} for n in range(1, 4)]
    path = save(tmp_path / "in.json", document([person(n, n) for n in range(1, 4)], images))
    table = tmp_path / "sizes.csv"
    for width in (100, 2000):
        table.write_text("path,width,height\n" + "".join(f"{n}.jpg,{width},200\n" for n in range(1, 4)))
        kpkit.convert("coco", "native", path, output=tmp_path / "x.kpk", part_size=1, image_sizes=table, force=True)
        assert kpkit.read(tmp_path / "x.kpk").images.width.tolist() == [width] * 3
