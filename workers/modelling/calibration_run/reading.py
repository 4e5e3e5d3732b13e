"""Read the logs of all learners into arrays, page by page."""

from collections.abc import Awaitable, Callable

from workers.common.retrying import Retrying
from workers.ledger.calibration import CalibrationLedger, LoggedAnswer
from workers.modelling.calibration.answers import Answers, AnswersBuilder
from workers.modelling.calibration.held_out import is_held_out


async def read_answers(
    ledger: CalibrationLedger,
    retrying: Retrying,
    until_us: int,
    on_progress: Callable[[int], Awaitable[None]],
) -> Answers:
    """Read the answers of all tenants that counted at a given time, one page in memory at once.

    Args:
        ledger: the ledger.
        retrying: retries calls of the ledger.
        until_us: the time by the ledger's clock, microseconds since 1970.
        on_progress: called with the number of learners read.
    """
    builder, after, learners = AnswersBuilder(), None, 0
    while True:
        page = await retrying.call(lambda last=after: ledger.logs(last, until_us))  # type: ignore[misc]
        if not page.learners:
            return builder.built()
        after = page.learners[-1]
        logs: list[list[LoggedAnswer]] = [[] for _ in page.learners]
        for answer in page.answers:
            logs[answer.learner].append(answer)
        for key, log in zip(page.learners, logs, strict=True):
            if log:
                builder.add(log, held_out=is_held_out(key))
        learners += len(page.learners)
        await on_progress(learners)
