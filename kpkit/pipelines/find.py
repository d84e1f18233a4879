"""Which format a path has, and where labels stand in a folder."""

from __future__ import annotations

import inspect
from pathlib import Path

from kpkit import registry, storage
from kpkit.errors import DefinitionError, FormatError, InputError, MissingExtraError, UsageError
from kpkit.formats.base import Format
from kpkit.pipelines.images import SUFFIXES


def get_format(name: str) -> Format:
    """An instance of the format registered under `name` or an alias.

    Raises UsageError for an unknown one, MissingExtraError or DefinitionError for a plug-in that cannot be used.
    """
    kind = registry.load(registry.FORMATS, name)
    if isinstance(kind, type) and issubclass(kind, Format) and not inspect.isabstract(kind):
        return kind()
    raise DefinitionError(
        f"the plug-in '{name}' is no format",
        code="KP-PLUGIN-KIND",
        place=f"entry point '{name}' of group '{registry.FORMATS}'",
        expected="a subclass of kpkit.formats.base.Format with sniff, read and write",
        got=repr(kind)[:80],
        help="correct that package, or uninstall it",
    )


def bring_labels(path: Path) -> Path:
    """A local copy of labels in storage, without the pictures beside them; a local path as it is."""
    return storage.bring(path, SUFFIXES)


def all_formats() -> list[Format]:
    """Every format that can be loaded (a plug-in that cannot be imported is left out)."""
    formats = []
    for name in registry.names(registry.FORMATS):
        try:
            formats.append(get_format(name))
        except (DefinitionError, MissingExtraError):
            continue
    return formats


def detect(path: Path) -> tuple[Format, str]:
    """The format and variant of a file or folder, by its content.

    Raises InputError where nothing is there, FormatError where no format or more than one recognises it.
    """
    path = bring_labels(path)
    if not path.exists():
        raise InputError(
            "there is no such file or folder", code="KP-INPUT-READ", place=str(path), help="check the path"
        )
    found = [(one, variant) for one in all_formats() if (variant := one.sniff(path)) is not None]
    if len(found) == 1:
        return found[0]
    names = ", ".join(one.name for one, _ in found)
    raise FormatError(
        "the content fits several formats" if found else "the content is of no known format",
        code="KP-FORMAT-UNKNOWN",
        place=str(path),
        expected="one of " + ", ".join(registry.names(registry.FORMATS)),
        got=names,
        help="name the format (see 'kpkit formats')",
    )


def inputs_of(source: Format, given: tuple[Path, ...], folder: Path) -> list[Path]:
    """The label files to read: those given, or the one candidate of a folder (which may be several files).

    Raises UsageError where a folder holds several candidates or none.
    """
    if not given:
        return _only(source, folder)
    given = tuple(bring_labels(path) for path in given)
    inside = [_only(source, path) if path.is_dir() and source.sniff(path) is None else [path] for path in given]
    return [path for paths in inside for path in paths]


def _only(source: Format, folder: Path) -> list[Path]:
    found = source.discover(folder)
    if len(found) == 1:
        return found
    if together := source.together(found):
        return together
    if not found:
        raise UsageError(
            f"no {source.name} labels in this folder",
            code="KP-INPUT-NONE",
            place=str(folder),
            expected="one of " + ", ".join(source.usual),
            help=f"name the input: kpkit convert {source.name} TARGET PATH",
        )
    raise UsageError(
        f"several {source.name} label files in this folder",
        code="KP-INPUT-SEVERAL",
        place=str(folder),
        expected="one",
        got=", ".join(str(path.relative_to(folder)) for path in found),
        help=f"name the ones to take: kpkit convert {source.name} TARGET {found[0].relative_to(folder)}",
    )


def find_input(given: Path | None, name: str, folder: Path) -> tuple[Path, Format]:
    """The labels to work on and their format.

    given  a file or folder; None: the one candidate in `folder`     name  of the format; "" told by the content

    Raises UsageError where a folder holds several candidates or none.
    """
    formats = [get_format(name)] if name else all_formats()
    given = None if given is None else bring_labels(given)
    if given is not None and (not given.is_dir() or any(one.sniff(given) for one in formats)):
        return given, formats[0] if name else detect(given)[0]
    where = given or folder
    found = [(path, one) for one in formats for path in one.discover(where)]
    if len(found) == 1:
        return found[0]
    raise UsageError(
        "several label files in this folder" if found else "no labels in this folder",
        code="KP-INPUT-SEVERAL" if found else "KP-INPUT-NONE",
        place=str(where),
        expected="one" if found else "one of " + ", ".join(usual for one in formats for usual in one.usual),
        got=", ".join(f"{path.relative_to(where)} ({one.name})" for path, one in found),
        help="name the one to take" if found else "name the labels, or go to their folder",
    )


def hint_other_format(error: FormatError, source: Format, path: Path) -> None:
    """Where another format recognises the file, say so in the error's help line."""
    others = [one for one in all_formats() if one.name != source.name and one.sniff(path) is not None]
    if source.sniff(path) is None and len(others) == 1:
        error.help = f"this looks like {others[0].name}: use '{others[0].name}' in place of '{source.name}'"
