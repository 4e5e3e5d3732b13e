"""Parts that the JSON documents of several SQL functions share.

The documents are described beside the functions, in ``supabase/schemas``. Learners are numbered
from 1 in the order of a request.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from workers.common.times import iso
from workers.estimation.learner import LearnerKey, Position, Response
from workers.ledger.sql.arrays import texts

Document = dict[str, Any]


def encoded(document: Any) -> bytes:
    """Write a document as JSON."""
    return orjson.dumps(document)


def learner_columns(keys: Iterable[LearnerKey]) -> Document:
    """Write the keys of learners."""
    listed = list(keys)
    return {
        "tenants": texts(key.tenant_id for key in listed),
        "students": texts(key.student_id for key in listed),
    }


def page_request(after: LearnerKey | None, limit: int) -> Document:
    """Write the request of a page of learners."""
    if after is None:
        return {"limit": limit}
    return {"limit": limit, "after_tenant": after.tenant_id, "after_student": after.student_id}


def position_request(key: LearnerKey, after: Position | None, limit: int) -> Document:
    """Write the request of a page of a learner's log."""
    request: Document = {"tenant": key.tenant_id, "student": key.student_id, "limit": limit}
    if after is not None:
        request["after_at"] = iso(after.answered_at_us)
        request["after_id"] = after.response_id
    return request


def read_keys(page: Sequence[Sequence[str]]) -> list[LearnerKey]:
    """Read a page of learners."""
    return [LearnerKey(tenant_id, student_id) for tenant_id, student_id in page]


def read_response(  # noqa: PLR0917  # the columns of a row, in the order of the function
    response_id: str,
    session_id: str | None,
    item_id: str,
    concept_ids: Sequence[str],
    scale: str,
    score: float | str,
    answered_at_us: int,
) -> Response:
    """Read a response from its columns."""
    return Response(
        response_id, session_id, item_id, tuple(concept_ids), scale, float(score), answered_at_us
    )
