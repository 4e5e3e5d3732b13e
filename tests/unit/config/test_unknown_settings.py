"""Names that look like settings and are none are named with what was meant."""

from pathlib import Path

import pytest

from workers.config.unknown import unknown_settings


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("REDIS_URI", "REDIS_URL"),
        ("redis_uri", "REDIS_URL"),
        ("NEO4J_USER", "NEO4J_USERNAME"),
        ("JWT_JWKS_URI", "JWT_JWKS_URL"),
        ("LOGLEVEL", "LOG_LEVEL"),
    ],
)
def test_given_a_misspelt_setting_then_the_right_one_is_named(
    name: str, meant: str, tmp_path: Path
) -> None:
    (found,) = unknown_settings(
        tmp_path, {name: "x", "PATH": "/bin", "HTTP_PROXY": "http://p", "TEST_REDIS_URL": "x"}
    )
    assert str(found) == f"{name} in the environment is not a setting: did you mean {meant}?"


def test_given_an_env_file_then_each_unknown_name_in_it_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "REDIS_URL=redis://x\nstrict=true\nPORT=1\nREDIS_URI=redis://y\n"
    )
    (tmp_path / ".env.development").write_text("SUPABASE_URI=http://x\n")
    assert [str(unknown) for unknown in unknown_settings(tmp_path, {})] == [
        "PORT in .env is not a setting: it has no effect",
        "REDIS_URI in .env is not a setting: did you mean REDIS_URL?",
        "SUPABASE_URI in .env.development is not a setting: did you mean SUPABASE_URL?",
    ]


def test_given_every_setting_then_none_is_unknown(tmp_path: Path) -> None:
    example = (Path(__file__).parents[3] / ".env.example").read_text(encoding="utf-8")
    (tmp_path / ".env").write_text(example)
    assert list(unknown_settings(tmp_path, {})) == []
