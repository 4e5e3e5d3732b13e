"""Reading the log of all learners, page by page, into arrays."""

from collections.abc import Awaitable, Callable

from workers.common.retrying import Retrying
from workers.ledger.calibration import CalibrationLedger, LoggedAnswer
from workers.modelling.calibration.answers import Answers, AnswersBuilder
from workers.modelling.calibration.held_out import is_held_out


async def read_answers(
    ledger: CalibrationLedger,
    retrying: Retrying,
    until_us: int,
    told: Callable[[int], Awaitable[None]],
) -> Answers:
    """What counted of the log of all tenants at a moment; of it one page is in memory, no more.

    Args:
        ledger: the system of record.
        retrying: waits for it.
        until_us: the moment, by the ledger's clock, microseconds since 1970.
        told: how many learners are read.
    """
    builder, after, learners = AnswersBuilder(), None, 0
    while True:
        page = await retrying.call(lambda last=after: ledger.logs(last, until_us))  # type: ignore[misc]
        if not page.learners:
            return builder.built()
        after = page.learners[-1]
        logs: list[list[LoggedAnswer]] = [[] for _ in page.learners]
        for one in page.answers:
            logs[one.learner].append(one)
        for key, log in zip(page.learners, logs, strict=True):
            if log:
                builder.add(log, held_out=is_held_out(key))
        learners += len(page.learners)
        await told(learners)
