"""Decide whose an event of a stream is, read as leniently as possible. Pure."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import from_json

from contracts.streams import EVENT_FIELD
from workers.common.errors import Refused
from workers.estimation.learner import LearnerKey
from workers.identity.claims import tenant_of

_FIELD: Final = EVENT_FIELD.encode()


@dataclass(frozen=True, slots=True)
class Belonging:
    """Recognises the events of one learner.

    An event is the learner's if it names them as the student, or if it was published with their
    own token, whoever it names (it can only be refused then). If its tenant can't be read, the
    student alone decides. If nothing can be read, the quoted id in the text decides. Such events
    can never count for anybody.

    Args:
        key: the learner.
        tenant_claim: dotted path of the claim that names the tenant.
        delegate_roles: roles whose tokens are not a student's own.
    """

    key: LearnerKey
    tenant_claim: str
    delegate_roles: frozenset[str]

    def owns_entry(self, fields: Mapping[bytes, bytes]) -> bool:
        """Return True if an entry of a stream is the learner's."""
        text = fields.get(_FIELD)
        if text is not None:
            return self.owns(text)
        return any(self._mentioned(part) for pair in fields.items() for part in pair)

    def owns(self, text: bytes) -> bool:
        """Return True if an event is the learner's."""
        data = _at(read(text), "data")
        if not isinstance(data, dict):
            return self._mentioned(text)
        claims = data.get("claims")
        response = data.get("response")
        students = [_at(response, "student_id"), data.get("student_id")]
        students.append(_at(data.get("parameters"), "student_id"))
        if isinstance(claims, dict):
            role = claims.get("role")
            if not (isinstance(role, str) and role in self.delegate_roles):
                students.append(claims.get("sub"))
        if self.key.student_id not in students:
            return not any(isinstance(student, str) for student in students) and self._mentioned(
                text
            )
        return self._tenant(data, claims) in {self.key.tenant_id, None}

    def _tenant(self, data: Mapping[str, Any], claims: Any) -> str | None:
        """Return the tenant that the event names; None if it can't be read."""
        if isinstance(claims, dict):
            with suppress(Refused):
                return tenant_of(claims, self.tenant_claim)
            return None
        tenant = data.get("tenant_id")
        return tenant if isinstance(tenant, str) else None

    def _mentioned(self, text: bytes) -> bool:
        plain = self.key.student_id
        # Plain, and as JSON writers put it, with and without escapes for non-ASCII.
        names = {plain, json.dumps(plain)[1:-1], json.dumps(plain, ensure_ascii=False)[1:-1]}
        quoted = "|".join(re.escape(name) for name in sorted(names))
        mention = re.search(rf"[\"'](?:{quoted})\\*[\"']", text.decode("utf-8", "replace"))
        return mention is not None


def read(text: bytes) -> Any:
    """Return an event as JSON; None if it is not JSON."""
    with suppress(ValueError):
        return from_json(text, allow_partial=False)
    return None


def version_of(text: bytes) -> int | None:
    """Return the learner's version in a mastery event; None if it has none."""
    version = _at(_at(read(text), "data"), "version")
    return version if isinstance(version, int) and not isinstance(version, bool) else None


def _at(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None
