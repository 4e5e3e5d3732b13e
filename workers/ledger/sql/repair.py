"""Audit, corrections and repair over their SQL functions."""

from collections.abc import Sequence

from typing_extensions import override

from workers.common.times import iso
from workers.estimation.learner import LearnerKey
from workers.ledger.repair import CorrectionLedger, ItemResponses, ItemSpan, Rewrite
from workers.ledger.rows import Stored
from workers.ledger.sql.answers import as_promised
from workers.ledger.sql.audit import read_audit, seal_request
from workers.ledger.sql.documents import Document, learner_columns, page_request, read_keys
from workers.ledger.sql.functions import SqlFunctions
from workers.ledger.sql.rewrite import rewrite_request


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
    async def stored(self, keys: Sequence[LearnerKey]) -> list[Stored]:
        answer = await self._call("mastery_audit", learner_columns(keys))
        with as_promised("mastery_audit"):
            return read_audit(answer, keys)

    @override
    async def rewrite(self, rewrites: Sequence[Rewrite]) -> list[int | None]:
        answer = await self._call("mastery_rewrite", rewrite_request(rewrites))
        with as_promised("mastery_rewrite"):
            return list(answer)

    @override
    async def seal(self, audited: Sequence[Stored], *, accept: bool = False) -> list[int | None]:
        answer = await self._call("mastery_seal", seal_request(audited, accept=accept))
        with as_promised("mastery_seal"):
            return list(answer)

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
