"""OKS average precision and recall by pycocotools, or by hotcoco where asked for, for any skeleton with sigmas.

The rules are pycocotools' own (cocoeval.py): at most 20 detections an image and category, by score; crowd regions and
persons without a labelled joint are ignored, and so are detections that fall on them; medium is an area from 32^2 to
96^2 pixels, large is anything above.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset, known_rows
from kpkit.core.table import Column
from kpkit.errors import MissingExtraError, UsageError

Engine = Literal["pycocotools", "hotcoco"]

NUMBERS = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")

Document = dict[str, Any]


def oks_scores(
    truth: Dataset, found: Dataset, image_of: NDArray[np.int64], *, engine: Engine = "pycocotools"
) -> dict[str, float | None]:
    """COCO's ten numbers, 0 to 1; None where the ground truth has nothing to be found (pycocotools says -1).

    truth     persons with boxes and areas, and a skeleton with sigmas
    found     predictions with a score each, on the same joints; at least one of a category that `truth` has
    image_of  [N]  int64  row in the images of `truth` of every prediction

    A joint that a prediction does not have is taken to be at (0, 0), as in a COCO result file.
    Raises UsageError where there are no joints or no sigmas, MissingExtraError where the engine is not installed.
    """
    sigmas = truth.skeleton.sigmas
    if not len(truth.skeleton) or sigmas is None:
        raise UsageError(
            f"OKS needs a sigma a joint; skeleton '{truth.skeleton.name}' has "
            + ("no joints" if not len(truth.skeleton) else "none"),
            code="KP-EVAL-SIGMAS",
            got=truth.skeleton.sigma_source,
            help="give them with --sigmas FILE|LIST, or choose --metric pck or pckh, which need none",
        )
    run = _ENGINES[engine]
    images = _ranks(truth.images.id)
    categories = sorted(set(truth.category_id.tolist()), key=_order)
    truth_document = {
        "info": {},
        "images": [{"id": number} for number in sorted(images.tolist())],
        "categories": [{"id": number + 1, "name": str(name)} for number, name in enumerate(categories)],
        "annotations": _annotations(truth, images[truth.image_index], categories),
    }
    # What is in no category of the ground truth is passed over, by pycocotools too.
    listed = [row for row, name in enumerate(found.category_id.tolist()) if name in categories]
    results = _results(found.take(np.array(listed, np.int64)), images[image_of[listed]], categories)
    stats = run(truth_document, results, sigmas)
    return {name: None if value < 0 else float(value) for name, value in zip(NUMBERS, stats, strict=True)}


def _ranks(ids: Column) -> NDArray[np.int64]:
    """Numbers from 1 in the order in which pycocotools goes through the images: that of their ids."""
    order = (
        np.argsort(ids, kind="stable")
        if ids.dtype != object
        else np.array(sorted(range(len(ids)), key=lambda row: _order(ids[row])), np.int64)
    )
    ranks = np.empty(len(ids), np.int64)
    ranks[order] = np.arange(1, len(ids) + 1)
    return ranks


def _order(value: Any) -> tuple[bool, Any]:
    """Numbers before texts, each in their own order."""
    return isinstance(value, str), value


def _flat(data: Dataset) -> list[list[float]]:
    """[x, y, v, ...] a person, zeros for joints that are not labelled."""
    columns = np.concatenate([np.nan_to_num(data.xy, nan=0.0), data.visibility[..., None]], axis=-1)
    flat: list[list[float]] = columns.reshape(len(data), 3 * len(data.skeleton)).tolist()
    return flat


def _annotations(data: Dataset, images: NDArray[np.int64], categories: Sequence[Any]) -> list[Document]:
    labelled = (data.visibility > 0).sum(axis=1).tolist()
    columns = (
        images.tolist(),
        data.category_id.tolist(),
        _flat(data),
        labelled,
        data.area.tolist(),
        data.bbox_xywh.tolist(),
        data.is_crowd.tolist(),
    )
    return [
        {
            "id": row + 1,
            "image_id": image,
            "category_id": categories.index(category) + 1,
            "keypoints": keypoints,
            "num_keypoints": count,
            "area": area,
            "bbox": box,
            "iscrowd": int(crowd),
        }
        for row, (image, category, keypoints, count, area, box, crowd) in enumerate(zip(*columns, strict=True))
    ]


def _results(data: Dataset, images: NDArray[np.int64], categories: Sequence[Any]) -> list[Document]:
    columns = images.tolist(), data.category_id.tolist(), _flat(data), data.score.tolist()
    results = [
        {"image_id": image, "category_id": categories.index(category) + 1, "keypoints": keypoints, "score": score}
        for image, category, keypoints, score in zip(*columns, strict=True)
    ]
    # pycocotools takes the area from boxes where the first detection has one, else from the hull of the joints.
    known = known_rows(data.bbox_xywh)
    if len(data) and known[0]:
        hulls = np.concatenate([data.xy.min(axis=1), np.ptp(data.xy, axis=1)], axis=-1) if not known.all() else None
        boxes = data.bbox_xywh if hulls is None else np.where(known[:, None], data.bbox_xywh, np.nan_to_num(hulls))
        for one, box in zip(results, boxes.tolist(), strict=True):
            one["bbox"] = box
    return results


def _pycocotools(truth: Document, results: list[Document], sigmas: Sequence[float]) -> Sequence[float]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        ours = COCO()
        ours.dataset = truth
        ours.createIndex()
        evaluation = COCOeval(ours, ours.loadRes(results), "keypoints")
        evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    stats: list[float] = evaluation.stats.tolist()
    return stats


def _hotcoco(truth: Document, results: list[Document], sigmas: Sequence[float]) -> Sequence[float]:
    try:
        import hotcoco
    except ImportError as error:
        raise MissingExtraError(
            "the engine hotcoco is not installed",
            code="KP-EXTRA-HOTCOCO",
            help="pip install 'kpkit[hotcoco]', or leave --engine out: pycocotools gives the same numbers",
        ) from error
    ours = hotcoco.COCO(truth)
    evaluation = hotcoco.COCOeval(ours, ours.load_res(results), "keypoints")
    parameters = evaluation.params
    parameters.kpt_oks_sigmas = list(sigmas)
    evaluation.params = parameters
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        # It warns that other sigmas than COCO's are in use, which is what was asked for.
        warnings.filterwarnings("ignore", message="hotcoco: kpt_oks_sigmas", category=UserWarning)
        evaluation.run()
    return [float(value) for value in evaluation.stats]


_ENGINES: dict[str, Callable[[Document, list[Document], Sequence[float]], Sequence[float]]] = {
    "pycocotools": _pycocotools,
    "hotcoco": _hotcoco,
}
