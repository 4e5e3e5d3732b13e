"""Rebuild: replace stored states that differ from a replay of the log."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from workers.estimation.learner import LearnerKey
from workers.estimation.parameters import Parameters
from workers.ledger.parameter_versions import Versions, versions_of
from workers.ledger.repair import RepairLedger, Rewrite
from workers.ledger.rows import Stored
from workers.operations.repair.long_logs import in_parts, replayed, without_log
from workers.operations.repair.rewriting import RewriteDraft
from workers.operations.repair.scope import Scope
from workers.operations.repair.verifying import PAGE, log_differences, pages


@dataclass(slots=True)
class Rebuilt:
    """The result for one page of learners.

    Args:
        learners: number of learners compared.
        repaired: learners whose state differed from the log.
        damaged: learners whose log was altered; they are left alone.
        sealed: number of rows that got a checksum.
    """

    learners: int = 0
    repaired: list[LearnerKey] = field(default_factory=list)
    damaged: list[LearnerKey] = field(default_factory=list)
    sealed: int = 0


class Rebuilder:
    """Rebuilds learners; safe while workers run, and safe to repeat.

    Args:
        ledger: the system of record.
        parameters: the parameters of the replay; of a ledger's versions the active one.
        dry_run: find out, and change nothing.
        accept_log: accept altered rows of a log as they are. Otherwise nothing is computed from
            such a log, because the estimate would contain the alteration.
    """

    def __init__(
        self,
        *,
        ledger: RepairLedger,
        parameters: Parameters | Versions,
        dry_run: bool = False,
        accept_log: bool = False,
    ) -> None:
        self._ledger = ledger
        self._versions = versions_of(parameters)
        self._dry_run = dry_run
        self._accept_log = accept_log

    async def rebuild(
        self, only: LearnerKey | None = None, *, scope: Scope | None = None, page: int = PAGE
    ) -> AsyncIterator[Rebuilt]:
        """Rebuild all learners, those of a scope, or one; yield page by page."""
        async for keys in pages(self._ledger, only, scope=scope, page=page):
            done = Rebuilt(len(keys))
            waiting = keys
            while waiting:
                waiting = await self._once(waiting, done)
            yield done

    async def _once(self, keys: list[LearnerKey], done: Rebuilt) -> list[LearnerKey]:
        """Rebuild learners as they are now; return those that changed meanwhile."""
        rewrites: list[Rewrite] = []
        unsealed: list[Stored] = []
        parameters = await self._versions.refresh()
        left: list[LearnerKey] = []
        to_seal: set[LearnerKey] = set()
        async for part in in_parts(self._ledger, keys):
            for read in part:
                draft = RewriteDraft(read, parameters)
                stored = await self._replayed(read, draft)
                if stored is None:
                    left.append(read.key)
                    continue
                if self._is_damaged(stored):
                    done.damaged.append(stored.key)
                    continue
                again = stored.key in done.repaired
                rewrite = None if again else draft.rewrite(stored)
                if rewrite is not None:
                    rewrites.append(rewrite)
                elif stored.unsealed or stored.altered:
                    unsealed.append(without_log(stored))
                if stored.unsealed or stored.altered:
                    to_seal.add(stored.key)
        if self._dry_run:
            done.repaired += [rewrite.key for rewrite in rewrites]
            done.sealed += sum(stored.unsealed for stored in unsealed)
            return left
        left += await self._rewrite(rewrites, to_seal, done) if rewrites else []
        if unsealed:
            sealed = await self._ledger.seal(unsealed, accept=self._accept_log)
            done.sealed += sum(count or 0 for count in sealed)
            left += [stored.key for stored, n in zip(unsealed, sealed, strict=True) if n is None]
        return left

    async def _replayed(self, stored: Stored, draft: RewriteDraft) -> Stored | None:
        """Replay a learner whose log is not damaged; None if the learner changed meanwhile."""
        if self._is_damaged(stored):
            return stored
        return await replayed(self._ledger, stored, draft.replay)

    def _is_damaged(self, stored: Stored) -> bool:
        return not self._accept_log and any(log_differences(stored))

    async def _rewrite(
        self, rewrites: list[Rewrite], to_seal: set[LearnerKey], done: Rebuilt
    ) -> list[LearnerKey]:
        """Write rewrites; return conflicts, and learners whose other rows need a checksum."""
        versions = await self._ledger.rewrite(rewrites)
        done.repaired += [
            rewrite.key
            for rewrite, version in zip(rewrites, versions, strict=True)
            if version is not None
        ]
        return [
            rewrite.key
            for rewrite, version in zip(rewrites, versions, strict=True)
            if version is None or rewrite.key in to_seal
        ]
