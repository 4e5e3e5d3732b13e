"""Audit, corrections and repair over their SQL functions."""

from collections.abc import Sequence
from typing import Final

from typing_extensions import override

from workers.common.errors import LedgerTooSlow
from workers.common.times import iso
from workers.estimation.learner import LearnerKey, Position
from workers.ledger.repair import CorrectionLedger, ItemResponses, ItemSpan, Rewrite
from workers.ledger.rows import AuditPage, Stored
from workers.ledger.sql.answers import as_promised
from workers.ledger.sql.arrays import texts
from workers.ledger.sql.audit import read_audit, read_audit_page, seal_page_request, seal_request
from workers.ledger.sql.documents import (
    Document,
    learner_columns,
    page_request,
    position_request,
    read_keys,
)
from workers.ledger.sql.functions import SqlFunctions
from workers.ledger.sql.rewrite import rewrite_request

_SEALED_AT_ONCE: Final = 5_000
"""Responses that get a checksum in one statement."""


class SqlRepair(SqlFunctions, CorrectionLedger):
    """Calls the functions of audit, corrections and repair."""

    @override
    async def holders(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        return await self._holders(page_request(after, limit))

    @override
    async def sample(self, count: int) -> list[LearnerKey]:
        return await self._holders({"sample": count})

    async def _holders(self, request: Document) -> list[LearnerKey]:
        page = await self._call("mastery_holders", request)
        with as_promised("mastery_holders"):
            return read_keys(page)

    @override
    async def learners(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        page = await self._call("mastery_learners", page_request(after, limit))
        with as_promised("mastery_learners"):
            return read_keys(page)

    @override
    async def stored(
        self, keys: Sequence[LearnerKey], most_answers: int | None = None
    ) -> list[Stored]:
        request = {**learner_columns(keys), "most_answers": most_answers}
        answer = await self._call("mastery_audit", request)
        with as_promised("mastery_audit"):
            return read_audit(answer, keys)

    @override
    async def audit_page(self, key: LearnerKey, after: Position | None, limit: int) -> AuditPage:
        return await self._audit_page(position_request(key, after, limit))

    @override
    async def published(self, key: LearnerKey, response_ids: Sequence[str]) -> AuditPage:
        ids = texts(response_ids)
        return await self._audit_page(
            {"tenant": key.tenant_id, "student": key.student_id, "ids": ids}
        )

    async def _audit_page(self, request: Document) -> AuditPage:
        answer = await self._call("mastery_audit_page", request)
        with as_promised("mastery_audit_page"):
            return read_audit_page(answer)

    @override
    async def rewrite(self, rewrites: Sequence[Rewrite]) -> list[int | None]:
        answer = await self._call("mastery_rewrite", rewrite_request(rewrites))
        with as_promised("mastery_rewrite"):
            return list(answer)

    @override
    async def seal(self, audited: Sequence[Stored], *, accept: bool = False) -> list[int | None]:
        logs = [await self._seal_log(stored, accept=accept) for stored in audited]
        answer = await self._call("mastery_seal", seal_request(audited, accept=accept))
        with as_promised("mastery_seal"):
            return [
                None if log is None or rest is None else log + int(rest)
                for log, rest in zip(logs, answer, strict=True)
            ]

    async def _seal_log(self, stored: Stored, *, accept: bool) -> int | None:
        """Seal a log page by page; return the number of rows sealed, None for a conflict."""
        sealed, after, limit = 0, None, _SEALED_AT_ONCE
        while True:
            request = seal_page_request(stored, after, limit, accept=accept)
            try:
                answer = await self._call("mastery_seal_page", request)
            except LedgerTooSlow:
                if limit == 1:
                    raise
                limit //= 2
                continue
            with as_promised("mastery_seal_page"):
                count, last = answer
                if count is None:
                    return None
                sealed += int(count)
                if last is None:
                    return sealed
                after = Position(*last)

    @override
    async def answers(
        self, span: ItemSpan, after: LearnerKey | None = None, limit: int = 500
    ) -> ItemResponses:
        answer = await self._call("mastery_answers", _answers_request(span, after, limit))
        with as_promised("mastery_answers"):
            tenant_id, last = span.tenant_id, answer["last"]
            return ItemResponses(
                [
                    (LearnerKey(tenant_id, student), response)
                    for student, response in answer["found"]
                ],
                None if last is None else LearnerKey(tenant_id, last),
            )


def _answers_request(span: ItemSpan, after: LearnerKey | None, limit: int) -> Document:
    request: Document = {"tenant": span.tenant_id, "item": span.item_id, "limit": limit}
    if span.since_us is not None:
        request["since"] = iso(span.since_us)
    if span.until_us is not None:
        request["until"] = iso(span.until_us)
    if after is not None:
        request["after_student"] = after.student_id
    return request
