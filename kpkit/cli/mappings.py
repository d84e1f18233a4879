"""`kpkit mappings`: how the joints of one skeleton are made from those of another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kpkit.cli import complete
from kpkit.cli.command import reporting
from kpkit.cli.output import Console, Part
from kpkit.cli.report import KIND_STYLE
from kpkit.errors import UsageError

if TYPE_CHECKING:
    from kpkit.core.mapping import Mapping

Source = Annotated[
    str | None,
    typer.Argument(metavar="SRC", help="Skeleton to map from.", autocompletion=complete.skeletons, show_default=False),
]
Target = Annotated[
    str | None,
    typer.Argument(metavar="DST", help="Skeleton to map to.", autocompletion=complete.skeletons, show_default=False),
]


@reporting
def mappings(console: Console, source: Source = None, target: Target = None) -> None:
    """List the mappings between skeletons, or show the rules of one.

    Pairs without a mapping of their own go through others; the rules say through which.

    Examples:

    - `kpkit mappings`
    - `kpkit mappings mpii16 coco17`
    """
    from kpkit.core import catalog

    if source is None:
        _list(console, catalog.mapping_names())
        return
    if target is None:
        raise UsageError(
            "a mapping needs two skeletons", got=f"'{source}' alone", help=f"e.g. kpkit mappings {source} coco17"
        )
    found = catalog.mapping(catalog.skeleton(source), catalog.skeleton(target))
    if console.as_json:
        console.document({"mapping": _document(found)})
    else:
        _show(console, found)


def _list(console: Console, pairs: list[tuple[str, str]]) -> None:
    if console.as_json:
        console.document({"mappings": [{"source": source, "target": target} for source, target in pairs]})
        return
    targets: dict[str, list[str]] = {}
    for source, target in pairs:
        targets.setdefault(source, []).append(target)
    rows: list[list[Part]] = [[(source, "bold cyan"), ", ".join(names)] for source, names in targets.items()]
    console.table(("from", "to"), rows)
    console.line()
    console.line("Other pairs are made of several steps; `kpkit mappings SRC DST` shows how.")


def _document(found: Mapping) -> dict[str, Any]:
    return {
        "source": found.source.name,
        "target": found.target.name,
        "via": list(found.via),
        "joints": [
            {"joint": joint, "kind": found.kind(index), "rule": found.rule_text(index)}
            for index, joint in enumerate(found.target.keypoints)
        ],
    }


def _show(console: Console, found: Mapping) -> None:
    steps = " -> ".join((found.source.name, *found.via, found.target.name))
    console.line((steps, "bold cyan"))
    if found.via:
        console.line(("made of several steps: there is no mapping file for this pair", "dim"))
    console.line()
    rows: list[list[Part]] = []
    for index, joint in enumerate(found.target.keypoints):
        kind = found.kind(index)
        rows.append([joint, (kind, KIND_STYLE[kind]), "" if kind == "absent" else found.rule_text(index)])
    console.table(("joint", "how", "from"), rows)
    console.line()
    console.line(
        ("a | b: the first whose joints are labelled;  ~a: another anatomical point;  absent: unlabelled", "dim")
    )
