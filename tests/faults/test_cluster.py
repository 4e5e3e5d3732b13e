"""Nodes of a Redis Cluster are lost and slots move under load; `tests.faults.cluster` does more."""

from tests.faults.cluster.run import ClusterSize, described, run
from tests.faults.servers import PostgresServer


async def test_given_lost_masters_and_a_moving_slot_then_all_is_there_once(
    postgres_server: PostgresServer,
) -> None:
    size = ClusterSize(("killed-behind", "slot-moved"), rate=100, pause_s=2, most_s=8)
    outcome = await run(size, postgres=postgres_server)
    assert outcome.problems == [], described([outcome])
    assert outcome.lost_answers == []
    assert outcome.lost_events == []
    assert outcome.doubled_events == []
    assert outcome.pending == outcome.rejected == 0
