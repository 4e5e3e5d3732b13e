import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jwt
import pytest
import yaml

from workers.config.loading import load_settings
from workers.config.settings import Settings

ROOT = Path(__file__).parents[3]
COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
VARIABLE = re.compile(r"\$\{(\w+)(?::([?-])([^}]*))?\}")


@pytest.fixture(scope="module")
def secrets() -> dict[str, str]:
    if shutil.which("openssl") is None:
        if os.environ.get("CI"):
            pytest.fail("openssl is not installed: deploy/make-env can't be tried", pytrace=False)
        pytest.skip("openssl is not installed: install it to try deploy/make-env")
    made = subprocess.run(
        [ROOT / "deploy" / "make-env"], check=True, capture_output=True, text=True
    )
    return dict(line.split("=", 1) for line in made.stdout.splitlines())


def services(values: dict[str, str]) -> dict[str, Any]:
    """The services, with their variables filled in as Compose does it."""

    def fill(match: re.Match[str]) -> str:
        name, kind, default = match.groups()
        if name in values:
            return values[name]
        assert kind == "-", f"{name} is required but not given"
        return str(default)

    return dict(yaml.safe_load(VARIABLE.sub(fill, COMPOSE))["services"])


def test_given_made_secrets_then_they_are_all_that_is_required(
    secrets: dict[str, str],
) -> None:
    required = {name for name, kind, _ in VARIABLE.findall(COMPOSE) if kind == "?"}
    assert required == set(secrets)
    assert len(set(secrets.values())) == len(secrets)


def test_given_the_service_key_when_decoded_then_it_is_signed_for_the_role(
    secrets: dict[str, str],
) -> None:
    claims = jwt.decode(
        secrets["SUPABASE_SERVICE_ROLE_KEY"], secrets["SUPABASE_JWT_SECRET"], algorithms=["HS256"]
    )
    assert claims["role"] == "service_role"


@pytest.mark.parametrize("service", ["worker", "migrate"])
def test_given_its_environment_when_settings_load_then_they_are_whole(
    service: str,
    secrets: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    environment = services(secrets)[service]["environment"]
    assert {name.lower() for name in environment} <= set(Settings.model_fields)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value or "")
    settings = load_settings(tmp_path)
    if service == "worker":
        assert settings.environment == "production"
        assert settings.supabase_url == "http://gateway:8000"
        assert settings.jwt_secret is not None
        assert settings.token_algorithms == ("HS256",)
        assert not settings.verifies_tokens
    else:
        assert settings.database_url is not None


def test_given_the_services_then_ports_are_on_the_loopback_address(
    secrets: dict[str, str],
) -> None:
    ports = [port for service in services(secrets).values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_given_the_services_then_each_awaited_one_can_report_its_health(
    secrets: dict[str, str],
) -> None:
    by_name = services(secrets)
    for service in by_name.values():
        waits = service.get("depends_on", {})
        for name in waits:
            assert name in by_name
            if isinstance(waits, dict) and waits[name]["condition"] == "service_healthy":
                assert "test" in by_name[name]["healthcheck"]


def test_given_the_mounted_files_when_looked_for_then_they_are_there(
    secrets: dict[str, str],
) -> None:
    mounts = [
        volume.split(":")[0]
        for service in services(secrets).values()
        for volume in service.get("volumes", [])
        if volume.startswith("./")
    ]
    assert mounts
    assert all((ROOT / mount).is_file() for mount in mounts)


def test_given_the_users_of_redis_then_each_has_a_password(secrets: dict[str, str]) -> None:
    acl = (ROOT / "deploy" / "redis" / "users.acl").read_text(encoding="utf-8")
    users = {line.split()[1] for line in acl.splitlines()} - {"default"}
    given = services(secrets)["redis"]["environment"]
    assert set(given) == {f"REDIS_{user.upper()}_PASSWORD" for user in users}
