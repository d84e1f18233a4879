"""typer's commands, with flags that do not say `<bool>` in the help."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup


def _without_types(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if getattr(parameter, "is_flag", False) and parameter.metavar is None:
            parameter.metavar = ""
    return parameters


class Command(TyperCommand):
    """One command."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, the automatic --help among them."""
        return _without_types(super().get_params(ctx))


class Group(TyperGroup):
    """The program with its commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, --help and those for completion among them."""
        return _without_types(super().get_params(ctx))
