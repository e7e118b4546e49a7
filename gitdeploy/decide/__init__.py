"""What a push means: facts in, decision out; touches nothing.

`words` has the facts and the decisions, `rules` the rule book for one update,
`together` what the updates of one push mean to each other.
"""

from gitdeploy.decide.rules import CONTENT, NEEDED, RULES, decide, needed, withheld
from gitdeploy.decide.together import conflicts, order
from gitdeploy.decide.words import (
    RESERVED,
    Accept,
    Change,
    Content,
    Decision,
    Deploy,
    Facts,
    RefKind,
    Refuse,
    RollBack,
    Unchanged,
    chain_of,
    classify,
    describe,
    reached,
)

__all__ = [
    "CONTENT",
    "NEEDED",
    "RESERVED",
    "RULES",
    "Accept",
    "Change",
    "Content",
    "Decision",
    "Deploy",
    "Facts",
    "RefKind",
    "Refuse",
    "RollBack",
    "Unchanged",
    "chain_of",
    "classify",
    "conflicts",
    "decide",
    "describe",
    "needed",
    "order",
    "reached",
    "withheld",
]
