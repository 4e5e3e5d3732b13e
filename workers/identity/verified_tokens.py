"""Authenticate by the token of an event (JWT_MODE=verify)."""

from dataclasses import dataclass

from typing_extensions import override

from contracts.rejections import RejectionCode
from workers.common.errors import Refused
from workers.identity.claims import Authenticator, Identity, Reported
from workers.identity.comparison import differing_claim
from workers.identity.verifier import Verifier


@dataclass(frozen=True, slots=True)
class VerifiedTokens(Authenticator):
    """Verify the token of each event and compare its claims with those of the event.

    Args:
        verifier: verifies tokens.
    """

    verifier: Verifier

    @override
    def authenticate(
        self, data: Reported, entered_at_s: float, since_ms: int, now_s: float | None = None
    ) -> Identity:
        if data.token is None:
            raise Refused(
                RejectionCode.UNAUTHENTICATED,
                "data.token is missing: publish the JWT that the claims come from",
                "data.token",
            )
        verified = self.verifier.verify(data.token, round(entered_at_s * 1000), since_ms)
        self.verifier.rules.judge_moment(verified.claims, entered_at_s, now_s=now_s)
        name = differing_claim(data.claims, verified)
        if name is not None:
            field = f"data.claims.{name[:80]}"
            raise Refused(
                RejectionCode.UNAUTHENTICATED,
                f"{field} is not what the token says: publish the claims of data.token unchanged",
                field,
            )
        return verified.identity
