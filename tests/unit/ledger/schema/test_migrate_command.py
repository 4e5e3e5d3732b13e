"""`mastery migrate`: what its commands do and say."""

import asyncio
import uuid
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.postgres_connections import value
from workers.cli import migrate
from workers.cli.commands.migrate import app
from workers.common.errors import SettingsError
from workers.ledger.schema.embedded import EmbeddedPostgres
from workers.ledger.schema.migrations import Migrations
from workers.ledger.schema.schema_files import migration_files


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY", "ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_given_a_database_url_when_run_then_commands_say_what_they_did(
    embedded_postgres: EmbeddedPostgres, environment: pytest.MonkeyPatch
) -> None:
    name = f"t{uuid.uuid4().hex}"
    asyncio.run(
        value(
            embedded_postgres.dsn, f"create database {name} template template0 strategy file_copy"
        )
    )
    environment.setenv("DATABASE_URL", f"postgresql://postgres@localhost/{name}")
    # asyncpg reads the socket's directory from here; a settings URL needs a host.
    dsn = embedded_postgres.dsn.replace("/postgres?", f"/{name}?")
    environment.setattr(migrate, "Migrations", lambda _, **options: Migrations(dsn, **options))
    run = CliRunner()
    newest = migration_files()[-1].version
    assert "pending  " in run.invoke(app, ["history"]).output
    assert run.invoke(app, ["current"]).output == "no migration is applied\n"
    assert f"applied {newest}" in run.invoke(app, ["up"]).output
    assert run.invoke(app, ["up"]).output == "nothing is pending\n"
    assert run.invoke(app, ["current"]).output == f"{newest}\n"
    refused = run.invoke(app, ["down"], input="n\n")
    assert refused.exit_code == 1
    assert run.invoke(app, ["current"]).output == f"{newest}\n"
    assert run.invoke(app, ["down", "--yes"]).output == f"rolled back {newest}\n"
    assert run.invoke(app, ["down", "--to", "0", "--yes"]).exit_code == 0
    assert run.invoke(app, ["down", "--yes"]).output == "nothing is applied\n"


@pytest.mark.usefixtures("environment")
def test_given_no_database_when_up_then_it_says_the_embedded_needs_none() -> None:
    result = CliRunner().invoke(app, ["up"])
    assert result.exit_code == 0
    assert "migrates itself" in result.output


def test_given_only_supabase_when_up_then_the_remedies_are_named(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("SUPABASE_URL", "https://ref.supabase.co")
    environment.setenv("SUPABASE_SERVICE_ROLE_KEY", "key")
    result = CliRunner().invoke(app, ["up"])
    assert isinstance(result.exception, SettingsError)
    assert "DATABASE_URL" in str(result.exception)
    assert "supabase db push" in str(result.exception)
