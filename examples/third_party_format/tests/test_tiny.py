"""The format keeps kpkit's contract."""

from kpkit.testing import FormatContract


class TestTiny(FormatContract):
    """All promises of a format."""

    format_name = "tiny"
    ordered = False
