"""Every error of supabase-py means: wait, try alone, or stop with a remedy."""

import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from postgrest.exceptions import APIError

import supabase
from workers.common.errors import (
    LedgerRefused,
    LedgerTooSlow,
    LedgerUnavailable,
    MasteryError,
    Unstorable,
)
from workers.ledger.sql.postgrest import LIBRARY_ERRORS, PostgrestLedger, from_supabase

WAIT, ALONE, STOP = LedgerUnavailable, Unstorable, LedgerRefused
KEY = "sb_secret_0123456789abcdef"


def api_error(code: object, message: str = "a message") -> APIError:
    return APIError({"code": code, "message": message, "details": None, "hint": None})


CODES: list[tuple[object, type[MasteryError], str]] = [
    ("23505", ALONE, ""),
    ("23514", ALONE, ""),
    ("23502", ALONE, ""),
    ("22P05", ALONE, ""),
    ("22003", ALONE, ""),
    ("54000", ALONE, ""),
    ("P0001", STOP, "log of Postgres"),
    ("PT409", STOP, "log of Postgres"),
    ("42501", STOP, "service role's key"),
    ("42883", STOP, "mastery migrate up"),
    ("42P01", STOP, "mastery migrate up"),
    ("40P01", WAIT, ""),
    ("57014", LedgerTooSlow, ""),
    ("57P01", WAIT, ""),
    ("53300", WAIT, ""),
    ("08006", WAIT, ""),
    ("PGRST000", WAIT, ""),
    ("PGRST001", WAIT, ""),
    ("PGRST002", WAIT, ""),
    ("PGRST003", WAIT, ""),
    ("PGRST202", STOP, "mastery migrate up"),
    ("PGRST301", STOP, "SUPABASE_SERVICE_ROLE_KEY"),
    ("PGRST302", STOP, "SUPABASE_SERVICE_ROLE_KEY"),
    ("PGRST106", STOP, "log of PostgREST"),
    ("401", STOP, "SUPABASE_SERVICE_ROLE_KEY"),
    ("403", STOP, "SUPABASE_SERVICE_ROLE_KEY"),
    ("404", STOP, "SUPABASE_URL"),
    ("413", STOP, "BATCH_SIZE"),
    ("301", STOP, "SUPABASE_URL"),
    ("400", STOP, "SUPABASE_URL"),
    ("408", WAIT, ""),
    ("429", WAIT, ""),
    *((str(code), WAIT, "") for code in (500, 502, 503, 504, 520, 599)),
    (None, WAIT, "no code"),
    ("", WAIT, "no code"),
    (503, WAIT, ""),
]


@pytest.mark.parametrize(("code", "expected", "remedy"), CODES)
def test_given_a_code_then_it_has_a_meaning_and_a_refusal_names_its_remedy(
    code: object, expected: type[MasteryError], remedy: str
) -> None:
    error = from_supabase(api_error(code))

    assert type(error) is expected
    assert "a message" in str(error)
    assert remedy in str(error)
    if code:
        assert str(code) in str(error)


def httpx_errors() -> Iterator[type[Exception]]:
    for name in dir(httpx):
        kind = getattr(httpx, name)
        if inspect.isclass(kind) and issubclass(kind, Exception):
            yield kind


HTTPX_ERRORS = list(httpx_errors())
REFUSED = {httpx.InvalidURL, httpx.UnsupportedProtocol}


@pytest.mark.parametrize("kind", HTTPX_ERRORS, ids=lambda kind: kind.__name__)
def test_given_any_error_of_httpx_then_it_is_caught_and_says_where_to_look(
    kind: type[Exception],
) -> None:
    error = kind.__new__(kind)
    error.args = ("the wire says",)

    assert issubclass(kind, LIBRARY_ERRORS)
    meaning = from_supabase(error)

    assert type(meaning) is (STOP if kind in REFUSED else WAIT)
    assert "the wire says" in str(meaning)
    assert "SUPABASE_URL" in str(meaning)


def test_given_httpx_then_there_were_errors_to_try() -> None:
    assert len(HTTPX_ERRORS) > 20


@pytest.mark.parametrize(
    "error", [supabase.AsyncSupabaseException("Invalid API key"), httpx.ConnectError("")]
)
def test_given_a_wordless_or_client_error_then_the_setting_is_named(
    error: Exception,
) -> None:
    assert "SUPABASE_URL" in str(from_supabase(error))


@pytest.fixture
async def answering(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[httpx.Response]]:
    """The answers of a gateway that is none; each call takes the next."""
    answers: list[httpx.Response] = []
    original = httpx.AsyncClient

    def client(**options: Any) -> httpx.AsyncClient:
        assert options["timeout"] == 15.0
        gateway = httpx.MockTransport(lambda _: answers.pop(0))
        return original(transport=gateway, **options)

    monkeypatch.setattr("workers.ledger.sql.postgrest.httpx.AsyncClient", client)
    yield answers
    assert answers == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (httpx.Response(200, text="<html>Welcome to a router</html>"), WAIT),
        (httpx.Response(502, text="<html>502 Bad Gateway</html>"), WAIT),
        (httpx.Response(504), WAIT),
        (httpx.Response(413, text="too large"), STOP),
        (httpx.Response(301, headers={"location": "https://elsewhere/"}), STOP),
        (httpx.Response(404, text="no such page"), STOP),
        (httpx.Response(401, json={"message": "Invalid API key"}), STOP),
        (httpx.Response(503, json={"message": "name resolution failed"}), WAIT),
        (httpx.Response(200, json={"status": "some other service"}), STOP),
        (httpx.Response(200, json=[["tenant", "student", "more"]]), STOP),
        (httpx.Response(400, json={"code": "23505", "message": "twice"}), ALONE),
        # PostgREST whose connection to the database broke within the call.
        (httpx.Response(400, json={"code": "", "message": "", "details": None}), WAIT),
        (httpx.Response(409, json={"code": "23505", "message": "twice"}), ALONE),
        (httpx.Response(500, json={"code": "XX000", "message": "oh"}), WAIT),
        (httpx.Response(500, json={"code": "25P02", "message": "oh"}), WAIT),
        (httpx.Response(500, json={"code": "0A000", "message": "oh"}), WAIT),
        (httpx.Response(500, json={"code": "XX001", "message": "oh"}), STOP),
    ],
)
async def test_given_an_answer_of_a_gateway_then_it_means_something(
    answering: list[httpx.Response], answer: httpx.Response, expected: type[MasteryError]
) -> None:
    ledger = PostgrestLedger("https://project.example", KEY)
    answering.append(answer)

    with pytest.raises(expected) as failure:
        await ledger.ping()

    assert KEY not in str(failure.value)
    await ledger.close()


@pytest.mark.parametrize(
    ("url", "key", "expected"),
    [
        ("http://127.0.0.1:1", KEY, LedgerUnavailable),
        ("https://host.invalid", KEY, LedgerUnavailable),
        ("no url", KEY, LedgerRefused),
        ("http://127.0.0.1:1", "", LedgerRefused),
    ],
)
async def test_given_a_url_or_key_that_cannot_be_then_it_is_said(
    url: str, key: str, expected: type[MasteryError]
) -> None:
    ledger = PostgrestLedger(url, key, timeout_s=3)

    with pytest.raises(expected, match="SUPABASE_URL"):
        await ledger.ping()

    await ledger.close()
    await ledger.close()
