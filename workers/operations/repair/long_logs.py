"""Read learners for audit and repair with bounded statements: short logs whole, long ones by pages.

A statement that takes too long is asked for less.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Final

from workers.common.errors import LedgerTooSlow
from workers.estimation.learner import LearnerKey, Response
from workers.ledger.audit import AuditLedger
from workers.ledger.exchange import MOST_ANSWERS
from workers.ledger.rows import LogTotals, Stored
from workers.operations.repair.log_replay import LogReplay

_PAGE: Final = 1_000
"""Responses of a long log read at once."""


async def in_parts(
    ledger: AuditLedger, keys: Sequence[LearnerKey], most_answers: int = MOST_ANSWERS
) -> AsyncIterator[list[Stored]]:
    """Read learners in parts that fit into a statement.

    Args:
        ledger: the system of record.
        keys: the learners.
        most_answers: the most responses of a part.

    Yields:
        Learners in the order of the keys, each once. One whose log alone does not fit comes without
        it.

    Raises:
        LedgerTooSlow: a learner takes too long without the log.
    """
    waiting = list(keys)
    at_once, most = len(waiting), most_answers
    while waiting:
        part = waiting[:at_once]
        try:
            rows = await ledger.stored(part, most)
        except LedgerTooSlow:
            if len(part) == 1 and most == 0:
                raise
            if len(part) == 1:
                most = 0
            at_once = max(1, len(part) // 2)
            continue
        # The first ones that fit; alone, a learner who does not fit never will.
        fit = next((n for n, stored in enumerate(rows) if stored.left_out), len(rows))
        ready = rows[: max(1, fit)]
        yield ready
        waiting = waiting[len(ready) :]
        # The next part is about as large as this one, so that little is read twice.
        at_once, most = 2 * len(ready), most_answers


async def replay_all(ledger: AuditLedger, stored: Stored, replay: LogReplay) -> Stored | None:
    """Read a long log page by page and replay it, while the learner may go on answering.

    Args:
        ledger: the system of record.
        stored: the learner, without the log.
        replay: the replay, from its base on.

    Returns:
        The learner as it was at the end, with the totals of the log; None if something changed
        behind the replay, so that it has to begin again.
    """
    corrected = frozenset(correction.response_id for correction in stored.corrections)
    after = None if replay.base is None else replay.base.position
    totals, limit, counted = LogTotals(), _PAGE, -1
    while True:
        try:
            page = await ledger.audit_page(stored.key, after, limit)
        except LedgerTooSlow:
            if limit == 1:
                raise
            limit //= 2
            continue
        totals.add(page, corrected)
        await advance_beside(replay, page.responses)
        if page.responses:
            after = page.responses[-1].position
        if page.last is not None:
            continue
        (now,) = await ledger.stored([stored.key], 0)
        same = now.version == stored.version
        if same or _only_appended(stored, now, replay, totals):
            now.add_totals(totals)
            return now
        # Newer answers are on the next page, unless they came behind the replay.
        if totals.responses in {counted, now.response_count}:
            return None
        counted = totals.responses


async def replayed(ledger: AuditLedger, stored: Stored, replay: LogReplay) -> Stored | None:
    """Replay a learner's whole log, whether it was read or is too long.

    Returns:
        See `replay_all`.
    """
    if stored.left_out:
        return await replay_all(ledger, stored, replay)
    responses = sorted(stored.responses, key=lambda response: response.position)
    await advance_beside(replay, responses)
    return stored


def without_log(stored: Stored) -> Stored:
    """Return the learner without the log, which need not be kept."""
    return replace(stored, log=[], responses=[])


async def advance_beside(replay: LogReplay, responses: Sequence[Response]) -> None:
    """Advance a replay by the next responses in their order, while other tasks run.

    In a thread the replay goes on beside a busy event loop: in turns with its tasks, each of which
    takes longer, learners would answer faster than they are replayed.
    """
    for at in range(0, len(responses), _PAGE):
        await asyncio.to_thread(replay.advance, responses[at : at + _PAGE])


def _only_appended(before: Stored, now: Stored, replay: LogReplay, totals: LogTotals) -> bool:
    """Return True if the replay holds exactly the log of now, though the learner changed."""
    return (
        replay.base is None
        and now.response_count == totals.responses
        and now.corrections == before.corrections
    )
