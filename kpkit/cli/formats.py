"""`kpkit formats`: what can be read and written, and what each format keeps."""

from __future__ import annotations

from pathlib import Path
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
        [
            (one["name"], "bold cyan"),
            ", ".join(one["aliases"]),
            (one["error"], "red") if one["error"] else one["title"],
            one["package"],
        ]
        for one in found
    ]
    console.table(("format", "also", "what", "from"), rows)
    console.line()
    keeps: list[list[Part]] = [
        [(f"{one['name']} {variant['suffix']}".rstrip(), "bold cyan"), variant["joints"], ", ".join(variant["words"])]
        for one in found
        for variant in one["variants"]
    ]
    console.table(("output", "joints", "keeps"), keeps)


def _describe(name: str) -> dict[str, Any]:
    from kpkit import registry
    from kpkit.errors import KpkitError
    from kpkit.pipelines.find import get_format

    described: dict[str, Any] = {
        "name": name,
        "aliases": [alias for alias, target in registry.ALIASES.items() if target == name],
        "package": registry.distribution_of(registry.FORMATS, name),
        "title": "",
        "error": "",
        "variants": [],
    }
    try:
        kind: type[Format] = type(get_format(name))
    except KpkitError as error:
        # One broken plug-in must not hide the others.
        return described | {"error": error.message}
    return described | {
        "title": kind.title,
        "reads": True,
        "writes": True,
        "output": kind.kind,
        "suffixes": list(kind.suffixes),
        "variants": _variants(kind()),
    }


def _variants(format: Format) -> list[dict[str, Any]]:
    """What is kept by each ending that an output may have; one entry where all are alike."""
    by_suffix = {suffix: format.keeps_for(Path(f"labels{suffix}")) for suffix in format.suffixes}
    if len(set(by_suffix.values())) < 2:
        by_suffix = {"": next(iter(by_suffix.values()), format.keeps)}
    return [
        {
            "suffix": suffix,
            "skeletons": None if keeps.skeletons is None else list(keeps.skeletons),
            "joints": "any" if keeps.skeletons is None else ", ".join(keeps.skeletons),
            "visibility": sorted(keeps.visibility),
            "decimals": keeps.decimals,
            "decimals_of": "image size" if keeps.relative else "pixel",
            "keeps": [column for column in COLUMNS if getattr(keeps, column)],
            "words": _words(keeps),
        }
        for suffix, keeps in by_suffix.items()
    ]


def _words(keeps: Keeps) -> list[str]:
    kept = ["visibility " + "/".join(map(str, sorted(keeps.visibility)))]
    if keeps.decimals is not None:
        kept.append(f"{keeps.decimals} decimals of {'the image size' if keeps.relative else 'a pixel'}")
    return kept + [words for column, words in COLUMNS.items() if getattr(keeps, column)]
