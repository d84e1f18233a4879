"""Fuzz every reader and print what became of the inputs.

    python -m tests.fuzz --inputs 20000 [--reader NAME] [--seed N] [--keep FOLDER]

Exit code 1 where an input brought anything but a dataset or a KpkitError; `--keep` puts such inputs into a folder.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path

from kpkit.testing.case import scratch
from tests.fuzz.engine import Outcome, run
from tests.fuzz.readers import READERS
from tests.fuzz.shards import stop_server

CODES_SHOWN = 6


def main() -> int:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=20_000, help="inputs a reader; slow readers get a share of it")
    parser.add_argument("--reader", action="append", help="only readers whose name begins so")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    warnings.simplefilter("error")
    failed = 0
    for reader in READERS:
        if given.reader and not reader.name.startswith(tuple(given.reader)):
            continue
        started = time.monotonic()
        with scratch() as folder:
            inputs = max(1, round(given.inputs * reader.rate))
            outcome = run(reader, inputs, folder, given.seed, conversions=20)
        failed += len(outcome.crashes)
        show(reader.name, outcome, time.monotonic() - started)
        if given.keep and outcome.crashes:
            keep(given.keep, reader.name, outcome)
    stop_server()
    return 1 if failed else 0


def show(name: str, outcome: Outcome, seconds: float) -> None:
    """One reader's line, and its most frequent codes."""
    counts = f"{outcome.inputs:>7} inputs  {outcome.accepted:>6} read  {outcome.refused.total():>6} refused"
    say(f"{name:<32}{counts}  {len(outcome.crashes):>3} other  {seconds:6.1f} s")
    common = outcome.refused.most_common(CODES_SHOWN)
    say("    " + ", ".join(f"{code} {count}" for code, count in common))
    seen: dict[str, int] = {}
    for crash in outcome.crashes:
        where = crash.trace.rstrip().splitlines()[-3:]
        key = "\n      ".join(line.strip() for line in where)
        seen[key] = seen.get(key, 0) + 1
    for key, count in seen.items():
        say(f"  ! {count} x {key}")


def say(line: str) -> None:
    """A line at once, also into a pipe."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def keep(folder: Path, name: str, outcome: Outcome) -> None:
    """Inputs that were not understood, one file each, named as the regression test wants them."""
    folder.mkdir(parents=True, exist_ok=True)
    for crash in outcome.crashes:
        file = crash.file.replace("/", "__")
        (folder / f"{name.replace(' ', '_').replace(',', '')}--{crash.number}--{file}").write_bytes(crash.data)


if __name__ == "__main__":
    sys.exit(main())
