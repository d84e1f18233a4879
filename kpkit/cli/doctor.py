"""`kpkit doctor`: is this installation all right?"""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from kpkit.cli.command import reporting
from kpkit.cli.output import Console, Part, size

# Where the name to import is not the name to install.
MODULES = {
    "importlib-metadata": "importlib_metadata",
    "opencv-python-headless": "cv2",
    "pyyaml": "yaml",
    "zlib-ng": "zlib_ng",
}
_REQUIREMENT = re.compile(r"^[A-Za-z0-9._-]+")
_EXTRA = re.compile(r"extra == [\"']([a-z0-9-]+)[\"']")
_COLLECTIONS = frozenset({"all", "test"})


@reporting
def doctor(console: Console) -> int:
    """Check this installation: versions, extras, plug-ins, disk.

    Exits with 1 if something that kpkit needs is broken; an extra that is not installed is no fault.

    Examples:

    - `kpkit doctor`
    - `kpkit doctor --json`
    """
    found = examine()
    if console.as_json:
        console.document(found)
    else:
        _print(console, found)
    return 1 if found["faults"] else 0


def examine() -> dict[str, Any]:
    """What there is to say, as plain data; `faults` lists what is broken."""
    libraries, extras = _requirements()
    found: dict[str, Any] = {
        "system": _system(),
        "libraries": {name: _library(name) for name in libraries},
        "extras": {extra: {name: _version(name) for name in packages} for extra, packages in extras.items()},
        "schemas": _schemas(),
        "plugins": _plugins(),
    }
    found["faults"] = [
        *(f"{name}: {one['error']}" for name, one in found["libraries"].items() if one["error"]),
        *(f"plug-in {one['name']}: {one['error']}" for one in found["plugins"] if one["error"]),
        *([f"schemas: {found['schemas']['error']}"] if found["schemas"]["error"] else []),
    ]
    return found


def _system() -> dict[str, Any]:
    import platform
    import shutil

    import kpkit

    affinity = getattr(os, "sched_getaffinity", None)
    return {
        "kpkit": kpkit.__version__,
        "folder": str(Path(kpkit.__file__).parent),
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "cores": len(affinity(0)) if affinity is not None else os.cpu_count(),
        "free_disk_bytes": shutil.disk_usage(".").free,
    }


def _requirements() -> tuple[list[str], dict[str, list[str]]]:
    """Names of the required packages, and of those each extra adds; empty where kpkit runs without being installed."""
    from importlib import metadata

    libraries: list[str] = []
    extras: dict[str, list[str]] = {}
    try:
        requirements = metadata.requires("kpkit") or []
    except metadata.PackageNotFoundError:
        return libraries, extras
    for requirement in requirements:
        name = _REQUIREMENT.match(requirement)
        if name is None:
            continue
        extra = _EXTRA.search(requirement)
        if extra is None:
            libraries.append(name.group().lower())
        elif extra.group(1) not in _COLLECTIONS:
            extras.setdefault(extra.group(1), []).append(name.group().lower())
    return libraries, extras


def _library(name: str) -> dict[str, str]:
    """Version of a required package, and why it cannot be imported, if so."""
    error = ""
    try:
        import_module(MODULES.get(name, name))
    except Exception as problem:
        # A broken binary can fail in any way; whatever it is belongs into the list.
        error = f"{type(problem).__name__}: {problem}"
    return {"version": _version(name), "error": error}


def _version(name: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _schemas() -> dict[str, Any]:
    from kpkit import resources
    from kpkit.errors import KpkitError

    try:
        counts = {kind: len(resources.names(kind)) for kind in ("skeletons", "mappings", "json")}
        return {"folder": str(resources.schemas_dir()), **counts, "error": ""}
    except (KpkitError, OSError) as error:
        return {"folder": "", "error": str(error)}


def _plugins() -> list[dict[str, str]]:
    """Every format, built in or not, and why it cannot be used, if so."""
    from kpkit import registry
    from kpkit.errors import KpkitError

    try:
        names = registry.names(registry.FORMATS)
    except KpkitError as error:
        return [{"name": "", "package": "", "error": str(error)}]
    found = []
    for name in names:
        error_text = ""
        try:
            registry.load(registry.FORMATS, name)
        except Exception as error:
            # A third party's module may raise anything while it is imported.
            error_text = str(error) or type(error).__name__
        package = registry.distribution_of(registry.FORMATS, name)
        found.append({"name": name, "package": package, "error": error_text})
    return found


def _print(console: Console, found: dict[str, Any]) -> None:
    system, schemas = found["system"], found["schemas"]
    console.line(("kpkit", "bold cyan"), f" {system['kpkit']} in {system['folder']}")
    console.line(("python", "bold cyan"), f" {system['python']} at {system['executable']}")
    cores = f"{system['cores']} cores, {size(system['free_disk_bytes'])} free here"
    console.line(("system", "bold cyan"), f" {system['platform']}, {cores}")
    if not schemas["error"]:
        counts = f"{schemas['skeletons']} skeletons, {schemas['mappings']} mappings, {schemas['json']} JSON Schemas"
        console.line(("schemas", "bold cyan"), f" {counts} in {schemas['folder']}")
    console.line()
    _print_libraries(console, found)
    console.line()
    _print_plugins(console, found["plugins"])
    if found["faults"]:
        console.line()
    for fault in found["faults"]:
        console.line(("broken: ", "bold red"), fault)
    console.line(("Something is broken.", "bold red") if found["faults"] else ("All is well.", "bold green"))


def _print_libraries(console: Console, found: dict[str, Any]) -> None:
    if not found["libraries"]:
        console.line(("kpkit runs from a checkout that is not installed: extras unknown", "yellow"))
        return
    rows: list[list[Part]] = [
        [name, ("broken", "red") if one["error"] else ("ok", "green"), one["version"]]
        for name, one in found["libraries"].items()
    ]
    console.table(("library", "state", "version"), rows)
    console.line()
    rows = []
    for extra, packages in found["extras"].items():
        complete = all(packages.values())
        versions = ", ".join(f"{name} {version}" for name, version in packages.items() if version)
        state: Part = ("installed", "green") if complete else ("not installed", "dim")
        rows.append([extra, state, versions if complete else f"pip install 'kpkit[{extra}]'"])
    console.table(("extra", "state", "versions, or how to install"), rows)


def _print_plugins(console: Console, plugins: list[dict[str, str]]) -> None:
    own = [one["name"] for one in plugins if one["package"] == "kpkit" and not one["error"]]
    console.line(("formats", "bold cyan"), " ", ", ".join(own))
    for one in plugins:
        if one["package"] != "kpkit" or one["error"]:
            state: Part = ("broken", "red") if one["error"] else ("ok", "green")
            console.line(("plug-in", "bold cyan"), f" {one['name']} from {one['package']} ", state)
