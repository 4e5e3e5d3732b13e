"""The ledger over Supabase's REST API (PostgREST), through supabase-py."""

import asyncio
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any, Final

import httpx
from postgrest.exceptions import APIError

from supabase import AsyncClient, AsyncClientOptions, AsyncSupabaseException, acreate_client
from workers.common.errors import LedgerRefused, LedgerUnavailable, MasteryError
from workers.ledger.sql.ledger import SqlLedger
from workers.ledger.sql.sqlstate import ledger_error

_SQLSTATE_LENGTH: Final = 5
_status: ContextVar[int] = ContextVar("_status")
"""The HTTP status of this task's last answer: supabase-py drops it if the body is JSON."""
_PASSING: Final = {
    *map(str, (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)),
    *map(str, range(500, 600)),
    "PGRST000",  # cannot connect to the database
    "PGRST001",  # connection lost
    "PGRST002",  # schema cache not built yet
    "PGRST003",  # no connection free in its pool
}
LIBRARY_ERRORS: Final = (
    APIError,
    AsyncSupabaseException,
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.StreamError,
    httpx.CookieConflict,
    ValueError,
)
"""All that supabase-py raises; the last one if an answer is not JSON, such as a gateway's page."""

_REMEDY: Final = {
    "PGRST202": "run `mastery migrate up` (and let PostgREST reload its schema)",
    "PGRST301": "correct SUPABASE_SERVICE_ROLE_KEY",
    "PGRST302": "correct SUPABASE_SERVICE_ROLE_KEY",
    "401": "correct SUPABASE_SERVICE_ROLE_KEY",
    "403": "correct SUPABASE_SERVICE_ROLE_KEY",
    "404": "correct SUPABASE_URL",
    "413": "lower BATCH_SIZE, or raise the body limit of the gateway",
}


class PostgrestLedger(SqlLedger):
    """Calls the ledger's functions with supabase-py's ``rpc``.

    Args:
        url: the address of the Supabase project.
        key: the service role's key.
        timeout_s: limit of one call, in seconds.
    """

    def __init__(self, url: str, key: str, *, timeout_s: float = 15.0) -> None:
        self._url = url
        self._key = key
        self._timeout_s = timeout_s
        self._http: httpx.AsyncClient | None = None
        self._client: AsyncClient | None = None
        self._opening = asyncio.Lock()

    async def _connected(self) -> AsyncClient:
        # Without the lock two first calls would each open a client, and one would leak.
        async with self._opening:
            if self._client is None:
                if self._http is None:
                    self._http = httpx.AsyncClient(
                        timeout=self._timeout_s, event_hooks={"response": [_note_status]}
                    )
                self._client = await acreate_client(
                    self._url,
                    self._key,
                    AsyncClientOptions(
                        httpx_client=self._http, auto_refresh_token=False, persist_session=False
                    ),
                )
            return self._client

    async def _call(self, function: str, document: dict[str, Any]) -> Any:
        try:
            client = await self._connected()
            answer = (await client.rpc(function, document).execute()).data
        except LIBRARY_ERRORS as error:
            raise from_supabase(error, _status.get(None)) from error
        if not isinstance(answer, dict | list):
            raise LedgerUnavailable("an answer that is no JSON; is SUPABASE_URL right?")
        return answer

    async def close(self) -> None:
        """Close all connections."""
        if self._http is not None:
            await self._http.aclose()
            self._http = self._client = None


async def _note_status(response: httpx.Response) -> None:
    _status.set(response.status_code)


def from_supabase(error: Exception, status: int | None = None) -> MasteryError:
    """Translate one of `LIBRARY_ERRORS`.

    Args:
        error: the error of supabase-py.
        status: HTTP status of the answer, for errors without a code, such as a gateway's.
    """
    reason = str(error) or type(error).__name__
    if isinstance(error, APIError):
        if not (error.code or error.message):
            # PostgREST answers so, with status 400, when its connection breaks within a call.
            return LedgerUnavailable("PostgREST lost its connection to the database")
        return _of_code(str(error.code or status or ""), error.message or reason)
    if isinstance(error, AsyncSupabaseException):
        return LedgerRefused(f"SUPABASE_URL or its key is refused: {reason}; correct them")
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return LedgerRefused(f"SUPABASE_URL is no address: {reason}; correct it")
    if isinstance(error, ValueError):
        return LedgerUnavailable(f"an answer that is no JSON: {reason}; is SUPABASE_URL right?")
    return LedgerUnavailable(f"{reason}; is SUPABASE_URL right?")


def _of_code(code: str, message: str) -> MasteryError:
    """Translate a code of PostgREST, of Postgres, or of HTTP if a gateway answered."""
    if code in _PASSING:
        return LedgerUnavailable(f"{message} ({code})")
    if code in _REMEDY or code.startswith("PGRST"):
        remedy = _REMEDY.get(code, "see the log of PostgREST")
    elif len(code) == _SQLSTATE_LENGTH:
        return ledger_error(code, message)
    elif code.isdecimal():
        remedy = "is SUPABASE_URL the project's, with the right scheme?"
    else:
        return LedgerUnavailable(f"{message} ({code or 'no code'})")
    return LedgerRefused(f"the ledger refuses: {message} ({code}); {remedy}")
