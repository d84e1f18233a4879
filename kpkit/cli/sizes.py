"""Sizes on the command line: HEIGHTxWIDTH, as papers write them."""

from __future__ import annotations

import re

from kpkit.errors import UsageError


def parse_size(text: str, option: str) -> tuple[int, int]:
    """Height and width from "480x640"; UsageError, with the option's name, for anything else."""
    match = re.fullmatch(r"\s*(\d+)\s*[xX×]\s*(\d+)\s*", text)
    height, width = (int(match.group(1)), int(match.group(2))) if match else (0, 0)
    if not (height and width):
        raise UsageError(
            f"{option} is no size",
            expected="HEIGHTxWIDTH in pixels",
            got=text,
            help=f"e.g. {option} 480x640",
        )
    return height, width
