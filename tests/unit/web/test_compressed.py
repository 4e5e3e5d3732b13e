"""Compressed answers: only for who accepts them, and always the same content."""

import gzip
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from tests.support.http_callers import client_of
from workers.web.compressed import CompressedFiles, FixedText
from workers.web.http import application

TEXT = "mastery, " * 50_000


@pytest.fixture
def client(tmp_path: Path) -> httpx.AsyncClient:
    (tmp_path / "long.js").write_text(TEXT, encoding="utf-8")
    (tmp_path / "short.js").write_text("short", encoding="utf-8")
    text, short = FixedText(TEXT, "text/plain"), FixedText("short", "text/plain")

    async def of_text(request: Request) -> Response:
        return text.response(request)

    async def of_short(request: Request) -> Response:
        return short.response(request)

    routes: list[BaseRoute] = [
        Route("/long", of_text),
        Route("/short", of_short),
        Mount("/files", CompressedFiles(tmp_path)),
    ]
    return client_of(application(routes))


@pytest.mark.parametrize("path", ["/long", "/files/long.js"])
async def test_given_gzip_is_accepted_then_few_bytes_hold_the_whole_text(
    client: httpx.AsyncClient, path: str
) -> None:
    async with client:
        plain = await client.get(path, headers={"Accept-Encoding": "identity"})
        for _ in range(2):
            answer = await client.get(path, headers={"Accept-Encoding": "br, GZIP"})
            assert answer.headers["content-encoding"] == "gzip"
            assert int(answer.headers["content-length"]) < len(TEXT) / 50
            assert answer.text == plain.text == TEXT
            assert answer.headers["vary"] == "Accept-Encoding"
            assert answer.headers["content-type"] == plain.headers["content-type"]

    assert "content-encoding" not in plain.headers


@pytest.mark.parametrize("path", ["/short", "/files/short.js"])
async def test_given_a_short_text_then_it_is_sent_as_it_is(
    client: httpx.AsyncClient, path: str
) -> None:
    async with client:
        answer = await client.get(path, headers={"Accept-Encoding": "gzip"})

    assert "content-encoding" not in answer.headers
    assert answer.text == "short"


async def test_given_a_known_tag_then_the_file_is_not_sent_again(
    client: httpx.AsyncClient,
) -> None:
    async with client:
        first = await client.get("/files/long.js", headers={"Accept-Encoding": "gzip"})
        again = await client.get("/files/long.js", headers={"If-None-Match": first.headers["etag"]})

    assert first.headers["etag"].startswith("W/")
    assert again.status_code == 304


async def test_given_a_changed_file_then_the_new_one_is_sent(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    async with client:
        await client.get("/files/long.js")
        changed = gzip.compress(b"not much to gain") * 100
        (tmp_path / "long.js").write_bytes(changed)
        answer = await client.get("/files/long.js")

    assert answer.content == changed


async def test_given_head_then_the_length_is_that_of_the_compressed_file(
    client: httpx.AsyncClient,
) -> None:
    async with client:
        got = await client.get("/files/long.js", headers={"Accept-Encoding": "gzip"})
        head = await client.head("/files/long.js", headers={"Accept-Encoding": "gzip"})

    assert head.headers["content-length"] == got.headers["content-length"]
