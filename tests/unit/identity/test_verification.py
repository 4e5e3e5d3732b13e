"""Settings choose the verification."""

from typing import Any, cast

import pytest
from redis.asyncio import Redis

from tests.support.token_checks import SECRET
from workers.app.identity import build_verification
from workers.common.errors import KeyUnknown, SettingsError
from workers.config.settings import Settings
from workers.identity.bearer import BearerVerifier
from workers.identity.claims import TrustedClaims
from workers.identity.verified_tokens import VerifiedTokens

NOWHERE = Redis(port=1)
JWKS = {"jwt_jwks_url": "https://issuer.example/jwks.json"}
HS256 = {"jwt_secret": SECRET.decode()}


@pytest.mark.parametrize(
    ("settings", "events", "bearer", "ring", "parking"),
    [
        ({}, TrustedClaims, False, False, False),
        ({"jwt_mode": "trust"}, TrustedClaims, False, False, False),
        ({"jwt_mode": "trust", **JWKS}, TrustedClaims, True, True, False),
        ({"jwt_mode": "trust", **HS256}, TrustedClaims, True, False, False),
        (JWKS, VerifiedTokens, True, True, True),
        (HS256, VerifiedTokens, True, False, False),
        ({**JWKS, **HS256, "jwt_mode": "verify"}, VerifiedTokens, True, True, True),
    ],
)
def test_given_settings_then_events_and_requests_are_verified_as_they_say(
    settings: dict[str, Any], events: type, bearer: bool, ring: bool, parking: bool
) -> None:
    made = build_verification(Settings(_env_file=None, **settings), NOWHERE, "me")
    assert type(made.events) is events
    built = tuple(part is not None for part in (made.bearer, made.ring, made.parking))
    assert built == (bearer, ring, parking)


def test_given_verification_without_a_key_then_it_is_never_taken_for_trust() -> None:
    settings = Settings().model_copy(update={"jwt_mode": "verify"})
    with pytest.raises(SettingsError, match="no key to verify with"):
        build_verification(settings, NOWHERE, "me")


async def test_given_a_bearer_and_no_keys_of_its_issuer_then_it_stays_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def now(_: Redis) -> int:
        return 1

    monkeypatch.setattr("workers.identity.bearer.redis_now_ms", now)

    class Unknowing:
        def verify(self, *_: object) -> None:
            raise KeyUnknown

    bearer = BearerVerifier(
        verifier=cast("Any", Unknowing()), ring=None, client=NOWHERE, max_token_bytes=10
    )
    with pytest.raises(KeyUnknown):
        await bearer.identify("x")
