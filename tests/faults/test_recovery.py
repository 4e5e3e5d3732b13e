"""Each fault of the catalogue, once: it is noticed, and afterwards all is as it should be."""

import pytest

from tests.faults.catalogue import FAULTS, Fault
from tests.faults.run import run
from tests.faults.servers import PostgresServer
from tests.faults.stage import Need, Size
from tests.support.servers import Neo4j


def _faults(*, graph: bool) -> list[object]:
    return [
        pytest.param(fault, id=fault.name)
        for fault in FAULTS
        if fault.in_ci and (Need.GRAPH in fault.needs) == graph
    ]


@pytest.mark.parametrize("fault", _faults(graph=False))
async def test_given_load_and_a_passing_fault_then_nothing_is_lost_or_doubled(
    fault: Fault, postgres_server: PostgresServer
) -> None:
    outcome = await run(fault, Size(), postgres=postgres_server)

    assert outcome.problems == [], "\n".join(outcome.problems)


@pytest.mark.parametrize("fault", _faults(graph=True))
async def test_given_load_when_the_graph_is_away_then_it_is_late_and_catches_up(
    fault: Fault, postgres_server: PostgresServer, neo4j: Neo4j
) -> None:
    outcome = await run(fault, Size(), postgres=postgres_server, neo4j=neo4j)

    assert outcome.problems == [], "\n".join(outcome.problems)
