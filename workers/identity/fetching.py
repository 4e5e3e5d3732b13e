"""Fetch an issuer's key set over HTTP."""

import asyncio
import json
from typing import Any, Final

import httpx

from workers.common.errors import KeysUnavailable
from workers.common.jwt_algorithms import KEY_ALGORITHMS
from workers.identity.keys import Key, usable_keys

_TIMEOUT_S: Final = 5.0
_LARGEST_BYTES: Final = 256 * 1024
_MOST_KEYS: Final = 64


class KeyFetch:
    """Fetch a JWK set (RFC 7517, section 5) without following redirects.

    Args:
        url: the address of the key set.
        algorithms: the algorithms of tokens; a set without a key for them is refused.
        timeout_s: limit of one whole fetch, seconds.
    """

    def __init__(
        self, url: str, algorithms: tuple[str, ...], *, timeout_s: float = _TIMEOUT_S
    ) -> None:
        self._url = url
        self._algorithms = algorithms
        self._timeout_s = timeout_s

    async def __call__(self) -> tuple[Key, ...]:
        """Fetch the keys that can verify tokens, at least one of them for our algorithms.

        Raises:
            KeysUnavailable: the set can't be fetched, or has no such key.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                text = await self._body()
        except TimeoutError:
            raise KeysUnavailable(f"no answer within {self._timeout_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            # Only the error's type: a message may quote the URL, which may hold a password.
            raise KeysUnavailable(
                f"the key set can't be fetched: {type(error).__name__}"
            ) from error
        members = _members(text)
        if not usable_keys(members, self._algorithms):
            raise KeysUnavailable(
                f"the key set holds no key for {', '.join(self._algorithms)}: compare "
                "JWT_JWKS_URL and JWT_ALGORITHMS with what the issuer signs with"
            )
        # All keys, because workers with other algorithms share them.
        return usable_keys(members, KEY_ALGORITHMS)

    async def _body(self) -> bytes:
        # Never through proxies or with credentials of the environment.
        async with (
            httpx.AsyncClient(timeout=self._timeout_s, trust_env=False) as client,
            client.stream("GET", self._url, headers={"Accept": "application/json"}) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise KeysUnavailable(
                    f"the key set's address answers with status {answer.status_code}"
                    + (": redirects are not followed" if answer.is_redirect else "")
                )
            body = bytearray()
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > _LARGEST_BYTES:
                    raise KeysUnavailable(f"the key set has more than {_LARGEST_BYTES} bytes")
            return bytes(body)


def _members(text: bytes) -> list[Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise KeysUnavailable("the key set is no JSON") from None
    members = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(members, list):
        raise KeysUnavailable("the key set is no JSON object with a list 'keys'")
    if len(members) > _MOST_KEYS:
        raise KeysUnavailable(f"the key set has more than {_MOST_KEYS} keys")
    return members
