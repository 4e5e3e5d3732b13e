"""Refusals that follow from what the ledger holds of a learner."""

from contracts.rejections import RejectionCode
from workers.admission.verdicts import Admitted
from workers.common.errors import Refused
from workers.estimation.learner import Response


def same_content(response: Response, other: Response) -> bool:
    """Compare two responses of one id; the order of their concepts means nothing."""
    return response == other or _sorted_concepts(response) == _sorted_concepts(other)


def conflicting_content(admitted: Admitted, known: Response) -> Refused:
    """Make the refusal of a known response id with other content."""
    sent, stored = _sorted_concepts(admitted.response), _sorted_concepts(known)
    differing = [
        name.removesuffix("_us")
        for name in Response._fields
        if getattr(sent, name) != getattr(stored, name)
    ]
    return Refused(
        RejectionCode.CONFLICT,
        f"data.response.response_id {known.response_id} is known with another "
        f"{', '.join(differing)}: make a new response_id for each answer",
        f"data.response.{differing[0]}",
    )


def learner_erased() -> Refused:
    """Make the refusal of a response that came after its learner's erasure."""
    return Refused(
        RejectionCode.FORBIDDEN,
        "data.response.student_id is that of a learner who was erased, and whose later responses "
        "are refused: publish none, or let `mastery learner erase` run without --refuse",
        "data.response.student_id",
    )


def _sorted_concepts(response: Response) -> Response:
    return response._replace(concept_ids=tuple(sorted(response.concept_ids)))
