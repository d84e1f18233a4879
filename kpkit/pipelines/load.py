"""Labels to look at: found, read and given their sizes, the way every command that takes [INPUT] does it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from kpkit import storage
from kpkit.core import catalog
from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector
from kpkit.errors import KpkitError, UsageError
from kpkit.formats.base import Format, ReadOptions
from kpkit.pipelines.find import find_input
from kpkit.pipelines.images import ImageSizes, locate_images, with_sizes
from kpkit.pipelines.io import read_with


@dataclass(frozen=True, kw_only=True)
class LabelSource:
    """Where labels are and how to read them; the fields are options that commands share.

    input       file or folder; None: the one candidate in `folder`     from_  format; "" told by content
    skeleton    name or TOML file, for labels that do not name their joints
    images      folder of the pictures          image_sizes  CSV with sizes
    image_list  names of images, one a line     layout       TOML for a team's own file
    pictures_may_lack  the folder of the pictures is taken as given, also where the first ones are not in it
    """

    input: Path | None = None
    folder: Path = field(default_factory=Path)
    from_: str = ""
    skeleton: str | None = None
    images: Path | None = None
    image_sizes: Path | None = None
    image_list: Path | None = None
    layout: Path | None = None
    pictures_may_lack: bool = False


def absolute(where: LabelSource) -> LabelSource:
    """The same with absolute paths: workers of a cluster have another current folder."""
    names = ("input", "folder", "images", "image_sizes")
    given = {name: getattr(where, name) for name in names}
    return replace(
        where,
        **{name: path.absolute() for name, path in given.items() if path is not None and not storage.is_remote(path)},
    )


@dataclass(frozen=True)
class Loaded:
    """What was read: path, format and the dataset; `images` is the folder of the pictures, None where not found."""

    path: Path
    format: Format
    dataset: Dataset
    images: Path | None


def load_labels(where: LabelSource, collector: Collector) -> Loaded:
    """Find and read. A collector in "collect" mode gathers errors of records and reads on as far as it goes.

    Raises UsageError where no or several candidates are found, InputError where the file cannot be read.
    """
    name = where.from_ or ("six2" if where.layout is not None else "")
    path, source = find_input(where.input, name, where.folder)
    options = ReadOptions(
        skeleton=catalog.skeleton(where.skeleton) if where.skeleton else None,
        image_list=where.image_list,
        layout=where.layout,
        sizes=ImageSizes(where.images, where.image_sizes),
    )
    try:
        dataset = read_with(source, path, options, collector)
    except KpkitError as error:
        if not error.place:
            error.at(str(path))
        raise
    if where.images is not None or where.image_sizes is not None:
        dataset = with_sizes(dataset, options.sizes, collector)
    return Loaded(path, source, dataset, folder_of_images(dataset, path, where))


def folder_of_images(dataset: Dataset, path: Path, where: LabelSource) -> Path | None:
    """The folder of the pictures, None where it is not found.

    Raises UsageError where the one that was given does not have them.
    """
    given = where.images
    if where.pictures_may_lack and given is not None and given.is_dir():
        return given
    try:
        return locate_images(dataset, path, given)
    except UsageError:
        if given is not None:
            raise
        return None
