"""Import a tenant's concept map into ledger and graph."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import typer
from pydantic import TypeAdapter, ValidationError

from contracts.primitives import Identifier
from workers.app.servers import open_servers
from workers.cli.setting_up import set_up
from workers.common.retrying import Retrying
from workers.config.settings import Settings
from workers.operations.concept_map.file import MapFile, read_file
from workers.operations.concept_map.graph_map import GraphMap, MapDifference
from workers.operations.concept_map.storing import Imported, Importer

_SHOWN: Final = 10


def import_map(file: Path, tenant: str, *, dry_run: bool, as_json: bool) -> None:
    """Import a concept map, and print the changes.

    Args:
        file: the map as JSON.
        tenant: the tenant of the concepts.
        dry_run: only validate and compare.
        as_json: print JSON.

    Raises:
        InputFileError: the file is not a concept map, or it has a cycle.
    """
    if not _is_identifier(tenant):
        raise typer.BadParameter(
            f"--tenant is {tenant!r}: give 1 to 128 characters without control characters"
        )
    settings = set_up()
    read = read_file(file)
    imported, in_graph = asyncio.run(_import(settings, file, read, tenant, dry_run=dry_run))
    if as_json:
        typer.echo(json.dumps(_document(imported, in_graph, read, dry_run=dry_run), indent=2))
    else:
        typer.echo("\n".join(_lines(imported, in_graph, dry_run=dry_run)))
        for place in read.unknown:
            typer.echo(f"{place} is not a field of a concept map and was ignored", err=True)


def _is_identifier(text: str) -> bool:
    with suppress(ValidationError):
        return bool(TypeAdapter(Identifier).validate_python(text))
    return False


async def _import(
    settings: Settings, path: Path, file: MapFile, tenant_id: str, *, dry_run: bool
) -> tuple[Imported, list[MapDifference]]:
    async with open_servers(settings) as servers:
        # Both must answer before either is changed.
        await servers.ledger.ping()
        await servers.graph.prepare()
        importer = Importer(servers.ledger, tenant_id)
        imported = await importer.run(path, file, dry_run=dry_run)
        if dry_run:
            return imported, []
        # The whole map: an interrupted earlier import may have left the graph behind.
        graph_map = GraphMap(ledger=servers.ledger, graph=servers.graph, retrying=Retrying())
        return imported, await graph_map.of_tenant(tenant_id)


def _lines(
    imported: Imported, in_graph: Sequence[MapDifference], *, dry_run: bool
) -> Iterator[str]:
    would = "would be " if dry_run else ""
    for kind, added, changed, same in (
        ("concepts", imported.added_concepts, imported.changed_concepts, imported.same_concepts),
        ("items", imported.added_items, imported.changed_items, imported.same_items),
    ):
        yield (
            f"{kind}: {len(added)} {would}added, {len(changed)} {would}changed, "
            f"{len(same)} unchanged"
        )
        for name, ids in (("added", added), ("changed", changed)):
            if ids:
                yield f"  {would}{name}: {_some(ids)}"
    for name, pairs in (("added", imported.prerequisites), ("removed", imported.removed)):
        if pairs:
            listed = _some([f"{before} → {after}" for before, after in pairs])
            yield f"prerequisites {would}{name}: {len(pairs)} ({listed})"
    if not dry_run:
        yield f"graph: {len(in_graph)} concepts written"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _document(
    imported: Imported, in_graph: Sequence[MapDifference], file: MapFile, *, dry_run: bool
) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "version": imported.version,
        "concepts": {
            "added": imported.added_concepts,
            "changed": imported.changed_concepts,
            "unchanged": imported.same_concepts,
        },
        "items": {
            "added": imported.added_items,
            "changed": imported.changed_items,
            "unchanged": imported.same_items,
        },
        "prerequisites": {
            "added": [list(pair) for pair in imported.prerequisites],
            "removed": [list(pair) for pair in imported.removed],
        },
        "graph": [difference.should.concept_id for difference in in_graph],
        "ignored": file.unknown,
    }
