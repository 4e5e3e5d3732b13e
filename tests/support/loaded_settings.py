"""Settings loaded from an environment, and the refusal of those that are wrong."""

import pytest

from workers.common.errors import SettingsError
from workers.config.loading import load_settings
from workers.config.settings import Settings

SECRET = "hunter2-is-secret"
PRODUCTION = {
    "ENVIRONMENT": "production",
    "REDIS_URL": "rediss://redis.example:6379/0",
    "DATABASE_URL": f"postgresql://engine:{SECRET}@db.example:5432/postgres?sslmode=require",
    "NEO4J_URI": "neo4j+s://graph.example",
    "NEO4J_PASSWORD": SECRET,
    "JWT_MODE": "trust",
}


def load(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return load_settings()


def refusal(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        load(monkeypatch, environment)
    return str(caught.value)
