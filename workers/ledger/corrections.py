"""Corrections of the log: of each response the newest one says what counts. Pure."""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

from workers.estimation.learner import Response

CorrectionKind = Literal["void", "rescore"]


class Correction(NamedTuple):
    """A correction of one response, about to be appended."""

    response_id: str
    kind: CorrectionKind
    score: float | None
    """What counts from now on, in [0, 1]; None: the response counts no more."""
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
    """A row whose checksum is not what its columns give."""

    table: str
    of: str
    """The rest of the row's key, after tenant and student."""
    checksum: int
    given: int


LOG_TABLES: Final = ("student_responses", "response_corrections")
"""What no replay can restore."""


def effective_log(
    responses: Iterable[Response], corrections: Sequence[CorrectionRow]
) -> list[Response]:
    """What counts: responses with their newest score, those that were voided left out."""
    if not corrections:
        return list(responses)
    newest = newest_corrections(corrections)
    found = []
    for response in responses:
        correction = newest.get(response.response_id)
        if correction is None:
            found.append(response)
        elif correction.score is not None:
            found.append(response._replace(score=correction.score))
    return found


def newest_corrections(corrections: Iterable[CorrectionRow]) -> dict[str, CorrectionRow]:
    """Of each corrected response the correction with the highest version."""
    newest: dict[str, CorrectionRow] = {}
    for one in corrections:
        known = newest.get(one.response_id)
        if known is None or known.version < one.version:
            newest[one.response_id] = one
    return newest
