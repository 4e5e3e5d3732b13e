"""One Redis Cluster for all tests of this folder, emptied for each of them."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.support.redis_cluster import Cluster
from workers.streams.connection import client_of


@pytest.fixture(scope="session")
def whole_cluster() -> Iterator[Cluster]:
    """Masters and replicas that no test may kill: a start takes two seconds."""
    with tempfile.TemporaryDirectory(prefix="mastery-cluster-") as directory:
        cluster = Cluster(Path(directory))
        try:
            asyncio.run(cluster.start())
            yield cluster
        finally:
            cluster.stop()


@pytest.fixture
async def cluster(whole_cluster: Cluster) -> Cluster:
    """The cluster without any key."""
    await whole_cluster.empty()
    return whole_cluster


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[Redis]:
    """A client of the empty cluster, as the engine opens it."""
    async with client_of(cluster.url) as client:
        yield client
