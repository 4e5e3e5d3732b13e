"""Settings: layers, the example file, and what is wrong said with its remedy."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest
from dotenv import dotenv_values

from contracts.jobs import JobKind
from tests.support.loaded_settings import PRODUCTION, SECRET, load, refusal
from workers.common.errors import SettingsError
from workers.config.loading import load_settings
from workers.config.settings import Settings

pytestmark = pytest.mark.usefixtures("clean_environment")

EXAMPLE = Path(__file__).parents[3] / ".env.example"


# The example file


def test_given_the_example_when_compared_then_it_has_each_setting_once() -> None:
    names = re.findall(r"^#?\s*([A-Z][A-Z0-9_]*)=", EXAMPLE.read_text(), re.MULTILINE)
    # Those of the schedule follow from the kinds of jobs: one of them shows how they are written.
    of_kinds = {f"SCHEDULE_{kind.upper()}" for kind in get_args(JobKind)}
    assert len(names) == len(set(names))
    assert set(names) | of_kinds == {name.upper() for name in Settings.model_fields}
    assert set(names) & of_kinds


def test_given_the_example_as_env_file_then_it_loads_as_the_defaults(
    tmp_path: Path,
) -> None:
    (tmp_path / ".env").write_text(EXAMPLE.read_text())
    assert load_settings(tmp_path) == Settings(_env_file=None)


def test_given_the_example_then_each_default_is_spelt_out_unless_unset() -> None:
    written = dotenv_values(EXAMPLE)
    for name, field in Settings.model_fields.items():
        assert bool(written.get(name.upper())) is (field.default not in (None, ())), name


def test_given_the_example_then_each_setting_stands_under_a_comment() -> None:
    lines = EXAMPLE.read_text().splitlines()
    for before, line in pairwise(lines):
        if re.match(r"[A-Z]", line):
            assert re.match(r"# \w", before), line


# Layers


def test_given_all_layers_when_loaded_then_the_environment_beats_the_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("BATCH_SIZE=1\nHTTP_PORT=1\nMAX_DELIVERIES=1\nSTREAM_SHARDS=1\n")
    (tmp_path / ".env.staging").write_text("BATCH_SIZE=2\nHTTP_PORT=2\nMAX_DELIVERIES=2\n")
    (tmp_path / ".env.development").write_text("BATCH_SIZE=9\nHTTP_PORT=9\n")
    monkeypatch.setenv("ENVIRONMENT", "staging")
    monkeypatch.setenv("BATCH_SIZE", "3")
    monkeypatch.setenv("HTTP_PORT", "3")
    settings = load_settings(tmp_path, batch_size=4)
    assert (
        settings.batch_size,
        settings.http_port,
        settings.max_deliveries,
        settings.stream_shards,
        settings.reclaim_after_ms,
    ) == (4, 3, 2, 1, 30_000)


@pytest.mark.parametrize("where", ["file", "override", "default"])
def test_given_an_environment_named_anywhere_then_its_file_is_read(
    tmp_path: Path, where: str
) -> None:
    name = "development" if where == "default" else "staging"
    (tmp_path / f".env.{name}").write_text("BATCH_SIZE=7\n")
    if where == "file":
        (tmp_path / ".env").write_text("ENVIRONMENT=staging\n")
    overrides: dict[str, Any] = {"environment": "staging"} if where == "override" else {}
    settings = load_settings(tmp_path, **overrides)
    assert (settings.environment, settings.batch_size) == (name, 7)


def test_given_empty_values_when_loaded_then_they_are_unset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = load(monkeypatch, {"REDIS_URL": "", "BATCH_SIZE": "", "JWT_SECRET": ""})
    assert (settings.redis_url, settings.batch_size) == (None, 500)


def test_given_no_setting_when_loaded_then_all_servers_are_embedded() -> None:
    settings = load_settings()
    assert (settings.redis_url, settings.neo4j_uri) == (None, None)
    assert settings.database_url is None
    assert settings.supabase_url is None


def test_given_names_with_commas_when_loaded_then_they_are_split(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = load(monkeypatch, {"JWT_DELEGATE_ROLES": "teacher, service_role ,"})
    assert settings.jwt_delegate_roles == ("teacher", "service_role")


def test_given_loaded_settings_when_changed_then_it_is_refused() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().batch_size = 3  # type: ignore[misc]  # that is what is tested


# What is wrong


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("ENVIRONMENT", "prod", "'production'"),
        ("STREAM_SHARDS", "-1", "greater than or equal to 0"),
        ("STREAM_SHARDS", "1025", "less than or equal to 1024"),
        ("BATCH_SIZE", "many", "valid integer"),
        ("BATCH_SIZE", "0", "default 500"),
        ("BATCH_SIZE", "1.5", "valid integer"),
        ("MAX_DELIVERIES", "0", "default 5"),
        ("RECLAIM_AFTER_MS", "99", "greater than or equal to 100"),
        ("MAX_EVENT_BYTES", "10", "largest entry accepted, bytes"),
        ("MAX_TOKEN_BYTES", "10", "default 8192"),
        ("LEDGER_TIMEOUT_S", "0", "greater than 0"),
        ("LEDGER_TIMEOUT_S", "nan", "default 15.0"),
        ("LEDGER_TIMEOUT_S", "inf", "less than or equal to 600"),
        ("MASTERY_THRESHOLD", "0", "greater than 0"),
        ("MASTERY_THRESHOLD", "1", "less than 1"),
        ("MASTERY_THRESHOLD", "nan", "default 0.95"),
        ("HTTP_PORT", "65536", "less than or equal to 65535"),
        ("LOG_LEVEL", "verbose", "'DEBUG', 'INFO'"),
        ("LOG_FORMAT", "xml", "'json' or 'console'"),
        ("JWT_MODE", "blindly", "'trust'"),
        ("JWT_TENANT_CLAIM", "a..b", "dotted path such as"),
        ("REDIS_URL", "localhost:6379", "begins with redis://"),
        ("REDIS_URL", "redis://", "with a host"),
        ("REDIS_URL", "http://localhost", "begins with redis://"),
        ("REDIS_URL", "redis://host:port", "a port that is a number"),
        ("REDIS_URL", "redis://[::1", "with a host"),
        ("REDIS_URL", "redis+cluster://host:1,:2", "with a host"),
        ("REDIS_URL", "redis+cluster://host:1,host:port", "a port that is a number"),
        ("SUPABASE_URL", "project.supabase.co", "begins with https://"),
        ("NEO4J_URI", "http://host:7474", "begins with neo4j://"),
        ("DATABASE_URL", "mysql://host", "begins with postgresql://"),
        ("DATABASE_URL", "postgresql://host/x?pgbouncer=yes", "pgbouncer must be true or false"),
        ("DATABASE_REPLICA_URL", "http://host", "begins with postgresql://"),
    ],
)
def test_given_a_malformed_setting_then_name_fault_and_remedy_are_told(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    text = refusal(monkeypatch, {variable: value})
    (line,) = text.splitlines()[1:]
    assert line.startswith(f"  {variable}")
    assert says in line


@pytest.mark.parametrize(
    ("url", "shards", "says"),
    [
        ("redis+cluster://a:7000,b:7001", "0", "STREAM_SHARDS is 0: on a Redis Cluster"),
        ("redis+cluster://a:7000,b:7001/3", "2", "REDIS_URL names a database"),
    ],
)
def test_given_a_cluster_then_what_it_can_not_do_is_refused(
    monkeypatch: pytest.MonkeyPatch, url: str, shards: str, says: str
) -> None:
    text = refusal(monkeypatch, {"REDIS_URL": url, "STREAM_SHARDS": shards})
    assert says in text


def test_given_nodes_of_a_cluster_then_settings_take_them(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "rediss+cluster://user:secret@a:7000,[::1]:7001,c"
    settings = load(monkeypatch, {"REDIS_URL": url, "STREAM_SHARDS": "2"})
    assert settings.redis_cluster
    assert not load(monkeypatch, {"REDIS_URL": "redis://a"}).redis_cluster


@pytest.mark.parametrize(
    ("environment", "variables"),
    [
        ({"SUPABASE_URL": "https://x.supabase.co"}, ["SUPABASE_SERVICE_ROLE_KEY"]),
        ({"SUPABASE_SERVICE_ROLE_KEY": SECRET}, ["SUPABASE_URL"]),
        ({"NEO4J_URI": "bolt://host"}, ["NEO4J_PASSWORD"]),
        ({"DATABASE_REPLICA_URL": f"postgresql://u:{SECRET}@host/x"}, ["DATABASE_URL"]),
        ({"NEO4J_PASSWORD": SECRET}, ["NEO4J_URI"]),
        (
            {"SUPABASE_URL": "https://x.supabase.co", "NEO4J_PASSWORD": SECRET},
            ["SUPABASE_SERVICE_ROLE_KEY", "NEO4J_URI"],
        ),
    ],
)
def test_given_half_of_a_pair_when_loaded_then_the_other_half_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], variables: list[str]
) -> None:
    lines = refusal(monkeypatch, environment).splitlines()[1:]
    assert len(lines) == len(variables)
    for line, variable in zip(lines, variables, strict=True):
        assert variable in line
        assert line.endswith("set both")
        assert SECRET not in line


@pytest.mark.parametrize(
    "environment",
    [
        {"DATABASE_URL": f"postgresql://user:{SECRET}/x@host/db"},
        {"DATABASE_URL": f"postgresql://user@host:{SECRET}/db"},
        {"DATABASE_URL": f"mysql://user:{SECRET}@host/db"},
        {"DATABASE_URL": f"{SECRET}"},
        {"REDIS_URL": f"redis://:{SECRET}/x@host"},
        {"REDIS_URL": f"http://:{SECRET}@host"},
        {"SUPABASE_SERVICE_ROLE_KEY": SECRET},
        {"NEO4J_PASSWORD": SECRET},
        {"SUPABASE_SERVICE_ROLE_KEY": SECRET, "BATCH_SIZE": "x"},
        {**PRODUCTION, "JWT_MODE": ""},
        {"JWT_SECRET": SECRET},
        {"JWT_JWKS_URL": f"ftp://{SECRET}"},
        {**PRODUCTION, "REDIS_URL": f"redis://:{SECRET}@elsewhere"},
    ],
)
def test_given_a_secret_and_any_error_then_its_value_is_never_told(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    assert SECRET not in refusal(monkeypatch, environment)


def test_given_secrets_when_settings_are_shown_then_their_values_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = load(
        monkeypatch,
        {
            **PRODUCTION,
            "REDIS_URL": f"rediss://:{SECRET}@host",
            "SUPABASE_URL": "https://x.supabase.co",
            "SUPABASE_SERVICE_ROLE_KEY": SECRET,
        },
    )
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)


def test_given_several_faults_when_loaded_then_all_are_told_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = refusal(
        monkeypatch, {"BATCH_SIZE": "x", "HTTP_PORT": "y", "HTTP_HOST": "h", "STREAM_SHARDS": "z"}
    )
    assert len(text.splitlines()) == 4


def test_given_an_env_file_that_is_no_text_then_the_remedy_is_told(
    tmp_path: Path,
) -> None:
    (tmp_path / ".env").write_bytes(b"REDIS_URL=\xff\xfe\n")
    with pytest.raises(SettingsError, match=r"\.env.*UTF-8"):
        load_settings(tmp_path)
