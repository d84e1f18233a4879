"""A dataset in FiftyOne's App: served, waited for, kept where it was edited."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kpkit.qa import fiftyone_app, fiftyone_database, fiftyone_dataset
from kpkit.qa.fiftyone_fields import ADDED
from kpkit.qa.fiftyone_pull import is_edited, pull


@dataclass(frozen=True, kw_only=True)
class AppJob:
    """Where the App is served.

    port     None: the first free one from 5151 on      remote  no browser is opened here
    address  one of this machine's; 127.0.0.1 cannot be reached from elsewhere
    """

    port: int | None = None
    address: str = fiftyone_app.ADDRESS
    remote: bool = False


@contextlib.contextmanager
def open_app(name: str, job: AppJob) -> Iterator[OpenApp]:
    """Serve a dataset in FiftyOne's App.

    Raises UsageError where the port is taken, InputError where the App does not start.
    """
    fiftyone = fiftyone_database.load()
    port = fiftyone_app.free_port(job.port, job.address)
    dataset = fiftyone.load_dataset(name)
    with fiftyone_app.serve(fiftyone, dataset, port=port, address=job.address, remote=job.remote) as session:
        yield OpenApp(name, fiftyone_app.url(job.address, port, name), port, session, job.remote)


@dataclass(frozen=True)
class OpenApp:
    """A dataset in FiftyOne's App: its name, where a browser finds it, and FiftyOne's session."""

    name: str
    url: str
    port: int
    session: Any
    remote: bool

    def wait(self) -> None:
        """Until all browser windows are closed, or, where none was opened here, until interrupted."""
        fiftyone_app.wait(self.session, remote=self.remote)


def keep_if_edited(name: str) -> bool:
    """Keep a dataset beyond the end of this program if anything was edited in it; whether that is so.

    FiftyOne deletes what is not persistent, and with it an afternoon's work.
    """
    fiftyone = fiftyone_database.load()
    if not fiftyone.dataset_exists(name):
        return False
    dataset = fiftyone_dataset.load_ours(fiftyone, name)
    dataset.reload()
    info = dataset.info[ADDED]
    found = pull(dataset, int(info["joints"]))
    if not dataset.persistent and is_edited(found, int(info["stored"])):
        dataset.persistent = True
        return True
    return False


def delete(name: str) -> None:
    """Delete a dataset that kpkit made from FiftyOne; the labels and pictures stay where they are.

    Raises UsageError where there is none, or another program made it.
    """
    fiftyone_dataset.load_ours(fiftyone_database.load(), name).delete()
