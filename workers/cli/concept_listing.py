"""List and export a tenant's concept map."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import orjson
import typer

from workers.app.servers import open_ledger
from workers.cli.columns import columns
from workers.cli.output import write_output
from workers.cli.setting_up import set_up
from workers.config.settings import Settings
from workers.ledger.concept_map import ConceptLedger, ConceptMap
from workers.operations.concept_map.reading import whole_map


def list_concepts(tenant: str, *, as_json: bool) -> None:
    """Print the concepts of a tenant with their prerequisites.

    Args:
        tenant: the tenant.
        as_json: print JSON.
    """
    known = _run(tenant, with_items=False)
    if as_json:
        typer.echo(_json(_concepts(known)))
    elif known.concepts:
        heads = ["concept", "name", "scale", "prerequisites"]
        rows = [
            [concept.concept_id, concept.name, concept.scale, ", ".join(concept.prerequisites)]
            for concept in known.concepts.values()
        ]
        typer.echo("\n".join(columns(heads, rows)))
    _note_if_empty(known, tenant)


def export(tenant: str, output: Path | None) -> None:
    """Write a tenant's map as a file that `concepts import` reads.

    Args:
        tenant: the tenant.
        output: a file; None for stdout.

    Raises:
        InputFileError: the output is not writable.
    """
    known = _run(tenant, with_items=True)
    items = [
        {"id": item.item_id, "concept_ids": item.concept_ids, "scale": item.scale}
        for item in known.items.values()
    ]
    write_output(_json({"concepts": _concepts(known), "items": items}) + "\n", output)
    _note_if_empty(known, tenant)


def _concepts(known: ConceptMap) -> list[dict[str, Any]]:
    return [
        {
            "id": concept.concept_id,
            "name": concept.name,
            "scale": concept.scale,
            "prerequisites": concept.prerequisites,
        }
        for concept in known.concepts.values()
    ]


def _note_if_empty(known: ConceptMap, tenant: str) -> None:
    if not known.version:
        typer.echo(
            f"tenant {tenant!r} has no concept map: `mastery concepts import` loads one", err=True
        )


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _run(tenant: str, *, with_items: bool) -> ConceptMap:
    settings = set_up()
    return asyncio.run(_read(settings, tenant, with_items=with_items))


async def _read(settings: Settings, tenant: str, *, with_items: bool) -> ConceptMap:
    async with AsyncExitStack() as stack:
        ledger: ConceptLedger = await open_ledger(settings, stack)
        return await (whole_map(ledger, tenant) if with_items else ledger.concept_map(tenant))
