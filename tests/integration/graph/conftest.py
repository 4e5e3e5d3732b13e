"""Each graph, prepared and empty; the contract is tested on all of them."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.support.servers import Neo4j
from workers.graph.embedded import EmbeddedGraph
from workers.graph.neo4j import Limits, Neo4jGraph
from workers.graph.protocol import Graph

Open = Callable[[], Graph]
"""Opens one more client of the same graph, where it allows several."""


def neo4j_graph(server: Neo4j, uri: str | None = None, limits: Limits | None = None) -> Neo4jGraph:
    return Neo4jGraph(uri or server.uri, server.username, server.password, limits=limits)


@pytest.fixture(params=["embedded", "neo4j"])
def open_graph(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Return a function that opens the graph."""
    if request.param == "embedded":
        return lambda: EmbeddedGraph(tmp_path / "graph")
    server: Neo4j = request.getfixturevalue("neo4j")
    return lambda: neo4j_graph(server)


@pytest.fixture
async def graph(open_graph: Open) -> AsyncIterator[Graph]:
    """A prepared graph without any node."""
    opened = open_graph()
    try:
        await opened.prepare()
        yield opened
    finally:
        await opened.close()
