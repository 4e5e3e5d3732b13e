"""Check the graph: version and constraints."""

from typing import Final

from workers.cli.check.findings import Findings, older
from workers.config.settings import Settings
from workers.graph.protocol import Graph

_LEAST: Final = (5,)


async def check_graph(graph: Graph, settings: Settings) -> Findings:
    """Check the graph in the settings, and create missing constraints.

    Raises:
        GraphUnavailable: it is away.
        GraphRefused: it refuses us.
    """
    findings = Findings("graph, embedded")
    if settings.neo4j_uri is not None:
        from workers.graph.neo4j import Neo4jGraph  # noqa: PLC0415  # its driver imports for long

        if isinstance(graph, Neo4jGraph):
            version = await graph.version()
            findings.summary = f"Neo4j {version}"
            if older(version, _LEAST):
                findings.problems.append(f"Neo4j {version} is too old: install 5 or newer")
                return findings
    await graph.ping()
    await graph.prepare()
    findings.problems += await graph.faults()
    return findings
