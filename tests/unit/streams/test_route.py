"""Routes of a stream's entries."""

import pytest

from contracts.streams import JOBS, REJECTED, shards
from workers.streams.route import Route


@pytest.mark.parametrize("count", [0, 3])
def test_given_shards_then_each_stream_leads_to_the_next_of_its_shard(count: int) -> None:
    for shard in shards(count):
        responses, mastery = Route.of_responses(shard), Route.of_mastery(shard)
        assert responses == Route(shard.responses, shard.mastery, shard.rejected)
        assert mastery == Route(shard.mastery, shard.unlocked, shard.rejected)
        assert mastery.source == responses.events


def test_given_jobs_then_all_their_events_are_rejections() -> None:
    assert Route.of_jobs(REJECTED) == Route(JOBS, REJECTED, REJECTED)
