"""`kpkit eval`: predictions held against ground truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kpkit.cli import complete, label_options
from kpkit.cli.command import reporting
from kpkit.cli.output import Console, Part, plural

if TYPE_CHECKING:
    from kpkit.pipelines.evaluate import Evaluation

SCORES, OUTPUT = "Scores", "Output"

Truth = Annotated[Path, typer.Argument(metavar="GT", help="Ground truth.", show_default=False, readable=False)]
Found = Annotated[
    Path,
    typer.Argument(
        metavar="PRED",
        help="Predictions: a COCO result file, labels with scores, or MPII's .mat or .h5.",
        show_default=False,
        readable=False,
    ),
]
Metric = Annotated[
    Literal["auto", "oks", "pckh", "pck", "all"],
    typer.Option(
        "--metric",
        metavar="oks|pckh|pck|all",
        help="What to compute. Left out: PCKh where the ground truth has head boxes, else OKS.",
        show_default=False,
        rich_help_panel=SCORES,
    ),
]
Threshold = Annotated[
    list[float] | None,
    typer.Option(
        "--threshold",
        metavar="T",
        help="How far a joint may be off for PCKh and PCK; may be repeated. Left out: 0.5 and 0.2.",
        show_default=False,
        rich_help_panel=SCORES,
    ),
]
Norm = Annotated[
    Literal["bbox", "torso"],
    typer.Option(
        "--norm",
        metavar="bbox|torso",
        help="What PCK is relative to: the longer side of the box, or left shoulder to right hip.",
        rich_help_panel=SCORES,
    ),
]
Sigmas = Annotated[
    str | None,
    typer.Option(
        "--sigmas",
        metavar="FILE|LIST",
        help="OKS sigmas, one a joint: numbers with commas between, or a file.",
        rich_help_panel=SCORES,
    ),
]
Engine = Annotated[
    Literal["pycocotools", "hotcoco"],
    typer.Option(
        "--engine",
        metavar="pycocotools|hotcoco",
        help="What computes OKS precision; hotcoco is faster and must be installed.",
        rich_help_panel=SCORES,
    ),
]
SkipUnknown = Annotated[
    bool,
    typer.Option(
        "--skip-unknown", help="Leave out predictions of images that GT does not have.", rich_help_panel=SCORES
    ),
]
PerJoint = Annotated[
    bool, typer.Option("--per-joint", help="Show every joint, and its errors.", rich_help_panel=OUTPUT)
]
Csv = Annotated[
    Path | None,
    typer.Option("--csv", metavar="FILE.csv", help="Write a table, a row a number.", rich_help_panel=OUTPUT),
]
Force = Annotated[bool, typer.Option("--force", help="Replace the file.", rich_help_panel=OUTPUT)]
FromFound = Annotated[
    str | None,
    typer.Option(
        "--from-pred",
        metavar="NAME",
        help="Format of PRED. Left out: told by its content.",
        autocompletion=complete.formats,
        rich_help_panel=label_options.LABELS,
    ),
]


@reporting
def evaluate(
    console: Console,
    truth: Truth,
    found: Found,
    metric: Metric = "auto",
    threshold: Threshold = None,
    norm: Norm = "bbox",
    sigmas: Sigmas = None,
    engine: Engine = "pycocotools",
    skip_unknown: SkipUnknown = False,
    per_joint: PerJoint = False,
    csv: Csv = None,
    force: Force = False,
    from_: label_options.From = None,
    from_pred: FromFound = None,
    skeleton: label_options.SkeletonName = None,
    images: label_options.Images = None,
    image_sizes: label_options.ImageSizes = None,
    image_list: label_options.ImageList = None,
    layout: label_options.Layout = None,
) -> None:
    """Hold predictions against ground truth: OKS precision and recall, PCKh, PCK, and errors by joint.

    Examples:

    - `kpkit eval annotations/person_keypoints_val2017.json results.json`
    - `kpkit eval gt_valid.mat pred.mat --per-joint`
    - `kpkit eval labels.kpk predictions.kpk --metric pck --threshold 0.1 --norm torso`
    """
    from kpkit.pipelines.evaluate import EvalJob, run

    given: dict[str, Any] = {**locals(), "input": truth}
    source = label_options.source_of(given)
    job = EvalJob(
        truth=source,
        found=replace(source, input=found, from_=from_pred or ""),
        metric=metric,
        thresholds=tuple(threshold or ()),
        norm=norm,
        sigmas=sigmas or "",
        engine=engine,
        skip_unknown=skip_unknown,
        csv=csv,
        force=force,
    )
    result = run(job)
    if console.as_json:
        console.document(result.as_dict())
    else:
        _print(console, result, per_joint)


def _print(console: Console, result: Evaluation, per_joint: bool) -> None:
    from kpkit.cli.report import print_issues

    if not console.quiet:
        _sides(console, result)
    if result.oks is not None:
        console.line(("OKS", "bold"), (f"  by {result.oks['engine']}; sigmas: {result.oks['sigmas']}", "dim"))
        values = result.oks["values"]
        console.table([f"  {name}" for name in values], [[_number(one, 6) for one in values.values()]], right=range(10))
        console.line()
    for table in result.pckh or []:
        _shares(console, "PCKh", "0.6 x the diagonal of the head box", table, per_joint)
    for table in result.pck or []:
        what = "the longer side of the box" if table["norm"] == "bbox" else "left shoulder to right hip"
        _shares(console, "PCK", what, table, per_joint)
    _errors(console, result, per_joint)
    for name, why in result.left_out.items():
        console.line((f"no {name}", "bold yellow"), f": {why}")
    if result.csv:
        console.note("wrote ", (result.csv, "cyan"))
    if result.issues and not console.quiet:
        console.line()
        print_issues(console, result.issues)


def _sides(console: Console, result: Evaluation) -> None:
    rows: list[tuple[Part, ...]] = []
    for name, side in (("GT", result.truth), ("PRED", result.found)):
        what = f"{side['skeleton']}: {plural(side['persons'], 'person')} in {plural(side['images'], 'image')}"
        crowds = f", {plural(side['crowds'], 'crowd region')} among them" if side["crowds"] else ""
        rows.append(((name, "bold"), (side["path"], "cyan"), what + crowds))
    console.table(("", "", ""), rows)
    of = result.matched
    console.line(
        (f"{of['found']:,} of {plural(of['persons'], 'labelled person')} found, ", "dim"),
        (f"{plural(of['predictions_of_nobody'], 'prediction')} of nobody who is labelled", "dim"),
    )
    console.line()


def _shares(console: Console, name: str, norm: str, table: dict[str, Any], per_joint: bool) -> None:
    console.line((f"{name}@{table['threshold']:g}", "bold"), (f"  in %, relative to {norm}", "dim"))
    key = "joint" if per_joint else "group"
    rows: list[tuple[Part, ...]] = []
    for one in table["joints" if per_joint else "groups"]:
        style = "" if one["labelled"] else "dim"
        cells = [(f"  {one[key]}", style), (f"{one['labelled']:,}", style), (_percent(one["pck"]), style)]
        rows.append((*cells, *([(_percent(one["auc"]), style)] if per_joint else [])))
    count = len([one for one in table["joints"] if one["in_mean"]])
    blank = [""] if per_joint else []
    auc: list[Part] = [_percent(table["auc"])]
    rows.append(
        (
            (f"  mean of {plural(count, 'joint')}", "bold"),
            "",
            (_percent(table["mean"]), "bold"),
            *(auc if per_joint else []),
        )
    )
    rows.append((("  mean by labelled", "bold"), "", (_percent(table["weighted_mean"]), "bold"), *blank))
    if not per_joint:
        rows.append(("  area under curve", "", *auc))
    headers = (f"  {key}", "labelled", "correct", *(["area under curve"] if per_joint else []))
    console.table(headers, rows, right=range(1, len(headers)))
    if table["persons_without_scale"]:
        console.line(
            (f"  {plural(table['persons_without_scale'], 'person')} without that measure do not count", "yellow")
        )
    console.line()


def _errors(console: Console, result: Evaluation, per_joint: bool) -> None:
    console.line(("Errors", "bold"), (f"  of persons that were found; normalised by the {result.errors_by}", "dim"))
    rows: list[tuple[Part, ...]] = []
    for one in result.errors:
        if not one["labelled"] or (one["joint"] and not per_joint):
            continue
        numbers = (_number(one["mean_px"], 2), _number(one["median_px"], 2), _number(one["mean_normalised"], 4))
        counts = (f"{one['labelled']:,}", f"{one['predicted']:,}")
        rows.append((f"  {one['joint'] or 'all joints'}", one["visibility"], *counts, *numbers))
    headers = ("  joint", "", "labelled", "predicted", "mean px", "median px", "normalised")
    console.table(headers, rows, right=range(2, len(headers)))


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
