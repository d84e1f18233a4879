"""One table of plug-ins: built-ins and third parties come through the same lazy entry points.

A plug-in is an entry point of one of the groups below, pointing to a class. Nothing is imported until it is asked for.

    kpkit.formats   readers and writers; a subclass of `kpkit.formats.base.Format`
    kpkit.codecs    rules for targets; a subclass of `kpkit.targets.base.Codec`
    kpkit.rules     checks of labels; a list of `kpkit.qa.rules.Rule`

A third party registers in its own pyproject.toml:

    [project.entry-points."kpkit.formats"]
    myformat = "my_package.myformat:MyFormat"

A second plug-in under a name that is taken is refused: nobody silently replaces a built-in.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from kpkit.errors import DefinitionError, MissingExtraError, UsageError, did_you_mean

FORMATS = "kpkit.formats"
CODECS = "kpkit.codecs"
RULES = "kpkit.rules"

_BUILT_IN: dict[str, dict[str, str]] = {
    FORMATS: {
        "coco": "kpkit.formats.coco:CocoFormat",
        "mpii": "kpkit.formats.mpii:MpiiFormat",
        "six2": "kpkit.formats.six2:Six2Format",
        "yolo-pose": "kpkit.formats.yolo_pose:YoloPoseFormat",
        "native": "kpkit.formats.native:NativeFormat",
    },
    CODECS: {
        "msra": "kpkit.targets.msra:Msra",
        "unbiased": "kpkit.targets.unbiased:Unbiased",
        "udp": "kpkit.targets.udp:Udp",
        "megvii": "kpkit.targets.megvii:Megvii",
        "simcc": "kpkit.targets.simcc:Simcc",
        "paf": "kpkit.targets.paf:Paf",
        "bottomup": "kpkit.targets.bottomup:BottomUp",
    },
    RULES: {
        "records": "kpkit.qa.rules_records:RULES",
        "boxes": "kpkit.qa.rules_boxes:RULES",
        "persons": "kpkit.qa.rules_persons:RULES",
        "sides": "kpkit.qa.rules_sides:RULES",
        "limbs": "kpkit.qa.rules_limbs:RULES",
        "skeleton": "kpkit.qa.rules_skeleton:RULES",
        "pictures": "kpkit.qa.rules_pictures:RULES",
    },
}

ALIASES = {"6-2": "six2", "yolo": "yolo-pose", "kpk": "native"}


@cache
def table(group: str) -> dict[str, EntryPoint]:
    """All plug-ins of a group by name, unloaded.

    Raises DefinitionError where two distributions claim one name.
    """
    found = {name: EntryPoint(name, value, group) for name, value in _BUILT_IN.get(group, {}).items()}
    for point in sorted(entry_points(group=group), key=lambda p: (p.name, p.value)):
        taken = found.get(point.name)
        if taken is None:
            found[point.name] = point
        elif taken.value != point.value:
            raise DefinitionError(
                f"two plug-ins are called '{point.name}'",
                code="KP-PLUGIN-DUPLICATE",
                place=f"entry points of group '{group}'",
                expected="one plug-in a name",
                got=f"{taken.value} and {point.value}{_distribution(point)}",
                help=f"uninstall one of them or rename its entry point{_distribution(point)}",
            )
    return found


def names(group: str) -> list[str]:
    """Names of all plug-ins of a group: built-ins first, in their order, then third parties by name."""
    return list(table(group))


def canonical_name(name: str) -> str:
    """The registered name behind an alias ("6-2" is "six2")."""
    return ALIASES.get(name.lower(), name.lower())


@cache
def load(group: str, name: str) -> Any:
    """Import and return one plug-in.

    Raises UsageError for an unknown name, MissingExtraError where the plug-in imports what is not there,
    DefinitionError where it fails in another way.
    """
    known = table(group)
    point = known.get(canonical_name(name)) or known.get(name)
    if point is None:
        what = group.removeprefix("kpkit.").removesuffix("s")
        raise UsageError(
            f"there is no {what} '{name}'",
            code="KP-UNKNOWN-" + what.upper(),
            help=did_you_mean(name, [*known, *(alias for alias, meant in ALIASES.items() if meant in known)]),
        )
    try:
        return point.load()
    except ImportError as error:
        missing = getattr(error, "name", None) or str(error)
        package = point.dist.name if point.dist is not None else "kpkit"
        raise MissingExtraError(
            f"the plug-in '{name}' cannot be imported: {error}",
            code="KP-PLUGIN-IMPORT",
            place=f"{point.value}{_distribution(point)}",
            expected=f"an importable module '{missing}'",
            help=f"pip install {missing.split('.')[0]}, or reinstall {package}",
        ) from error
    except AttributeError as error:
        raise DefinitionError(
            f"the plug-in '{name}' names an object that does not exist: {error}",
            code="KP-PLUGIN-OBJECT",
            place=f"{point.value}{_distribution(point)}",
            help="correct the entry point of that package",
        ) from error
    except Exception as error:  # a module may fail in any way when it is imported; the other plug-ins must not suffer
        raise DefinitionError(
            f"the plug-in '{name}' fails when it is imported: {type(error).__name__}: {error}",
            code="KP-PLUGIN-FAILS",
            place=f"{point.value}{_distribution(point)}",
            help="uninstall that package, or tell its authors",
        ) from error


def distribution_of(group: str, name: str) -> str:
    """The package a plug-in comes from ("kpkit" for a built-in)."""
    point = table(group)[name]
    return point.dist.name if point.dist is not None else "kpkit"


def _distribution(point: EntryPoint) -> str:
    return f" (package {point.dist.name} {point.dist.version})" if point.dist is not None else ""
