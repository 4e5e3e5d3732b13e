"""Verifying the bearer of a request, at the present moment."""

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
    """Says who sends a request.

    Args:
        verifier: one whose refusals speak of a request (`REQUESTED`).
        ring: fetches keys that are not known yet; None where there is only a secret.
        client: a connection to Redis, whose clock says what time it is.
        max_token_bytes: largest token, in bytes.
    """

    def __init__(
        self, *, verifier: Verifier, ring: KeyRing | None, client: Redis, max_token_bytes: int
    ) -> None:
        self._verifier = verifier
        self._ring = ring
        self._client = client
        self._max_token_bytes = max_token_bytes

    async def identify(self, token: str) -> Identity:
        """Who a token is of.

        Raises:
            Refused: with ``unauthenticated``; its reason quotes nothing of the token.
            KeysUnavailable: the token's key is not known, and the key set can't be fetched.
            RedisUnavailable: nobody says what time it is.
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
        # A fetch that begins from now on may do so within the same millisecond.
        since_ms = now_ms - 1
        try:
            return self._verifier.verify(token, now_ms, since_ms)
        except KeyUnknown:
            if self._ring is None:  # only keys of an issuer are ever unknown
                raise
            await self._ring.newer_than(since_ms)
            return self._verifier.verify(token, now_ms, since_ms)
