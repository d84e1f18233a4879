"""Outputs appear whole or not at all, and paths stay where they belong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kpkit.errors import InputError, OutputError, RecordError
from kpkit.guard import TEMP_PREFIX, contained, orphans, publish, read_bytes, resolve_inside
from tests.coco_files import document, person, save

TOP = Path(__file__).resolve().parents[1]


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def fail(output: Path, error: BaseException | None, *, meanwhile: Path | None = None, **options: bool) -> None:
    """Writes half an output while others write theirs, and raises `error`."""
    with publish(output, **options) as temporary:
        (temporary / "part" if options.get("directory") else temporary).write_text("half")
        if meanwhile is not None:
            meanwhile.write_text("of others")
        if error is not None:
            raise error


class TestPublish:
    def test_a_file_appears_when_the_block_ends(self, tmp_path):
        with publish(tmp_path / "out.json") as temporary:
            temporary.write_text("whole")
            assert not (tmp_path / "out.json").exists()
        assert tree(tmp_path) == ["out.json"]
        assert (tmp_path / "out.json").read_text() == "whole"

    def test_a_folder_appears_when_the_block_ends(self, tmp_path):
        with publish(tmp_path / "out", directory=True) as temporary:
            (temporary / "a").mkdir()
            (temporary / "a" / "b").write_text("whole")
            assert not (tmp_path / "out").exists()
        assert tree(tmp_path) == ["out", "out/a", "out/a/b"]

    def test_missing_parents_are_made(self, tmp_path):
        with publish(tmp_path / "a" / "b" / "out.json") as temporary:
            temporary.write_text("whole")
        assert tree(tmp_path) == ["a", "a/b", "a/b/out.json"]

    @pytest.mark.parametrize("failure", [RuntimeError, OutputError, KeyboardInterrupt, OSError(28, "full")])
    @pytest.mark.parametrize("directory", [False, True])
    def test_a_failure_inside_leaves_nothing_not_even_the_parents(self, tmp_path, failure, directory):
        (tmp_path / "a").mkdir()
        error = failure("stop") if isinstance(failure, type) else failure
        with pytest.raises((type(error), OutputError)):
            fail(tmp_path / "a" / "b" / "c" / "out", error, directory=directory)
        assert tree(tmp_path) == ["a"]

    def test_parents_that_others_use_meanwhile_stay(self, tmp_path):
        with pytest.raises(RuntimeError):
            fail(tmp_path / "a" / "out", RuntimeError(), meanwhile=tmp_path / "a" / "other")
        assert tree(tmp_path) == ["a", "a/other"]

    def test_a_failure_under_force_leaves_the_old_output(self, tmp_path):
        (tmp_path / "out").write_text("old")
        with pytest.raises(RuntimeError):
            fail(tmp_path / "out", RuntimeError(), force=True)
        assert tree(tmp_path) == ["out"]
        assert (tmp_path / "out").read_text() == "old"

    @pytest.mark.parametrize("directory", [False, True])
    @pytest.mark.parametrize("kind", ["file", "folder", "link", "dangling link"])
    def test_what_exists_is_not_replaced_without_force(self, tmp_path, kind, directory):
        output = tmp_path / "out"
        if kind == "file":
            output.write_text("old")
        elif kind == "folder":
            output.mkdir()
        else:
            (tmp_path / "there").write_text("old")
            output.symlink_to("there" if kind == "link" else "nowhere")
        before = tree(tmp_path)
        with (
            pytest.raises(OutputError, match="exists already") as caught,
            publish(output, directory=directory),
        ):
            pytest.fail("the block was entered")
        assert caught.value.code == "KP-OUTPUT-EXISTS"
        assert "--force" in caught.value.help
        assert tree(tmp_path) == before

    @pytest.mark.parametrize("directory", [False, True])
    def test_what_appears_during_the_work_is_not_replaced_either(self, tmp_path, directory):
        output = tmp_path / "out"
        with pytest.raises(OutputError) as caught:
            fail(output, None, meanwhile=output, directory=directory)
        assert caught.value.code == "KP-OUTPUT-EXISTS"
        assert tree(tmp_path) == ["out"]
        assert output.read_text() == "of others"

    def test_force_replaces_a_file(self, tmp_path):
        (tmp_path / "out").write_text("old")
        with publish(tmp_path / "out", force=True) as temporary:
            temporary.write_text("new")
        assert tree(tmp_path) == ["out"]
        assert (tmp_path / "out").read_text() == "new"

    def test_force_replaces_a_folder_with_all_that_was_in_it(self, tmp_path):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "old").write_text("old")
        with publish(tmp_path / "out", force=True, directory=True) as temporary:
            (temporary / "new").write_text("new")
        assert tree(tmp_path) == ["out", "out/new"]

    def test_force_replaces_a_link_and_not_what_it_points_to(self, tmp_path):
        (tmp_path / "there").write_text("old")
        (tmp_path / "out").symlink_to("there")
        with publish(tmp_path / "out", force=True) as temporary:
            temporary.write_text("new")
        assert (tmp_path / "there").read_text() == "old"
        assert not (tmp_path / "out").is_symlink()

    def test_force_replaces_a_file_by_a_folder(self, tmp_path):
        (tmp_path / "out").write_text("old")
        with publish(tmp_path / "out", force=True, directory=True) as temporary:
            (temporary / "new").write_text("new")
        assert tree(tmp_path) == ["out", "out/new"]

    def test_force_never_replaces_a_folder_by_a_file(self, tmp_path):
        (tmp_path / "data.json").mkdir()
        (tmp_path / "data.json" / "precious").write_text("old")
        with pytest.raises(OutputError) as caught, publish(tmp_path / "data.json", force=True):
            pytest.fail("the block was entered")
        assert caught.value.code == "KP-OUTPUT-FOLDER"
        assert tree(tmp_path) == ["data.json", "data.json/precious"]

    def test_a_reader_never_sees_a_part_of_a_folder(self, tmp_path):
        outputs = [tmp_path / f"out-{number}" for number in range(20)]
        seen: set[int] = set()

        def look() -> None:
            for output in outputs:
                while not output.exists():
                    pass
                seen.add(len(list(output.iterdir())))

        watcher = threading.Thread(target=look, daemon=True)
        watcher.start()
        for output in outputs:
            with publish(output, directory=True) as temporary:
                for number in range(20):
                    (temporary / str(number)).write_text("x")
        watcher.join(timeout=30)
        assert seen == {20}

    def test_a_parent_that_is_a_file_is_refused(self, tmp_path):
        (tmp_path / "a").write_text("a file")
        with pytest.raises(OutputError) as caught, publish(tmp_path / "a" / "out.json"):
            pytest.fail("the block was entered")
        assert caught.value.code == "KP-OUTPUT-WRITE"
        assert tree(tmp_path) == ["a"]

    def test_messages_name_the_output_and_not_the_temporary_file(self, tmp_path):
        with pytest.raises(OutputError) as caught, publish(tmp_path / "out", directory=True) as temporary:
            (temporary / "no" / "such").write_text("x")
        assert caught.value.place == str(tmp_path / "out" / "no" / "such")

    @pytest.mark.faults
    def test_what_a_killed_run_left_is_found(self, tmp_path):
        output = tmp_path / "out [1].json"
        script = f"""
            import os, signal
            from pathlib import Path
            from kpkit.guard import publish
            with publish(Path({str(output)!r})) as temporary:
                temporary.write_text("half")
                os.kill(os.getpid(), signal.SIGKILL)
            """
        done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], cwd=TOP, check=False, timeout=60)
        assert done.returncode == -9
        assert not output.exists()
        left = orphans(output)
        assert [path.read_text() for path in left] == ["half"]
        assert left[0].name.startswith(TEMP_PREFIX)

    def test_nothing_is_left_where_there_is_no_folder(self, tmp_path):
        assert orphans(tmp_path / "no" / "out") == []


class TestContained:
    @pytest.mark.parametrize(
        "name", ["a.jpg", "a/b.jpg", "./a.jpg", "a/../b.jpg", "a..b.jpg", "..a/b", "a b/ü.jpg", ""]
    )
    def test_names_that_stay_inside_are_kept(self, name):
        assert contained(name, place="x") == name

    def test_backslashes_become_slashes(self):
        assert contained("train\\a.jpg", place="x") == "train/a.jpg"

    @pytest.mark.parametrize(
        "name",
        [
            "../a.jpg",
            "..",
            "a/../../b.jpg",
            "a/b/../../../c",
            "/a.jpg",
            "//server/a.jpg",
            "\\a.jpg",
            "\\\\server\\share\\a.jpg",
            "..\\a.jpg",
            "C:\\a.jpg",
            "c:a.jpg",
            "a\0b.jpg",
            "../x/../../x",
        ],
    )
    def test_names_that_lead_out_are_refused_with_place_and_name(self, name):
        with pytest.raises(RecordError) as caught:
            contained(name, place="labels.json: images[3].file_name")
        assert caught.value.code == "KP-PATH-OUTSIDE"
        assert caught.value.place == "labels.json: images[3].file_name"
        assert caught.value.got == repr(name)


class TestResolveInside:
    def test_a_file_below_the_root_is_given_back(self, tmp_path):
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "x.jpg").write_text("x")
        assert resolve_inside(tmp_path, "a/x.jpg", place="p") == tmp_path / "a" / "x.jpg"

    def test_a_link_that_stays_inside_is_followed(self, tmp_path):
        (tmp_path / "real.jpg").write_text("x")
        (tmp_path / "x.jpg").symlink_to("real.jpg")
        assert resolve_inside(tmp_path, "x.jpg", place="p").read_text() == "x"

    @pytest.mark.parametrize("kind", ["file", "folder"])
    def test_a_link_that_leads_out_is_refused(self, tmp_path, kind):
        root, outside = tmp_path / "root", tmp_path / "outside"
        root.mkdir()
        outside.mkdir()
        (outside / "x.jpg").write_text("secret")
        (root / "x.jpg").symlink_to(outside / "x.jpg")
        (root / "folder").symlink_to(outside)
        with pytest.raises(RecordError, match="outside the dataset") as caught:
            resolve_inside(root, "x.jpg" if kind == "file" else "folder/x.jpg", place="image x.jpg")
        assert caught.value.place == "image x.jpg"

    def test_a_root_that_is_a_link_itself_is_fine(self, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "real" / "x.jpg").write_text("x")
        (tmp_path / "root").symlink_to("real")
        assert resolve_inside(tmp_path / "root", "x.jpg", place="p").read_text() == "x"


class TestReading:
    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(InputError) as caught:
            read_bytes(tmp_path / "no.json")
        assert caught.value.place == str(tmp_path / "no.json")
        assert "no such file" in caught.value.message

    def test_a_folder_is_not_a_file(self, tmp_path):
        with pytest.raises(InputError, match="this is a folder"):
            read_bytes(tmp_path)

    def test_a_file_as_parent_is_said(self, tmp_path):
        (tmp_path / "a").write_text("x")
        with pytest.raises(InputError, match="is a file, not a folder"):
            read_bytes(tmp_path / "a" / "b.json")


# What the machine refuses is tried in a process of its own, which gives up rights or takes on limits first.
CONVERT = """
import contextlib, io, os, resource, signal, sys
import rich.text
from kpkit.cli.main import main
arguments = ["convert", "coco", "coco", "labels.json", "-o", {output!r}, "--json", *{options!r}]
with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())):
    main([*arguments, "--dry-run"])  # loads all modules while that is allowed
{before}
sys.exit(main(arguments))
"""
AS_NOBODY = "os.geteuid() or (os.setgroups([]), os.setgid(65534), os.setuid(65534))"


def convert_under(before: str, folder: Path, output: str = "out.json", *options: str) -> tuple[int, dict[str, str]]:
    """Exit code and error of a conversion of ./labels.json in a process that does `before` first."""
    done = subprocess.run(
        [sys.executable, "-c", CONVERT.format(before=before, output=output, options=options)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(TOP)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)["error"]


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """A folder that anybody may enter, with labels of some 200 kB."""
    tmp_path.chmod(0o755)
    return save(tmp_path / "labels.json", document([person(id=id) for id in range(500)]))


@pytest.mark.faults
class TestMachine:
    def test_a_file_that_may_not_be_read_is_refused(self, labels):
        labels.chmod(0)
        labels.parent.chmod(0o777)
        code, error = convert_under(AS_NOBODY, labels.parent, "out/out.json")
        assert (code, error["code"], error["place"]) == (2, "KP-INPUT-READ", "labels.json")
        assert "no permission to read" in error["message"]
        assert tree(labels.parent) == ["labels.json"]

    @pytest.mark.parametrize("output", ["out.json", "a/b/out.json"])
    def test_a_folder_that_may_not_be_written_to_is_refused(self, labels, output):
        labels.chmod(0o444)
        labels.parent.chmod(0o555)
        code, error = convert_under(AS_NOBODY, labels.parent, output)
        assert (code, error["code"]) == (2, "KP-OUTPUT-WRITE")
        assert "no permission to write" in error["message"]
        assert TEMP_PREFIX not in error["place"]
        assert tree(labels.parent) == ["labels.json"]

    @pytest.mark.parametrize("output", ["out.json", "out"])
    @pytest.mark.parametrize("low_memory", [(), ("--low-memory",)])
    def test_a_file_larger_than_allowed_leaves_nothing(self, labels, output, low_memory):
        limit = "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (9999, 9999))"
        code, error = convert_under(limit, labels.parent, output, *low_memory)
        assert (code, error["code"]) == (2, "KP-OUTPUT-WRITE")
        assert "larger than allowed" in error["message"]
        assert error["place"].startswith(output)
        assert tree(labels.parent) == ["labels.json"]

    def test_a_full_disk_leaves_nothing(self, labels, small_disk):
        code, error = convert_under("", labels.parent, str(small_disk / "made" / "out.json"))
        assert (code, error["code"]) == (2, "KP-OUTPUT-WRITE")
        assert "the disk is full" in error["message"]
        assert tree(small_disk) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB; only root can have one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)
