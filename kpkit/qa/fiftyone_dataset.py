"""A FiftyOne dataset made from labels: under another name until it is whole, then under its own."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from kpkit.errors import UsageError, did_you_mean
from kpkit.qa.fiftyone_documents import Document, Shown, documents, shapes
from kpkit.qa.fiftyone_fields import ADDED, GROUP, HIDDEN, POINTS, SOURCE, TRUNCATED, VISIBLE, declare, dress

# Documents a call: some megabytes, below MongoDB's 48 MB a message also for 133 joints.
BATCH = 500
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class SavedView:
    """A view kept with the dataset: persons, or images, that carry one tag."""

    name: str
    tag: str
    persons: bool
    description: str = ""


def check_name(fiftyone: Any, name: str, *, force: bool) -> None:
    """Raise UsageError where the dataset exists and may not be replaced."""
    if not force and fiftyone.dataset_exists(name):
        raise UsageError(
            f"FiftyOne has a dataset '{name}' already",
            code="KP-VIEW-EXISTS",
            help=f"--force replaces it, --name makes another; to open it: fiftyone app launch {name}",
        )


def load_ours(fiftyone: Any, name: str) -> Any:
    """The dataset of that name, if kpkit made it.

    Raises UsageError where there is none, or another program made it.
    """
    if not fiftyone.dataset_exists(name):
        names = [one for one in fiftyone.list_datasets() if not one.startswith(TEMPORARY)]
        raise UsageError(f"FiftyOne has no dataset '{name}'", code="KP-VIEW-NONE", help=did_you_mean(name, names))
    dataset = fiftyone.load_dataset(name)
    if not isinstance(dataset.info.get(ADDED), dict):
        raise UsageError(
            f"the dataset '{name}' was not made by kpkit",
            code="KP-VIEW-FOREIGN",
            expected="a dataset that 'kpkit view' made",
            help="export it from FiftyOne, or delete it there",
        )
    return dataset


TEMPORARY = "kpkit-tmp-"


@contextlib.contextmanager
def new_dataset(fiftyone: Any, name: str, *, force: bool) -> Iterator[Any]:
    """A dataset that takes its name when the block ends well, and is removed when it does not.

    With `force` a dataset of that name is deleted at the last moment.
    """
    check_name(fiftyone, name, force=force)
    dataset = fiftyone.Dataset(f"{TEMPORARY}{secrets.token_hex(6)}")
    try:
        yield dataset
        if force and fiftyone.dataset_exists(name):
            fiftyone.delete_dataset(name)
        try:
            dataset.name = name
        except ValueError as error:
            raise UsageError(
                "FiftyOne does not take this name",
                code="KP-VIEW-NAME",
                got=str(error)[:200],
                help="choose one with --name",
            ) from error
    except BaseException:
        dataset.delete()
        raise


def fill(fiftyone: Any, dataset: Any, shown: Shown, info: Mapping[str, Any], progress: Progress | None) -> int:
    """Declare the fields and insert a sample for every image that can be shown; returns how many."""
    slices = list(dict.fromkeys(name for _, name in shown.groups.values()))
    if slices:
        dataset.add_group_field(GROUP, default=SOURCE if SOURCE in slices else slices[0])
    extras = {"masks": bool(shown.masks), "heatmaps": bool(shown.heatmaps)}
    declare(fiftyone, dataset, shown.dataset.skeleton, **extras)
    total = len(shown.files)
    if not total:
        return 0
    # Once for every slice: this is how FiftyOne learns of them.
    *_, form = [shapes(fiftyone, dataset, shown.files[0], name) for name in slices or [""]]
    collection = dataset._sample_collection
    stored = 0
    for batch in _batches(documents(shown, form)):
        collection.insert_many(batch, ordered=False)
        stored += len(batch)
        if progress is not None:
            progress("samples", stored, total)
    dataset.info[ADDED] = dict(info)
    dress(fiftyone, dataset)
    return stored


def _batches(found: Iterator[Document]) -> Iterator[list[Document]]:
    while batch := list(islice(found, BATCH)):
        yield batch


def save_views(fiftyone: Any, dataset: Any, views: list[SavedView]) -> list[str]:
    """Keep the views that show something; returns their names."""
    field = fiftyone.ViewField
    # In a dataset of groups a view shows one slice; these are to find persons wherever they are.
    every = dataset.select_group_slices(dataset.group_slices) if dataset.media_type == "group" else dataset
    persons = {
        "occluded > 50 %": (field("occluded_share") > 0.5, "persons of whose labelled joints most are occluded"),
        "without a joint": ((field("labelled") == 0) & (field("label") != "crowd"), "persons without a labelled joint"),
        "crowds": (field("label") == "crowd", ""),
        "truncated": (field("visibility").contains(TRUNCATED), "persons with a joint outside the frame"),
    }
    found = [(name, every.filter_labels(POINTS, one), about) for name, (one, about) in persons.items()]
    for word in (VISIBLE, HIDDEN):
        joints = every.filter_keypoints(POINTS, filter=field("visibility") == word)
        found.append((f"{word} joints", joints, "nothing but these"))
    for one in views:
        tagged = every.filter_labels(POINTS, field("tags").contains(one.tag))
        found.append((one.name, tagged if one.persons else every.match_tags(one.tag), one.description))
    kept = []
    for name, view, about in found:
        if len(view):
            dataset.save_view(name, view, description=about or None)
            kept.append(name)
    return kept
