"""Makers of concept maps."""

import json
from pathlib import Path
from typing import Any

from workers.operations.concept_map.file import MapFile, read_file


def concept(concept_id: str, *before: str, **fields: Any) -> dict[str, Any]:
    return {"id": concept_id, "prerequisites": list(before), **fields}


def item(item_id: str, *concept_ids: str, **fields: Any) -> dict[str, Any]:
    return {"id": item_id, "concept_ids": list(concept_ids), **fields}


def written(path: Path, *concepts: dict[str, Any], items: Any = (), **others: Any) -> Path:
    document = {"concepts": list(concepts), "items": list(items), **others}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def map_file(path: Path, *concepts: dict[str, Any], items: Any = ()) -> MapFile:
    return read_file(written(path, *concepts, items=items))
