"""FiftyOne's App: served on a free port of this machine, until whoever looks is done."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from kpkit.errors import InputError, UsageError
from kpkit.qa.fiftyone_database import apart_from_stdout

ADDRESS, FIRST_PORT, TRIED = "127.0.0.1", 5151, 100
# Seconds in which the App must answer; it takes five to fifteen on two cores.
APP_STARTS = 90


def free_port(port: int | None, address: str) -> int:
    """The port if nobody uses it; None: the first free one from FiftyOne's usual one on.

    Raises UsageError where it is taken. FiftyOne itself would join whatever App is served there, with its own database.
    """
    candidates = range(FIRST_PORT, FIRST_PORT + TRIED) if port is None else [port]
    for one in candidates:
        with contextlib.closing(socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)) as probe:
            # As servers do: a port that a closed App has just left counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, one))
            except (OSError, OverflowError) as error:
                reason = error
            else:
                return one
    raise UsageError(
        "the App cannot be served there",
        code="KP-VIEW-PORT",
        place=f"{address}:{port if port is not None else FIRST_PORT}",
        got=str(reason),
        help="choose another port with --port, or another address with --address",
    )


@contextlib.contextmanager
def serve(fiftyone: Any, dataset: Any, *, port: int, address: str, remote: bool) -> Iterator[Any]:
    """The App, open in a browser unless `remote`; yields FiftyOne's session and closes it afterwards.

    Raises InputError where it does not answer in time.
    """
    box: list[Any] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            box.append(fiftyone.launch_app(dataset, port=port, address=address, remote=remote))
        except BaseException as error:
            failed.append(error)

    # FiftyOne prints to stdout, also from threads of its own; results alone belong there.
    with contextlib.redirect_stdout(sys.stderr):
        thread = threading.Thread(target=work, name="fiftyone-app", daemon=True)
        with apart_from_stdout():
            thread.start()
            thread.join(APP_STARTS)
        if not box:
            raise InputError(
                f"FiftyOne's App did not start within {APP_STARTS} s" if not failed else "FiftyOne's App did not start",
                code="KP-VIEW-APP",
                place=f"{address}:{port}",
                got=(str(failed[0]).strip().splitlines() or [type(failed[0]).__name__])[0][:200] if failed else "",
                help="try another port with --port; --no-launch only makes the dataset",
            ) from (failed[0] if failed else None)
        try:
            yield box[0]
        finally:
            box[0].close()


def wait(session: Any, *, remote: bool) -> None:
    """Until all browser windows are closed, or (`remote`) until interrupted."""
    with contextlib.suppress(KeyboardInterrupt):
        if remote:
            while True:
                time.sleep(3600)
        session.wait()


def url(address: str, port: int, name: str) -> str:
    """Where a browser finds the dataset."""
    from urllib.parse import quote

    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(address, f"[{address}]" if ":" in address else address)
    return f"http://{host}:{port}/datasets/{quote(name)}"
