"""A team's own rule: every person needs a nose."""

import numpy as np

from kpkit.qa.rules import Found, Rule


def no_nose(view):
    """Persons without a labelled nose."""
    nose = view.joint("nose")
    if nose is None:
        return "the skeleton has no nose"
    persons = np.flatnonzero(~view.labelled[nose])
    return [Found(message="{joint} is not labelled", instance=view.rows[persons], joint=np.full(len(persons), nose))]


RULES = [
    Rule(
        id="ACME1",
        name="no-nose",
        severity="error",
        reason="a person has no nose",
        explanation="Our cameras look down from the front: a nose that is not labelled was forgotten.",
        help="label the nose",
        check=no_nose,
    )
]
