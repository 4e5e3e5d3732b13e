"""Damage drawn at random to entries and tokens, none of which may be admitted.

Each function says in its first line why its result can't be good. Half of them leave the event as
it is and damage its token; so the verifier is reached, and not only the parser before it.
"""

import json
import random
import string
from collections.abc import Callable, Mapping
from typing import Any, Final

import jwt

from tests.support.fuzzed_entries import FUZZED
from tests.support.issuer import ISSUER, SigningKey, base64url
from workers.admission.admission import Admission
from workers.common.times import iso
from workers.identity.claims import Authorisation, ClaimRules
from workers.identity.keys import KeySet, usable_keys
from workers.identity.verified_tokens import VerifiedTokens
from workers.identity.verifier import Verifier
from workers.streams.batch import RawEntry

NOW_S: Final = 1_795_000_000
_SECRET: Final = b"the-secret-of-hs256-which-nobody-else-knows"
_ALGORITHMS: Final = ("ES256", "RS256", "EdDSA", "HS256")
_SIGNS: Final = string.ascii_letters + string.digits + "-_"
_STRANGE: Final = " \t\n\r\0\x1b+/=.%:\u00e9\u0430\u200b\u202e\ufeff\uff21\U0001f600\ud800"
_STUDENTS: Final = 40

Event = dict[str, Any]
Fuzz = Callable[["Material", random.Random], bytes]


class Material:
    """Keys of an issuer, and good tokens that they signed."""

    def __init__(self) -> None:
        self.keys = [SigningKey(alg.lower(), alg) for alg in _ALGORITHMS[:-1]]
        self.evil = SigningKey("es256")
        self.claims = [_claims(n) for n in range(_STUDENTS)]
        self.tokens = [
            self.keys[n % 4].sign(claims) if n % 4 < len(self.keys) else self.secret(claims)
            for n, claims in enumerate(self.claims)
        ]
        self.parts = [token.split(".") for token in self.tokens]

    def secret(self, claims: Mapping[str, Any]) -> str:
        """A token of HS256; any JSON may be in it."""
        signed = f"{_HS256}.{base64url(json.dumps(claims).encode())}"
        return f"{signed}.{base64url(_HMAC.sign(signed.encode(), _SECRET))}"

    def admission(self) -> Admission:
        """The engine's own, which knows all the keys and asks for no newer ones."""
        keys = usable_keys([key.jwk() for key in self.keys], _ALGORITHMS)
        known = KeySet(keys, fetched_ms=(NOW_S + 60) * 1_000)
        verifier = Verifier(
            rules=ClaimRules(ISSUER, "authenticated", "tenant_id"),
            keys=lambda: known,
            secret=_SECRET,
            algorithms=_ALGORITHMS,
        )
        return Admission(
            VerifiedTokens(verifier), Authorisation(frozenset({"service_role"})), 65_536, 8_192
        )

    def event(self, number: int, token: Any = None, **response: Any) -> Event:
        """An event of a student; good, unless something is given."""
        claims = self.claims[number]
        return {
            "specversion": "1.0",
            "id": "00000000-0000-4000-8000-000000000001",
            "source": "/fuzz",
            "type": "practice.response.recorded.v1",
            "data": {
                "claims": claims,
                "token": self.tokens[number] if token is None else token,
                "response": {
                    "response_id": "00000000-0000-4000-8000-000000000002",
                    "student_id": claims["sub"],
                    "session_id": "s-1",
                    "item_id": "q-1",
                    "concept_ids": ["c-1"],
                    "scale": "math",
                    "score": 0.5,
                    "answered_at": iso((NOW_S - 60) * 1_000_000),
                    **response,
                },
            },
        }


_HMAC: Final[Any] = jwt.get_algorithm_by_name("HS256")
_HS256: Final = base64url(b'{"alg":"HS256","typ":"JWT"}')


def entry(event: bytes) -> RawEntry:
    """An entry that came in just now."""
    return RawEntry(f"{NOW_S * 1_000}-0", {b"event": event})


def written(event: Any) -> bytes:
    """An event as JSON; halves of surrogate pairs as escapes."""
    return json.dumps(event).encode()


def _claims(number: int) -> dict[str, Any]:
    return {
        "sub": f"student-{number}",
        "iss": ISSUER,
        "aud": "authenticated",
        "role": "authenticated",
        "iat": NOW_S - 600,
        "exp": NOW_S + 3_600,
        "tenant_id": f"school-{number % 3}",
    }


# Damage to the token


