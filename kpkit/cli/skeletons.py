"""`kpkit skeletons`: the catalog, or one skeleton in detail."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kpkit.cli import complete
from kpkit.cli.command import reporting
from kpkit.cli.output import Console, Part
from kpkit.errors import UsageError

if TYPE_CHECKING:
    from kpkit.core.skeleton import Skeleton

Name = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        help="A name of the catalog, or a .toml file. Left out: list them all.",
        autocompletion=complete.skeletons,
        show_default=False,
    ),
]
Plot = Annotated[Path | None, typer.Option("--plot", metavar="FILE.png", help="Draw the skeleton into a picture.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a picture that exists.")]


@reporting
def skeletons(console: Console, name: Name = None, plot: Plot = None, force: Force = False) -> None:
    """List the skeletons kpkit knows, or show the joints of one.

    Examples:

    - `kpkit skeletons`
    - `kpkit skeletons coco17`
    - `kpkit skeletons coco17 --plot coco17.png`
    """
    from kpkit.core import catalog

    if name is None:
        if plot is not None:
            raise UsageError(
                "--plot needs the name of a skeleton", help="e.g. kpkit skeletons coco17 --plot coco17.png"
            )
        _list(console, [catalog.skeleton(one) for one in catalog.skeleton_names()])
        return
    skeleton = catalog.skeleton(name)
    if plot is not None:
        _plot(skeleton, plot, force=force)
        console.note("wrote ", str(plot))
    if console.as_json:
        console.document({"skeleton": skeleton.to_dict(), "content_hash": skeleton.content_hash})
    else:
        _show(console, skeleton)


def _plot(skeleton: Skeleton, path: Path, *, force: bool) -> None:
    import cv2

    from kpkit.guard import publish
    from kpkit.qa.skeleton_plot import plot_skeleton

    if path.suffix.lower() != ".png":
        raise UsageError("the picture must be a PNG", got=str(path), help=f"e.g. --plot {path.with_suffix('.png')}")
    _, encoded = cv2.imencode(".png", plot_skeleton(skeleton))
    with publish(path, force=force) as temporary:
        temporary.write_bytes(encoded.tobytes())


def _list(console: Console, found: list[Skeleton]) -> None:
    if console.as_json:
        console.document({"skeletons": [one.to_dict() for one in found]})
        return
    rows: list[list[Part]] = [
        [
            (one.name, "bold cyan"),
            str(one.size),
            str(len(one.flip_pairs)),
            str(len(one.edges)),
            "yes" if one.sigmas is not None else ("no", "yellow"),
            _first_sentence(one.description),
        ]
        for one in found
    ]
    console.table(("name", "joints", "pairs", "edges", "sigmas", "what"), rows, right=(1, 2, 3))


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].removesuffix(".")


def _show(console: Console, skeleton: Skeleton) -> None:
    console.line((skeleton.name, "bold cyan"), f"  {skeleton.description}")
    console.line()
    partner = {a: b for left, right in skeleton.flip_pairs for a, b in ((left, right), (right, left))}
    left = {pair[0] for pair in skeleton.flip_pairs}
    rows: list[list[Part]] = []
    for index, joint in enumerate(skeleton.keypoints):
        paired = index in partner
        side: Part = ("", "") if not paired else ("left", "green") if index in left else ("right", "magenta")
        sigma = f"{skeleton.sigmas[index]:g}" if skeleton.sigmas is not None else ""
        rows.append([str(index), joint, side, skeleton.keypoints[partner[index]] if paired else "", sigma])
    headers = ["index", "joint", "side", "swaps with", "sigma"]
    console.table(headers, rows, right=(0, 4))
    console.line()
    for label, text in _facts(skeleton):
        if text:
            console.line((f"{label}: ", "bold"), text)


def _facts(skeleton: Skeleton) -> list[tuple[str, Any]]:
    edges = ", ".join(f"{skeleton.keypoints[a]}-{skeleton.keypoints[b]}" for a, b in skeleton.edges)
    return [
        ("edges", edges),
        ("source", skeleton.source),
        ("sigmas", skeleton.sigma_source),
    ]
