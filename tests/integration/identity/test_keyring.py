"""The issuer's keys through rotation, outages and restarts, on a real Redis."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.support.issuer import ISSUER, KeyServer, SigningKey, token_claims
from workers.common.errors import KeysUnavailable, RedisUnavailable, Refused, StreamRefused
from workers.identity.bearer import REQUESTED, BearerVerifier
from workers.identity.claims import ClaimRules
from workers.identity.fetching import KeyFetch
from workers.identity.history import KeyHistory, keys_key
from workers.identity.keyring import KeyRing
from workers.identity.keys import usable_keys
from workers.identity.verifier import Verifier
from workers.streams.redis_clock import redis_now_ms

ALGORITHMS = ("EdDSA", "ES256", "RS256")
WITHIN_S = 60.0


def ring(
    redis: Redis,
    issuer: KeyServer,
    *,
    keep_ms: int = 600_000,
    algorithms: tuple[str, ...] = ALGORITHMS,
    **changes: Any,
) -> KeyRing:
    """The keys as a process knows them that starts now."""
    return KeyRing(
        client=redis,
        history=KeyHistory(redis, issuer.url, algorithms, keep_ms),
        fetch=KeyFetch(issuer.url, algorithms),
        **{"spacing_s": 0.0, **changes},
    )


async def fetched(keys: KeyRing) -> dict[str | None, bool]:
    """Fetch now; which keys are in use."""
    await keys.newer_than(await redis_now_ms(keys._client))
    return in_use(keys)


def in_use(keys: KeyRing) -> dict[str | None, bool]:
    return {key.key_id: key.retired_ms is None for key in keys.keys.keys}


async def test_given_a_rotation_then_the_old_key_retires_and_can_come_back(
    redis: Redis, issuer: KeyServer
) -> None:
    first, other = ring(redis, issuer), ring(redis, issuer)
    before_ms = await redis_now_ms(redis)
    assert await fetched(first) == {"old": True}
    (old,) = issuer.keys
    issuer.keys = [SigningKey("new", "EdDSA")]
    assert await fetched(first) == {"old": False, "new": True}
    (retired,) = first.keys.named("old")
    assert retired.retired_ms is not None
    assert first.keys.fetched_ms is not None
    assert before_ms < retired.retired_ms <= first.keys.fetched_ms
    assert retired.serves(before_ms)
    # Another worker knows a key that it never saw in the set, and since when it is retired.
    assert await fetched(other) == {"old": False, "new": True}
    assert other.keys.named("old")[0].retired_ms == retired.retired_ms
    issuer.keys.append(old)
    assert await fetched(first) == {"old": True, "new": True}


async def test_given_an_outage_and_a_restart_then_the_last_good_keys_stay(
    redis: Redis, issuer: KeyServer
) -> None:
    keyring = ring(redis, issuer)
    await fetched(keyring)
    issuer.keys = [SigningKey("new")]
    await fetched(keyring)
    for status, body in ((503, None), (302, None), (200, b'{"keys": []}'), (200, b"<html>")):
        issuer.status, issuer.body = status, body
        with pytest.raises(KeysUnavailable):
            await fetched(keyring)
        assert keyring.away is not None
        assert in_use(keyring) == {"old": False, "new": True}
        restarted = ring(redis, issuer)
        await restarted.known()
        assert in_use(restarted) == {"old": False, "new": True}
        assert restarted.keys.fetched_ms == keyring.keys.fetched_ms
    issuer.status, issuer.body = 200, None
    await fetched(keyring)
    assert keyring.away is None


async def test_given_no_key_at_all_when_the_server_is_away_then_it_is_said(
    redis: Redis, issuer: KeyServer
) -> None:
    keys = ring(redis, issuer)
    with issuer.outage(), pytest.raises(KeysUnavailable, match="503"):
        await keys.known()
    await asyncio.sleep(0.02)
    await keys.known()
    assert in_use(keys) == {"old": True}


async def test_given_a_retired_key_when_its_time_is_over_then_it_is_forgotten(
    redis: Redis, issuer: KeyServer
) -> None:
    keys = ring(redis, issuer, keep_ms=1)
    await fetched(keys)
    issuer.keys = [SigningKey("new")]
    await fetched(keys)
    await asyncio.sleep(0.01)
    assert await fetched(keys) == {"new": True}
    kept: Any = await redis.hkeys(keys_key(issuer.url))
    assert len(kept) == 2
    assert await redis.pttl(keys_key(issuer.url)) > 29 * 24 * 3_600_000


async def test_given_an_earlier_fetch_when_it_ends_later_then_it_changes_nothing(
    redis: Redis, issuer: KeyServer
) -> None:
    history = KeyHistory(redis, issuer.url, ALGORITHMS, 600_000)
    now_ms = await redis_now_ms(redis)
    old, new = (usable_keys([SigningKey(key_id).jwk()], ALGORITHMS) for key_id in ("old", "new"))
    newest = await history.merge(new, now_ms)
    assert await history.merge(old, now_ms - 1) == newest
    assert await history.merge(old, now_ms) == newest
    assert (newest.fetched_ms, [key.key_id for key in newest.keys]) == (now_ms, ["new"])


async def test_given_workers_with_other_algorithms_then_keys_of_all_stay_active(
    redis: Redis, issuer: KeyServer
) -> None:
    issuer.keys = [SigningKey("es"), SigningKey("rs", "RS256")]
    both = ring(redis, issuer, algorithms=("ES256", "RS256"))
    assert await fetched(both) == {"es": True, "rs": True}
    assert await fetched(ring(redis, issuer, algorithms=("ES256",))) == {"es": True}
    assert await fetched(both) == {"es": True, "rs": True}
    again = ring(redis, issuer, algorithms=("ES256", "RS256"))
    await again.known()
    assert in_use(again) == {"es": True, "rs": True}


async def test_given_many_who_need_a_newer_set_then_they_share_a_fetch(
    redis: Redis, issuer: KeyServer
) -> None:
    keys = ring(redis, issuer)
    issuer.delay_s = 0.2
    now_ms = await redis_now_ms(redis)
    await asyncio.gather(*(keys.newer_than(now_ms) for _ in range(50)))
    # The first may have begun in the same millisecond.
    assert issuer.fetches <= 2


async def test_given_recent_failures_when_asked_then_the_server_is_left_alone(
    redis: Redis, issuer: KeyServer
) -> None:
    keys = ring(redis, issuer, spacing_s=3_600)
    with issuer.outage():
        for _ in range(20):
            with pytest.raises(KeysUnavailable, match="503"):
                await fetched(keys)
            with pytest.raises(KeysUnavailable, match="503"):
                await keys.refresh()
    assert issuer.fetches == 1
    well = ring(redis, issuer, spacing_s=3_600)
    await well.refresh()
    await well.refresh()
    assert issuer.fetches == 2


async def test_given_nobody_asks_then_a_removed_key_retires_all_the_same(
    redis: Redis, issuer: KeyServer
) -> None:
    keys = ring(redis, issuer, refresh_s=0.02, spacing_s=0.01)
    running = asyncio.create_task(keys.run())
    try:
        async with asyncio.timeout(WITHIN_S):
            while in_use(keys) != {"old": True}:
                await asyncio.sleep(0.01)
            with issuer.outage():
                while keys.away is None:
                    await asyncio.sleep(0.01)
            issuer.keys = [SigningKey("new")]
            while in_use(keys) != {"old": False, "new": True}:
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("value", ["{", "[]", "7"])
async def test_given_a_foreign_record_then_it_is_refused_with_the_remedy(
    redis: Redis, issuer: KeyServer, value: str
) -> None:
    await redis.hset(keys_key(issuer.url), "jwk x", value)
    with pytest.raises(StreamRefused, match="delete it"):
        await ring(redis, issuer).known()
    await redis.delete(keys_key(issuer.url))
    await redis.set(keys_key(issuer.url), "a string")
    with pytest.raises(StreamRefused, match="WRONGTYPE"):
        await ring(redis, issuer).known()


async def test_given_redis_away_then_it_is_said_and_no_key_lost(issuer: KeyServer) -> None:
    async with Redis.from_url("redis://127.0.0.1:1") as nowhere:
        with pytest.raises(RedisUnavailable):
            await ring(nowhere, issuer).refresh()


# Bearers


def bearer(redis: Redis, keys: KeyRing | None) -> BearerVerifier:
    checked = Verifier(
        rules=ClaimRules(ISSUER, "authenticated", "tenant_id"),
        keys=lambda: (keys or ring(redis, KeyServer())).keys,
        secret=None,
        algorithms=ALGORITHMS,
        occasion=REQUESTED,
    )
    return BearerVerifier(verifier=checked, ring=keys, client=redis, max_token_bytes=8_192)


async def test_given_a_bearer_when_its_key_is_new_then_it_is_fetched(
    redis: Redis, issuer: KeyServer
) -> None:
    who = bearer(redis, ring(redis, issuer))
    claims = token_claims(role="service_role")
    identity = await who.identify(issuer.keys[0].sign(claims))
    assert identity == ("school-7", "student-42", "service_role")
    issuer.keys.append(SigningKey("new", "RS256"))
    assert (await who.identify(issuer.keys[1].sign(claims))).tenant_id == "school-7"
    fetches = issuer.fetches
    await who.identify(issuer.keys[0].sign(claims))
    assert issuer.fetches == fetches


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"exp": 1_000}, "token.exp"),
        ({"nbf": 4_000_000_000}, "token.nbf"),
        ({"iat": 4_000_000_000}, "token.iat"),
        ({"aud": "other"}, "token.aud"),
        ({"iss": "other"}, "token.iss"),
        ({"tenant_id": 7}, "token.tenant_id"),
        ({"pad": 9_000 * "x"}, "token"),
    ],
)
async def test_given_an_invalid_bearer_then_it_is_refused_for_the_request(
    redis: Redis, issuer: KeyServer, changes: dict[str, Any], field: str
) -> None:
    who = bearer(redis, ring(redis, issuer))
    with pytest.raises(Refused) as caught:
        await who.identify(issuer.keys[0].sign(token_claims(**changes)))
    assert caught.value.field == field
    assert caught.value.code.value == "unauthenticated"
    assert "event" not in caught.value.reason


async def test_given_a_bearer_of_no_key_then_it_is_refused_or_the_outage_said(
    redis: Redis, issuer: KeyServer
) -> None:
    who = bearer(redis, ring(redis, issuer))
    forged = SigningKey("forged").sign(token_claims())
    with pytest.raises(Refused, match="key set"):
        await who.identify(forged)
    with issuer.outage(), pytest.raises(KeysUnavailable):
        await who.identify(forged)
    # What is known goes on meanwhile.
    with issuer.outage():
        assert (await who.identify(issuer.keys[0].sign(token_claims()))).subject == "student-42"
    issuer.keys = [SigningKey("new")]
    old = SigningKey("old").sign(token_claims())
    with pytest.raises(Refused):
        await who.identify(old)
