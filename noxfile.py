"""The same checks on every Python that kpkit supports: `nox`, or `nox -s tests-3.13`."""

from __future__ import annotations

import nox

nox.options.sessions = ["lint", "tests"]
PYTHONS = ["3.11", "3.12", "3.13"]


@nox.session
def lint(session: nox.Session) -> None:
    """Style, types and layers."""
    session.install("-e", ".[test]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports", "--no-cache")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The test suite; arguments after `--` go to pytest."""
    session.install("-e", ".[test]")
    session.run("pytest", "-n", "2", *session.posargs)


@nox.session
def long(session: nox.Session) -> None:
    """Slow tests too, with many more examples for every property."""
    session.install("-e", ".[test]")
    session.run("pytest", "-n", "2", "-m", "slow or not slow", *session.posargs, env={"HYPOTHESIS_PROFILE": "long"})


@nox.session
def changelog(session: nox.Session) -> None:
    """What the next release notes would say."""
    session.install("towncrier")
    session.run("towncrier", "build", "--draft", "--version", "next")
