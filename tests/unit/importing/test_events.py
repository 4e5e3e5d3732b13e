from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from fakeredis import FakeAsyncRedis
from redis.exceptions import ConnectionError as RedisConnectionError

from contracts.responses import ResponseRecorded
from contracts.streams import RESPONSES, shard_of
from workers.common.errors import RedisUnavailable, SettingsError, StreamRefused
from workers.config.settings import Settings
from workers.identity.claims import Authorisation, Identity, TrustedClaims
from workers.importing.delegate import Delegate
from workers.importing.events import Entry, entries, publish

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def response(number: int, student: str = "s-1") -> dict[str, object]:
    return {
        "response_id": f"00000000-0000-5000-8000-{number:012d}",
        "student_id": student,
        "item_id": "q-1",
        "concept_ids": ("fractions.add",),
        "correct": True,
        "answered_at": NOW - timedelta(minutes=number),
    }


def delegate(tenant_id: str | None = None, **settings: object) -> Delegate:
    return Delegate.of_settings(Settings.model_validate(settings), "mastery-replay", NOW, tenant_id)


def test_given_a_response_when_event_then_the_contract_takes_it_whole() -> None:
    (entry,) = entries([response(5)], delegate())
    event = ResponseRecorded.model_validate_json(entry.event)
    assert entry.stream == RESPONSES
    assert (event.subject, event.time) == ("s-1", NOW)
    assert event.data.claims.sub == "mastery-replay"
    assert event.data.response.answered_at == NOW - timedelta(minutes=5)
    assert event.data.response.concept_ids == ("fractions.add",)


def test_given_the_same_response_then_the_event_id_differs_by_tenant_alone() -> None:
    responses = [response(1), response(1), response(2)]
    ids = [ResponseRecorded.model_validate_json(e.event).id for e in entries(responses, delegate())]
    (other,) = entries([response(1)], delegate("school-7"))
    assert ids[0] == ids[1] != ids[2]
    assert ResponseRecorded.model_validate_json(other.event).id != ids[0]


@pytest.mark.parametrize("claim", ["tenant_id", "app_metadata.school.id"])
def test_given_settings_when_claims_then_intake_admits_them(claim: str) -> None:
    settings = {
        "jwt_issuer": "https://auth.example/auth/v1",
        "jwt_audience": "learners",
        "jwt_tenant_claim": claim,
        "jwt_delegate_roles": ("publisher", "service_role"),
    }
    (entry,) = entries([response(1)], delegate("school-7", **settings))
    event = ResponseRecorded.model_validate_json(entry.event)
    check = TrustedClaims("https://auth.example/auth/v1", "learners", claim)
    identity = check.authenticate(event.data, NOW.timestamp() + 3600)
    assert identity == Identity("school-7", "mastery-replay", "publisher")
    Authorisation(frozenset({"publisher"})).authorise(identity, "s-1")


def test_given_no_delegate_roles_when_delegate_then_settings_error() -> None:
    with pytest.raises(SettingsError, match="JWT_DELEGATE_ROLES is empty"):
        delegate(jwt_delegate_roles=())


def test_given_shards_when_entries_then_each_learner_has_one_stream() -> None:
    responses = [response(n, f"s-{n % 40}") for n in range(200)]
    listed = entries(responses, delegate("school-7"), shard_count=3)
    streams = [entry.stream for entry in listed]
    assert streams == [
        f"{RESPONSES}.{{{shard_of('school-7', str(r['student_id']), 3)}}}" for r in responses
    ]
    assert len(set(streams)) == 3


async def test_given_many_entries_then_they_go_out_in_order_with_progress() -> None:
    client = FakeAsyncRedis()
    told: list[int] = []
    sent = list(entries((response(n) for n in range(2_345)), delegate()))
    assert await publish(client, sent, told.append) == 2_345
    assert told == [1_000, 1_000, 345]
    stored = await client.xrange(RESPONSES) or []
    assert [fields for _, fields in filter(None, stored)] == [
        {b"event": entry.event} for entry in sent
    ]
    await client.aclose()


async def test_given_a_lazy_source_when_redis_refuses_then_no_more_is_read() -> None:
    client = FakeAsyncRedis()
    await client.set(RESPONSES, "no stream")
    read: list[int] = []

    def source() -> Iterator[Entry]:
        for number in range(5_000):
            read.append(number)
            yield Entry(RESPONSES, b"{}")

    with pytest.raises(StreamRefused, match="WRONGTYPE"):
        await publish(client, source())
    assert len(read) == 1_000
    await client.aclose()


async def test_given_redis_away_when_published_then_unavailable() -> None:
    client = FakeAsyncRedis(connected=False)
    with pytest.raises(RedisUnavailable) as caught:
        await publish(client, [Entry(RESPONSES, b"{}")])
    assert isinstance(caught.value.__cause__, RedisConnectionError)
    await client.aclose()
