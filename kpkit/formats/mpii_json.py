"""MPII as HRNet's json: a list of one object a person.

    {"joints_vis": [16 x 0|1], "joints": [16 x [x, y]], "image": name, "scale": s, "center": [x, y]}

Stored: 1-based pixels; `joints_vis` says *labelled*, not visible, so every labelled joint is read as visible and the
Report says that this is not known. A missing joint is [-1, -1] with `joints_vis` 0, a missing centre [-1, -1], a
missing scale -1. Files of the test set have no joints at all.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kpkit.core import catalog
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.report import Collector
from kpkit.errors import FormatError, RecordError
from kpkit.formats import json_document
from kpkit.formats.base import ReadOptions
from kpkit.formats.jsonplace import split_message
from kpkit.formats.mpii_images import image_root, unique_images
from kpkit.formats.mpii_position import one_based, positions
from kpkit.guard import read_bytes

JOINTS = 16
MISSING = -1.0
JOINT_DECIMALS = 4
SCALE_DECIMALS = 6

Point = tuple[float, float]


class Person(msgspec.Struct, forbid_unknown_fields=True):
    """One object of the list."""

    image: str
    scale: float
    center: Point
    joints: list[Point] | None = None
    joints_vis: list[float] | None = None


_FIELDS = frozenset(Person.__struct_fields__)
_LIST = msgspec.json.Decoder(list[Person])
_RAWS = msgspec.json.Decoder(list[msgspec.Raw])
_ONE = msgspec.json.Decoder(Person)


def read_json(path: Path, options: ReadOptions, collector: Collector) -> Dataset:
    """Read one file.

    Raises FormatError where it is no JSON list, RecordError for a person that is not of the shape above.
    """
    persons, others = _persons(read_bytes(path), path, collector)
    paths, image_index, _ = unique_images([one.image for one in persons], f"{path}: [{{}}].image", collector, base=0)
    sizes = [options.sizes.get(one, (-1, -1)) for one in paths]
    xy, visibility, ghosts = _joints(persons, path, collector)
    extras: dict[str, Any] = {
        "mpii.scale": [None if one.scale == MISSING else one.scale for one in persons],
        "mpii.objpos": [None if one.center == (MISSING, MISSING) else list(one.center) for one in persons],
    }
    for name, column in (("mpii.unlabelled_xy", ghosts), ("mpii.json_other", others)):
        if any(value is not None for value in column):
            extras[name] = column
    return Dataset.build(
        skeleton=catalog.skeleton("mpii16"),
        images=ImageTable.build(path=paths, width=[w for w, _ in sizes], height=[h for _, h in sizes]),
        image_index=image_index,
        xy=xy,
        visibility=visibility,
        extras=extras,
        image_root=image_root(path, paths),
    )


def _persons(content: bytes, path: Path, collector: Collector) -> tuple[list[Person], list[Any]]:
    """The persons, and for each the fields that are not of this format (None where there is none)."""
    content = content.removeprefix(json_document.BOM)
    persons: list[Any]
    try:
        persons = _LIST.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        persons, others = _one_by_one(content, path, collector)
    else:
        others = [None] * len(persons)
    kept = [index for index, one in enumerate(persons) if one is not None and _fits(one, index, path, collector)]
    return [persons[index] for index in kept], [others[index] for index in kept]


def _one_by_one(content: bytes, path: Path, collector: Collector) -> tuple[list[Any], list[Any]]:
    """As `_persons`, slower, with the place of what is wrong; None for a person that cannot be read."""
    document = json_document.decode(content, path)
    if not isinstance(document, list):
        raise FormatError(
            "this is no HRNet list of persons",
            code="KP-MPII-JSON",
            place=f"{path}: top level",
            expected="an array",
            got=type(document).__name__,
        )
    persons: list[Person | None] = []
    others: list[Any] = []
    for index, raw in enumerate(_RAWS.decode(content)):
        other, text = {}, bytes(raw)
        if isinstance(document[index], dict):
            other = {name: value for name, value in document[index].items() if name not in _FIELDS}
            if other:
                text = msgspec.json.encode({name: v for name, v in document[index].items() if name in _FIELDS})
        try:
            persons.append(_ONE.decode(text))
        except msgspec.ValidationError as error:
            persons.append(None)
            below, expected, got, rest = split_message(str(error))
            collector.error(_wrong(f"{path}: [{index}]{below}", expected or rest, got))
        others.append(other or None)
    names = sorted({name for other in others if other for name in other})
    if names:
        count = sum(other is not None for other in others)
        what = "fields that HRNet's json does not have are kept aside: " + ", ".join(names)
        collector.note("KP-MPII-JSON-OTHER", what, place=str(path), count=count)
    return persons, others


def _fits(one: Person, index: int, path: Path, collector: Collector) -> bool:
    """Whether joints and flags are both there, 16 each, or neither."""
    problem = ("", "", "")
    if (one.joints is None) != (one.joints_vis is None):
        missing = "joints" if one.joints is None else "joints_vis"
        problem = (f".{missing}", "joints and joints_vis together, or neither", f"no {missing}")
    elif one.joints is not None and len(one.joints) != JOINTS:
        problem = (".joints", f"{JOINTS} joints", str(len(one.joints)))
    elif one.joints_vis is not None and len(one.joints_vis) != JOINTS:
        problem = (".joints_vis", f"{JOINTS} flags", str(len(one.joints_vis)))
    elif one.joints_vis is not None and not {*one.joints_vis} <= {0.0, 1.0}:
        bad = next(i for i, flag in enumerate(one.joints_vis) if flag not in (0.0, 1.0))
        problem = (f".joints_vis[{bad}]", "0 or 1", f"{one.joints_vis[bad]:g}")
    if problem[0]:
        collector.error(_wrong(f"{path}: [{index}]{problem[0]}", *problem[1:]))
    return not problem[0]


def _wrong(place: str, expected: str, got: str) -> RecordError:
    return RecordError(
        "a person is not as HRNet writes it",
        code="KP-MPII-JSON-RECORD",
        place=place,
        expected=expected,
        got=got,
        help="correct the record",
    )


def _joints(
    persons: list[Person], path: Path, collector: Collector
) -> tuple[NDArray[np.float64], NDArray[np.uint8], list[dict[str, list[float]] | None]]:
    """Coordinates [N,16,2] 0-based, visibility [N,16] (0 or 2), and coordinates that stood on unlabelled joints."""
    none = [(MISSING, MISSING)] * JOINTS
    raw = np.array([one.joints or none for one in persons], np.float64).reshape(-1, JOINTS, 2)
    flags = np.array([one.joints_vis or [0] * JOINTS for one in persons]).reshape(-1, JOINTS)
    labelled = flags == 1
    at_missing = (raw == MISSING).all(axis=2)
    collector.note(
        "KP-MPII-VISIBILITY-UNKNOWN",
        "visibility unknown: HRNet json cannot say occluded; read as visible",
        place=str(path),
        count=int(np.count_nonzero(labelled)),
    )
    _issue(
        labelled & at_missing, "labelled at (-1, -1), which means missing; kept", "KP-MPII-MINUS-ONE", path, collector
    )
    stray = ~labelled & ~at_missing
    _issue(stray, "coordinates on an unlabelled joint; kept aside", "KP-MPII-UNLABELLED-XY", path, collector)
    ghosts: list[dict[str, list[float]] | None] = [None] * len(persons)
    for person, joint in np.argwhere(stray).tolist():
        ghosts[person] = {**(ghosts[person] or {}), str(joint): raw[person, joint].tolist()}
    xy = np.where(labelled[..., None], _shifted(raw), np.nan)
    return xy, np.where(labelled, 2, 0).astype(np.uint8), ghosts


def _issue(where: NDArray[np.bool_], message: str, code: str, path: Path, collector: Collector) -> None:
    kept = np.argwhere(where)[: collector.places_kept].tolist()
    places = [f"{path}: [{person}].joints[{joint}]" for person, joint in kept]
    collector.issue(code, message, count=int(np.count_nonzero(where)), places=places)


def _shifted(raw: NDArray[np.float64]) -> NDArray[np.float64]:
    """Raw minus 1, without the noise that 982.7591 - 1 = 981.7591000000001 brings."""
    plain = raw - 1
    with np.errstate(over="ignore"):  # beyond 1e302 rounding overflows, and the value is taken as it is
        clean = np.round(plain, 6)
    return np.where(np.abs(clean - plain) < 1e-9, clean, plain)


def write_json(dataset: Dataset, path: Path, collector: Collector) -> None:
    """Write one file: joints with 4 decimals, scale with 6, spelled as Python's json does.

    Crowd regions are left out. A scale or centre that is not known and that no joint or box can give is -1.
    """
    rows = np.flatnonzero(~dataset.is_crowd)
    scale, centre = positions(dataset, rows, collector)
    nowhere = np.isnan(scale) | np.isnan(centre[:, 0])
    text = "person without joints, box or position: scale and centre are -1"
    collector.issue("KP-MPII-JSON-NOWHERE", text, count=int(np.count_nonzero(nowhere)))
    scale, centre = (np.where(np.isnan(values), MISSING, values) for values in (scale, centre))
    ghosts, others = (dataset.extras.get(f"mpii.{name}") for name in ("unlabelled_xy", "json_other"))
    labelled = dataset.visibility[rows] > 0
    raw = np.where(labelled[..., None], one_based(dataset, rows), MISSING).tolist()
    # Python rounds by the decimal digits; numpy's 0.34465 becomes 0.3446.
    joints = [[[round(x, JOINT_DECIMALS), round(y, JOINT_DECIMALS)] for x, y in person] for person in raw]
    flags = labelled.astype(int).tolist()
    bare = not labelled.any() and (ghosts is None or not any(ghosts))
    persons = []
    for index, row in enumerate(rows.tolist()):
        person: dict[str, Any] = {}
        if not bare:
            if ghosts is not None:
                _haunt(joints[index], labelled[index], ghosts[row])
            person = {"joints_vis": flags[index], "joints": joints[index]}
        person["image"] = str(dataset.images.path[dataset.image_index[row]])
        person["scale"] = round(float(scale[index]), SCALE_DECIMALS)
        person["center"] = centre[index].tolist()
        if others is not None:
            person.update(others[row] or {})
        persons.append(person)
    path.write_text(json.dumps(persons, allow_nan=False), encoding="utf-8")


def _haunt(joints: list[list[float]], labelled: NDArray[np.bool_], ghosts: dict[str, list[float]] | None) -> None:
    """Put back coordinates that the source had on joints it did not label."""
    for joint, point in (ghosts or {}).items():
        if not labelled[int(joint)]:
            joints[int(joint)] = point
