"""What a ledger in memory keeps of one learner."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from workers.estimation.learner import LearnerKey, Position, Response
from workers.estimation.person_fit import person_fit
from workers.ledger.corrections import CorrectionRow, effective_log
from workers.ledger.current import (
    Current,
    CurrentAbility,
    CurrentConcept,
    CurrentSession,
    interval_of,
)
from workers.ledger.exchange import Recorded
from workers.ledger.rows import AbilityRow, ConceptRow, SessionRow, Stored


@dataclass(slots=True)
class Account:
    """All rows of one learner."""

    version: int = 0
    last: Position | None = None
    parameters_version: int = 1
    concepts: dict[str, ConceptRow] = field(default_factory=dict)
    abilities: dict[str, AbilityRow] = field(default_factory=dict)
    sessions: dict[str, SessionRow] = field(default_factory=dict)
    log: dict[str, Recorded] = field(default_factory=dict)
    recorded_at_us: dict[str, int] = field(default_factory=dict)
    corrections: list[CorrectionRow] = field(default_factory=list)
    kept: dict[int, int] | None = None

    def effective(self, until_us: int | None = None) -> list[Response]:
        """The responses that count, as they count now, or did at a moment."""
        log = [
            one.response
            for one in self.log.values()
            if until_us is None or self.recorded_at_us[one.response.response_id] <= until_us
        ]
        made = [
            one for one in self.corrections if until_us is None or one.corrected_at_us <= until_us
        ]
        return effective_log(log, made)

    def stored(self, key: LearnerKey) -> Stored:
        """See `Stored`."""
        versions = [
            *(row.version for row in self.concepts.values()),
            *(row.version for row in self.abilities.values()),
            *(row.version for row in self.sessions.values()),
            *(row.version for row in self.corrections),
            *(recorded.version for recorded in self.log.values()),
        ]
        return Stored(
            key,
            self.version,
            self.last,
            self.parameters_version,
            list(self.concepts.values()),
            list(self.abilities.values()),
            list(self.sessions.values()),
            self.effective(),
            [one.response for one in self.log.values()],
            list(self.corrections),
            None,
            len(self.corrections),
            max(versions, default=0),
            kept=None if self.kept is None else dict(self.kept),
            windows=self.windows(),
        )

    def windows(self) -> dict[int, int]:
        """How many responses of the log were counted in each window."""
        said = (one.outcome.get("window") for one in self.log.values())
        return dict(Counter(window for window in said if window is not None))

    def current(self, key: LearnerKey) -> Current:
        """See `Current`."""
        versions = {row.version for row in self.concepts.values()}
        versions |= {row.version for row in self.abilities.values()}
        versions |= {row.version for row in self.sessions.values()}
        due = {i: one for i, one in self.log.items() if one.version in versions}
        owned = {one.version for one in due.values()}
        for row in self.concepts.values():
            if row.version not in owned:
                on_it = [
                    one.response
                    for one in self.log.values()
                    if row.concept_id in one.response.concept_ids
                    and one.response.answered_at_us == row.answered_at_us
                ]
                if on_it:
                    newest = max(on_it, key=lambda response: response.position)
                    due[newest.response_id] = self.log[newest.response_id]
        return Current(
            key,
            [
                CurrentConcept(*row[:7], interval_of(row.mastery_low, row.mastery_high))
                for row in self.concepts.values()
            ],
            [
                CurrentAbility(*row[:3], row.version, person_fit(row.state))
                for row in self.abilities.values()
            ],
            [CurrentSession(*row[:3], row.version) for row in self.sessions.values()],
            [one._replace(outcome=copied(one.outcome)) for one in due.values()],
        )


def copied(outcome: dict[str, Any]) -> dict[str, Any]:
    """As JSON carries it, so that nobody holds on to what is stored."""
    made: dict[str, Any] = json.loads(json.dumps(outcome))
    return made
