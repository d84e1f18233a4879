"""Reading and writing one dataset: the Python face of the formats."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kpkit import storage
from kpkit.core import catalog
from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector, Report
from kpkit.core.skeleton import Skeleton
from kpkit.errors import FormatError, UsageError
from kpkit.formats.base import Format, ReadOptions, WriteOptions
from kpkit.guard import publish, sync_file
from kpkit.pipelines.bulk import uncollected
from kpkit.pipelines.find import bring_labels, detect, get_format, hint_other_format
from kpkit.pipelines.images import ImageSizes

# Files of an output folder that a report names one by one.
FILES_NAMED = 12


def read(
    path: str | Path,
    format: str | None = None,
    *,
    skeleton: str | Skeleton | None = None,
    images: str | Path | None = None,
    image_sizes: str | Path | None = None,
    image_list: str | Path | None = None,
    layout: str | Path | None = None,
    low_memory: bool = False,
    collector: Collector | None = None,
) -> Dataset:
    """Read labels into the canonical schema.

    path         file or folder                  format       name of the format; None: told by the content
    skeleton     joints of labels that do not name theirs
    images       folder whose image headers give sizes that the labels lack      image_sizes  CSV that gives them
    image_list   image names, one a line, for labels without names               layout       TOML for a team's own file
    low_memory   prefer little memory to speed
    collector    gathers what was noticed; with mode "collect" errors are findings

    Raises InputError, FormatError or RecordError with the file, the record and the field.
    """
    place = bring_labels(Path(path))
    found = get_format(format) if format else (get_format("six2") if layout else detect(place)[0])
    options = ReadOptions(
        skeleton=catalog.skeleton(skeleton) if isinstance(skeleton, str) else skeleton,
        image_list=Path(image_list) if image_list else None,
        layout=Path(layout) if layout else None,
        sizes=ImageSizes(Path(images) if images else None, Path(image_sizes) if image_sizes else None),
        low_memory=low_memory,
    )
    return read_with(found, place, options, collector or Collector())


def read_with(source: Format, path: Path, options: ReadOptions, collector: Collector) -> Dataset:
    """Read with a known format; a file of another format is called by its name in the error's help."""
    try:
        with uncollected():
            dataset = source.read(path, options, collector)
    except FormatError as error:
        hint_other_format(error, source, path)
        raise
    if dataset.image_root is not None:
        # Labels from storage are read from a copy; their pictures are where they came from.
        root = storage.lasting(Path(dataset.image_root))
        return dataset.replace(image_root=None if root is None else str(root))
    return dataset


def write(
    dataset: Dataset,
    path: str | Path,
    format: str | None = None,
    *,
    force: bool = False,
    layout: str | Path | None = None,
) -> Report:
    """Write a dataset; the output appears whole or not at all.

    path    output file or folder          format  name of the format; None: by the ending of `path`
    force   replace what is there          layout  TOML for a team's own file

    Returns the Report, which names whatever the format could not hold. Raises OutputError.
    """
    final = Path(path)
    target = get_format(format) if format else _by_ending(final)
    collector = Collector()
    options = WriteOptions(final=final, layout=Path(layout) if layout else None)
    check_skeleton(target, dataset.skeleton)
    with publish(final, force=force, directory=target.kind == "folder") as temporary, uncollected():
        target.write(dataset, temporary, options, collector)
    return Report(
        command="write",
        output=str(final),
        target={"format": target.name, "skeleton": dataset.skeleton.name},
        counts=dataset.counts(),
        losses=target.losses(dataset, final),
        issues=collector.issues,
        files=file_sizes(final),
    )


def write_into(target: Format, dataset: Dataset, folder: Path, options: WriteOptions, collector: Collector) -> None:
    """Write into an output folder that is being published, at the format's usual place in it."""
    inner = folder / target.default_output
    if target.kind == "folder":
        inner.mkdir(parents=True, exist_ok=True)
        target.write(dataset, inner, options, collector)
        return
    inner.parent.mkdir(parents=True, exist_ok=True)
    target.write(dataset, inner, options, collector)
    sync_file(inner)


def check_skeleton(target: Format, skeleton: Skeleton) -> None:
    """Raise UsageError where the format has other joints than these."""
    allowed = target.keeps.skeletons
    if allowed is None or any(catalog.skeleton(name).same_joints(skeleton) for name in allowed):
        return
    raise UsageError(
        f"{target.name} cannot hold the skeleton '{skeleton.name}'",
        code="KP-SKELETON-TARGET",
        expected=" or ".join(allowed),
        got=f"{skeleton.name} ({len(skeleton)} joints)",
        help=f"leave --keep-skeleton out, or say --skeleton {allowed[0]}",
    )


def file_sizes(path: Path) -> dict[str, int]:
    """Bytes of a written file; of a folder, of the first files at its first two levels and the sum of the rest."""
    if storage.is_remote(path):
        return storage.sizes(path, FILES_NAMED)
    if path.is_file():
        return {path.name: path.stat().st_size}
    named: dict[str, int] = {}
    rest = count = 0
    for folder, folders, files in os.walk(path):
        folders.sort()
        near = os.path.relpath(folder, path)
        shallow = near == "." or os.sep not in near
        for name in sorted(files) if shallow else files:
            size = os.stat(os.path.join(folder, name)).st_size
            if shallow and len(named) < FILES_NAMED:
                named[name if near == "." else f"{near.replace(os.sep, '/')}/{name}"] = size
            else:
                rest, count = rest + size, count + 1
    if count:
        named[f"{count} more files"] = rest
    return named


def _by_ending(path: Path) -> Format:
    known: dict[str, Any] = {".kpk": "native", ".mat": "mpii", ".csv": "six2"}
    if path.name.endswith(".six2.json"):
        return get_format("six2")
    if path.suffix in known:
        return get_format(known[path.suffix])
    raise UsageError(
        "the format is not clear from the file's name",
        code="KP-FORMAT-NAME",
        place=str(path),
        expected=", ".join(sorted(known)) + " or .six2.json",
        help="name it: kpkit.write(dataset, path, format='coco')",
    )
