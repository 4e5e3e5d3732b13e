"""Audit, corrections and repair of a ledger in memory, without checksums."""

import random
import time
from collections import Counter
from collections.abc import Sequence

from typing_extensions import override

from workers.estimation.learner import LearnerKey, Position
from workers.ledger.corrections import CorrectionRow
from workers.ledger.exchange import Recorded
from workers.ledger.memory.accounts import Account, copied
from workers.ledger.memory.tables import MemoryTables
from workers.ledger.outbox import PendingChange
from workers.ledger.repair import CorrectionLedger, ItemResponses, ItemSpan, Rewrite
from workers.ledger.rows import AuditPage, Stored


class MemoryRepair(MemoryTables, CorrectionLedger):
    """Audits, corrects and repairs as the SQL functions do."""

    @override
    async def holders(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        return self._page(after, limit)

    @override
    async def learners(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        return self._page(after, limit)

    def _page(self, after: LearnerKey | None, limit: int) -> list[LearnerKey]:
        return sorted(key for key in self._accounts if after is None or key > after)[:limit]

    @override
    async def sample(self, count: int) -> list[LearnerKey]:
        keys = sorted(self._accounts)
        return random.sample(keys, min(count, len(keys)))

    @override
    async def stored(
        self, keys: Sequence[LearnerKey], most_answers: int | None = None
    ) -> list[Stored]:
        rows = [(self._accounts.get(key) or Account()).stored(key) for key in keys]
        room = (
            sum(len(stored.responses) for stored in rows) if most_answers is None else most_answers
        )
        for stored in rows:
            if len(stored.responses) <= room:
                room -= len(stored.responses)
                continue
            account = self._accounts[stored.key]
            stored.log, stored.responses, stored.windows = [], [], {}
            stored.left_out, stored.newest_version = True, max(account.state_versions(), default=0)
        return rows

    @override
    async def audit_page(self, key: LearnerKey, after: Position | None, limit: int) -> AuditPage:
        log = (self._accounts.get(key) or Account()).log
        rows = sorted(
            (row for row in log.values() if after is None or row.response.position > after),
            key=lambda row: row.response.position,
        )[:limit]
        return _page_of(rows, rows[-1].response.position if len(rows) == limit else None)

    @override
    async def published(self, key: LearnerKey, response_ids: Sequence[str]) -> AuditPage:
        log = (self._accounts.get(key) or Account()).log
        return _page_of([log[name] for name in response_ids if name in log], None)

    @override
    async def answers(
        self, span: ItemSpan, after: LearnerKey | None = None, limit: int = 500
    ) -> ItemResponses:
        keys = [
            key
            for key in sorted(self._accounts)
            if key.tenant_id == span.tenant_id and (after is None or key > after)
        ][:limit]
        since_us = -(2**63) if span.since_us is None else span.since_us
        until_us = 2**63 if span.until_us is None else span.until_us
        responses = [
            (key, response_id)
            for key in keys
            for response_id, recorded in self._accounts[key].log.items()
            if recorded.response.item_id == span.item_id
            and since_us <= recorded.response.answered_at_us < until_us
        ]
        return ItemResponses(responses, keys[-1] if keys else None)

    @override
    async def rewrite(self, rewrites: Sequence[Rewrite]) -> list[int | None]:
        return [self._rewrite(rewrite) for rewrite in rewrites]

    def _rewrite(self, rewrite: Rewrite) -> int | None:
        account = self._accounts.get(rewrite.key) or Account()
        if account.version != rewrite.version:
            return None
        self._accounts[rewrite.key] = account
        version, now_us = next(self._versions), time.time_ns() // 1000
        account.version, account.last = version, rewrite.last
        account.parameters_version = rewrite.parameters_version
        account.kept = account.kept if rewrite.kept is None else dict(rewrite.kept)
        account.corrections += [
            CorrectionRow(**made._asdict(), corrected_at_us=now_us, version=version)
            for made in rewrite.corrections
        ]
        for concept_id in rewrite.gone_concepts:
            del account.concepts[concept_id]
        for scale in rewrite.gone_scales:
            del account.abilities[scale]
        for session_id in rewrite.gone_sessions:
            del account.sessions[session_id]
        account.forget_snapshots(rewrite.changed_from)
        account.put_snapshots(rewrite.snapshots)
        account.concepts |= {r.concept_id: r._replace(version=version) for r in rewrite.concepts}
        account.abilities |= {r.scale: r._replace(version=version) for r in rewrite.abilities}
        account.sessions |= {r.session_id: r._replace(version=version) for r in rewrite.sessions}
        for change in rewrite.changes:
            number = next(self._numbers)
            pending = change._replace(data=copied(change.data))
            self._pending[number] = PendingChange(number, rewrite.key, version, now_us, pending)
        return version

    @override
    async def seal(self, audited: Sequence[Stored], *, accept: bool = False) -> list[int | None]:
        return [
            0
            if stored.key in self._accounts and self._accounts[stored.key].version == stored.version
            else None
            for stored in audited
        ]


def _page_of(rows: Sequence[Recorded], last: Position | None) -> AuditPage:
    windows = (recorded.outcome.get("window") for recorded in rows)
    return AuditPage(
        [recorded.response for recorded in rows],
        last,
        max((recorded.version for recorded in rows), default=0),
        windows=dict(Counter(window for window in windows if window is not None)),
    )
