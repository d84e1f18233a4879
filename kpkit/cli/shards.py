"""`kpkit shards info|verify|show`: what a folder of shards holds, whether it is whole, and how it looks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kpkit.cli.augment_options import Workers
from kpkit.cli.command import reporting
from kpkit.cli.output import Console, Part, plural, size

if TYPE_CHECKING:
    from kpkit.pipelines.shards import ShardsInfo, VerifyReport

SHOWN = 40
FINDINGS = 1
# The first axis of an array by what has one: samples, persons of whole pictures, the shard.
AXES = {"sample": ["n"], "person": ["persons"], "shard": []}


@reporting
def shards(
    console: Console,
    action: Annotated[
        Literal["info", "verify", "show"],
        typer.Argument(metavar="info|verify|show", help="What to do.", show_default=False),
    ],
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder with shards, as kpkit heatmaps writes it.", readable=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE.png", help="Picture to write (show). Left out: DIR.png."),
    ] = None,
    sample: Annotated[
        int, typer.Option("--sample", metavar="N", min=1, help="Samples on the picture (show), evenly spread.")
    ] = 8,
    workers: Workers = 1,
    force: Annotated[bool, typer.Option("--force", help="Replace a picture that exists (show).")] = False,
) -> int:
    """Look at a folder of shards.

    info prints what it holds; verify checks every byte and every sample (exit 1 where something is wrong); show draws
    samples: crop and joints, targets, weights.

    Examples:

    - `kpkit shards info shards`
    - `kpkit shards verify shards --workers 0`
    - `kpkit shards show shards -o samples.png`
    """
    from kpkit.execute.local import cores
    from kpkit.pipelines import shards as pipeline

    if action == "info":
        _print_info(console, pipeline.info(folder))
        return 0
    if action == "verify":
        with console.progress() as progress:
            report = pipeline.verify(folder, workers or cores(), progress)
        _print_verified(console, report)
        return FINDINGS if report.findings else 0
    from kpkit.pipelines.shards_show import show

    target = output or Path(f"{str(folder).rstrip('/')}.png")
    drawn = show(folder, target, samples=sample, force=force)
    if console.as_json:
        console.document({"command": "shards show", "output": str(target), "samples": drawn})
    else:
        console.line(("Drew", "bold green"), (f" {plural(len(drawn), 'sample')}", "bold"), f": {target}")
    return 0


def _print_info(console: Console, found: ShardsInfo) -> None:
    if console.as_json:
        console.document(found.as_dict())
        return
    manifest = found.manifest
    console.line(
        (plural(manifest.samples, "sample"), "bold"),
        f" of {plural(found.persons, 'person')} in {plural(len(manifest.shards), 'shard')}, {size(found.bytes)}",
    )
    codec = ", ".join(f"{name} {value}" for name, value in manifest.codec.items() if name != "codec")
    joints = ", ".join(f"{count:,} {name}" for name, count in found.joints.items())
    copies = ", ".join(f"{count:,} of copy {copy}" for copy, count in found.copies.items())
    made = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    rows = [
        ("codec", f"{manifest.codec.get('codec')}: {codec}"),
        ("skeleton", f"{manifest.skeleton['name']} ({len(manifest.skeleton['keypoints'])} joints)"),
        ("stored", f"{manifest.store}, {manifest.dtype}, {manifest.compression}"),
        ("masked", f"{found.masked:,} crowds and persons without joints" if found.masked else ""),
        ("joints", joints),
        ("samples", f"{copies}; {found.flipped:,} mirrored"),
        ("left out", "; ".join(f"{count:,} {why}" for why, count in manifest.left_out.items())),
        ("failed", plural(len(manifest.failed), "picture") if manifest.failed else ""),
        ("made by", made),
        ("job", manifest.fingerprint[:16]),
    ]
    console.table(("", ""), [(f"  {label}", value) for label, value in rows if value])
    console.line()
    arrays: list[list[Part]] = [
        [
            f"  {name}",
            said["dtype"],
            " x ".join(map(str, [*AXES[said.get("per", "sample")], *said["shape"]])),
            f"{said['scale']:g}" if said["scale"] != 1 else "",
            f"{said['offset']:g}" if said["offset"] else "",
        ]
        for name, said in manifest.arrays.items()
    ]
    console.table(("  array", "type", "shape", "scale", "offset"), arrays)


def _print_verified(console: Console, report: VerifyReport) -> None:
    if console.as_json:
        console.document(report.as_dict())
        return
    what = f"{plural(report.shards, 'shard')}, {plural(report.samples, 'sample')}, {size(report.bytes)}"
    if not report.findings:
        console.line(("Whole: ", "bold green"), what)
        return
    console.line(("Damaged: ", "bold red"), (plural(len(report.findings), "finding"), "bold"), f" in {what}")
    rows: list[list[Part]] = []
    for one in report.findings[:SHOWN]:
        why = one.message + (f"; expected {one.expected}" if one.expected else "")
        rows.append([f"  {one.place}", (one.code, "red"), why + (f"; got {one.got}" if one.got else "")])
    console.table(("  place", "code", "what"), rows)
    if len(report.findings) > SHOWN:
        console.line((f"  and {len(report.findings) - SHOWN:,} more (all with --json)", "dim"))
    console.line(("help: ", "bold"), "make them again: the same kpkit heatmaps with --resume keeps what is whole")
