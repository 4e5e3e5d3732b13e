"""Tools of attackers: the issuer's public keys, their own keys and their own tokens."""

import itertools
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import jwt

from tests.support.factories import uuid_of
from tests.support.issuer import ISSUER, KeyServer, SigningKey, base64url
from workers.common.times import iso

SECRET: Final = "the-secret-of-hs256-which-nobody-else-knows"
TENANT: Final = "school-7"
ATTACKER: Final = "mallory"
VICTIM: Final = "ann"
TEACHER: Final = "teacher"

Claims = dict[str, Any]
_AUTOMATIC: Final = object()


class Harmless(NamedTuple):
    """Odd but lawful: it is applied to this learner, and to no other."""

    tenant_id: str
    student_id: str


class Attack(NamedTuple):
    """One entry and what has to become of it.

    Args:
        name: what is tried.
        expected: the code it is refused with; whose it is if it is lawful; None: lawful, and
            nothing changes.
        make: makes the entry's event, given a `Forge`.
        age_s: how long ago it entered the stream, seconds.
    """

    name: str
    expected: str | Harmless | None
    make: Callable[..., bytes]
    age_s: int = 0


@dataclass
class Forge:
    """Makes tokens and events; those of good students too.

    Args:
        server: the issuer's key set: ES256 under `es`, RS256 under `rs`, EdDSA under `ed`.
        other: a key set of the attacker's own, which nobody may ever ask.
    """

    server: KeyServer
    other: KeyServer
    now: int = field(default_factory=lambda: int(time.time()))
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def key(self, name: str = "es") -> SigningKey:
        """A key of the issuer's, or the attacker's own `evil`."""
        keys = (*self.server.keys, *self.other.keys)
        return next(key for key in keys if key.key_id == name)

    def claims(self, student: str = ATTACKER, tenant: str = TENANT, **changes: Any) -> Claims:
        """Claims as the issuer gives them to a student."""
        made = {
            "sub": student,
            "iss": ISSUER,
            "aud": "authenticated",
            "role": "authenticated",
            "iat": self.now - 10,
            "exp": self.now + 3600,
            "tenant_id": tenant,
            **changes,
        }
        return {name: value for name, value in made.items() if value is not MISSING}

    def event(
        self,
        claims: Mapping[str, Any],
        token: Any = _AUTOMATIC,
        *,
        envelope: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        **response: Any,
    ) -> bytes:
        """An event with these claims, and the token that they come from unless one is given."""
        number = next(self._numbers)
        made = {
            "response_id": uuid_of("attack", number),
            "student_id": claims.get("sub", ATTACKER),
            "session_id": "s-1",
            "item_id": "q-1",
            "concept_ids": ["c-1"],
            "scale": "math",
            "score": 1.0,
            "answered_at": iso((self.now - 100_000 + number) * 1_000_000),
            **response,
        }
        return json.dumps(
            {
                "specversion": "1.0",
                "id": uuid_of("event", number),
                "source": "/attacks",
                "type": "practice.response.recorded.v1",
                "data": {
                    "claims": dict(claims),
                    "token": self.signed(claims) if token is _AUTOMATIC else token,
                    "response": made,
                    **(data or {}),
                },
                **(envelope or {}),
            }
        ).encode()

    def signed(self, claims: Mapping[str, Any], key: str = "es") -> str:
        """A token with any claims, those too that no library would sign."""
        return self.key(key).sign_raw(json.dumps(dict(claims)).encode())

    def with_token(self, token: Any) -> bytes:
        """An event of the attacker's whose claims are right and whose token is this."""
        return self.event(self.claims(), token)

    def raw(self, header: Any = None, payload: Any = None, signature: bytes | None = None) -> bytes:
        """An event with a token of any parts; signed with the issuer's key unless told else."""
        header = {"alg": "ES256", "kid": "es", "typ": "JWT"} if header is None else header
        payload = self.claims() if payload is None else payload
        texts = [p if isinstance(p, bytes) else json.dumps(p).encode() for p in (header, payload)]
        if signature is None:
            return self.with_token(self.key().sign_raw(texts[1], texts[0]))
        return self.with_token(".".join(map(base64url, [*texts, signature])))

    def hmac(self, key: bytes, algorithm: str = "HS256", **header: Any) -> bytes:
        """An event with a token that is signed with bytes that the attacker has."""
        said = json.dumps({"alg": algorithm, "typ": "JWT", **header}).encode()
        signed = f"{base64url(said)}.{base64url(json.dumps(self.claims()).encode())}"
        method: Any = jwt.get_algorithm_by_name(algorithm)
        return self.with_token(f"{signed}.{base64url(method.sign(signed.encode(), key))}")


MISSING: Final = object()
