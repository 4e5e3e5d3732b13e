"""Who reports, and whether they may."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from contracts.claims import Claims
from contracts.rejections import RejectionCode
from contracts.responses import RecordedData
from workers.errors import Refused

_LEEWAY_S: Final = 60
"""How far the clocks of issuer and Redis may differ, in seconds (RFC 7519, section 4.1.4)."""
_DEFAULT_TENANT: Final = "default"
_SUPABASE_TENANT: Final = "app_metadata.tenant_id"
_LONGEST_TENANT: Final = 128
_CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Identity(NamedTuple):
    """Who reports, as the claims say."""

    tenant_id: str
    subject: str
    role: str | None


class Authenticator(Protocol):
    """Says who reports. One checks the claims; one that verifies tokens takes the same place."""

    def authenticate(self, data: RecordedData, entered_at_s: float) -> Identity:
        """The identity of the event's claims; raises `Refused` with ``unauthenticated``."""
        ...


@dataclass(frozen=True, slots=True)
class TrustedClaims:
    """Checks the claims of a publisher that has verified the token itself (JWT_MODE=trust).

    Args:
        issuer: the only issuer whose claims count; None: any.
        audience: the audience that the claims must name.
        tenant_claim: dotted path of the claim that names the tenant.
    """

    issuer: str | None
    audience: str
    tenant_claim: str

    def authenticate(self, data: RecordedData, entered_at_s: float) -> Identity:
        """See `Authenticator.authenticate`; expiry is judged when the event entered the stream."""
        claims = data.claims
        audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        if self.audience not in audiences:
            raise _unauthenticated(
                "aud", f"does not name the audience {self.audience!r}: log in to this service"
            )
        if self.issuer is not None and claims.iss != self.issuer:
            raise _unauthenticated("iss", f"is {claims.iss!r}, not {self.issuer!r}")
        if claims.exp + _LEEWAY_S <= entered_at_s:
            raise _unauthenticated(
                "exp",
                f"is {claims.exp}, but the event entered the stream at {entered_at_s:.3f}: "
                "publish before the token expires",
            )
        for name, moment in (("nbf", claims.nbf), ("iat", claims.iat)):
            if moment is not None and moment - _LEEWAY_S > entered_at_s:
                raise _unauthenticated(
                    name,
                    f"is {moment}, but the event entered the stream at {entered_at_s:.3f}: "
                    "the token is not valid yet; set the issuer's clock",
                )
        return Identity(tenant_of(_held(claims), self.tenant_claim), claims.sub, claims.role)


def tenant_of(claims: Mapping[str, Any], tenant_claim: str) -> str:
    """The tenant of claims, found as row level security finds it.

    Args:
        claims: the claims, as JSON gives them.
        tenant_claim: dotted path of the claim that names the tenant.

    Raises:
        Refused: with ``unauthenticated``, where the claim is there but names none.
    """
    for path in (tenant_claim, _SUPABASE_TENANT):
        value = _at(claims, path)
        if value is None:
            continue
        if (
            not isinstance(value, str)
            or not 1 <= len(value) <= _LONGEST_TENANT
            or _CONTROL_CHARACTER.search(value)
        ):
            raise _unauthenticated(
                path, "must be a string of 1 to 128 characters, none a control character"
            )
        return value
    return _DEFAULT_TENANT


def _held(claims: Claims) -> dict[str, Any]:
    return {**vars(claims), **(claims.model_extra or {})}


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """What is at a dotted path; None if the path ends before."""
    value: Any = claims
    for name in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


@dataclass(frozen=True, slots=True)
class Authorisation:
    """Who may report for whom: a student for itself, a delegated role for its tenant.

    Args:
        delegate_roles: the roles that may report for others.
    """

    delegate_roles: frozenset[str]

    def authorise(self, identity: Identity, student_id: str) -> None:
        """Return if the identity may report for the student of its tenant.

        Raises:
            Refused: with ``forbidden``.
        """
        if identity.subject == student_id or self.delegated(identity):
            return
        raise Refused(
            RejectionCode.FORBIDDEN,
            f"data.response.student_id is {student_id!r}, but data.claims.sub is "
            f"{identity.subject!r} and its role may not report for others: publish with the "
            "student's own token",
            "data.response.student_id",
        )

    def delegated(self, identity: Identity) -> bool:
        """Whether the identity's role is one that may report for others."""
        return identity.role in self.delegate_roles


def _unauthenticated(claim: str, problem: str) -> Refused:
    field = f"data.claims.{claim}"
    return Refused(RejectionCode.UNAUTHENTICATED, f"{field} {problem}", field)
