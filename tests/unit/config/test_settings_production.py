"""Settings of production: each unsafe one is refused, by name and without its value."""

import pytest

from tests.support.loaded_settings import PRODUCTION, SECRET, load, refusal

pytestmark = pytest.mark.usefixtures("clean_environment")


def test_given_a_complete_production_when_loaded_then_it_is_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = load(monkeypatch, PRODUCTION)
    assert settings.environment == "production"
    assert settings.database_url is not None


@pytest.mark.parametrize("missing", ["REDIS_URL", "DATABASE_URL", "JWT_MODE"])
def test_given_production_and_one_unsafe_default_then_it_alone_is_named(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    lines = refusal(monkeypatch, {**PRODUCTION, missing: ""}).splitlines()[1:]
    assert len(lines) == 1
    assert missing in lines[0]


def test_given_production_and_nothing_set_then_unsafe_defaults_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = refusal(monkeypatch, {"ENVIRONMENT": "production"})
    for name in ("REDIS_URL", "SUPABASE_URL", "DATABASE_URL", "NEO4J_URI", "JWT_MODE"):
        assert f"{name} " in text
    assert len(text.splitlines()) == 5


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"REDIS_URL": f"redis://:{SECRET}@redis.example"}, "REDIS_URL"),
        ({"NEO4J_URI": "bolt://graph.example"}, "NEO4J_URI"),
        ({"NEO4J_URI": "neo4j://10.0.0.7:7687"}, "NEO4J_URI"),
        ({"DATABASE_URL": f"postgresql://engine:{SECRET}@db.example/postgres"}, "DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://db.example/x?sslmode=prefer"}, "DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://localhost/x?host=db.example"}, "DATABASE_URL"),
        ({"DATABASE_REPLICA_URL": "postgresql://u:postgres@localhost/x"}, "DATABASE_REPLICA_URL"),
        ({"DATABASE_REPLICA_URL": "postgresql://replica.example/x"}, "DATABASE_REPLICA_URL"),
        (
            {"SUPABASE_URL": "http://supabase.example", "SUPABASE_SERVICE_ROLE_KEY": SECRET},
            "SUPABASE_URL",
        ),
        (
            {"JWT_JWKS_URL": "http://issuer.example/jwks.json", "JWT_ISSUER": "https://i.example"},
            "JWT_JWKS_URL",
        ),
        ({"NEO4J_PASSWORD": "neo4j"}, "NEO4J_PASSWORD"),
        ({"NEO4J_PASSWORD": "aaaaaaaaaaaa"}, "NEO4J_PASSWORD"),
        ({"NEO4J_PASSWORD": "abcabcabcabc"}, "NEO4J_PASSWORD"),
        ({"NEO4J_PASSWORD": "a7%c"}, "NEO4J_PASSWORD"),
        ({"JWT_ISSUER": "https://i", "JWT_SECRET": 40 * "x"}, "JWT_SECRET"),
        (
            {
                "JWT_ISSUER": "https://i",
                "JWT_SECRET": "super-secret-jwt-token-with-at-least-32-characters-long",
            },
            "JWT_SECRET",
        ),
        ({"REDIS_URL": "rediss://:Password@redis.example"}, "REDIS_URL"),
        (
            {"DATABASE_URL": "postgresql://u:p%6Fstgres@db.example/x?sslmode=require"},
            "DATABASE_URL",
        ),
        (
            {
                "SUPABASE_URL": "https://x.supabase.co",
                "SUPABASE_SERVICE_ROLE_KEY": "h.eyJpc3MiOiJzdXBhYmFzZS1kZW1vIiwicm9sZSI6InMifQ.s",
            },
            "SUPABASE_SERVICE_ROLE_KEY",
        ),
        ({"JWT_MODE": "verify", "JWT_SECRET": f"{SECRET}-{SECRET[::-1]}"}, "JWT_ISSUER"),
        ({"JWT_MODE": "", "JWT_JWKS_URL": "https://issuer.example/jwks.json"}, "JWT_ISSUER"),
        ({"JWT_MODE": "trust", "JWT_JWKS_URL": "https://issuer.example/jwks.json"}, "JWT_ISSUER"),
    ],
)
def test_given_production_and_one_unsafe_setting_then_only_its_name_shows(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], named: str
) -> None:
    text = refusal(monkeypatch, {**PRODUCTION, **changes})
    (line,) = text.splitlines()[1:]
    assert line.startswith(f"  {named} ")
    assert not any(secret in text for secret in (SECRET, "Password", "aaaaaaaaaaaa", "abcabc"))


@pytest.mark.parametrize(
    "changes",
    [
        {"REDIS_URL": "redis://127.0.0.1:6379", "NEO4J_URI": "bolt://[::1]:7687"},
        {"REDIS_URL": "unix:///run/redis.sock", "DATABASE_URL": "postgresql://localhost/x"},
        {"DATABASE_URL": "postgresql://localhost/x?host=/run/postgresql"},
        {"REDIS_URL": "redis://Redis", "PLAINTEXT_HOSTS": "redis, gateway"},
        {
            "JWT_JWKS_URL": "http://keycloak/jwks",
            "JWT_ISSUER": "http://keycloak",
            "PLAINTEXT_HOSTS": "keycloak",
        },
        {"JWT_MODE": "", "JWT_JWKS_URL": "https://issuer.example/j", "JWT_ISSUER": "https://i"},
    ],
)
def test_given_production_when_nobody_else_can_listen_then_it_is_accepted(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str]
) -> None:
    assert load(monkeypatch, {**PRODUCTION, **changes}).environment == "production"


def test_given_staging_when_keys_come_in_plain_text_then_it_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = {"JWT_JWKS_URL": "http://issuer.example/jwks.json"}
    assert "JWT_JWKS_URL" in refusal(monkeypatch, {**url, "ENVIRONMENT": "staging"})
    assert load(monkeypatch, {**url, "ENVIRONMENT": "development"}).jwt_jwks_url is not None
