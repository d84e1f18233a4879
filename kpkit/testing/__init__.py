"""A public suite that proves that a format keeps its promises; built-in formats and third parties run the same one.

    from kpkit.testing import FormatContract

    class TestMyFormat(FormatContract):
        format_name = "myformat"

`datasets` makes canonical datasets for Hypothesis, `restrict` says what of one a format promises to hold, and
`assert_equal` compares two of them with a readable list of differences. Needs pytest and Hypothesis.
"""

from __future__ import annotations

from kpkit.errors import MissingExtraError

try:
    import hypothesis  # noqa: F401 - only to say early, and once, what is missing
    import pytest
except ImportError as error:
    raise MissingExtraError(
        f"kpkit.testing needs {error.name}, which is not installed",
        code="KP-EXTRA-TESTING",
        expected="pytest and hypothesis",
        help="pip install pytest hypothesis",
    ) from error

pytest.register_assert_rewrite("kpkit.testing.contract", "kpkit.testing.faults", "kpkit.testing.parts")

from kpkit.testing.compare import assert_equal, differences  # noqa: E402 - assertions are rewritten from here on
from kpkit.testing.contract import FormatContract  # noqa: E402 - the same
from kpkit.testing.restrict import EVERYTHING, lost, restrict  # noqa: E402 - the same
from kpkit.testing.strategies import datasets  # noqa: E402 - the same

__all__ = ["EVERYTHING", "FormatContract", "assert_equal", "datasets", "differences", "lost", "restrict"]
