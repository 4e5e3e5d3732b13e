"""`mastery concepts import`: a tenant's concept map, into the ledger and the graph."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from pydantic import TypeAdapter, ValidationError

from contracts.primitives import Identifier
from workers.app.servers import open_servers
from workers.cli.one_learner import DEFAULT_TENANT
from workers.common.logs import configure_logs
from workers.common.retrying import Retrying
from workers.config.loading import load_settings
from workers.config.settings import Settings
from workers.operations.concept_map.file import MapFile, read_file
from workers.operations.concept_map.graph_map import GraphMap, MapDifference
from workers.operations.concept_map.storing import Imported, Importer

app = typer.Typer(name="concepts", help="What has to be known before what.", no_args_is_help=True)

_SHOWN: Final = 10


@app.callback()
def _group() -> None:
    """Keep `import` a command of its own: a group of one would take its place."""


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The map as JSON (docs/concepts.md).")
    ],
    tenant: Annotated[str, typer.Option(help="Whose concepts.")] = DEFAULT_TENANT,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check and compare.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Register concepts, prerequisites and items; refuses cycles, and changes nothing then."""
    if not _is_identifier(tenant):
        raise typer.BadParameter(
            f"--tenant is {tenant!r}: give 1 to 128 characters, none of them a control character"
        )
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    read = read_file(file)
    imported, in_graph = asyncio.run(_import(settings, file, read, tenant, dry_run=dry_run))
    if as_json:
        typer.echo(json.dumps(_document(imported, in_graph, read, dry_run=dry_run), indent=2))
    else:
        typer.echo("\n".join(_lines(imported, in_graph, dry_run=dry_run)))
        for place in read.unknown:
            typer.echo(f"{place} is no field of a concept map and was ignored", err=True)


def _is_identifier(text: str) -> bool:
    with suppress(ValidationError):
        return bool(TypeAdapter(Identifier).validate_python(text))
    return False


async def _import(
    settings: Settings, path: Path, file: MapFile, tenant_id: str, *, dry_run: bool
) -> tuple[Imported, list[MapDifference]]:
    async with open_servers(settings) as servers:
        # Both answer before the first is touched.
        await servers.ledger.ping()
        await servers.graph.prepare()
        importer = Importer(servers.ledger, tenant_id)
        imported = await importer.run(path, file, dry_run=dry_run)
        if dry_run:
            return imported, []
        # All of the map: what an import that was ended in between has left undone too.
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
            f"{len(same)} as they were"
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
        "graph": [one.should.concept_id for one in in_graph],
        "ignored": file.unknown,
    }
