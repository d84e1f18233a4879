"""The table that `convert.py` prints, and the lines above it that say on what machine it was made."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from measure import Run, Spread, ratios

OURS = ("kpkit", "numpy", "msgspec", "typer")
PEERS = ("datumaro", "fiftyone", "hotcoco", "numpy", "scipy")
HEADER = ("What", "ours", "peer", "times faster (wall)", "times faster (CPU)", "at least", "")


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    cells: tuple[str, ...]


def compared(what: str, ours: Sequence[Run], peer: Sequence[Run], least: float) -> Row:
    """Two programs against each other; `least` is how many times faster ours has to be."""
    wall, cpu = ratios(ours, peer)
    said = _said(wall.middle >= least)
    if wall.middle < least <= cpu.middle:
        said = "met in CPU time only"
    return Row((what, _seconds(ours), _seconds(peer), _times(wall), _times(cpu), f"{least:g}x", said))


def memory(what: str, ours: Sequence[Run], most: float) -> Row:
    """Peak memory against a limit in MB."""
    peak = Spread.of([one.peak / 1e6 for one in ours])
    text = f"{peak.middle:.0f} MB peak, {_seconds(ours)}"
    return Row((what, text, "", "", "", f"at most {most:g} MB", _said(peak.greatest <= most)))


def difference(what: str, ours: Sequence[Run], peer: Sequence[Run], most: float) -> Row:
    """Seconds that ours takes more than the peer, against a limit."""
    pairs = list(zip(ours, peer, strict=True))
    wall, cpu = (Spread.of([a.wall - b.wall for a, b in pairs]), Spread.of([a.cpu - b.cpu for a, b in pairs]))
    texts = [f"{more.middle:+.3f} s ({more.least:+.3f} to {more.greatest:+.3f})" for more in (wall, cpu)]
    limit = f"at most {most:+.1f} s"
    return Row((what, _seconds(ours), _seconds(peer), *texts, limit, _said(wall.middle <= most)))


def missing(what: str, peer: str) -> Row:
    """A comparison that was not made."""
    return Row((what, "", f"{peer}: not installed", "", "", "", ""))


def failed(what: str) -> Row:
    """A row whose programs ended with an error."""
    return Row((what, "", "", "", "", "", "failed"))


def render(rows: Sequence[Row]) -> str:
    """The table in Markdown."""
    lines = [HEADER, tuple("-" * len(name) for name in HEADER), *(row.cells for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADER))]
    lines[1] = tuple("-" * width for width in widths)
    return "\n".join("| " + " | ".join(_padded(line, widths)) + " |" for line in lines)


def machine(peer_python: str) -> list[str]:
    """Processor, load, interpreters and versions."""
    peers = "import sys\nfrom importlib.metadata import distributions\nprint(sys.version.split()[0])\n" + (
        f"print(*sorted(d.name.lower()+' '+d.version for d in distributions() if d.name.lower() in {PEERS}), sep=', ')"
    )
    try:
        out = subprocess.run([peer_python, "-c", peers], capture_output=True, text=True, check=True).stdout.split("\n")
    except (OSError, subprocess.CalledProcessError):
        out = ["none", ""]
    return [
        f"processor: {_processor()}, {os.cpu_count()} cores; {platform.system()} {platform.release()}",
        f"ours: Python {platform.python_version()}, " + ", ".join(f"{name} {_version(name)}" for name in OURS),
        f"peers: Python {out[0]}, {out[1] or 'none of them installed'}",
    ]


def load() -> str:
    """Processes that wanted to run, on average over the last minute."""
    return f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown"


def _padded(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [text.ljust(width) for text, width in zip(line, widths, strict=True)]


def _seconds(runs: Sequence[Run]) -> str:
    wall, cpu = Spread.of([one.wall for one in runs]), Spread.of([one.cpu for one in runs])
    return f"{wall.middle:.2f} s ({cpu.middle:.2f} CPU)"


def _times(ratio: Spread) -> str:
    return f"{ratio.middle:.1f}x ({ratio.least:.1f} to {ratio.greatest:.1f})"


def _said(met: bool) -> str:
    return "met" if met else "NOT MET"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or sys.platform
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
