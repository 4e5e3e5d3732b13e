"""Verify the bearer token of a request at the present time."""

from typing import Final

from redis.asyncio import Redis

from contracts.rejections import RejectionCode
from workers.common.errors import KeyUnknown, Refused
from workers.identity.claims import Identity, Occasion
from workers.identity.keyring import KeyRing
from workers.identity.verifier import Verified, Verifier
from workers.streams.redis_clock import redis_now_ms

REQUESTED: Final = Occasion("token", "token.", "the request came at", "log in again")


class BearerVerifier:
    """Identify the sender of a request.

    Args:
        verifier: verifies tokens; its occasion is `REQUESTED`.
        ring: fetches unknown keys; None if there is only a secret.
        client: a connection to Redis, whose clock gives the time.
        max_token_bytes: the largest token, in bytes.
    """

    def __init__(
        self, *, verifier: Verifier, ring: KeyRing | None, client: Redis, max_token_bytes: int
    ) -> None:
        self._verifier = verifier
        self._ring = ring
        self._client = client
        self._max_token_bytes = max_token_bytes

    async def identify(self, token: str) -> Identity:
        """Identify the owner of a token.

        Raises:
            Refused: with ``unauthenticated``; the reason does not quote the token.
            KeysUnavailable: the token's key is unknown, and the key set can't be fetched.
            RedisUnavailable: Redis does not give the time.
        """
        if len(token.encode(errors="surrogatepass")) > self._max_token_bytes:
            raise Refused(
                RejectionCode.UNAUTHENTICATED,
                f"token is longer than MAX_TOKEN_BYTES={self._max_token_bytes}",
                "token",
            )
        now_ms = await redis_now_ms(self._client)
        verified = await self._verified(token, now_ms)
        self._verifier.rules.judge_moment(verified.claims, now_ms / 1000, REQUESTED)
        return verified.identity

    async def _verified(self, token: str, now_ms: int) -> Verified:
        # A fetch that begins now may begin within the same millisecond.
        since_ms = now_ms - 1
        try:
            return self._verifier.verify(token, now_ms, since_ms)
        except KeyUnknown:
            if self._ring is None:  # a shared secret is never unknown
                raise
            await self._ring.newer_than(since_ms)
            return self._verifier.verify(token, now_ms, since_ms)
