"""From settings to what verifies tokens."""

from collections.abc import Callable
from dataclasses import dataclass

from redis.asyncio import Redis

from workers.intake.identity import PUBLISHED, ClaimRules, Occasion
from workers.settings import Settings
from workers.tokens.algorithms import SECRET_ALGORITHMS
from workers.tokens.bearer import REQUESTED, BearerVerifier
from workers.tokens.fetching import KeyFetch
from workers.tokens.history import KeyHistory
from workers.tokens.keyring import KeyRing
from workers.tokens.keys import KeySet
from workers.tokens.verified_tokens import VerifiedTokens
from workers.tokens.verifier import Verifier


@dataclass(frozen=True, slots=True)
class Verification:
    """What verifies tokens in a process; all of it shares one ring of keys.

    Args:
        ring: the issuer's keys; None where there is only a secret.
        events: verifies the tokens of events.
        bearer: verifies the bearers of requests.
    """

    ring: KeyRing | None
    events: VerifiedTokens
    bearer: BearerVerifier


def rules_of(settings: Settings) -> ClaimRules:
    """What the settings want claims to say."""
    return ClaimRules(
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        tenant_claim=settings.jwt_tenant_claim,
    )


def build_verification(settings: Settings, client: Redis) -> Verification | None:
    """What verifies tokens with the keys that the settings name; None where they name none.

    Args:
        settings: the settings.
        client: a connection to the Redis of the streams.
    """
    if settings.jwt_jwks_url is None and settings.jwt_secret is None:
        return None
    ring = _ring(settings, client)
    secret = settings.jwt_secret

    def verifier(occasion: Occasion) -> Verifier:
        keys: Callable[[], KeySet] = KeySet if ring is None else lambda: ring.keys
        return Verifier(
            rules=rules_of(settings),
            keys=keys,
            secret=None if secret is None else secret.get_secret_value().encode(),
            algorithms=settings.token_algorithms,
            occasion=occasion,
        )

    return Verification(
        ring=ring,
        events=VerifiedTokens(verifier(PUBLISHED)),
        bearer=BearerVerifier(
            verifier=verifier(REQUESTED),
            ring=ring,
            client=client,
            max_token_bytes=settings.max_token_bytes,
        ),
    )


def _ring(settings: Settings, client: Redis) -> KeyRing | None:
    if settings.jwt_jwks_url is None:
        return None
    algorithms = tuple(a for a in settings.token_algorithms if a not in SECRET_ALGORITHMS)
    history = KeyHistory(client, settings.jwt_jwks_url, algorithms, settings.max_queue_age_s * 1000)
    return KeyRing(
        client=client, history=history, fetch=KeyFetch(settings.jwt_jwks_url, algorithms)
    )
