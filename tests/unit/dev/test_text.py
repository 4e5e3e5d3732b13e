"""The text of `mastery dev`: every URL, and commands that can be pasted."""

import json
import shlex
from pathlib import Path
from typing import cast

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from contracts.responses import ResponseRecorded
from workers.app.lifecycle import Worker
from workers.dev.issuer import Issuer
from workers.dev.running import Running, Urls
from workers.dev.text import text

URLS = Urls(
    "redis://127.0.0.1:6399", "http://127.0.0.1:8000", "http://127.0.0.1:8000/dev/jwks.json"
)


def _text(directory: Path | None) -> str:
    issuer = Issuer(generate_private_key(SECP256R1()))
    return text(Running(cast("Worker", None), URLS, issuer), directory)


def test_given_the_text_then_all_urls_are_in_it() -> None:
    for url in (*URLS.to_jsonable().values(), f"{URLS.http_url}/ ", f"{URLS.http_url}/docs"):
        assert url.strip() in _text(None)


def test_given_the_text_then_its_redis_cli_line_publishes_a_valid_event() -> None:
    (line,) = [line for line in _text(None).splitlines() if " XADD " in line]
    *command, event = shlex.split(line)

    assert command == [
        "redis-cli", "-u", URLS.redis_url, "XADD", "practice.responses.v1", "*", "event",
    ]  # fmt: skip
    assert ResponseRecorded.model_validate_json(event).data.token


def test_given_the_text_then_its_curl_line_sends_json() -> None:
    (line,) = [line for line in _text(None).splitlines() if line.strip().startswith("curl ")]
    command, url, option, body = shlex.split(line)

    assert (command, url, option) == ("curl", f"{URLS.http_url}/dev/responses", "-d")
    assert json.loads(body)["correct"] is True


def test_given_a_directory_then_the_text_tells_what_is_kept(tmp_path: Path) -> None:
    assert str(tmp_path) in _text(tmp_path)
    assert "Nothing is kept." in _text(None)
