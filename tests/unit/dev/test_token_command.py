"""`mastery token` prints one token and nothing else."""

from pathlib import Path

import jwt
import pytest
from typer.testing import CliRunner

from workers.cli.main import app
from workers.dev.issuer import Issuer
from workers.dev.key_file import default_key_file, signing_key
from workers.identity.keys import usable_keys

pytestmark = pytest.mark.usefixtures("clean_environment")


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def test_given_a_student_then_the_token_is_signed_by_the_key_file() -> None:
    done = CliRunner().invoke(app, ["token", "schüler/1", "--tenant", "t", "--role", "teacher"])

    (line,) = done.stdout.splitlines()
    (key,) = usable_keys(Issuer(signing_key(default_key_file())).key_set()["keys"], ["ES256"])
    claims = jwt.decode(line, key.by_algorithm["ES256"], ["ES256"], audience="authenticated")
    assert (claims["sub"], claims["tenant_id"], claims["role"]) == ("schüler/1", "t", "teacher")


@pytest.mark.parametrize("arguments", [[""], ["a\nb"], ["x" * 129], ["ada", "--tenant", ""]])
def test_given_an_id_that_no_event_may_have_then_it_is_refused(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, ["token", *arguments])

    assert done.exit_code == 2
    assert done.stdout == ""