def _damaged(change: Callable[[str, random.Random], str]) -> Fuzz:
    def fuzz(of: Material, chance: random.Random) -> bytes:
        number = chance.randrange(_STUDENTS)
        token = of.tokens[number]
        while (damaged := change(token, chance)) == token:
            pass
        return written(of.event(number, damaged))

    fuzz.__doc__ = change.__doc__
    fuzz.__name__ = change.__name__
    return fuzz


def character_changed(token: str, chance: random.Random) -> str:
    """Header and payload are signed as they are written, and a signature is written in one way."""
    place = chance.randrange(len(token))
    return token[:place] + chance.choice(_SIGNS + ".") + token[place + 1 :]


def bit_flipped(token: str, chance: random.Random) -> str:
    """Replace a character by any other."""
    place = chance.randrange(len(token))
    return token[:place] + chr(ord(token[place]) ^ 1 << chance.randrange(11)) + token[place + 1 :]


def cut(token: str, chance: random.Random) -> str:
    """A signature has no part of itself for another one."""
    begin, end = sorted(chance.randrange(len(token) + 1) for _ in range(2))
    return token[begin:end] if chance.random() < 0.5 else token[:begin] + token[end:]


def characters_swapped(token: str, chance: random.Random) -> str:
    """Leave the signed part valid."""
    begin, other = sorted(chance.randrange(len(token)) for _ in range(2))
    if begin == other:
        return token
    return (
        token[:begin] + token[other] + token[begin + 1 : other] + token[begin] + token[other + 1 :]
    )


def strange_put_in(token: str, chance: random.Random) -> str:
    """No character but those of base64url, and two dots, is in a token."""
    place = chance.randrange(len(token) + 1)
    return token[:place] + chance.choice(_STRANGE) * chance.randrange(1, 4) + token[place:]


def encoded_otherwise(token: str, chance: random.Random) -> str:
    """Another spelling of base64 is another token."""
    header, payload, signature = token.split(".")
    return chance.choice(
        (
            f"{header}=.{payload}.{signature}",
            f"{header}.{payload}==.{signature}",
            f"{header}.{payload}.{signature}=",
            f"{header.swapcase()}.{payload}.{signature}",
            f"{header}.{payload}.{signature.swapcase()}",
            f"{payload}.{header}.{signature}",
            f"{header}..{signature}",
            f"{header}.{payload}.",
            f"{header}.{payload}.{signature}.{signature}",
            base64url(token.encode()),
            token.replace(".", "%2E"),
            token[::-1],
            json.dumps(token),
            f"Bearer {token}",
        )
    )


def parts_mixed(of: Material, chance: random.Random) -> bytes:
    """A signature is that of its own header and payload, and each payload is another one."""
    student, other = chance.sample(range(_STUDENTS), 2)
    third = chance.choice((student, other))
    parts = [of.parts[student][0], of.parts[other][1], of.parts[third][2]]
    if third == other and of.parts[student][0] == of.parts[other][0]:
        parts[2] = of.parts[student][2]
    return written(of.event(chance.choice((student, other)), ".".join(parts)))


def header_rewritten(of: Material, chance: random.Random) -> bytes:
    """The signature is that of another header."""
    number = chance.randrange(_STUDENTS)
    algs = (*_ALGORITHMS, "none", "HS512", "PS256", "", None, 1)
    header: dict[str, Any] = {
        "alg": chance.choice(algs),
        "kid": chance.choice(("es256", "rs256", "x", None)),
    }
    header |= {chance.choice(("jku", "x5u", "crit", "b64", "zip", "x")): _value(chance)}
    if chance.random() < 0.3:
        header["jwk"] = of.evil.jwk()
    _, payload, signature = of.parts[number]
    return written(of.event(number, f"{base64url(written(header))}.{payload}.{signature}"))


def payload_rewritten(of: Material, chance: random.Random) -> bytes:
    """The signature is that of another payload; the claims beside it may follow."""
    number = chance.randrange(_STUDENTS)
    claims = dict(of.claims[number])
    claims[chance.choice([*claims, "x"])] = _value(chance)
    header, _, signature = of.parts[number]
    event = of.event(number, f"{header}.{base64url(written(claims))}.{signature}")
    if chance.random() < 0.5:
        event["data"]["claims"] = claims
    return written(event)


def signed_by_another(of: Material, chance: random.Random) -> bytes:
    """Sign with a key that only has the name of an issuer's key."""
    number = chance.randrange(_STUDENTS)
    if chance.random() < 0.1:
        return written(of.event(number, of.evil.sign(of.claims[number])))
    key = chance.choice((b"", _SECRET[1:], _SECRET + b"1", chance.randbytes(32)))
    signed = ".".join((_HS256, of.parts[number][1]))
    token = f"{signed}.{base64url(_HMAC.sign(signed.encode(), key))}"
    return written(of.event(number, token))


