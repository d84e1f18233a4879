"""Values of a file exchanged for anything JSON can say: findings or an error of ours, and mending that is done once."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kpkit.errors import KpkitError
from kpkit.pipelines import fix
from kpkit.pipelines.findings_formats import github, sarif
from tests.qa.people import people, validated

JUNK = (
    None, 0, -1, 1.5, "x", "", [], {}, True, 1e308, -1e308, 10**30, float("nan"), float("inf"), [1, 2], {"a": 1},
    [None], "left_eye", [[1]], 1e-320, "../../x",
)  # fmt: skip


def small() -> dict[str, Any]:
    content = copy.deepcopy(people())
    content["annotations"], content["images"] = content["annotations"][:6], content["images"][:4]
    content["annotations"][1]["track_id"] = 4
    content["annotations"][2]["segmentation"] = [[1, 2, 3, 4, 5, 6]]
    content["annotations"][3]["segmentation"] = {"counts": [1, 2, 3], "size": [2, 3]}
    content["annotations"][4]["kpkit"] = {"truncated": ["nose"], "head_box": [1, 2, 3, 4]}
    return content


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield (*above, key)
        yield from places(value[key], (*above, key))


def damaged(seed: int) -> dict[str, Any]:
    rng = random.Random(seed)
    content = small()
    for _ in range(rng.choice((1, 1, 2, 4))):
        *above, key = rng.choice(list(places(content)))
        holder = content
        for step in above:
            holder = holder[step]
        chance = rng.random()
        if chance < 0.7:
            holder[key] = copy.deepcopy(rng.choice(JUNK))
        elif chance < 0.85:
            del holder[key]
        elif isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        else:
            holder["extra"] = 1
    return content


@pytest.mark.parametrize("start", range(0, 400, 50))
def test_damaged_labels_give_findings_or_an_error_of_ours_and_nothing_else(tmp_path, start):
    refused = 0
    for seed in range(start, start + 50):
        path = tmp_path / f"{seed}.json"
        path.write_text(json.dumps(damaged(seed)))
        try:
            look(path)
        except KpkitError:
            refused += 1
    assert refused < 25


def look(path: Path) -> None:
    """Everything that is made of findings, then mending, which must leave nothing that it claims to mend."""
    found = validated(path)
    json.dumps(found.as_dict(), allow_nan=False)
    json.loads(sarif(found))
    assert len(github(found).splitlines()) == len(found.findings())
    assert sum(one.count for one in found.findings()) == sum(found.counts.values())
    mended = path.with_suffix(".mended.json")
    fixes = fix.plan(found)
    fix.write(found, fixes, mended, force=False)
    again = validated(mended).counts
    for rule in {change.rule for change in fixes.changes}:
        assert again.get(rule, 0) <= fixes.left.get(rule, 0)
