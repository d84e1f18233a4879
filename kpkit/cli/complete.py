"""What the shell offers after TAB: names of formats, skeletons and recipes."""

from __future__ import annotations


def formats() -> list[str]:
    """Names of all formats."""
    from kpkit import registry

    return registry.names(registry.FORMATS)


def skeletons() -> list[str]:
    """Names of the catalog's skeletons."""
    from kpkit.core import catalog

    return catalog.skeleton_names()


def recipes() -> list[str]:
    """Names of the shipped recipes."""
    from kpkit.augment.recipe import preset_names

    return preset_names()


def codecs() -> list[str]:
    """Names of all codecs."""
    from kpkit import registry

    return registry.names(registry.CODECS)


def rules() -> list[str]:
    """Ids of all rules of `kpkit validate`."""
    from kpkit.qa import rule_table

    return [rule.id for rule in rule_table.rules()]
