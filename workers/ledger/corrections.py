"""Corrections of the log: the newest correction of a response decides what counts. Pure."""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

from workers.estimation.learner import Response

CorrectionKind = Literal["void", "rescore"]


class Correction(NamedTuple):
    """A correction of one response, about to be appended."""

    response_id: str
    kind: CorrectionKind
    score: float | None
    """The new score, in [0, 1]; None if the response no longer counts."""
    reason: str


class CorrectionRow(NamedTuple):
    """A row of `response_corrections`, of one learner."""

    response_id: str
    kind: str
    score: float | None
    reason: str
    corrected_at_us: int
    version: int


class Altered(NamedTuple):
    """A row whose checksum does not match its columns."""

    table: str
    of: str
    """The rest of the row's key, after tenant and student."""
    checksum: int
    """The stored checksum."""
    given: int
    """The checksum of the columns as they are."""


LOG_TABLES: Final = ("student_responses", "response_corrections")
"""Tables that no replay can restore."""


def effective_log(
    responses: Iterable[Response], corrections: Sequence[CorrectionRow]
) -> list[Response]:
    """Apply corrections: give responses their newest score and leave out voided ones."""
    if not corrections:
        return list(responses)
    newest = newest_corrections(corrections)
    log = []
    for response in responses:
        correction = newest.get(response.response_id)
        if correction is None:
            log.append(response)
        elif correction.score is not None:
            log.append(response._replace(score=correction.score))
    return log


def newest_corrections(corrections: Iterable[CorrectionRow]) -> dict[str, CorrectionRow]:
    """Select the correction with the highest version of each corrected response."""
    newest: dict[str, CorrectionRow] = {}
    for correction in corrections:
        known = newest.get(correction.response_id)
        if known is None or known.version < correction.version:
            newest[correction.response_id] = correction
    return newest
