"""Audit and repair of a ledger in memory: as the SQL functions do it, but without checksums."""

import random
import time
from collections.abc import Sequence
from itertools import count

from workers.estimation.learner import LearnerKey
from workers.ledger.corrections import CorrectionRow, effective_log
from workers.ledger.memory.accounts import Account, copied
from workers.ledger.memory.rights import MemoryRights
from workers.ledger.predictions import Place, PredictionPage, Selection, Told, probability_of
from workers.ledger.repair import Answers, ItemSpan, Rewrite, Untold
from workers.ledger.rows import Stored


class MemoryRepair(MemoryRights):
    """The part of `RepairLedger` that goes beyond `Ledger`."""

    def __init__(self) -> None:
        super().__init__()
        self._taken_at: dict[int, float] = {}
        self._numbers = count(1)

    async def holders(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        """See `RepairLedger.holders`."""
        return sorted(key for key in self._accounts if after is None or key > after)[:limit]

    async def sample(self, count: int) -> list[LearnerKey]:
        """See `RepairLedger.sample`."""
        keys = sorted(self._accounts)
        return random.sample(keys, min(count, len(keys)))

    async def count(self) -> int:
        """See `RepairLedger.count`."""
        return len(self._accounts)

    async def answers(
        self, span: ItemSpan, after: LearnerKey | None = None, limit: int = 500
    ) -> Answers:
        """See `RepairLedger.answers`."""
        keys = [
            key
            for key in sorted(self._accounts)
            if key.tenant_id == span.tenant_id and (after is None or key > after)
        ][:limit]
        since_us = -(2**63) if span.since_us is None else span.since_us
        until_us = 2**63 if span.until_us is None else span.until_us
        found = [
            (key, response_id)
            for key in keys
            for response_id, recorded in self._accounts[key].log.items()
            if recorded.response.item_id == span.item_id
            and since_us <= recorded.response.answered_at_us < until_us
        ]
        return Answers(found, keys[-1] if keys else None)

    async def predictions(
        self, selection: Selection, after: Place | None = None, limit: int = 5_000
    ) -> PredictionPage:
        """See `PredictionsLedger.predictions`."""
        places = sorted(
            Place(*key, response_id)
            for key, account in self._accounts.items()
            if selection.tenant_id in {None, key.tenant_id}
            for response_id in account.log
        )
        page = [place for place in places if after is None or place > after][:limit]
        told = [self._told(place) for place in page]
        since_us = -(2**63) if selection.since_us is None else selection.since_us
        return PredictionPage(
            [one for one in told if one is not None and one.recorded_at_us >= since_us],
            page[-1] if len(page) == limit else None,
        )

    def _told(self, place: Place) -> Told | None:
        account = self._accounts[LearnerKey(place.tenant_id, place.student_id)]
        recorded = account.log[place.response_id]
        counts = effective_log([recorded.response], account.corrections)
        outcome = recorded.outcome
        return next(
            (
                Told(
                    LearnerKey(place.tenant_id, place.student_id),
                    one.concept_ids,
                    tuple(
                        change["mastery"] for change in outcome["concepts"][: len(one.concept_ids)]
                    ),
                    outcome["concepts"][0]["attempts"],
                    one.score,
                    probability_of(recorded),
                    recorded.version,
                    outcome["parameters_version"],
                    account.recorded_at_us[place.response_id],
                )
                for one in counts
            ),
            None,
        )

    async def rewrite(self, rewrites: Sequence[Rewrite]) -> list[int | None]:
        """See `RepairLedger.rewrite`."""
        return [self._rewrite(one) for one in rewrites]

    def _rewrite(self, rewrite: Rewrite) -> int | None:
        account = self._accounts.get(rewrite.key) or Account()
        if account.version != rewrite.version:
            return None
        self._accounts[rewrite.key] = account
        version, now_us = next(self._versions), time.time_ns() // 1000
        account.version, account.last = version, rewrite.last
        account.parameters_version = rewrite.parameters_version
        account.kept = account.kept if rewrite.kept is None else dict(rewrite.kept)
        account.corrections += [CorrectionRow(*one, now_us, version) for one in rewrite.corrections]
        for name in rewrite.gone_concepts:
            del account.concepts[name]
        for name in rewrite.gone_scales:
            del account.abilities[name]
        for name in rewrite.gone_sessions:
            del account.sessions[name]
        account.concepts |= {r.concept_id: r._replace(version=version) for r in rewrite.concepts}
        account.abilities |= {r.scale: r._replace(version=version) for r in rewrite.abilities}
        account.sessions |= {r.session_id: r._replace(version=version) for r in rewrite.sessions}
        for change in rewrite.changes:
            number = next(self._numbers)
            kept = change._replace(data=copied(change.data))
            self._untold[number] = Untold(number, rewrite.key, version, now_us, kept)
        return version

    async def seal(self, audited: Sequence[Stored], *, accept: bool = False) -> list[int | None]:  # noqa: ARG002  # nothing here has a checksum
        """See `RepairLedger.seal`."""
        return [
            0
            if stored.key in self._accounts and self._accounts[stored.key].version == stored.version
            else None
            for stored in audited
        ]

    async def untold(self, limit: int = 500, lease_s: float = 30.0) -> list[Untold]:
        """See `RepairLedger.untold`."""
        now = time.monotonic()
        free = [n for n in self._untold if self._taken_at.get(n, now - lease_s - 1) < now - lease_s]
        for number in free[:limit]:
            self._taken_at[number] = now
        return [self._untold[number] for number in free[:limit]]

    async def told(self, numbers: Sequence[int]) -> None:
        """See `RepairLedger.told`."""
        for number in numbers:
            self._untold.pop(number, None)
            self._taken_at.pop(number, None)
