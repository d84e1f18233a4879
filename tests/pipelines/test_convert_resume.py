"""A conversion that was ended is taken up, and gives the bytes and the report of an undisturbed one."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kpkit
from kpkit.core.partition import split
from kpkit.core.report import Report
from kpkit.errors import KpkitError, LossError, OutputError
from kpkit.formats.base import Format, WriteOptions
from kpkit.formats.native_part_write import NativePartWriter
from kpkit.guard import work_folders
from kpkit.pipelines import convert_parts, convert_task
from kpkit.pipelines.convert import ConvertJob
from kpkit.pipelines.convert import run as run_convert
from kpkit.pipelines.convert_task import Bench
from kpkit.pipelines.io import get_format
from kpkit.pipelines.work_folder import LOG, Finished, begun
from tests.coco_files import document, image, person, save
from tests.pipelines.test_convert_parts import account, labels, large, tree

__all__ = ["large"]
TOP = Path(__file__).parents[2]
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Case:
    """A conversion in parts; `several` COCO files are merged."""

    source: str
    target: str
    several: bool = False

    def job(self, folder: Path, output: str = "out", **options: Any) -> ConvertJob:
        """The job, whose inputs are made where they are not there."""
        name = output + (".json" if self.target == "coco" else ".kpk")
        part_size = {"part_size": 8} if self.target == "native" and self.source == "coco" else {}
        return ConvertJob(
            source=self.source,
            target=self.target,
            inputs=self.inputs(folder),
            output=folder / name,
            **{**part_size, **options},
        )

    def inputs(self, folder: Path) -> tuple[Path, ...]:
        """COCO files, or one native dataset in parts."""
        path = folder / "in.json"
        if not path.exists():
            labels(path)
            kpkit.convert("coco", "native", path, output=folder / "in.kpk", part_size=8)
        if self.source == "native":
            return (folder / "in.kpk",)
        if not self.several:
            return (path,)
        if not (folder / "more.json").exists():
            rows = [person(n, 100 + n % 9) for n in range(2000, 2030)]
            save(folder / "more.json", document(rows, [image(100 + n) for n in range(9)]))
        return path, folder / "more.json"


NATIVE = Case("coco", "native")
COCO = Case("native", "coco")
CASES = [NATIVE, COCO, Case("coco", "native", several=True), Case("native", "native")]
each_case = pytest.mark.parametrize("case", CASES, ids=["native", "coco", "merged", "native again"])


def stop_after(count: int) -> Tell:
    """A progress that is Ctrl-C once so many parts are done."""

    def tell(stage: str, done: int, total: int) -> None:
        if stage == "converting" and done == count:
            raise KeyboardInterrupt

    return tell


def interrupted(job: ConvertJob, count: int = 3) -> Path:
    """A run that was ended; returns its work folder."""
    with pytest.raises(KeyboardInterrupt) as caught:
        run_convert(job, stop_after(count))
    assert job.output is not None
    assert not job.output.exists()
    (work,) = work_folders(job.output)
    kept = len(kept_by(work))
    # Parts are done in any order, so that what an earlier run kept may come late.
    assert kept == count or (job.resume and kept >= count)
    assert caught.value.__notes__ == [f"{kept} finished items are kept: run the same command again with --resume"]
    return work


def kept_by(work: Path) -> list[int]:
    """Numbers of the parts that are finished."""
    with contextlib.closing(Finished(work / LOG)) as finished:
        return sorted(map(int, finished))


def written(path: Path) -> dict[str, bytes]:
    """The output's files."""
    return tree(path) if path.is_dir() else {"": path.read_bytes()}


@dataclass(frozen=True)
class Resumed:
    output: dict[str, bytes]
    report: Report
    made: list[int]