# Good signatures of what does not count


def claim_wrong(of: Material, chance: random.Random) -> bytes:
    """Rightly signed, with a claim that is missing, of a wrong type, or says no."""
    number = chance.randrange(_STUDENTS)
    claims = dict(of.claims[number])
    name = chance.choice(("sub", "iss", "aud", "exp", "iat", "tenant_id", "nbf"))
    wrong: dict[str, tuple[Any, ...]] = {
        "exp": (NOW_S - 61, 0, -1, "x", None, True, [], 1e300),
        "iat": (NOW_S + 3_000, "x", None, True, [], 10**400),
        "nbf": (NOW_S + 3_000, "x", True, {}),
        "tenant_id": (7, True, [], {}, "", "a\n", "x" * 129),
    }
    if name in ("sub", "iss", "aud", "exp", "iat") and chance.random() < 0.2:
        del claims[name]
    else:
        claims[name] = chance.choice(
            wrong.get(name, ("", "another", None, 1, [], {}, f"{claims.get(name)}\u200b"))
        )
    event = of.event(number, of.secret(claims))
    event["data"]["claims"] = claims
    return written(event)


def any_payload(of: Material, chance: random.Random) -> bytes:
    """Rightly signed, but no claims at all."""
    return written(of.event(chance.randrange(_STUDENTS), of.secret(_value(chance))))


def claims_beside_changed(of: Material, chance: random.Random) -> bytes:
    """Change the claims beside the token."""
    number = chance.randrange(_STUDENTS)
    event = of.event(number)
    claims = dict(of.claims[number])
    name = chance.choice([*claims, "email"])
    claims[name] = chance.choice(("other", None, 1.5, [], {}, of.claims[number - 1]["sub"]))
    event["data"]["claims"] = claims
    return written(event)


def for_another(of: Material, chance: random.Random) -> bytes:
    """A student reports for itself only."""
    number = chance.randrange(_STUDENTS)
    student = of.claims[number]["sub"]
    place = chance.randrange(len(student) + 1)
    other = student[:place] + chance.choice("x\u200b\u0430 é") + student[place:]
    return written(of.event(number, student_id=other))


# Damage to the rest


def any_event(_: Material, chance: random.Random) -> bytes:
    """JSON, but no event."""
    return written(_value(chance)) if chance.random() < 0.9 else chance.randbytes(200)


def all_over(of: Material, chance: random.Random) -> bytes:
    """The token is damaged, and whatever else happens mends no signature."""
    number = chance.randrange(_STUDENTS)
    text = bytearray(written(of.event(number, of.tokens[number][:-5] + "-----")))
    for _ in range(chance.randrange(1, 6)):
        text[chance.randrange(len(text))] ^= 1 << chance.randrange(8)
    return bytes(text)


def _as_before(fuzz: Callable[[Event, random.Random], bytes]) -> Fuzz:
    return lambda of, chance: fuzz(of.event(chance.randrange(_STUDENTS)), chance)


def _value(chance: random.Random, depth: int = 0) -> Any:
    kinds: tuple[Callable[[], Any], ...] = (
        lambda: None,
        lambda: chance.random() < 0.5,
        lambda: chance.choice((0, -1, NOW_S, 2**63, 10**40, 1.5, 1e308)),
        lambda: "".join(chance.choices(string.printable + _STRANGE, k=chance.randrange(12))),
        lambda: [_value(chance, depth + 1) for _ in range(chance.randrange(4))],
        lambda: {
            chance.choice(("sub", "exp", "data", "x")): _value(chance, depth + 1)
            for _ in range(chance.randrange(4))
        },
    )
    return chance.choice(kinds if depth < 4 else kinds[:4])()


KINDS: Final[dict[str, Fuzz]] = {
    **{
        fuzz.__name__: _damaged(fuzz)
        for fuzz in (
            character_changed, bit_flipped, cut, characters_swapped, strange_put_in,
            encoded_otherwise,
        )
    },
    **{
        fuzz.__name__: fuzz
        for fuzz in (
            parts_mixed, header_rewritten, payload_rewritten, signed_by_another, claim_wrong,
            any_payload, claims_beside_changed, for_another, any_event, all_over,
        )
    },
    **{name: _as_before(fuzz) for name, (_, fuzz) in FUZZED.items()},
}  # fmt: skip
"""Mutations by name."""
