"""The claims of a delegated role, which reports answers for the students of a tenant."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

import jwt
from pydantic import SecretStr

from workers.common.errors import SettingsError
from workers.config.settings import Settings

_ISSUER = "mastery-engine"
"""Issuer in the claims if `JWT_ISSUER` is unset, which accepts any; names the events' origin."""


@dataclass(frozen=True, slots=True)
class Delegate:
    """The claims under which a program publishes for students.

    Args:
        subject: the program's own id.
        role: one of `JWT_DELEGATE_ROLES`.
        issuer: the issuer that `JWT_ISSUER` demands.
        audience: the audience that `JWT_AUDIENCE` demands.
        issued_at: start of the claims' validity, by the caller's clock.
        lifetime: time within which events must enter their stream; processing may be later.
        tenant_id: the tenant of the students; None for the default tenant.
        tenant_claim: dotted path of the claim that names the tenant.
        secret: signs the claims, for a worker that verifies tokens; None signs nothing.
    """

    subject: str
    role: str
    issuer: str
    audience: str
    issued_at: datetime
    lifetime: timedelta = timedelta(days=1)
    tenant_id: str | None = None
    tenant_claim: str = "tenant_id"
    secret: SecretStr | None = None

    @classmethod
    def of_settings(
        cls, settings: Settings, subject: str, issued_at: datetime, tenant_id: str | None = None
    ) -> Self:
        """Make a delegate that a worker with these settings accepts.

        Raises:
            SettingsError: the settings allow no delegated role, or only tokens of an issuer.
        """
        if not settings.jwt_delegate_roles:
            raise SettingsError(
                "JWT_DELEGATE_ROLES is empty: publishing for students needs a delegated role, "
                "such as service_role"
            )
        if settings.verifies_tokens and "HS256" not in settings.token_algorithms:
            raise SettingsError(
                "JWT_MODE=verify takes tokens of the issuer alone, and nobody here can sign: set "
                "JWT_SECRET too, or run this with JWT_MODE=trust"
            )
        return cls(
            subject=subject,
            role=settings.jwt_delegate_roles[0],
            issuer=settings.jwt_issuer or _ISSUER,
            audience=settings.jwt_audience,
            issued_at=issued_at,
            tenant_id=tenant_id,
            tenant_claim=settings.jwt_tenant_claim,
            secret=settings.jwt_secret if settings.verifies_tokens else None,
        )

    @property
    def tenant(self) -> str:
        """Return the tenant in the claims."""
        return self.tenant_id or "default"

    def claims(self) -> dict[str, Any]:
        """Return `data.claims` of the events."""
        issued_at_s = int(self.issued_at.timestamp())
        claims: dict[str, Any] = {
            "sub": self.subject,
            "iss": self.issuer,
            "aud": self.audience,
            "role": self.role,
            "iat": issued_at_s,
            "exp": issued_at_s + int(self.lifetime.total_seconds()),
        }
        if self.tenant_id is not None:
            *path, name = self.tenant_claim.split(".")
            holder = claims
            for step in path:
                holder = holder.setdefault(step, {})
            holder[name] = self.tenant_id
        return claims

    def token(self) -> str | None:
        """Return `data.token` of the events; None if nothing is signed."""
        if self.secret is None:
            return None
        return jwt.encode(self.claims(), self.secret.get_secret_value(), "HS256")
