"""First origins: looked up for what carries the marker, and trusted only if we wrote them."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from contracts.rejections import RejectionCode
from tests.support.doubles import STREAM, admission, entry_id
from tests.support.factories import event_json, moment
from workers.admission.verdicts import Admitted, Rejection
from workers.common.errors import StreamRefused
from workers.streams.batch import RawEntry
from workers.streams.embedded_redis import EmbeddedRedis
from workers.streams.redriven import MARKER, RedriveOrigins, accepted_key

KEY = accepted_key(STREAM)


@pytest.fixture
async def redis() -> AsyncIterator[Redis]:
    embedded = EmbeddedRedis()
    yield embedded.client()
    await embedded.close()


def marked(number: int, text: bytes = b"{}") -> RawEntry:
    return RawEntry(entry_id(number), {b"event": text, MARKER: b"1"})


async def test_given_entries_then_only_those_redriven_get_their_first_entry(redis: Redis) -> None:
    ordinary = RawEntry(entry_id(1), {b"event": b"{}"})
    await redis.hset(KEY, entry_id(2), entry_id(0))
    await redis.hset(KEY, entry_id(1), entry_id(0))  # without a marker nobody looks

    resolved = await RedriveOrigins(redis).resolve(STREAM, [ordinary, marked(2), marked(3)])

    assert resolved == [ordinary, marked(2)._replace(redriven_from=entry_id(0)), marked(3)]
    assert [entry.first_id for entry in resolved] == [entry_id(1), entry_id(0), entry_id(3)]


async def test_given_ordinary_entries_then_redis_is_not_asked(redis: Redis) -> None:
    await redis.set(KEY, "of the wrong type")
    ordinary = [RawEntry(entry_id(1), {b"event": b"{}"})]
    assert await RedriveOrigins(redis).resolve(STREAM, ordinary) == ordinary
    with pytest.raises(StreamRefused):
        await RedriveOrigins(redis).resolve(STREAM, [marked(1)])


@pytest.mark.parametrize("value", ["", "1", "x-0", "1-0-0", "-"])
async def test_given_a_record_that_we_did_not_write_then_it_is_refused(
    redis: Redis, value: str
) -> None:
    await redis.hset(KEY, entry_id(1), value)
    with pytest.raises(StreamRefused, match="no id of an entry"):
        await RedriveOrigins(redis).resolve(STREAM, [marked(1)])


EXPIRED_S = 7_200
"""After `START`: tokens of the factory are valid for an hour."""


def test_given_a_redriven_entry_then_first_acceptance_judges_its_token() -> None:
    """A token issued after the first acceptance shows that Redis's clock was behind then."""
    late = marked(EXPIRED_S, event_json(answered_at=moment(-7200)))

    for redriven_from, admitted in ((None, False), (entry_id(0), True), (entry_id(-3600), True)):
        judged = admission().judge(late._replace(redriven_from=redriven_from))
        assert isinstance(judged, Admitted) is admitted
        if isinstance(judged, Rejection):
            assert judged.refusal.code is RejectionCode.UNAUTHENTICATED


def test_given_a_redriven_answer_then_it_may_not_lie_ahead_of_the_present() -> None:
    """Its first acceptance may have been by a clock that was behind."""
    for ahead_s, admitted in ((600, True), (EXPIRED_S + 300, True), (EXPIRED_S + 301, False)):
        late = marked(EXPIRED_S, event_json(answered_at=moment(ahead_s)))
        judged = admission().judge(late._replace(redriven_from=entry_id(0)))
        assert isinstance(judged, Admitted) is admitted
        if isinstance(judged, Rejection):
            assert judged.refusal.field == "data.response.answered_at"


def test_given_a_redriven_entry_then_its_marker_adds_nothing_to_its_size() -> None:
    text = event_json()
    exact = admission(max_event_bytes=len(b"event") + len(text))
    forged = RawEntry(entry_id(1), {b"event": text, MARKER: b"1"})

    assert isinstance(exact.judge(forged._replace(redriven_from=entry_id(0))), Admitted)
    refused = exact.judge(forged)
    assert isinstance(refused, Rejection)
    assert refused.refusal.code is RejectionCode.TOO_LARGE
