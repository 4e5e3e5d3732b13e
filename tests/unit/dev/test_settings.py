"""`mastery dev` runs in development alone, and on the loopback address alone."""

import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from workers.cli.main import app
from workers.common.errors import SettingsError
from workers.dev.ports import free_port
from workers.dev.settings import development_settings, require_development

pytestmark = pytest.mark.usefixtures("clean_environment")


@pytest.mark.parametrize("name", ["production", "staging", "Production", "prod"])
def test_given_another_environment_then_it_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("ENVIRONMENT", name)

    with pytest.raises(SettingsError, match=f"ENVIRONMENT is {name}: "):
        require_development()
    with pytest.raises(SettingsError, match=f"ENVIRONMENT is {name}: "):
        development_settings(None)


@pytest.mark.parametrize("command", [["dev", "--json"], ["token", "ada"]])
def test_given_production_in_dotenv_then_commands_are_refused(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / ".env").write_text("ENVIRONMENT=production\n")

    done = CliRunner().invoke(app, command)

    assert isinstance(done.exception, SettingsError)
    assert done.stdout == ""
    assert not (tmp_path / "home").exists()


def test_given_servers_and_a_host_in_the_settings_then_none_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "REDIS_URL": "redis://school.example",
        "DATABASE_URL": "postgresql://school.example/mastery",
        "NEO4J_URI": "bolt://school.example",
        "NEO4J_PASSWORD": "secret-of-school",
        "HTTP_HOST": "192.0.2.1",
        "HTTP_PORT": "8123",
        "HTTP_INNER_PORT": "8124",
        "HTTP_TRUSTED_PROXIES": "0.0.0.0/0",
        "JWT_SECRET": "a secret of the school, long enough for HS256",
        "JWT_MODE": "trust",
        "CORS_ALLOWED_ORIGINS": "*,http://localhost:3000",
    }.items():
        monkeypatch.setenv(name, value)

    settings = development_settings(None)

    assert (settings.redis_url, settings.database_url, settings.neo4j_uri) == (None, None, None)
    assert (settings.http_host, settings.http_port) == ("127.0.0.1", 8123)
    assert (settings.http_inner_port, settings.http_trusted_proxies) == (None, ())
    assert settings.verifies_tokens
    assert settings.token_algorithms == ("ES256",)
    assert settings.jwt_jwks_url == "http://127.0.0.1:8123/dev/jwks.json"
    assert settings.cors_allowed_origins == (
        "http://127.0.0.1:8123",
        "http://localhost:8123",
        "http://localhost:3000",
    )


def test_given_a_port_in_use_then_only_the_default_one_gives_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        assert free_port(port) not in (port, 0)
        monkeypatch.setenv("HTTP_PORT", str(port))
        assert development_settings(None).http_port == port
    assert free_port(port) == port


def test_given_a_directory_then_it_wins_over_that_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EMBEDDED_DIRECTORY", "elsewhere")

    assert development_settings(tmp_path).embedded_directory == tmp_path
    assert development_settings(None).embedded_directory == Path("elsewhere")
