"""What became of a dead letter that was to be sent again or taken away."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import groupby
from typing import NamedTuple

from contracts.streams import Shard
from workers.operations.dead_letters.dead_letter import DeadLetter


class Fate(StrEnum):
    """What became of it; in a trial run, what would."""

    REDRIVEN = "redriven"
    """Sent again, now."""
    ALREADY_REDRIVEN = "already_redriven"
    """Sent again before; nothing was sent now."""
    REFUSED = "refused"
    """It can't be sent again."""
    PURGED = "purged"
    """Taken away."""
    ON_ITS_WAY = "on_its_way"
    """Kept, because the entry that it was sent again as is not settled yet."""
    MISSING = "missing"
    """There is no such letter, or no longer."""


class Outcome(NamedTuple):
    """What became of one letter."""

    letter: DeadLetter
    fate: Fate
    redriven_as: str | None = None
    """The id of the entry that it was sent again as, whenever that was."""
    reason: str | None = None
    """Why it can't be sent again, and what to do instead."""


def by_shard(letters: Sequence[DeadLetter]) -> Iterator[tuple[Shard, list[DeadLetter]]]:
    """Letters that follow one another in one shard: a script can't reach beyond it."""
    for shard, group in groupby(letters, key=lambda one: one.shard):
        yield shard, list(group)
