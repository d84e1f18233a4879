"""`data.yaml` of a YOLO dataset: which joints and classes its label files have.

Besides the keys that trainers know (`kpt_shape`, `flip_idx`, `names`, `kpt_names`, `train`, `val`, `test`, `path`) the
writer adds a `kpkit` section where those cannot say everything: a skeleton's edges and sigmas, category ids.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kpkit.core import catalog
from kpkit.core.skeleton import Skeleton
from kpkit.errors import FormatError
from kpkit.safe_yaml import read_yaml

MAX_JOINTS = 10_000
SPLIT_KEYS = ("train", "val", "test")

_SPLIT = re.compile(r"(train(val)?|val(id(ation)?)?|test(-?dev)?|dev)([-_]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class DataYaml:
    """What a `data.yaml` says; empty where there is no such file.

    file       the yaml, or None     k, dims    kpt_shape; -1, 3 where unknown      flip_idx  as written, or None
    kpt_names  joint names, or None  names      class number -> name               root      `path:`, "" unknown
    splits     "train" -> folders    kpkit      our own section
    """

    file: Path | None = None
    k: int = -1
    dims: int = 3
    flip_idx: Any = None
    kpt_names: list[str] | None = None
    names: dict[int, str] = field(default_factory=dict)
    root: str = ""
    splits: dict[str, list[str]] = field(default_factory=dict)
    kpkit: Mapping[str, Any] = field(default_factory=dict)


def parse(path: Path) -> DataYaml:
    """Read one `data.yaml`; FormatError names the key that is wrong."""
    content = read_yaml(path, code="KP-YOLO-YAML")
    if not isinstance(content, dict):
        raise _wrong(path, "", "keys and values", content)
    k, dims = _shape(content.get("kpt_shape"), path)
    kpkit = content.get("kpkit")
    root = content.get("path")
    return DataYaml(
        file=path,
        k=k,
        dims=dims,
        flip_idx=content.get("flip_idx"),
        kpt_names=_kpt_names(content.get("kpt_names"), path),
        names=_class_names(content.get("names"), path),
        root=root if isinstance(root, str) else "",
        splits={key: _folders(content.get(key)) for key in SPLIT_KEYS if content.get(key)},
        kpkit=kpkit if isinstance(kpkit, dict) else {},
    )


def _wrong(path: Path, key: str, expected: str, got: Any) -> FormatError:
    return FormatError(
        f"'{key}' is not what it should be" if key else "the YAML file is not a table",
        code="KP-YOLO-YAML",
        place=f"{path}: {key}" if key else str(path),
        expected=expected,
        got=repr(got)[:80],
    )


def _shape(value: Any, path: Path) -> tuple[int, int]:
    right = isinstance(value, list) and len(value) == 2 and all(type(one) is int for one in value)
    if not right or not 0 <= value[0] <= MAX_JOINTS or value[1] not in (2, 3):
        raise _wrong(path, "kpt_shape", "[number of keypoints, 2 or 3]", value)
    return value[0], value[1]


def _class_names(value: Any, path: Path) -> dict[int, str]:
    if value is None:
        return {}
    if isinstance(value, list):
        value = dict(enumerate(value))
    if not isinstance(value, dict) or not all(type(key) is int and key >= 0 for key in value):
        raise _wrong(path, "names", "a list of class names, or class numbers with names", value)
    return {key: str(name) for key, name in sorted(value.items())}


def _kpt_names(value: Any, path: Path) -> list[str] | None:
    if isinstance(value, dict):
        lists = list(value.values())
        if any(one != lists[0] for one in lists):
            raise _wrong(path, "kpt_names", "the same joints for every class", value)
        value = lists[0] if lists else None
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise _wrong(path, "kpt_names", "{0: [joint names]}", value)
    return value


def _folders(value: Any) -> list[str]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]


def document(
    skeleton: Skeleton, dims: int, names: Mapping[int, str], splits: Sequence[str], category_ids: Sequence[int | str]
) -> dict[str, Any]:
    """The content of a `data.yaml`.

    splits        folders below `images/`        category_ids  of the classes; empty where it is class + 1
    """
    content: dict[str, Any] = {
        "path": ".",
        **_split_keys(splits),
        "kpt_shape": [len(skeleton), dims],
        "flip_idx": skeleton.flip_index.tolist(),
        "names": dict(names),
        "kpt_names": {number: list(skeleton.keypoints) for number in names},
    }
    own: dict[str, Any] = {}
    known = catalog.match(skeleton.keypoints)
    if known is None or list(known.keypoints) != list(skeleton.keypoints) or known != skeleton:
        own["skeleton"] = skeleton.to_dict()
    if category_ids:
        own["category_ids"] = list(category_ids)
    if unusual := [split for split in splits if not is_split(split)]:
        own["splits"] = unusual
    return {**content, "kpkit": own} if own else content


def _split_keys(splits: Sequence[str]) -> dict[str, str | list[str]]:
    """Folders by the keys that trainers read; `train` and `val` have to be there, so one stands in for the other."""
    keys: dict[str, list[str]] = {}
    for split in splits:
        key = next((key for key in SPLIT_KEYS if split.lower().startswith(key)), "train")
        keys.setdefault(key, []).append(f"images/{split}")
    for key, other in (("train", "val"), ("val", "train")):
        keys.setdefault(key, keys.get(other) or next(iter(keys.values())))
    return {key: keys[key][0] if len(keys[key]) == 1 else list(keys[key]) for key in SPLIT_KEYS if key in keys}


def is_split(name: str, also: Iterable[str] = ()) -> bool:
    """Whether a folder's name says which part of a dataset it holds ("train", "val2017")."""
    return _SPLIT.fullmatch(name) is not None or name in also


def dump(content: Mapping[str, Any]) -> bytes:
    """YAML text, keys in the given order."""
    text: str = yaml.safe_dump(dict(content), sort_keys=False, default_flow_style=None, allow_unicode=True, width=110)
    return text.encode()
