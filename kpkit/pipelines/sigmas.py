"""OKS sigmas given by the user."""

from __future__ import annotations

from pathlib import Path

from kpkit.core.skeleton import Skeleton
from kpkit.errors import UsageError
from kpkit.resources import read_toml


def read_sigmas(text: str, skeleton: Skeleton) -> Skeleton:
    """The skeleton with sigmas from `text`: numbers with commas between, or a TOML file with one value a joint name.

    Raises UsageError where the number or the names do not fit.
    """
    if Path(text).suffix == ".toml":
        table = read_toml(Path(text))
        values = table.get("sigmas", table)
        missing = [name for name in skeleton.keypoints if not isinstance(values.get(name), int | float)]
        if missing:
            raise UsageError(
                "the file lacks a sigma for some joints",
                code="KP-SIGMAS",
                place=text,
                expected="a number for each of " + ", ".join(skeleton.keypoints),
                got="nothing for " + ", ".join(missing),
            )
        return skeleton.with_sigmas(
            [float(values[name]) for name in skeleton.keypoints], f"user file {Path(text).name}"
        )
    try:
        numbers = [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise UsageError("--sigmas is not a list of numbers", code="KP-SIGMAS", got=text[:80]) from None
    if len(numbers) != len(skeleton):
        raise UsageError(
            "the number of sigmas is not the number of joints",
            code="KP-SIGMAS",
            expected=f"{len(skeleton)} for {skeleton.name}",
            got=str(len(numbers)),
        )
    return skeleton.with_sigmas(numbers, "given with --sigmas")
