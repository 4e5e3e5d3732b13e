"""Each graph, prepared and empty; the contract is tested on all of them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.support.servers import Neo4j
from workers.graph.embedded import EmbeddedGraph
from workers.graph.neo4j import Limits, Neo4jGraph
from workers.graph.protocol import Graph
from workers.graph.statements import Merge

Open = Callable[[], Graph]
"""Opens one more client of the same graph, where it allows several."""


def neo4j_graph(server: Neo4j, uri: str | None = None, limits: Limits | None = None) -> Neo4jGraph:
    return Neo4jGraph(uri or server.uri, server.username, server.password, limits=limits)


class SharedGraph:
    """An embedded graph for all tests of a module, because making one takes longer than most."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.graph = EmbeddedGraph(directory)

    async def empty(self) -> EmbeddedGraph:
        """Return the graph, open and without any node."""
        if self.graph._closed:
            self.graph = EmbeddedGraph(self._directory)
        await self.graph.prepare()
        await self.graph._write([Merge("MATCH (n) DETACH DELETE n", [])])
        return self.graph


@pytest.fixture(scope="module")
def shared_graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedGraph]:
    shared = SharedGraph(tmp_path_factory.mktemp("graph"))
    yield shared
    asyncio.run(shared.graph.close())


@pytest.fixture(params=["embedded", "neo4j"])
def open_graph(request: pytest.FixtureRequest) -> Open:
    """Return a function that opens the graph; an embedded one has one client only."""
    if request.param == "embedded":
        shared: SharedGraph = request.getfixturevalue("shared_graph")
        return lambda: shared.graph
    server: Neo4j = request.getfixturevalue("neo4j")
    return lambda: neo4j_graph(server)


@pytest.fixture
async def graph(open_graph: Open, request: pytest.FixtureRequest) -> AsyncIterator[Graph]:
    """A prepared graph without any node."""
    opened = open_graph()
    if isinstance(opened, EmbeddedGraph):
        yield await request.getfixturevalue("shared_graph").empty()
        return
    try:
        await opened.prepare()
        yield opened
    finally:
        await opened.close()
