"""Read the logs of learners into files, page by page."""

from collections.abc import Awaitable, Callable

from workers.common.retrying import Retrying
from workers.estimation.learner import LearnerKey
from workers.ledger.calibration import CalibrationLedger, LoggedAnswer, LogPage
from workers.modelling.calibration.answers import Answers, AnswersBuilder
from workers.modelling.calibration.held_out import is_held_out


async def read_answers(
    ledger: CalibrationLedger,
    retrying: Retrying,
    until_us: int,
    take: Callable[[Answers], None],
    on_progress: Callable[[int], Awaitable[None]],
    *,
    after: LearnerKey | None = None,
    last: LearnerKey | None = None,
) -> None:
    """Read the answers of all tenants that counted at a given time, one page in memory at once.

    Args:
        ledger: the ledger.
        retrying: retries calls of the ledger.
        until_us: the time by the ledger's clock, microseconds since 1970.
        take: called with the answers of each page.
        on_progress: called with the number of learners read.
        after: read the learners after this one; None: from the first.
        last: the last learner to read; None: to the last.
    """
    learners = 0
    while last is None or after is None or after < last:
        page = await retrying.call(lambda after=after: ledger.logs(after, until_us))  # type: ignore[misc]
        if not page.learners:
            return
        after = page.learners[-1]
        take(_answers(page, last))
        learners += len(page.learners)
        await on_progress(learners)


def _answers(page: LogPage, last: LearnerKey | None) -> Answers:
    builder = AnswersBuilder()
    logs: list[list[LoggedAnswer]] = [[] for _ in page.learners]
    for answer in page.answers:
        logs[answer.learner].append(answer)
    for key, log in zip(page.learners, logs, strict=True):
        if log and (last is None or key <= last):
            builder.add(log, held_out=is_held_out(key))
    return builder.built()
