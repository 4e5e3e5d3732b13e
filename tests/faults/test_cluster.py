"""A node of a Redis Cluster is lost under load; `python -m tests.faults.cluster` does more."""

from tests.faults.cluster.run import ClusterSize, described, run
from tests.faults.servers import PostgresServer


async def test_given_a_lost_master_then_all_that_was_confirmed_is_there_once(
    postgres_server: PostgresServer,
) -> None:
    size = ClusterSize(("killed-behind",), rate=100, pause_s=2, most_s=8)
    outcome = await run(size, postgres=postgres_server)
    assert outcome.problems == [], described([outcome])
    assert outcome.lost_answers == []
    assert outcome.lost_events == []
    assert outcome.doubled_events == []
    assert outcome.pending == outcome.rejected == 0
