"""Admit callers to the data of a student: the student, and delegated roles of the tenant."""

from collections.abc import Collection
from typing import Final

from pydantic import TypeAdapter, ValidationError
from starlette.exceptions import HTTPException

from contracts.primitives import Identifier
from workers.estimation.learner import LearnerKey
from workers.web.guard import Caller

_IDENTIFIER: Final = TypeAdapter[str](Identifier)


def learner_of(caller: Caller, student_id: str, delegate_roles: Collection[str]) -> LearnerKey:
    """Return a student of the caller's tenant.

    Raises:
        HTTPException: 403 for another's student; 422 for an id that no student can have.
    """
    identity = caller.identity
    if identity.subject != student_id and identity.role not in delegate_roles:
        raise HTTPException(
            403, "A student sees only their own mastery: use the student's own token."
        )
    try:
        return LearnerKey(identity.tenant_id, _IDENTIFIER.validate_python(student_id))
    except ValidationError:
        raise HTTPException(
            422,
            "student_id is not an id: write 1 to 128 characters, none of them a control character.",
        ) from None
