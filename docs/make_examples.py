"""Runs what README.md and docs/ show: commands and their output, and Python; `--check` fails where a page is stale.

    python docs/make_examples.py [--check] [PAGE...]

* In a `console` block, a line `$ COMMAND` is run and what follows is its output, which is renewed (or, with `--check`,
  compared). A command without output below it is run only. It must succeed, unless an error is shown. Times and file
  sizes may differ.
* A `python` block is run; the comment lines right below a line that begins with `print(` are what it prints.
* A block below a line `<!-- not run: REASON -->` is left alone, and so are blocks in other languages.

README.md starts in an empty folder, every other page in the one that `kpkit demo` makes; `cd` lasts to the page's end.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
GENERATED = {TOP / "docs" / "cli.md"}
NOT_RUN = re.compile(r"<!-- not run: \S.* -->")
VOLATILE = (
    (re.compile(r"\bin \d+(?:\.\d+)? s\b"), "in 0 s"),
    (re.compile(r"\b\d[\d,.]* (?:bytes|kB|MB)\b"), "0 kB"),
)


@dataclass
class Block:
    """A fenced block: the lines between the fences, and where the first of them stands (0-based)."""

    language: str
    first: int
    lines: list[str] = field(default_factory=list)
    skipped: bool = False


def pages() -> list[Path]:
    """README.md and all of docs/ that people wrote."""
    return [TOP / "README.md", *sorted(set((TOP / "docs").rglob("*.md")) - GENERATED)]


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page."""
    found: list[Block] = []
    current: Block | None = None
    before = ""
    for number, line in enumerate(text.splitlines()):
        if current is None and line.startswith("```"):
            current = Block(line[3:].strip(), number + 1, skipped=NOT_RUN.fullmatch(before) is not None)
        elif current is not None and line.startswith("```"):
            found.append(current)
            current = None
        elif current is not None:
            current.lines.append(line)
        before = line if line.strip() else before
    return found


class Runner:
    """Runs the blocks of one page, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        home = Path(sys.executable).parent
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("KPKIT_") and name not in {"FORCE_COLOR", "NO_COLOR"}
        } | {"PYTHONPATH": str(TOP), "PATH": f"{home}{os.pathsep}{os.environ['PATH']}", "PYTHON": sys.executable}

    def console(self, block: Block) -> list[str]:
        """The block with fresh output where it shows output."""
        fresh: list[str] = []
        for command, shown in _commands(block):
            fresh.append(f"$ {command}")
            output = self._shell(command, may_fail=any("error[" in line for line in shown))
            if any(line.strip() for line in shown):
                fresh += [*output, *[""] * (len(shown) - len("\n".join(shown).rstrip().split("\n")))]
            else:
                fresh += shown
        return fresh

    def python(self, block: Block) -> list[str]:
        """The block with what it really prints below its print lines."""
        expected = [line for _, lines in _prints(block.lines) for line in lines]
        done = self._run([sys.executable, "-W", "error", "-c", "\n".join(block.lines)], may_fail=False)
        printed = [f"# {line}".rstrip() for line in done.splitlines()]
        if not expected or expected == printed:
            return block.lines
        return [line for line in block.lines if line not in expected] + printed

    def _shell(self, command: str, may_fail: bool) -> list[str]:
        if command.startswith("cd "):
            self.folder = (self.folder / command[3:].strip()).resolve()
            return []
        script = f'kpkit() {{ "$PYTHON" -m kpkit "$@"; }}; {command}'
        return self._run(["bash", "-c", script], may_fail).splitlines()

    def _run(self, command: list[str], may_fail: bool) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode and not may_fail:
            raise SystemExit(f"{command[-1]}\nfailed with exit code {done.returncode}:\n{done.stdout}")
        return "\n".join(line.rstrip() for line in done.stdout.splitlines())


def _commands(block: Block) -> Iterator[tuple[str, list[str]]]:
    """Each command of a console block and the output shown below it."""
    command, shown = "", []
    for line in block.lines:
        if line.startswith("$ "):
            if command:
                yield command, shown
            command, shown = line[2:], []
        elif command:
            shown.append(line)
    if command:
        yield command, shown


def _prints(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Number of each line that prints, and the comment lines below it."""
    for number, line in enumerate(lines):
        if line.startswith("print("):
            below = []
            for comment in lines[number + 1 :]:
                if not comment.startswith("#"):
                    break
                below.append(comment.rstrip())
            yield number, below


def renewed(page: Path, demo: Path) -> str:
    """The page's text with the output that its commands have now.

    demo  a folder that `kpkit demo` made; it is copied, not changed
    """
    text = page.read_text(encoding="utf-8")
    lines = text.splitlines()
    with tempfile.TemporaryDirectory() as scratch:
        start = Path(scratch) / "empty"
        if page.name == "README.md":
            start.mkdir()
        else:
            start = Path(scratch) / "kpkit-demo"
            shutil.copytree(demo, start)
        runner = Runner(start)
        fresh: list[tuple[Block, list[str]]] = []
        for block in blocks(text):
            if block.skipped or block.language not in {"console", "python"}:
                continue
            fresh.append((block, runner.console(block) if block.language == "console" else runner.python(block)))
    for block, new in reversed(fresh):
        if _settled(new) != _settled(block.lines):
            lines[block.first : block.first + len(block.lines)] = new
    return "\n".join(lines) + "\n"


def _settled(lines: list[str]) -> list[str]:
    """Lines without what differs from run to run; column widths may follow a number's."""
    settled = []
    for line in lines:
        for pattern, stand_in in VOLATILE:
            line = pattern.sub(stand_in, line)
        settled.append(line.rstrip())
    return settled


def main(arguments: list[str]) -> int:
    check = "--check" in arguments
    chosen = [Path(one).resolve() for one in arguments if one != "--check"] or pages()
    stale = 0
    with tempfile.TemporaryDirectory() as scratch:
        demo = Path(scratch) / "kpkit-demo"
        if any(page.name != "README.md" for page in chosen):
            subprocess.run(
                [sys.executable, "-m", "kpkit", "demo", str(demo), "--quiet"],
                env={**os.environ, "PYTHONPATH": str(TOP)},
                stdout=subprocess.DEVNULL,
                check=True,
            )
        for page in chosen:
            old, new = page.read_text(encoding="utf-8"), renewed(page, demo)
            if old == new:
                continue
            stale += 1
            name = page.relative_to(TOP).as_posix()
            if check:
                sys.stderr.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True), name, "now"))
            else:
                page.write_text(new, encoding="utf-8")
                print(f"renewed {name}")
    if check and stale:
        print("run: python docs/make_examples.py", file=sys.stderr)
    return 1 if check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
