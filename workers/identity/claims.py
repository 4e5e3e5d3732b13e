"""Authentication by claims, and authorisation to report for a student."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from typing_extensions import override

from contracts.claims import Claims
from contracts.rejections import RejectionCode
from workers.common.errors import Refused

_LEEWAY_S: Final = 60
"""Allowed difference between the clocks of issuer and Redis, seconds (RFC 7519, section 4.1.4)."""
_DEFAULT_TENANT: Final = "default"
_SUPABASE_TENANT: Final = "app_metadata.tenant_id"
_LONGEST_TENANT: Final = 128
_CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Identity(NamedTuple):
    """Identity read from claims."""

    tenant_id: str
    subject: str
    role: str | None


class Reported(Protocol):
    """The claims and the token of an event."""

    @property
    def claims(self) -> Claims:
        """Return the claims of the token."""
        ...

    @property
    def token(self) -> str | None:
        """Return the token itself."""
        ...


class Authenticator(Protocol):
    """Identify the reporter of an event, from its claims or from its token."""

    def authenticate(
        self, data: Reported, entered_at_s: float, since_ms: int, now_s: float | None = None
    ) -> Identity:
        """Identify the reporter of an event.

        Args:
            data: the event's data.
            entered_at_s: time at which it first entered the stream, by Redis's clock, seconds
                since 1970.
            since_ms: time of its entry, milliseconds since 1970. Only a key set fetched later
                proves that a key does not exist.
            now_s: the present time by Redis's clock, seconds since 1970; None: the time of entry.

        Raises:
            Refused: with ``unauthenticated``.
            KeyUnknown: the key is unknown, and no key set was fetched since the entry.
        """
        ...


class Occasion(NamedTuple):
    """Words of a refusal that name the claims and the time of the check."""

    token: str
    """The name of the token."""
    claims: str
    """Prefix of a claim's name."""
    happened: str
    """Words before the time of the check, which is in seconds since 1970."""
    in_time: str
    """The remedy for claims that are too late."""


PUBLISHED: Final = Occasion(
    "data.token", "data.claims.", "the event entered the stream at", "publish before it expires"
)


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """The rules that claims must meet.

    Args:
        issuer: the only accepted issuer; None accepts any.
        audience: the audience that the claims must name.
        tenant_claim: dotted path of the claim that names the tenant.
    """

    issuer: str | None
    audience: str
    tenant_claim: str

    def judge_parties(self, claims: Claims, occasion: Occasion = PUBLISHED) -> None:
        """Check that issuer and audience of the claims are accepted.

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

    def judge_moment(
        self,
        claims: Claims,
        at_s: float,
        occasion: Occasion = PUBLISHED,
        *,
        now_s: float | None = None,
    ) -> None:
        """Check that the claims are valid at a time.

        Args:
            claims: the claims.
            at_s: the time, by Redis's clock, seconds since 1970.
            occasion: the words of a refusal.
            now_s: the present time, by Redis's clock, seconds since 1970; None: `at_s`. Claims may
                begin between the two: then Redis's clock was behind when the event entered.

        Raises:
            Refused: with ``unauthenticated``.
        """
        if claims.exp + _LEEWAY_S <= at_s:
            raise _unauthenticated(
                occasion,
                "exp",
                f"was over when {occasion.happened} {at_s:.3f}: {occasion.in_time}",
            )
        begun_s = at_s if now_s is None else max(at_s, now_s)
        for name, moment in (("nbf", claims.nbf), ("iat", claims.iat)):
            if moment is not None and moment - _LEEWAY_S > begun_s:
                raise _unauthenticated(
                    occasion,
                    name,
                    f"was still to come when {occasion.happened} {at_s:.3f}: the token was not "
                    "valid yet; set the issuer's clock",
                )

    def identity(self, claims: Claims, occasion: Occasion = PUBLISHED) -> Identity:
        """Read the identity from claims.

        Raises:
            Refused: with ``unauthenticated``, if the tenant is not valid.
        """
        tenant_id = tenant_of(all_claims(claims), self.tenant_claim, occasion)
        return Identity(tenant_id, claims.sub, claims.role)


class TrustedClaims(ClaimRules, Authenticator):
    """Check the claims of a publisher that verified the token itself (JWT_MODE=trust)."""

    __slots__ = ()

    @override
    def authenticate(
        self, data: Reported, entered_at_s: float, since_ms: int = 0, now_s: float | None = None
    ) -> Identity:
        self.judge_parties(data.claims)
        self.judge_moment(data.claims, entered_at_s, now_s=now_s)
        return self.identity(data.claims)


def tenant_of(claims: Mapping[str, Any], tenant_claim: str, occasion: Occasion = PUBLISHED) -> str:
    """Find the tenant of claims, as row level security does.

    Args:
        claims: the claims as JSON.
        tenant_claim: dotted path of the claim that names the tenant.
        occasion: the words of a refusal.

    Raises:
        Refused: with ``unauthenticated``, if the claim exists but is not a valid tenant.
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


def all_claims(claims: Claims) -> dict[str, Any]:
    """Return all claims by name, including those outside the model."""
    return {**vars(claims), **(claims.model_extra or {})}


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """Read the value at a dotted path; None if there is none."""
    value: Any = claims
    for name in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


@dataclass(frozen=True, slots=True)
class Authorisation:
    """The right to report: students for themselves, delegated roles for their tenant.

    Args:
        delegate_roles: the roles that may report for others.
    """

    delegate_roles: frozenset[str]

    def authorise(self, identity: Identity, student_id: str) -> None:
        """Check that the identity may report for the student of its tenant.

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
        """Return True if the identity's role may report for others."""
        return identity.role in self.delegate_roles


def _unauthenticated(occasion: Occasion, claim: str, problem: str) -> Refused:
    field = occasion.claims + claim
    return Refused(RejectionCode.UNAUTHENTICATED, f"{field} {problem}", field)
