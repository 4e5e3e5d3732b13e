"""Every attack of the catalogue in one batch among good events, through the whole engine."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pytest
from redis.asyncio import Redis

from contracts.streams import MASTERY, REJECTED, RESPONSES
from tests.security.event_attacks import event_attacks
from tests.security.forge import SECRET, TENANT, VICTIM, Attack, Forge, Harmless
from tests.security.in_process import drained, settings_of
from tests.security.replay_attacks import replay_attacks
from tests.security.token_attacks import token_attacks
from tests.support.factories import uuid_of
from tests.support.issuer import ISSUER, KeyServer, SigningKey
from tests.support.run_results import graph_differences, run_results, stored_mastery
from tests.support.servers import Neo4j
from tests.support.whole_run import Setting
from workers.common.times import iso

_GOOD: Final = [
    (tenant, student, number)
    for number in range(8)
    for tenant in (TENANT, "school-8")
    for student in (VICTIM, "bob")
]
_ATTACKS: Final = [*token_attacks(), *event_attacks(), *replay_attacks(lambda: b"")]


@pytest.fixture(scope="module")
def forge() -> Iterator[Forge]:
    """An issuer with a key of each kind, and an attacker with a key set as well."""
    keys = (SigningKey("es"), SigningKey("rs", "RS256"), SigningKey("ed", "EdDSA"))
    with KeyServer(*keys) as server, KeyServer(SigningKey("evil")) as other:
        yield Forge(server, other)


def test_given_the_catalogue_when_counted_then_it_has_what_it_has_to() -> None:
    names = Counter(attack.name for attack in _ATTACKS)
    assert [name for name, count in names.items() if count > 1] == []
    assert len(names) >= 60
    refused = Counter(a.expected for a in _ATTACKS if isinstance(a.expected, str))
    codes = {"unauthenticated", "forbidden", "invalid", "too_large", "conflict"}
    assert set(refused) == codes
    assert sum(isinstance(attack.expected, Harmless) for attack in _ATTACKS) >= 50


def _good(forge: Forge, tenant: str, student: str, number: int) -> bytes:
    key = ("es", "rs", "ed")[number % 3]
    claims = forge.claims(student, tenant, iat=forge.now - 600)
    return forge.event(
        claims,
        forge.key(key).sign(claims),
        response_id=uuid_of("good", tenant, student, number),
        session_id=f"s-{number // 4}",
        item_id=f"q-{number}",
        concept_ids=[f"c-{number % 3}", "c-1"] if number % 3 != 1 else ["c-1"],
        score=(0.0, 1.0, 0.25)[(number + len(tenant + student)) % 3],
        answered_at=iso((forge.now - 500 + number) * 1_000_000),
    )


def _row(tenant: str, student: str, event: bytes) -> dict[str, Any]:
    """The response of an event as the oracle wants it: whose it is, is said by the catalogue."""
    said = json.loads(event)["data"]["response"]
    assert isinstance(said, dict)
    return {**said, "tenant_id": tenant, "student_id": student}


async def test_given_every_attack_among_good_events_then_each_gets_its_due(
    forge: Forge, redis_url: str, database_url: str, neo4j: Neo4j
) -> None:
    good = [(_good(forge, *fields), Harmless(fields[0], fields[1])) for fields in _GOOD]
    overheard = good[0][0]
    attacks = [*token_attacks(), *event_attacks(), *replay_attacks(lambda: overheard)]
    made = [(attack, attack.make(forge)) for attack in attacks]
    setting = Setting(redis_url, {"DATABASE_URL": database_url}, database_url, neo4j.environment)
    async with Redis.from_url(redis_url) as redis:
        expected = await _publish(redis, forge, good, made)

        await drained(
            settings_of(
                setting.environment(
                    JWT_MODE="verify",
                    JWT_JWKS_URL=forge.server.url,
                    JWT_SECRET=SECRET,
                    JWT_ISSUER=ISSUER,
                    JWT_DELEGATE_ROLES="service_role,teacher",
                )
            )
        )

        letters: Any = await redis.xrange(REJECTED)
        refused = {}
        for _, fields in letters:
            data = json.loads(fields[b"event"])["data"]
            refused[data["entry_id"]] = (data["code"], data["reason"])
        wrong = [
            (attack.name, attack.expected, refused.get(entry_id))
            for entry_id, attack in expected.items()
            if refused.get(entry_id, (None, None))[0]
            != (attack.expected if isinstance(attack.expected, str) else None)
        ]
        assert wrong == []
        assert refused.keys() <= expected.keys()

        # Every row is that of the good events and of the lawful ones; there is no other row.
        rows = [_row(*whose, event) for event, whose in good]
        rows += [_row(*a.expected, e) for a, e in made if isinstance(a.expected, Harmless)]
        result = await run_results(setting, rows, tolerance=1e-12)
        assert result.differences == []
        assert result.pending == 0
        assert len(letters) == len(refused)
        told = await redis.xlen(MASTERY)
        assert told == sum(len(row["concept_ids"]) for row in rows)
    assert await graph_differences(setting) == []
    assert forge.other.fetches == 0
    newest = {key: (d.mastery, d.attempts, d.version) for key, d in result.newest.items()}
    stored = await stored_mastery(database_url)
    assert newest == {
        key: (m, attempts, version) for key, (m, attempts, _, _, version) in stored.items()
    }


async def _publish(
    redis: "Redis",
    forge: Forge,
    good: list[tuple[bytes, Harmless]],
    made: list[tuple[Attack, bytes]],
) -> dict[str, Attack]:
    """Add all: first what came long ago, then good events and attacks in turn; replays last."""
    expected = {}
    for attack, event in sorted(made, key=lambda attack: -attack[0].age_s):
        if attack.age_s:
            past = f"{(forge.now - attack.age_s) * 1000}-*"
            entry_id: Any = await redis.xadd(RESPONSES, {"event": event}, id=past)
            expected[entry_id.decode()] = attack
    waiting = iter(good)
    for attack, event in made:
        if (next_attack := next(waiting, None)) is not None:
            await redis.xadd(RESPONSES, {"event": next_attack[0]})
        if not attack.age_s:
            entry_id = await redis.xadd(RESPONSES, {"event": event})
            expected[entry_id.decode()] = attack
    assert next(waiting, None) is None
    assert time.time() - forge.now < 1_000
    return expected
