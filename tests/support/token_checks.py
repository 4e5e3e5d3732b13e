"""A verifier over the test's keys, and its verdicts."""

from typing import Any, Final

import pytest

from contracts.rejections import RejectionCode
from tests.support.issuer import ISSUER, STARTED_S, SigningKey
from workers.common.errors import Refused
from workers.common.jwt_algorithms import KEY_ALGORITHMS, SECRET_ALGORITHMS
from workers.identity.claims import ClaimRules, Identity
from workers.identity.keys import KeySet, usable_keys
from workers.identity.verifier import Verifier

SECRET: Final = b"0123456789abcdefghijklmnopqrstuv"
STUDENT: Final = Identity("school-7", "student-42", "authenticated")
"""The identity in the claims of `token_claims`."""
RULES: Final = ClaimRules(ISSUER, "authenticated", "tenant_id")
ES256: Final = SigningKey("es")
EDDSA: Final = SigningKey("ed", "EdDSA")
RS256: Final = SigningKey("rs", "RS256")
NOW_MS: Final = STARTED_S * 1000
LATER_MS: Final = NOW_MS + 1_000
"""Time at which the key set of `keys_of` was fetched, milliseconds since 1970."""


def keys_of(*keys: SigningKey, fetched_ms: int | None = LATER_MS) -> KeySet:
    return KeySet(usable_keys([key.jwk() for key in keys], KEY_ALGORITHMS), fetched_ms)


def verifier(known: KeySet | None = None, **changes: Any) -> Verifier:
    known = keys_of(ES256, EDDSA, RS256) if known is None else known
    settings: dict[str, Any] = {
        "rules": RULES,
        "keys": lambda: known,
        "secret": SECRET,
        "algorithms": ("EdDSA", "ES256", "RS256", *SECRET_ALGORITHMS),
        **changes,
    }
    return Verifier(**settings)


def refusal(token: str, checked: Verifier | None = None) -> Refused:
    with pytest.raises(Refused) as caught:
        (checked or verifier()).verify(token, NOW_MS, NOW_MS)
    assert caught.value.code is RejectionCode.UNAUTHENTICATED
    for part in token.split("."):
        assert len(part) < 5 or part not in str(caught.value)
    return caught.value
