"""Settings of tokens: mode and algorithms, and contradictions said with their remedy."""

import re
from pathlib import Path

import pytest

from tests.support.loaded_settings import SECRET, load, refusal
from workers.config.loading import load_settings

pytestmark = pytest.mark.usefixtures("clean_environment")

LONG = f"{SECRET}-{SECRET[::-1]}"
JWKS = "https://issuer.example/jwks.json"


@pytest.mark.parametrize(
    ("environment", "verifies", "algorithms"),
    [
        ({}, False, ()),
        ({"JWT_SECRET": LONG}, True, ("HS256",)),
        ({"JWT_JWKS_URL": JWKS}, True, ("EdDSA", "ES256", "RS256")),
        ({"JWT_JWKS_URL": JWKS, "JWT_SECRET": LONG}, True, ("EdDSA", "ES256", "RS256", "HS256")),
        ({"JWT_JWKS_URL": JWKS, "JWT_MODE": "trust"}, False, ("EdDSA", "ES256", "RS256")),
        ({"JWT_JWKS_URL": JWKS, "JWT_ALGORITHMS": "ES384, PS256"}, True, ("ES384", "PS256")),
        ({"JWT_MODE": "verify", "JWT_SECRET": LONG}, True, ("HS256",)),
    ],
)
def test_given_keys_when_loaded_then_they_say_the_mode_and_the_algorithms(
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    verifies: bool,
    algorithms: tuple[str, ...],
) -> None:
    settings = load(monkeypatch, environment)
    assert (settings.verifies_tokens, settings.token_algorithms) == (verifies, algorithms)


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"JWT_MODE": "verify"}, "JWT_MODE=verify has no key.*set JWT_JWKS_URL"),
        ({"JWT_SECRET": 31 * "x"}, "JWT_SECRET has 31 bytes.*at least 32"),
        ({"JWT_SECRET": 15 * "é"}, "JWT_SECRET has 30 bytes"),
        ({"JWT_JWKS_URL": JWKS, "JWT_ALGORITHMS": "none"}, "JWT_ALGORITHMS names none"),
        ({"JWT_JWKS_URL": JWKS, "JWT_ALGORITHMS": "ES256,HS512"}, "JWT_ALGORITHMS names HS512"),
        ({"JWT_JWKS_URL": JWKS, "JWT_ALGORITHMS": "ES256,HS256"}, "needs JWT_SECRET"),
        ({"JWT_SECRET": LONG, "JWT_ALGORITHMS": "ES256,HS256"}, "needs JWT_JWKS_URL"),
        (
            {"JWT_JWKS_URL": JWKS, "JWT_SECRET": LONG, "JWT_ALGORITHMS": "HS256"},
            "JWT_JWKS_URL is set, but",
        ),
        ({"JWT_JWKS_URL": "issuer.example/jwks"}, "JWT_JWKS_URL must be a URL"),
        ({"MAX_QUEUE_AGE_S": "59"}, "greater than or equal to 60"),
    ],
)
def test_given_contradictory_token_settings_then_the_remedy_is_told(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], says: str
) -> None:
    assert re.search(says, refusal(monkeypatch, environment))


@pytest.mark.parametrize(("text", "strict"), [(None, False), ("false", False), ("true", True)])
def test_given_strict_when_read_then_it_is_off_unless_said(
    tmp_path: Path, text: str | None, *, strict: bool
) -> None:
    if text is not None:
        (tmp_path / ".env").write_text(f"STRICT={text}\n")
    assert load_settings(tmp_path).strict is strict
