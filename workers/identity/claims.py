"""Who reports, and whether they may."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from contracts.claims import Claims
from contracts.rejections import RejectionCode
from workers.common.errors import Refused

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


class Reported(Protocol):
    """What an event says of who reports."""

    @property
    def claims(self) -> Claims:
        """The claims of the token."""
        ...

    @property
    def token(self) -> str | None:
        """The token itself."""
        ...


class Authenticator(Protocol):
    """Says who reports: one checks the claims, one verifies the token that they come from."""

    def authenticate(self, data: Reported, entered_at_s: float, since_ms: int) -> Identity:
        """The identity of an event.

        Args:
            data: what it says.
            entered_at_s: when it first entered the stream, by Redis's clock, seconds since 1970.
            since_ms: since when its entry has been there, milliseconds since 1970: a key set that
                was fetched later, and lacks a key, decides.

        Raises:
            Refused: with ``unauthenticated``.
            KeyUnknown: a key set that is newer than the entry has to decide.
        """
        ...


class Occasion(NamedTuple):
    """How a refusal speaks of claims, and of the moment for which they are judged."""

    token: str
    """The name of the token."""
    claims: str
    """Before a claim's name."""
    happened: str
    """Before the moment, in seconds since 1970."""
    in_time: str
    """The remedy for what comes too late."""


PUBLISHED: Final = Occasion(
    "data.token", "data.claims.", "the event entered the stream at", "publish before it expires"
)


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """What claims have to say to count, wherever they come from.

    Args:
        issuer: the only issuer whose claims count; None: any.
        audience: the audience that the claims must name.
        tenant_claim: dotted path of the claim that names the tenant.
    """

    issuer: str | None
    audience: str
    tenant_claim: str

    def judge_parties(self, claims: Claims, occasion: Occasion = PUBLISHED) -> None:
        """Return if the claims are by the right issuer and for us.

        Raises:
            Refused: with ``unauthenticated``.
        """
        audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        if self.audience not in audiences:
            raise _unauthenticated(
                occasion,
                "aud",
                f"does not name the audience {self.audience!r}: log in to this service",
            )
        if self.issuer is not None and claims.iss != self.issuer:
            raise _unauthenticated(
                occasion, "iss", f"is not {self.issuer!r}: log in where JWT_ISSUER says"
            )

    def judge_moment(self, claims: Claims, at_s: float, occasion: Occasion = PUBLISHED) -> None:
        """Return if the claims are valid at a moment.

        Args:
            claims: the claims.
            at_s: the moment, by Redis's clock, seconds since 1970.
            occasion: what happened then.

        Raises:
            Refused: with ``unauthenticated``.
        """
        if claims.exp + _LEEWAY_S <= at_s:
            raise _unauthenticated(
                occasion,
                "exp",
                f"was over when {occasion.happened} {at_s:.3f}: {occasion.in_time}",
            )
        for name, moment in (("nbf", claims.nbf), ("iat", claims.iat)):
            if moment is not None and moment - _LEEWAY_S > at_s:
                raise _unauthenticated(
                    occasion,
                    name,
                    f"was still to come when {occasion.happened} {at_s:.3f}: the token was not "
                    "valid yet; set the issuer's clock",
                )

    def identity(self, claims: Claims, occasion: Occasion = PUBLISHED) -> Identity:
        """Who the claims say it is.

        Raises:
            Refused: with ``unauthenticated``, where the tenant is none.
        """
        tenant_id = tenant_of(held(claims), self.tenant_claim, occasion)
        return Identity(tenant_id, claims.sub, claims.role)


class TrustedClaims(ClaimRules):
    """Checks the claims of a publisher that has verified the token itself (JWT_MODE=trust)."""

    __slots__ = ()

    def authenticate(self, data: Reported, entered_at_s: float, _since_ms: int = 0) -> Identity:
        """See `Authenticator.authenticate`; expiry is judged when the event entered the stream."""
        self.judge_parties(data.claims)
        self.judge_moment(data.claims, entered_at_s)
        return self.identity(data.claims)


def tenant_of(claims: Mapping[str, Any], tenant_claim: str, occasion: Occasion = PUBLISHED) -> str:
    """The tenant of claims, found as row level security finds it.

    Args:
        claims: the claims, as JSON gives them.
        tenant_claim: dotted path of the claim that names the tenant.
        occasion: how a refusal speaks of them.

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
                occasion, path, "must be a string of 1 to 128 characters, none a control character"
            )
        return value
    return _DEFAULT_TENANT


def held(claims: Claims) -> dict[str, Any]:
    """All claims by name, those that no model names included."""
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


def _unauthenticated(occasion: Occasion, claim: str, problem: str) -> Refused:
    field = occasion.claims + claim
    return Refused(RejectionCode.UNAUTHENTICATED, f"{field} {problem}", field)
