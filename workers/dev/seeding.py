"""Fill a new ledger and graph with the curriculum and its parameters."""

from pathlib import Path
from typing import Final

from workers.app.servers import Servers
from workers.common.retrying import Retrying
from workers.dev.curriculum import concept_map
from workers.dev.demo_parameters import MODEL, NOTE, demo_parameters
from workers.ledger.parameters import ParametersLedger
from workers.operations.concept_map.graph_map import GraphMap
from workers.operations.concept_map.storing import Importer

TENANT: Final = "default"
"""Tenant of a token that names none."""


async def seed(servers: Servers) -> None:
    """Import the curriculum and activate its parameters, unless the ledger has others already.

    A map that was imported and a version that was activated stay as they are.
    """
    ledger = servers.ledger
    await servers.graph.prepare()
    if not (await ledger.concept_map(TENANT)).version:
        await Importer(ledger, TENANT).run(Path("the curriculum"), concept_map())
    # Also after a start that ended between the two.
    await GraphMap(ledger=ledger, graph=servers.graph, retrying=Retrying()).of_tenant(TENANT)
    if (await ledger.activation()).activated_at is None:
        await ledger.activate(await _version(ledger), NOTE)


async def _version(ledger: ParametersLedger) -> int:
    """Return the version of the curriculum's parameters, stored now unless it was before."""
    for version in await ledger.versions():
        if version.note == NOTE:
            return version.version
    return await ledger.store(MODEL, demo_parameters(), {}, NOTE)
