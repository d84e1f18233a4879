"""Run one function in a child process with limits on memory and time: a hostile file cannot take kpkit down.

The child is this same Python, started without a shell. It sets its own limits (where the platform has them), calls the
function, and gives its result back as JSON and arrays (npy, never pickled). Whatever goes wrong in it, up to a native
crash, becomes a FormatError here.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from kpkit import errors
from kpkit.errors import FormatError, KpkitError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = dict[str, NDArray[np.generic]]

_LAST_WORDS = 400


@dataclass(frozen=True)
class Limits:
    """What a child may use.

    memory_bytes     address space; not enforced on platforms without `resource`
    cpu_seconds      processor time; not enforced on platforms without `resource`
    timeout_seconds  time on the wall
    """

    memory_bytes: int = 6 << 30
    cpu_seconds: int = 900
    timeout_seconds: float = 1800.0


def limited_call(
    function: str, arguments: Mapping[str, Any], *, place: str, limits: Limits | None = None
) -> tuple[Arrays, Any]:
    """Call `function` ("package.module:name") with JSON-able keyword arguments in a limited child process.

    The function returns (arrays, value): a dict of numpy arrays without objects, and anything JSON can say. `place` is
    the file it reads, for errors. Errors of kpkit raised in the child are raised here as they are; running out of
    memory or time, a native crash, and any other exception become a FormatError.
    """
    limits = limits or Limits()
    request = json.dumps({"function": function, "arguments": dict(arguments), "limits": asdict(limits)})
    command = [sys.executable, "-m", "kpkit.child"]
    try:
        done = subprocess.run(
            command,
            input=request.encode(),
            capture_output=True,
            timeout=limits.timeout_seconds,
            env=_environment(),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _too_long(place, f"{limits.timeout_seconds:g} seconds") from error
    if done.returncode != 0 or not done.stdout:
        raise _death(done.returncode, done.stderr, place, limits)
    return _unpack(done.stdout, place, limits)


def _environment() -> dict[str, str]:
    """The parent's environment, with this very kpkit first on the path and no thread pools that claim address space."""
    root = str(Path(__file__).resolve().parent.parent)
    path = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([root, path] if path else [root]),
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }


def _unpack(payload: bytes, place: str, limits: Limits) -> tuple[Arrays, Any]:
    import numpy as np

    stream = io.BytesIO(payload)
    answer = json.loads(np.load(stream, allow_pickle=False).tobytes())
    failure = answer.get("error")
    if failure is None:
        return {name: np.load(stream, allow_pickle=False) for name in answer["arrays"]}, answer["value"]
    kind = getattr(errors, failure.pop("class"), None)
    if isinstance(kind, type) and issubclass(kind, KpkitError):
        raise kind(failure.pop("message"), **failure)
    if failure["exception"].startswith("MemoryError"):
        raise _too_big(place, limits)
    raise FormatError(
        "the file cannot be decoded",
        code="KP-CHILD-EXCEPTION",
        place=place,
        got=failure["exception"],
        help="the file is probably damaged; download or export it again",
    )


def _death(code: int, stderr: bytes, place: str, limits: Limits) -> FormatError:
    words = stderr.decode("utf-8", "replace").strip()
    if "MemoryError" in words or code == -getattr(signal, "SIGKILL", 9):
        return _too_big(place, limits)
    if code == -getattr(signal, "SIGXCPU", 24):
        return _too_long(place, f"{limits.cpu_seconds} seconds of processor time")
    name = f"exit code {code}"
    if code < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-code).name
    last = words.splitlines()[-1][:_LAST_WORDS] if words else ""
    return FormatError(
        "reading this file crashed the process that read it",
        code="KP-CHILD-CRASH",
        place=place,
        got=f"{name}: {last}" if last else name,
        help="the file is damaged or hostile; download or export it again",
    )


def _too_big(place: str, limits: Limits) -> FormatError:
    return FormatError(
        "reading this file takes more memory than is allowed",
        code="KP-CHILD-MEMORY",
        place=place,
        expected=f"at most {limits.memory_bytes / (1 << 20):.0f} MiB",
        help="the file is damaged or hostile; or split it into smaller ones",
    )


def _too_long(place: str, allowed: str) -> FormatError:
    return FormatError(
        "reading this file takes too long",
        code="KP-CHILD-TIME",
        place=place,
        expected=f"at most {allowed}",
        help="the file is damaged or hostile; or split it into smaller ones",
    )


def _main() -> None:
    """The child: request as JSON on stdin, answer on what was stdout; anything printed goes to stderr."""
    with os.fdopen(os.dup(1), "wb") as answer:
        os.dup2(2, 1)
        # The process ends with its one call: collecting cycles would only cost time.
        gc.disable()
        request = json.loads(sys.stdin.buffer.read())
        _limit(request["limits"])
        arrays: Arrays = {}
        try:
            module, _, name = request["function"].partition(":")
            arrays, value = getattr(importlib.import_module(module), name)(**request["arguments"])
            if any(array.dtype.hasobject for array in arrays.values()):
                raise TypeError("arrays of Python objects would have to be pickled")
            reply: dict[str, Any] = {"value": value, "arrays": list(arrays)}
        except KpkitError as error:
            reply = {"error": {"class": type(error).__name__, **error.as_dict()}}
        except Exception as error:  # the parent must hear of it, whatever it is
            reply = {"error": {"class": "", "exception": f"{type(error).__name__}: {error}"[:_LAST_WORDS]}}
        _send(answer, arrays, reply)


def _send(stream: BinaryIO, arrays: Arrays, reply: dict[str, Any]) -> None:
    import numpy as np

    text = np.frombuffer(json.dumps(reply).encode(), np.uint8)
    for array in (text, *(arrays[name] for name in reply.get("arrays", ()))):
        # By way of memory: numpy writes to real files through their position, and a pipe has none.
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        stream.write(buffer.getbuffer())


def _limit(limits: Mapping[str, Any]) -> None:
    try:
        import resource
    except ImportError:  # Windows: the parent's time-out is what remains
        return
    wanted = {
        resource.RLIMIT_AS: int(limits["memory_bytes"]),
        resource.RLIMIT_CPU: int(limits["cpu_seconds"]),
        resource.RLIMIT_CORE: 0,
    }
    for kind, value in wanted.items():
        _, hard = resource.getrlimit(kind)
        # A stricter limit that is set already stays; some systems refuse RLIMIT_AS altogether.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


if __name__ == "__main__":
    _main()
