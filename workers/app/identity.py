"""Build from the settings the parts that identify reporters and callers."""

from collections.abc import Callable
from dataclasses import dataclass

from redis.asyncio import Redis

from contracts.streams import ENGINE_GROUP
from workers.admission.parking import Parking
from workers.common.errors import SettingsError
from workers.common.jwt_algorithms import SECRET_ALGORITHMS
from workers.config.settings import Settings
from workers.identity.bearer import REQUESTED, BearerVerifier
from workers.identity.claims import (
    PUBLISHED,
    Authenticator,
    ClaimRules,
    Occasion,
    TrustedClaims,
)
from workers.identity.fetching import KeyFetch
from workers.identity.history import KeyHistory
from workers.identity.keyring import KeyRing
from workers.identity.keys import KeySet
from workers.identity.verified_tokens import VerifiedTokens
from workers.identity.verifier import Verifier


@dataclass(frozen=True, slots=True)
class Verification:
    """Parts that verify tokens in a process; they share one key ring.

    Args:
        events: identifies the reporter of an event.
        bearer: identifies the sender of a request in any `JWT_MODE`; None if no key is set.
        ring: the issuer's keys; None if there are none.
        parking: holds events that wait for keys; None if no event has to wait.
    """

    events: Authenticator
    bearer: BearerVerifier | None = None
    ring: KeyRing | None = None
    parking: Parking | None = None


def build_verification(settings: Settings, client: Redis, consumer: str) -> Verification:
    """Build the verification of tokens from the settings.

    Args:
        settings: the settings.
        client: a connection to the Redis of the streams.
        consumer: this worker's name in its groups.

    Raises:
        SettingsError: tokens are to be verified, but there is no key.
    """
    rules = ClaimRules(settings.jwt_issuer, settings.jwt_audience, settings.jwt_tenant_claim)
    trusted = TrustedClaims(rules.issuer, rules.audience, rules.tenant_claim)
    if settings.jwt_jwks_url is None and settings.jwt_secret is None:
        if settings.verifies_tokens:
            raise SettingsError("JWT_MODE=verify has no key to verify with: set JWT_JWKS_URL")
        return Verification(trusted)
    ring = build_ring(settings, client)
    keys: Callable[[], KeySet] = KeySet if ring is None else lambda: ring.keys
    secret = settings.jwt_secret

    def verifier(occasion: Occasion) -> Verifier:
        return Verifier(
            rules=rules,
            keys=keys,
            secret=None if secret is None else secret.get_secret_value().encode(),
            algorithms=settings.token_algorithms,
            occasion=occasion,
        )

    bearer = BearerVerifier(
        verifier=verifier(REQUESTED),
        ring=ring,
        client=client,
        max_token_bytes=settings.max_token_bytes,
    )
    if not settings.verifies_tokens:
        return Verification(trusted, bearer, ring)
    return Verification(
        events=VerifiedTokens(verifier(PUBLISHED)),
        bearer=bearer,
        ring=ring,
        parking=None
        if ring is None
        else Parking(
            ring=ring,
            client=client,
            group=ENGINE_GROUP,
            consumer=consumer,
            batch_size=settings.batch_size,
        ),
    )


def build_ring(settings: Settings, client: Redis) -> KeyRing | None:
    """Build the key ring of the issuer in the settings; None if there is no issuer."""
    url = settings.jwt_jwks_url
    if url is None:
        return None
    algorithms = tuple(a for a in settings.token_algorithms if a not in SECRET_ALGORITHMS)
    history = KeyHistory(client, url, algorithms, settings.max_queue_age_s * 1000)
    return KeyRing(client=client, history=history, fetch=KeyFetch(url, algorithms))
