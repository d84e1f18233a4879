"""Dependencies point down only."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
LINT = """
import sys
from importlinter.cli import lint_imports
sys.path.insert(0, ".")
sys.exit(lint_imports(no_cache=True))
"""


def test_no_module_imports_from_a_layer_above_its_own():
    done = subprocess.run([sys.executable, "-c", LINT], capture_output=True, text=True, cwd=TOP, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def is_module(place: Path) -> bool:
    """Whether a module, or a package of modules, stands there."""
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()


def public_names_taken(path: Path) -> Iterator[str]:
    """What a module imports from the package's root that is no module itself."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "kpkit":
            yield from (one.name for one in node.names if not is_module(TOP / "kpkit" / one.name))


def test_no_module_takes_public_names_from_the_root():
    modules = [path for path in (TOP / "kpkit").rglob("*.py") if path.parent != TOP / "kpkit"]
    taken = {f"{path.relative_to(TOP)}: {name}" for path in modules for name in public_names_taken(path)}
    assert {one for one in taken if not one.endswith(": __version__")} == set()
