"""`kpkit view` for real: the command as a process, FiftyOne's App, a browser, and what is painted in it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kpkit.pipelines.demo import DemoJob
from kpkit.pipelines.demo import run as make_demo
from tests import fiftyone_browser as fb
from tests import fiftyone_server
from tests.fiftyone_labels import dataset_of, show

TOP = Path(__file__).resolve().parents[2]
pytestmark = [
    # FiftyOne's and its dependencies' own; nothing of ours.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class App:
    """`kpkit view --remote` on a drawn dataset, as a process of its own."""

    def __init__(self, folder: Path, uri: str) -> None:
        make_demo(DemoJob(folder=folder / "demo", scenes=6))
        self.folder, self.uri = folder, uri
        self.start()

    def start(self) -> None:
        """Start it, and wait until it says where the App is."""
        command = [sys.executable, "-m", "kpkit", "view", "demo/coco", "--name", "drawn", "--force", "--remote"]
        # Other tests start Apps at the same time.
        command += ["--port", str(fiftyone_server.free_port())]
        settings = {**os.environ, "PYTHONPATH": str(TOP), "FIFTYONE_DATABASE_URI": self.uri}
        self.said = ""
        self.process = subprocess.Popen(
            command, cwd=self.folder, env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if found := re.search(r"App (http://127\.0\.0\.1:(\d+)/datasets/)drawn", line):
                self.root = found[1]
            if "Ctrl-C ends it" in line:
                return
        pytest.fail(f"the App did not start:\n{self.said}")

    def stop(self) -> str:
        """Interrupt it; what it said last."""
        self.process.send_signal(signal.SIGINT)
        rest, _ = self.process.communicate(timeout=60)
        return rest


@pytest.fixture(scope="module")
def first_app(fiftyone_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    fiftyone_server.chromium()
    running = App(tmp_path_factory.mktemp("app"), fiftyone_uri)
    yield running
    if running.process.poll() is None:
        running.process.kill()
        running.process.wait()
        if running.process.stdout is not None:
            running.process.stdout.close()


@pytest.fixture
def app(first_app: App) -> App:
    """The running App; started again where a test has stopped it."""
    if first_app.process.poll() is not None:
        first_app.start()
    return first_app


@pytest.fixture(scope="module")
def context(first_app: App) -> Iterator[Any]:
    with fb.browser() as found:
        yield found


def check_drawn_and_filtered(context: Any, url: str) -> None:
    """Skeletons are drawn, occluded joints in their own colour; the filter leaves the joints of one word."""
    page = fb.open_dataset(context, url)
    both = fb.screenshot(page)
    assert fb.painted(both, fb.GREEN) > 1000
    assert fb.painted(both, fb.ORANGE) > 100
    fb.toggle(page, "occluded", "persons")
    every = fb.painted(fb.screenshot(page), fb.GREEN)
    fb.keep_only(page, "occluded")
    hidden = fb.painted(fb.screenshot(page), fb.GREEN)
    page.close()
    # Where the others were, and the limbs between them, the pictures themselves are seen.
    assert 20 < hidden < every / 3


def test_skeletons_are_drawn_and_a_filter_by_visibility_changes_what_is_shown(app, context):
    check_drawn_and_filtered(context, f"{app.root}drawn")


def test_real_labels_are_drawn_and_filtered(app, context, real_data):
    labels = real_data / "data" / "coco" / "mmpose_test_coco.json"
    show(labels, "real", images=real_data / "data" / "images" / "coco")
    check_drawn_and_filtered(context, f"{app.root}real")


def test_a_picture_opened_large_shows_its_skeleton(app, context):
    page = fb.open_dataset(context, f"{app.root}drawn")
    small = fb.painted(fb.screenshot(page), fb.GREEN)
    fb.open_picture(page, 1)
    assert fb.painted(fb.screenshot(page), fb.GREEN) > 300
    assert small > 1000
    page.close()


def test_what_was_edited_is_kept_when_the_app_ends(app):
    dataset = dataset_of("drawn")
    assert not dataset.persistent
    sample = dataset.first()
    sample.tags.append("look again")
    sample.save()
    said = app.stop()
    assert app.process.returncode == 0, said
    assert "'drawn' is kept: kpkit view --pull drawn -o OUT" in said
    dataset.reload()
    assert dataset.persistent


def test_the_app_is_served_to_this_machine_alone(app):
    assert app.root.startswith("http://127.0.0.1:")
    assert "ssh -N -L" in app.said