@pytest.fixture
def resume(monkeypatch: pytest.MonkeyPatch) -> Callable[[ConvertJob], Resumed]:
    """Runs a job with --resume and one worker; tells which parts were made, and leaves nothing beside the output."""

    def go_on(job: ConvertJob) -> Resumed:
        made: list[int] = []
        real = convert_parts.convert_part

        def watched(task: convert_parts.Task) -> Any:
            result = real(task)
            made.extend([task.number] if isinstance(result, convert_parts.Done) else [])
            return result

        with monkeypatch.context() as patch:
            patch.setattr(convert_parts, "convert_part", watched)
            report = run_convert(job)
        assert job.output is not None
        assert work_folders(job.output) == []
        return Resumed(written(job.output), report, made)

    return go_on


Resume = Callable[[ConvertJob], Resumed]


def assert_equal_to_undisturbed(case: Case, folder: Path, resumed: Resumed, **options: Any) -> None:
    job = case.job(folder, "undisturbed", **options)
    report = run_convert(job)
    assert job.output is not None
    assert resumed.output == written(job.output)
    assert account(resumed.report) == account(report)
    assert list(resumed.report.files.values()) == list(report.files.values())


class TestGoesOn:
    @each_case
    @pytest.mark.parametrize("workers", [1, 2])
    def test_resumed_run_gives_the_bytes_and_the_report_of_an_undisturbed_one(
        self, tmp_path: Path, resume: Resume, case: Case, workers: int
    ) -> None:
        options = {"skeleton": "mpii16"}
        kept = kept_by(interrupted(case.job(tmp_path, workers=workers, **options)))
        resumed = resume(case.job(tmp_path, resume=True, **options))
        assert sorted([*kept, *resumed.made]) == list(range(count_of_parts(case, tmp_path)))
        assert_equal_to_undisturbed(case, tmp_path, resumed, **options)

    @pytest.mark.usefixtures("large")
    @pytest.mark.parametrize("several", [False, True])
    def test_large_files_are_taken_up_too(
        self, tmp_path: Path, resume: Resume, several: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(convert_parts, "DEFAULT_SIZE", 8)
        case = Case("coco", "coco", several)
        kept = kept_by(interrupted(case.job(tmp_path), 4))
        resumed = resume(case.job(tmp_path, resume=True))
        assert not set(kept) & set(resumed.made)
        assert_equal_to_undisturbed(case, tmp_path, resumed)

    def test_nothing_to_resume_is_a_run_from_the_start(self, tmp_path: Path, resume: Resume) -> None:
        resumed = resume(NATIVE.job(tmp_path, resume=True))
        assert len(resumed.made) == count_of_parts(NATIVE, tmp_path)
        assert_equal_to_undisturbed(NATIVE, tmp_path, resumed)

    @pytest.mark.parametrize("case", [NATIVE, COCO], ids=["native", "coco"])
    @pytest.mark.parametrize("damage", ["gone", "cut", "zeros"])
    def test_a_finished_part_that_is_not_what_it_was_is_made_again(
        self, tmp_path: Path, resume: Resume, case: Case, damage: str
    ) -> None:
        work = interrupted(case.job(tmp_path))
        kept = kept_by(work)
        names = (f"{kept[1]}.", f"{kept[1]:05}.")
        made = sorted(path for path in work.rglob("*") if path.is_file() and path.name.startswith(names))
        data = made[0].read_bytes()
        if damage == "gone":
            made[0].unlink()
        else:
            made[0].write_bytes(data[:-1] if damage == "cut" else bytes(len(data)))
        resumed = resume(case.job(tmp_path, resume=True))
        assert kept[1] in resumed.made
        assert not {kept[0], kept[2]} & set(resumed.made)
        assert_equal_to_undisturbed(case, tmp_path, resumed)

    def test_it_may_be_ended_again_and_again(self, tmp_path: Path, resume: Resume) -> None:
        interrupted(COCO.job(tmp_path), 2)
        for count in (3, 4, 5):
            interrupted(COCO.job(tmp_path, resume=True), count)
        assert_equal_to_undisturbed(COCO, tmp_path, resume(COCO.job(tmp_path, resume=True)))

    def test_what_an_end_that_was_cut_left_is_no_part_of_the_output(self, tmp_path: Path, resume: Resume) -> None:
        work = interrupted(NATIVE.job(tmp_path))
        for name in ("dataset.json", "parts/000/index.json", "parts/000/99999.images.parquet", "stray"):
            (work / "data" / name).write_bytes(b"half")
        assert_equal_to_undisturbed(NATIVE, tmp_path, resume(NATIVE.job(tmp_path, resume=True)))

    @pytest.mark.parametrize("relative", [True, False])
    def test_another_way_to_name_the_same_files_is_the_same_job(
        self, tmp_path: Path, resume: Resume, relative: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kept = kept_by(interrupted(NATIVE.job(tmp_path)))
        monkeypatch.chdir(tmp_path if relative else tmp_path.parent)
        here = Path() if relative else Path(tmp_path.name)
        assert not set(kept) & set(resume(NATIVE.job(here, resume=True)).made)


def count_of_parts(case: Case, folder: Path) -> int:
    """Parts that a conversion is done in."""
    told: list[int] = []
    run_convert(
        case.job(folder, dry_run=True), lambda stage, done, total: told.append(total) if stage == "converting" else None
    )
    return told[0]


class TestRefused:
    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"skeleton": "mpii16"}, "skeleton"),
            ({"bbox": "keypoints"}, "options.bbox"),
            ({"part_size": 9}, "parts.size"),
            ({"sigmas": ",".join(["0.1"] * 17)}, "sigmas"),
            ({"image_sizes": "sizes.csv"}, "tables.image_sizes"),
            ({}, "inputs.content"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_another_job_does_not_take_up_the_work(self, tmp_path: Path, change: dict[str, Any], named: str) -> None:
        work = interrupted(NATIVE.job(tmp_path))
        if "image_sizes" in change:
            change = {"image_sizes": tmp_path / "sizes.csv"}
            change["image_sizes"].write_text("path,width,height\n000000000001.jpg,640,480\n")
        elif not change:
            path = tmp_path / "in.json"
            status = path.stat()
            path.write_text(path.read_text().replace("made for a test", "made for a TEST"))
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        with pytest.raises(OutputError) as caught:
            run_convert(NATIVE.job(tmp_path, resume=True, **change))
        assert caught.value.code == "KP-RESUME-OTHER"
        assert named in caught.value.got
        assert begun(work)[0] == 3

    def test_a_native_input_that_changed_is_another_job(self, tmp_path: Path) -> None:
        interrupted(COCO.job(tmp_path))
        shutil.rmtree(tmp_path / "in.kpk")
        labels(tmp_path / "other.json", persons=61)
        kpkit.convert("coco", "native", tmp_path / "other.json", output=tmp_path / "in.kpk", part_size=8)
        with pytest.raises(OutputError, match="another job"):
            run_convert(COCO.job(tmp_path, resume=True))

    def test_unfinished_work_is_not_thrown_away_unasked(self, tmp_path: Path, resume: Resume) -> None:
        work = interrupted(NATIVE.job(tmp_path))
        with pytest.raises(OutputError) as caught:
            run_convert(NATIVE.job(tmp_path))
        assert caught.value.code == "KP-UNFINISHED"
        assert begun(work)[0] == 3
        forced = resume(NATIVE.job(tmp_path, force=True))
        assert len(forced.made) == count_of_parts(NATIVE, tmp_path)
        assert_equal_to_undisturbed(NATIVE, tmp_path, forced)

    def test_a_conversion_of_the_whole_does_not_throw_it_away_either(self, tmp_path: Path) -> None:
        work = interrupted(NATIVE.job(tmp_path))
        for more, code in ({"resume": True}, "KP-RESUME-OTHER"), ({}, "KP-UNFINISHED"):
            with pytest.raises(OutputError) as caught:
                run_convert(NATIVE.job(tmp_path, part_size=0, **more))
            assert caught.value.code == code
        assert begun(work)[0] == 3
        run_convert(NATIVE.job(tmp_path, part_size=0, force=True))
        assert not work.exists()

    def test_losses_under_strict_keep_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(LossError):
            run_convert(NATIVE.job(tmp_path, skeleton="mpii16", strict=True))
        assert sorted(one.name for one in tmp_path.iterdir()) == ["in.json", "in.kpk"]

    def test_a_conversion_that_has_no_parts_says_that_it_began_anew(self, tmp_path: Path) -> None:
        report = run_convert(NATIVE.job(tmp_path, part_size=0, resume=True))
        assert [(one.code, one.severity) for one in report.issues] == [("KP-RESUME-WHOLE", "note")]
        assert work_folders(tmp_path / "out.kpk") == []


class TestKept:
    def test_a_full_disk_keeps_what_is_finished(
        self, tmp_path: Path, resume: Resume, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        NATIVE.inputs(tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr("kpkit.formats.native_part_write.sync_file", full_after(6))
            with pytest.raises(OutputError, match="the disk is full") as caught:
                run_convert(NATIVE.job(tmp_path))
        assert "with --resume: 3 finished items are kept" in caught.value.help
        assert len(resume(NATIVE.job(tmp_path, resume=True)).made) == count_of_parts(NATIVE, tmp_path) - 3

    def test_a_full_disk_at_the_end_keeps_every_part(
        self, tmp_path: Path, resume: Resume, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        COCO.inputs(tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr("kpkit.pipelines.convert_parts.sync_file", full_after(0))
            with pytest.raises(OutputError, match="the disk is full"):
                run_convert(COCO.job(tmp_path))
        resumed = resume(COCO.job(tmp_path, resume=True))
        assert resumed.made == []
        assert_equal_to_undisturbed(COCO, tmp_path, resumed)

    def test_a_part_whose_worker_dies_each_time_costs_no_other_part(
        self, tmp_path: Path, resume: Resume, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        NATIVE.inputs(tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(convert_parts, "convert_part", _die_at_the_sixth)
            with pytest.raises(KpkitError, match="the worker died each time") as caught:
                run_convert(NATIVE.job(tmp_path, workers=2))
        assert "finished items are kept" in caught.value.help
        resumed = resume(NATIVE.job(tmp_path, resume=True))
        assert 5 in resumed.made
        assert len(resumed.made) < count_of_parts(NATIVE, tmp_path)
        assert_equal_to_undisturbed(NATIVE, tmp_path, resumed)

    def test_nothing_is_kept_of_a_writer_that_cannot_put_its_parts_down(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job = NATIVE.job(tmp_path)
        run_convert(NATIVE.job(tmp_path, "undisturbed"))
        monkeypatch.setattr("kpkit.pipelines.convert_keep.Packer", Never)
        with pytest.raises(KeyboardInterrupt):
            run_convert(job, stop_after(3))
        assert sorted(one.name for one in tmp_path.iterdir()) == ["in.json", "in.kpk", "undisturbed.kpk"]
        run_convert(job)
        assert tree(tmp_path / "out.kpk") == tree(tmp_path / "undisturbed.kpk")

    def test_what_a_worker_brings_after_the_end_of_its_run_goes_nowhere(self, tmp_path: Path) -> None:
        work = interrupted(NATIVE.job(tmp_path))
        native = get_format("native")
        bench = Bench(work, work / ".run-of-old", Path("data"), tmp_path / "out.kpk", 8)  # type: ignore[arg-type]
        before = sorted(work.rglob("*"))
        part = next(split(kpkit.read(tmp_path / "in.json"), 8))
        with pytest.raises(OSError, match="of-old"):
            bench.write(native, part, 5)
        assert sorted(work.rglob("*")) == before
        away = Bench(tmp_path / "gone", tmp_path, Path("data"), tmp_path / "out.kpk", 8)  # type: ignore[arg-type]
        with pytest.raises(FileNotFoundError):
            away.write(native, part, 5)
        assert not (tmp_path / "gone").exists()


def _die_at_the_sixth(task: convert_parts.Task) -> Any:
    if task.number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return convert_task.convert_part(task)


class Never:
    """Nothing is of this class."""


def full_after(count: int) -> Callable[..., None]:
    """A sync that meets a full disk, but for the first calls."""
    left = iter(range(count))

    def sync(path: Path) -> None:
        if next(left, None) is None:
            raise OSError(28, "No space left on device", str(path))

    return sync


@pytest.mark.parametrize("name", ["native", "coco"])
@pytest.mark.parametrize("number", [0, 1])
def test_what_a_writer_says_of_a_part_comes_back_equal(tmp_path: Path, name: str, number: int) -> None:
    dataset = kpkit.read(labels(tmp_path / "in.json"))
    meta = {"made.by": {"big": 1 << 90, "text": "\ud800 ü", "none": None, "part": 0.1}}
    part = list(split(dataset.replace(meta=meta), 8))[number]
    form: Format = get_format(name)
    made = {"native": tmp_path / "out", "coco": tmp_path / "out.json"}[name]
    (tmp_path / "out").mkdir()
    writer: Any = form.part_writer(made, WriteOptions(final=made, part_size=8), tmp_path)
    said = writer.write(part, number)
    assert isinstance(writer.pack(said), bytes)
    assert writer.unpack(writer.pack(said)) == said
    for damaged in (b"", b"\x00", writer.pack(said)[:-1], writer.pack(said).replace(b"counts", b"cuonts") + b"x"):
        with pytest.raises(ValueError, match=r".") as caught:
            writer.unpack(damaged)
        assert not isinstance(caught.value, AssertionError)


SCRIPT = """
    import kpkit
    if __name__ == "__main__":
        kpkit.convert({source!r}, {target!r}, {input!r}, output={output!r}, resume=True, workers={workers}, **{more})
    """


@pytest.mark.faults
@pytest.mark.parametrize("case", [NATIVE, COCO], ids=["native", "coco"])
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_random_moments_and_resumed_it_gives_the_same_bytes(
    tmp_path: Path, resume: Resume, case: Case, workers: int
) -> None:
    labels(tmp_path / "in.json", persons=500, images=250)
    kpkit.convert("coco", "native", tmp_path / "in.json", output=tmp_path / "in.kpk", part_size=8)
    job = case.job(tmp_path, resume=True)
    chance = random.Random(f"{case.target} {workers}")
    for least in (0, chance.randrange(8, 20)):
        kill_at_work(job, least, workers, chance.random() * 0.02)
    (work,) = work_folders(job.output)  # type: ignore[arg-type]
    kept, parts = begun(work)[0], len(list((tmp_path / "in.kpk").rglob("*.images.parquet")))
    resumed = resume(job)
    assert len(set(resumed.made)) == len(resumed.made) == parts - kept < parts
    assert_equal_to_undisturbed(case, tmp_path, resumed)


def kill_at_work(job: ConvertJob, least: int, workers: int, after: float) -> None:
    """kill -9 of a run, so many seconds after it has put down more than `least` parts."""
    assert job.output is not None
    more = {"part_size": job.part_size}
    told = {"source": job.source, "target": job.target, "input": str(job.inputs[0]), "output": str(job.output)}
    script = textwrap.dedent(SCRIPT).format(**told, workers=workers, more=more)
    run = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(TOP)})
    until = time.monotonic() + 60
    while not any(begun(work)[0] > least for work in work_folders(job.output)) and time.monotonic() < until:
        time.sleep(0.002)
    time.sleep(after)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -9, "it was over too soon"
    assert not job.output.exists()


def test_sizes_of_kept_parts_are_those_of_numbers(tmp_path: Path) -> None:
    """Numbers of numpy in a dataset's own fields are put down as numbers."""
    dataset = kpkit.read(labels(tmp_path / "in.json"))
    part = next(split(dataset.replace(meta={"n": {"x": np.int64(3), "y": np.arange(2)}}), 8))
    writer = NativePartWriter(tmp_path / "out", tmp_path / "out", 8, "1")
    (tmp_path / "out").mkdir()
    assert writer.unpack(writer.pack(writer.write(part, 0))).head.meta == {"n": {"x": 3, "y": [0, 1]}}
