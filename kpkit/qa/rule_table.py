"""All rules: kpkit's own and those of plug-ins, by id; and which of them a selection means."""

from __future__ import annotations

from collections.abc import Sequence

from kpkit import registry
from kpkit.errors import DefinitionError, UsageError, did_you_mean
from kpkit.qa.rules import Rule


def rules() -> list[Rule]:
    """All rules in the order of their ids.

    Raises DefinitionError where a plug-in gives something else than rules, or an id that is taken.
    """
    found: dict[str, Rule] = {}
    for name in registry.names(registry.RULES):
        for rule in _of(name):
            if rule.id in found:
                raise DefinitionError(
                    f"two rules are called {rule.id}",
                    code="KP-RULE-DUPLICATE",
                    place=f"plug-in '{name}' (package {registry.distribution_of(registry.RULES, name)})",
                    expected="an id that no other rule has",
                    help="begin the ids of your own rules with letters of your own",
                )
            found[rule.id] = rule
    return sorted(found.values(), key=lambda rule: (not rule.id.startswith("KP"), rule.id))


def _of(name: str) -> Sequence[Rule]:
    loaded = registry.load(registry.RULES, name)
    if not isinstance(loaded, list | tuple) or not all(isinstance(one, Rule) for one in loaded):
        raise DefinitionError(
            f"the plug-in '{name}' is no list of rules",
            code="KP-PLUGIN-KIND",
            place=f"package {registry.distribution_of(registry.RULES, name)}",
            expected="a list of kpkit.qa.rules.Rule",
            got=type(loaded).__name__,
        )
    return loaded


def rule(code: str) -> Rule:
    """The rule of that id or name, or the one that stands for a reader's code ("KP-COCO-GHOST").

    Raises UsageError, with the nearest id, where there is none.
    """
    every = rules()
    wanted = code.strip()
    for one in every:
        if wanted.upper() == one.id or wanted.lower() == one.name or wanted.upper() in one.codes:
            return one
    raise UsageError(
        f"there is no rule '{code}'",
        code="KP-UNKNOWN-RULE",
        help=did_you_mean(wanted.upper(), [one.id for one in every]) + "; `kpkit rule` lists all",
    )


def selected(select: Sequence[str], ignore: Sequence[str]) -> list[Rule]:
    """The rules whose id begins with one of `select` (nothing: all) and with none of `ignore`; names are taken, too.

    Raises UsageError for a word that means no rule.
    """
    every = rules()
    words = {word: _meant(word, every) for word in (*_words(select), *_words(ignore))}
    wanted = {one for word in _words(select) for one in words[word]} or {one.id for one in every}
    unwanted = {one for word in _words(ignore) for one in words[word]}
    return [one for one in every if one.id in wanted - unwanted]


def _words(given: Sequence[str]) -> list[str]:
    return [word.strip() for text in given for word in text.split(",") if word.strip()]


def _meant(word: str, every: Sequence[Rule]) -> list[str]:
    found = [one.id for one in every if one.id.startswith(word.upper()) or one.name == word.lower()]
    found = found or [one.id for one in every if word.upper() in one.codes]
    if not found:
        ids = [one.id for one in every]
        raise UsageError(
            f"no rule begins with '{word}'",
            code="KP-UNKNOWN-RULE",
            expected="ids (KP101), beginnings of ids (KP1) or names of rules, with commas between",
            help=did_you_mean(word.upper(), ids) + "; `kpkit rule` lists all",
        )
    return found
