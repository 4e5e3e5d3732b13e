"""Verify signature, issuer and audience of tokens, once for each token."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import jwt

from contracts.claims import Claims
from contracts.rejections import RejectionCode
from workers.common.errors import KeyUnknown, Refused
from workers.identity.claims import PUBLISHED, ClaimRules, Identity, Occasion
from workers.identity.compact import MalformedError, Token, read_token
from workers.identity.keys import KeySet

CACHED_TOKENS: Final = 10_000
"""Most verified tokens kept in memory, about 2 kB each."""

_SECRET: Final = ""
"""Stands for the shared secret instead of a key's identity; it never retires."""


class Verified(NamedTuple):
    """A token with a valid signature, issuer and audience; its times are not checked."""

    claims: Claims
    values: dict[str, Any]
    """The claims as JSON."""
    identity: Identity
    key: str
    """Identity of the key that signed it."""


class Verifier:
    """Verify tokens with the issuer's keys, a shared secret, or both.

    Each token is verified once; the result is cached by the token's digest, up to a bound. A cached
    result is valid only while its key is.

    Args:
        rules: the rules that claims must meet.
        keys: returns the keys known now.
        secret: the shared secret of HS256, at least 32 bytes; None if there is none.
        algorithms: the allowed algorithms; a token signed with a secret is verified with the secret
            alone, any other token with the issuer's keys alone.
        occasion: the words of a refusal.
        cached: the most results in the cache.
    """

    def __init__(
        self,
        *,
        rules: ClaimRules,
        keys: Callable[[], KeySet],
        secret: bytes | None,
        algorithms: Iterable[str],
        occasion: Occasion = PUBLISHED,
        cached: int = CACHED_TOKENS,
    ) -> None:
        self.rules = rules
        self._keys = keys
        self._secret = secret
        self._algorithms = frozenset(algorithms)
        self._occasion = occasion
        self._cached = cached
        self._cache: OrderedDict[bytes, Verified] = OrderedDict()
        self._jws = jwt.PyJWS(sorted(self._algorithms))

    def verify(self, token: str, entered_ms: int, since_ms: int) -> Verified:
        """Verify a token, except for its times.

        Args:
            token: the JWT.
            entered_ms: time at which the key must be in use, by Redis's clock, milliseconds
                since 1970.
            since_ms: when the token began to wait for a key, milliseconds since 1970.

        Raises:
            Refused: with ``unauthenticated``.
            KeyUnknown: its key is unknown, and no key set was fetched since ``since_ms``.
        """
        # Lone surrogates are refused below, like everything that is not base64url.
        digest = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        known = self._cache.get(digest)
        if known is not None and self._serves(known.key, entered_ms):
            self._cache.move_to_end(digest)
            return known
        verified = self._verified(token, entered_ms, since_ms)
        self._cache[digest] = verified
        if len(self._cache) > self._cached:
            self._cache.popitem(last=False)
        return verified

    def _serves(self, identity: str, entered_ms: int) -> bool:
        if identity == _SECRET:
            return True
        key = self._keys().get(identity)
        return key is not None and key.serves(entered_ms)

    def _verified(self, token: str, entered_ms: int, since_ms: int) -> Verified:
        try:
            said = read_token(token)
        except MalformedError as error:
            raise self._refused(str(error)) from None
        if said.algorithm not in self._algorithms:
            allowed = ", ".join(sorted(self._algorithms))
            raise self._refused(f"is signed with an algorithm that is none of {allowed}")
        self.rules.judge_parties(said.claims, self._occasion)
        identity = self.rules.identity(said.claims, self._occasion)
        key = self._signed_by(token, said, entered_ms, since_ms)
        return Verified(said.claims, said.values, identity, key)

    def _signed_by(self, token: str, said: Token, entered_ms: int, since_ms: int) -> str:
        """Find the identity of the key that signed a token."""
        if said.algorithm == "HS256":
            if self._secret is None or not self._signed(token, self._secret, said.algorithm):
                raise self._refused("is not signed with JWT_SECRET")
            return _SECRET
        keys = self._keys()
        named = keys.named(said.key_id)
        serving = [key for key in named if key.serves(entered_ms)]
        for key in serving:
            if said.algorithm in key.by_algorithm and self._signed(
                token, key.by_algorithm[said.algorithm], said.algorithm
            ):
                return key.identity
        if serving and said.key_id is not None:
            raise self._refused("is not signed with the key that its 'kid' names")
        if not keys.newer_than(since_ms):
            raise KeyUnknown
        if named and said.key_id is not None:
            raise self._refused("is signed with a key that the issuer has retired: log in again")
        raise self._refused("is signed with a key that is not in the issuer's key set")

    def _signed(self, token: str, key: jwt.PyJWK | bytes, algorithm: str) -> bool:
        try:
            self._jws.decode_complete(token, key, [algorithm])
        except jwt.PyJWTError:
            return False
        return True

    def _refused(self, problem: str) -> Refused:
        field = self._occasion.token
        return Refused(RejectionCode.UNAUTHENTICATED, f"{field} {problem}", field)
