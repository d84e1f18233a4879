"""`kpkit formats`: what can be read and written, and what each format keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kpkit.cli.command import reporting
from kpkit.cli.output import Console, Part

if TYPE_CHECKING:
    from kpkit.formats.base import Format, Keeps

COLUMNS = {
    "truncated": "joints outside the frame",
    "bbox": "boxes",
    "area": "areas",
    "head_box": "head boxes",
    "track_id": "tracks",
    "score": "scores",
    "is_crowd": "crowd regions",
    "split": "splits",
    "instance_id": "person ids",
    "image_id": "image ids",
    "category_id": "categories",
    "image_size": "image sizes",
    "empty_images": "images without persons",
}


@reporting
def formats(console: Console) -> None:
    """List the formats kpkit reads and writes, and what they keep.

    What a format does not keep is counted by `kpkit convert` before anything is lost.

    Examples:

    - `kpkit formats`
    - `kpkit formats --json`
    """
    from kpkit import registry

    found = [_describe(name) for name in registry.names(registry.FORMATS)]
    if console.as_json:
        console.document({"formats": found})
        return
    rows: list[list[Part]] = [
        [(one["name"], "bold cyan"), _names(one["aliases"]), one["title"] or (one["error"], "red"), one["package"]]
        for one in found
    ]
    console.table(("name", "also", "what", "from"), rows)
    console.line()
    for one in found:
        if not one["error"]:
            console.line((one["name"], "bold cyan"), " keeps ", one["summary"])


def _describe(name: str) -> dict[str, Any]:
    from kpkit import registry
    from kpkit.errors import KpkitError

    described: dict[str, Any] = {
        "name": name,
        "aliases": [alias for alias, target in registry.ALIASES.items() if target == name],
        "package": registry.distribution_of(registry.FORMATS, name),
        "title": "",
        "error": "",
    }
    try:
        kind: type[Format] = registry.load(registry.FORMATS, name)
    except KpkitError as error:
        # One broken plug-in must not hide the others.
        return described | {"error": str(error)}
    keeps = kind.keeps
    return described | {
        "title": kind.title,
        "reads": True,
        "writes": True,
        "output": kind.kind,
        "suffixes": list(kind.suffixes),
        "skeletons": list(keeps.skeletons) if keeps.skeletons is not None else None,
        "visibility": sorted(keeps.visibility),
        "decimals": keeps.decimals,
        "keeps": [column for column in COLUMNS if getattr(keeps, column)],
        "summary": _summary(keeps),
    }


def _summary(keeps: Keeps) -> str:
    flags = "/".join(map(str, sorted(keeps.visibility)))
    joints = "any skeleton" if keeps.skeletons is None else " or ".join(keeps.skeletons)
    kept = [joints, f"visibility {flags}"]
    if keeps.decimals is not None:
        kept.append(f"{keeps.decimals} decimals of a {'share' if keeps.relative else 'pixel'}")
    kept += [words for column, words in COLUMNS.items() if getattr(keeps, column)]
    return ", ".join(kept)


def _names(names: list[str]) -> str:
    return ", ".join(names)
