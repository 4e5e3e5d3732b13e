"""The outcome of sending dead letters again or deleting them."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import groupby
from typing import NamedTuple

from contracts.streams import Shard
from workers.operations.dead_letters.dead_letter import DeadLetter


class Fate(StrEnum):
    """Result for one dead letter; the expected result in a dry run."""

    REDRIVEN = "redriven"
    """Sent again now."""
    ALREADY_REDRIVEN = "already_redriven"
    """Sent again before; nothing was sent now."""
    REFUSED = "refused"
    """The letter can't be sent again."""
    PURGED = "purged"
    """Deleted."""
    ON_ITS_WAY = "on_its_way"
    """Kept, because the entry as which it was sent again is not settled yet."""
    MISSING = "missing"
    """There is no such dead letter."""


class Outcome(NamedTuple):
    """The outcome for one dead letter."""

    letter: DeadLetter
    fate: Fate
    redriven_as: str | None = None
    """The id of the entry as which it was sent again, now or before."""
    reason: str | None = None
    """The reason why it can't be sent again, and the remedy."""


def by_shard(letters: Sequence[DeadLetter]) -> Iterator[tuple[Shard, list[DeadLetter]]]:
    """Group neighbouring letters by shard, because a script can't reach beyond one."""
    for shard, group in groupby(letters, key=lambda letter: letter.shard):
        yield shard, list(group)
