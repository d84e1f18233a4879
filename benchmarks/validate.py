"""Speed of `kpkit validate`: a whole run beside json.load of the same file, and the rules alone.

    python benchmarks/validate.py --coco FILE [--pairs 5]

FILE is a COCO person-keypoints file; `python benchmarks/make_coco.py FILE` makes one of 151,027 persons. Left out, a
small one is made. Whole processes in turn, as in convert.py; the rules are timed in one process, on labels that are
read.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import median

from make_coco import make
from measure import Task, alternate, ratios
from table import load, machine

from kpkit.pipelines.load import LabelSource
from kpkit.pipelines.validate import ValidateJob, run, view_of

JSON_LOAD = "import json, sys; json.load(open(sys.argv[1], encoding='utf-8'))"
# A run of json.load may be this many times shorter; rules look at this many persons a second.
TIMES, RATE = 1.5, 150_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coco", type=Path)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.coco
        if path is None:
            path = Path(folder) / "made.json"
            make(path, 500, 1500)
        print("\n".join([*machine(sys.executable)[:2], f"load before: {load()}", ""]))
        print("| What | Result | wanted | |\n|---|---|---|---|")
        print(_row(*against_json_load(path, options.pairs, Path(folder))))
        rows, total = rules_alone(path, options.pairs)
        print(_row(*total))
        print("\n| Rule | seconds |\n|---|---|")
        for name, seconds in rows:
            print(f"| {name} | {seconds:.4f} |")
        print(f"\nload after: {load()}")


def against_json_load(path: Path, pairs: int, work: Path) -> tuple[str, str, str, bool]:
    """The whole command, and json.load, as processes in turn. It exits with 1 where it finds something."""
    start = [sys.executable, "-c", "import sys; from kpkit.cli.main import main; main(sys.argv[1:])"]
    ours = Task(lambda output: [*start, "validate", str(path), "--fail-on", "error"])
    peer = Task(lambda output: [sys.executable, "-c", JSON_LOAD, str(path)])
    mine, theirs = alternate(ours, peer, pairs, work)
    wall, cpu = (1 / spread.middle for spread in ratios(mine, theirs))
    text = (
        f"{median(one.wall for one in mine):.2f} s against {median(one.wall for one in theirs):.2f} s: "
        f"{wall:.2f} times (CPU {cpu:.2f} times), {max(one.peak for one in mine) / 1e6:.0f} MB"
    )
    return "kpkit validate FILE / json.load", text, f"at most {TIMES} times", min(wall, cpu) <= TIMES


def rules_alone(path: Path, repeats: int) -> tuple[list[tuple[str, float]], tuple[str, str, str, bool]]:
    """Seconds of each rule on labels that are read, and persons a second of all together."""
    done = run(ValidateJob(source=LabelSource(input=path)))
    rules = [rule for rule in done.rules if rule.check is not None and not rule.pictures]
    names = ["joints in columns of their own", *(f"{rule.id} {rule.name}" for rule in rules)]
    times: list[list[float]] = []
    gc.disable()
    for _ in range(repeats):
        marks = [time.perf_counter()]
        view = view_of(done.loaded, rules)
        marks.append(time.perf_counter())
        for rule in rules:
            assert rule.check is not None
            rule.check(view)
            marks.append(time.perf_counter())
        times.append([later - before for before, later in pairwise(marks)])
    gc.enable()
    persons = len(done.loaded.dataset)
    rate = persons / median(map(sum, times))
    text = f"{rate:,.0f} persons/s ({persons:,} persons)"
    rows = [(name, median(one[i] for one in times)) for i, name in enumerate(names)]
    return rows, ("all rules, labels already read", text, f"at least {RATE:,} persons/s", rate >= RATE)


def _row(what: str, result: str, wanted: str, met: bool) -> str:
    return f"| {what} | {result} | {wanted} | {'met' if met else 'NOT MET'} |"


if __name__ == "__main__":
    main()
