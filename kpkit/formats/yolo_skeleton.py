"""The joints of a YOLO dataset: from its `data.yaml`, or from what the user says."""

from __future__ import annotations

from kpkit.core import catalog
from kpkit.core.report import Collector
from kpkit.core.skeleton import Skeleton
from kpkit.errors import FormatError, KpkitError, UsageError
from kpkit.formats.base import ReadOptions
from kpkit.formats.yolo_yaml import DataYaml

Pairs = tuple[tuple[int, int], ...]


def skeleton_of(data: DataYaml, options: ReadOptions, place: str, collector: Collector) -> Skeleton:
    """The joints: those named in the file, else those asked for, else COCO's 17 where number and flip pairs agree.

    Raises UsageError where there is no `data.yaml` and no skeleton is given, FormatError where the counts differ.
    """
    if data.file is None:
        if options.skeleton is None:
            raise UsageError(
                "these labels do not say what their joints are",
                code="KP-YOLO-SKELETON",
                place=place,
                expected="a data.yaml with kpt_shape",
                got="label files only",
                help="name the joints with --skeleton, e.g. --skeleton coco17",
            )
        return options.skeleton
    own = _own_skeleton(data, collector)
    if own is not None:
        return own
    pairs = _flip_pairs(data, collector)
    if data.kpt_names is not None:
        if len(data.kpt_names) == data.k:
            return _named(data, data.kpt_names, pairs)
        collector.issue(
            "KP-YOLO-KPT-NAMES",
            f"kpt_names has {len(data.kpt_names)} names for {data.k} joints; the names are not used",
            place=str(data.file),
        )
    return _unnamed(data, options.skeleton, pairs, collector)


def _own_skeleton(data: DataYaml, collector: Collector) -> Skeleton | None:
    document = data.kpkit.get("skeleton")
    if document is None:
        return None
    try:
        own = Skeleton.from_dict(document)
    except (KpkitError, AttributeError, TypeError) as error:
        collector.issue(
            "KP-YOLO-KPKIT", f"the kpkit section is not usable: {error}", place=f"{data.file}: kpkit.skeleton"
        )
        return None
    # Whoever edits the keys that trainers read means them.
    same = list(own.keypoints) == (data.kpt_names or []) and own.flip_index.tolist() == data.flip_idx
    return own if same else None


def _flip_pairs(data: DataYaml, collector: Collector) -> Pairs | None:
    """Flip pairs; None where the file has none that can be used."""
    index = data.flip_idx
    if index is None:
        return None
    whole = isinstance(index, list) and all(type(one) is int and 0 <= one < data.k for one in index)
    if not whole or len(index) != data.k or any(index[index[i]] != i for i in range(data.k)):
        collector.issue(
            "KP-YOLO-FLIP",
            "flip_idx does not swap joints in pairs; no flip pairs are taken from it",
            place=f"{data.file}: flip_idx",
            help=f"give {data.k} numbers where flipping twice gives every joint back",
        )
        return None
    return tuple((i, other) for i, other in enumerate(index) if i < other)


def _named(data: DataYaml, names: list[str], pairs: Pairs | None) -> Skeleton:
    known = catalog.match(names)
    if known is not None and pairs is not None and _flips(known) != set(pairs):
        known = None
    if known is not None and list(known.keypoints) == names:
        return known
    return Skeleton(
        name=known.name if known else f"yolo{data.k}",
        keypoints=tuple(names),
        flip_pairs=known.flip_pairs if known else pairs or (),
        edges=known.edges if known else (),
        sigmas=known.sigmas if known else None,
        sigma_source=known.sigma_source if known else "",
    )


def _unnamed(data: DataYaml, asked: Skeleton | None, pairs: Pairs | None, collector: Collector) -> Skeleton:
    place = str(data.file)
    if asked is not None:
        if len(asked) != data.k:
            raise FormatError(
                f"the skeleton '{asked.name}' has another number of joints",
                code="KP-YOLO-SKELETON",
                place=f"{place}: kpt_shape",
                expected=f"{len(asked)} joints",
                got=str(data.k),
                help="choose another with --skeleton (see 'kpkit skeletons')",
            )
        if pairs is not None and _flips(asked) != set(pairs):
            collector.issue(
                "KP-YOLO-FLIP-DIFFERS", f"flip_idx is not that of '{asked.name}', which is used", place=place
            )
        return asked
    coco = catalog.skeleton("coco17")
    if data.k == len(coco) and pairs is not None and _flips(coco) == set(pairs):
        collector.note("KP-YOLO-COCO17", "joints have no names; 17 joints with COCO's flip_idx are coco17", place=place)
        return coco
    collector.issue(
        "KP-YOLO-UNNAMED",
        "joints have no names; they are called kp0, kp1, ...",
        place=place,
        help="name them with --skeleton, or kpt_names in data.yaml",
    )
    return Skeleton(name=f"yolo{data.k}", keypoints=tuple(f"kp{i}" for i in range(data.k)), flip_pairs=pairs or ())


def _flips(skeleton: Skeleton) -> set[tuple[int, int]]:
    return {(min(pair), max(pair)) for pair in skeleton.flip_pairs}
