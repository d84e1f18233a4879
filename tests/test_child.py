"""Functions that run in a limited child process, well and badly."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kpkit.child import Limits, limited_call
from kpkit.errors import FormatError, RecordError

HAS_LIMITS = importlib.util.find_spec("resource") is not None

CODE = """
import ctypes, os, time
import numpy as np
from kpkit.errors import RecordError

def double(numbers):
    return {"doubled": np.array(numbers) * 2, "empty": np.empty((0, 3), np.float32)}, {"count": len(numbers)}

def talk():
    print("a library that prints", flush=True)
    os.write(1, b"and one that writes to the descriptor")
    return {}, "answer"

def refuse():
    raise RecordError("wrong point", code="KP-X", place="f: a[1]", expected="1", got="2", help="mend it")

def stumble():
    raise IndexError("list index out of range")

def die():
    ctypes.string_at(0)

def leave():
    os._exit(3)

def hoard():
    return {"big": np.ones((1 << 33,), np.uint8)}, None

def spin():
    while True:
        pass

def sleep():
    time.sleep(60)

def hand_over_objects():
    return {"objects": np.array([object()])}, None
"""


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call a function of CODE in a child."""
    (tmp_path / "in_the_child.py").write_text(CODE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def run(name: str, limits: Limits | None = None, **arguments: Any) -> Any:
        return limited_call(f"in_the_child:{name}", arguments, place="file.mat", limits=limits)

    return run


def test_arrays_and_values_come_back(call: Any) -> None:
    arrays, value = call("double", numbers=[1, 2, 3])
    assert arrays["doubled"].tolist() == [2, 4, 6]
    assert arrays["empty"].shape == (0, 3)
    assert arrays["empty"].dtype == np.float32
    assert value == {"count": 3}


def test_what_the_child_prints_does_not_disturb_its_answer(call: Any) -> None:
    assert call("talk") == ({}, "answer")


def test_an_error_of_kpkit_arrives_with_all_its_fields(call: Any) -> None:
    with pytest.raises(RecordError) as caught:
        call("refuse")
    fields = {
        "code": "KP-X",
        "message": "wrong point",
        "place": "f: a[1]",
        "expected": "1",
        "got": "2",
        "help": "mend it",
    }
    assert caught.value.as_dict() == fields


def test_any_other_exception_is_a_format_error_that_names_file_and_exception(call: Any) -> None:
    with pytest.raises(FormatError) as caught:
        call("stumble")
    assert caught.value.place == "file.mat"
    assert caught.value.got == "IndexError: list index out of range"


def test_a_native_crash_is_a_format_error(call: Any) -> None:
    with pytest.raises(FormatError) as caught:
        call("die")
    assert caught.value.code == "KP-CHILD-CRASH"
    assert caught.value.place == "file.mat"


def test_a_child_that_leaves_without_an_answer_is_a_format_error(call: Any) -> None:
    with pytest.raises(FormatError, match="exit code 3"):
        call("leave")


@pytest.mark.skipif(not HAS_LIMITS, reason="this platform cannot limit memory")
def test_too_much_memory_is_a_format_error_that_says_so(call: Any) -> None:
    with pytest.raises(FormatError) as caught:
        call("hoard", Limits(memory_bytes=1 << 30))
    assert caught.value.code == "KP-CHILD-MEMORY"
    assert caught.value.expected == "at most 1024 MiB"


@pytest.mark.skipif(not HAS_LIMITS, reason="this platform cannot limit processor time")
def test_too_much_processor_time_is_a_format_error_that_says_so(call: Any) -> None:
    with pytest.raises(FormatError) as caught:
        call("spin", Limits(cpu_seconds=1))
    assert caught.value.code == "KP-CHILD-TIME"


def test_a_child_that_hangs_is_ended(call: Any) -> None:
    with pytest.raises(FormatError) as caught:
        call("sleep", Limits(timeout_seconds=1.0))
    assert caught.value.code == "KP-CHILD-TIME"


def test_objects_are_refused_because_nothing_is_pickled(call: Any) -> None:
    with pytest.raises(FormatError, match="pickled"):
        call("hand_over_objects")
