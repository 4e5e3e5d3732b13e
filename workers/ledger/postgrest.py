"""The ledger over Supabase's REST API (PostgREST), through supabase-py."""

from http import HTTPStatus
from typing import Any, Final

import httpx
from postgrest.exceptions import APIError
from supabase import AsyncClient, AsyncClientOptions, SupabaseException, acreate_client

from workers.errors import LedgerRefused, LedgerUnavailable, MasteryError
from workers.ledger.contract import SqlLedger
from workers.ledger.sqlstate import ledger_error

_SQLSTATE_LENGTH: Final = 5
_PASSING: Final = {
    *map(str, (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)),
    *map(str, range(500, 600)),
    "PGRST000",  # cannot connect to the database
    "PGRST001",  # connection lost
    "PGRST002",  # schema cache not built yet
    "PGRST003",  # no connection free in its pool
}
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
        url: of the Supabase project.
        key: the service role's key.
        timeout_s: limit of one call, in seconds.
    """

    def __init__(self, url: str, key: str, *, timeout_s: float = 15.0) -> None:
        self._url = url
        self._key = key
        self._timeout_s = timeout_s
        self._http: httpx.AsyncClient | None = None
        self._client: AsyncClient | None = None

    async def _connected(self) -> AsyncClient:
        if self._client is None:
            self._http = httpx.AsyncClient(timeout=self._timeout_s)
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
            return (await client.rpc(function, document).execute()).data
        except APIError as error:
            raise _error_of(str(error.code or ""), error.message or str(error)) from error
        except SupabaseException as error:
            raise LedgerRefused(f"SUPABASE_URL or its key is refused: {error}") from error
        except httpx.InvalidURL as error:
            raise LedgerRefused(f"SUPABASE_URL is no address: {error}") from error
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise LedgerUnavailable(f"{reason}; is SUPABASE_URL right?") from error
        except ValueError as error:
            # A gateway's page instead of PostgREST's JSON.
            raise LedgerUnavailable(f"an answer that is no JSON: {error}") from error

    async def close(self) -> None:
        """Close all connections."""
        if self._http is not None:
            await self._http.aclose()
            self._http = self._client = None


def _error_of(code: str, message: str) -> MasteryError:
    if code in _PASSING:
        return LedgerUnavailable(f"{message} ({code})")
    if code in _REMEDY or code.startswith("PGRST"):
        remedy = _REMEDY.get(code, "see the log of PostgREST")
        return LedgerRefused(f"the ledger refuses: {message} ({code}); {remedy}")
    if len(code) == _SQLSTATE_LENGTH:
        return ledger_error(code, message)
    return LedgerUnavailable(f"{message} ({code or 'no code'})")
