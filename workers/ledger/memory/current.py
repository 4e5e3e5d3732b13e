"""Current values of a ledger in memory."""

import time
from collections.abc import Sequence

from typing_extensions import override

from workers.estimation.learner import LearnerKey
from workers.estimation.person_fit import person_fit
from workers.ledger.current import (
    BEGINNING,
    Current,
    CurrentAbility,
    CurrentConcept,
    CurrentLedger,
    CurrentSession,
    ValuesPage,
    ValuesPlace,
)
from workers.ledger.exchange import Recorded
from workers.ledger.memory.accounts import Account, copied
from workers.ledger.memory.tables import MemoryTables


class MemoryCurrent(MemoryTables, CurrentLedger):
    """Reads current values as `mastery_current` and `mastery_values` do."""

    @override
    async def values(
        self, key: LearnerKey, limit: int, after: ValuesPlace = BEGINNING
    ) -> ValuesPage:
        account = self._accounts.get(key)
        whole = Current(key) if account is None else _current(key, account)
        concepts = [row for row in whole.concepts if row.concept_id > after.concept_id]
        abilities = [row for row in whole.abilities if row.scale > after.scale]
        concepts.sort(key=lambda row: row.concept_id)
        abilities.sort(key=lambda row: row.scale)
        return ValuesPage.of(concepts, abilities, after, limit)

    @override
    async def current(
        self, keys: Sequence[LearnerKey], since_us: int | None = None
    ) -> list[Current]:
        return [
            _current(key, account)
            for key in keys
            if (account := self._accounts.get(key)) is not None
            and account.log
            and (since_us is None or max(account.recorded_at_us.values()) >= since_us)
        ]

    @override
    async def clock_us(self) -> int:
        return time.time_ns() // 1_000


def _current(key: LearnerKey, account: Account) -> Current:
    return Current(
        key,
        [
            CurrentConcept(
                concept_id=row.concept_id,
                mastery=row.mastery,
                attempts=row.attempts,
                mastered=row.mastered,
                answered_at_us=row.answered_at_us,
                version=row.version,
                parameters_version=row.parameters_version,
                interval=row.interval,
            )
            for row in account.concepts.values()
        ],
        [
            CurrentAbility(
                row.scale, row.theta, row.standard_error, row.version, person_fit(row.state)
            )
            for row in account.abilities.values()
        ],
        [
            CurrentSession(row.session_id, row.responses, row.correct, row.version)
            for row in account.sessions.values()
        ],
        [
            recorded._replace(outcome=copied(recorded.outcome))
            for recorded in _responses(account).values()
        ],
    )


def _responses(account: Account) -> dict[str, Recorded]:
    """Select the responses that the current rows follow from, by id."""
    versions = account.versions()
    selected = {
        response_id: recorded
        for response_id, recorded in account.log.items()
        if recorded.version in versions
    }
    owned = {recorded.version for recorded in selected.values()}
    for row in account.concepts.values():
        if row.version not in owned:
            on_it = [
                recorded.response
                for recorded in account.log.values()
                if row.concept_id in recorded.response.concept_ids
                and recorded.response.answered_at_us == row.answered_at_us
            ]
            if on_it:
                newest = max(on_it, key=lambda response: response.position)
                selected[newest.response_id] = account.log[newest.response_id]
    return selected
