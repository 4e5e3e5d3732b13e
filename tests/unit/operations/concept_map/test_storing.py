"""Importing into a ledger and a graph in the process: what changes, and what never does."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.concept_maps import concept, item, map_file, written
from workers.cli import concepts
from workers.cli.main import app
from workers.common.errors import InputFileError
from workers.common.retrying import Retrying
from workers.graph.concept_map import MappedConcept
from workers.graph.embedded import EmbeddedGraph
from workers.ledger.concept_map import Concept, ConceptMap, Item
from workers.ledger.memory.ledger import MemoryLedger
from workers.operations.concept_map.graph_map import GraphMap
from workers.operations.concept_map.storing import Imported, Importer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "map.json"


@pytest.fixture
async def graph() -> AsyncIterator[EmbeddedGraph]:
    opened = EmbeddedGraph()
    await opened.prepare()
    yield opened
    await opened.close()


async def load(ledger: MemoryLedger, path: Path, *concepts: Any, items: Any = ()) -> Imported:
    return await Importer(ledger, "t").run(path, map_file(path, *concepts, items=items))


async def test_given_a_changed_file_imported_again_then_the_difference_is_told(
    path: Path,
) -> None:
    ledger = MemoryLedger()
    first = await load(
        ledger, path, concept("a"), concept("b", "a"), concept("c", "a"), items=[item("q", "a")]
    )
    again = await load(
        ledger, path, concept("a"), concept("b", "a"), concept("c", "a"), items=[item("q", "a")]
    )
    changed = await load(
        ledger,
        path,
        concept("a", name="A"),
        concept("c", "b"),
        concept("d"),
        items=[item("q", "b"), item("r", "a")],
    )

    assert (first.added_concepts, first.added_items) == (["a", "b", "c"], ["q"])
    assert first.prerequisites == [("a", "b"), ("a", "c")]
    assert not again.different
    assert (again.version, again.same_concepts, again.same_items) == (1, ["a", "b", "c"], ["q"])
    assert (changed.added_concepts, changed.changed_concepts) == (["d"], ["a", "c"])
    assert (changed.added_items, changed.changed_items) == (["r"], ["q"])
    assert (changed.prerequisites, changed.removed) == ([("b", "c")], [("a", "c")])
    known = await ledger.concept_map("t", ["q"])
    assert known == ConceptMap(
        2,
        {
            "a": Concept("a", "A", "default"),
            "b": Concept("b", "b", "default", ("a",)),
            "c": Concept("c", "c", "default", ("b",)),
            "d": Concept("d", "d", "default"),
        },
        {"q": Item("q", ("b",), "default")},
    )


async def test_given_a_cycle_with_the_registered_map_then_nothing_is_written(
    path: Path,
) -> None:
    ledger = MemoryLedger()
    await load(ledger, path, concept("a"), concept("b", "a"))

    with pytest.raises(InputFileError, match="'a' → 'b' → 'a' \\('b' registered already\\)"):
        await load(ledger, path, concept("a", "b"), concept("new"))

    assert (await ledger.concept_map("t")).version == 1


class _Crowded(MemoryLedger):
    """Somebody else imports between each first look and its import."""

    def __init__(self, theirs: Concept) -> None:
        super().__init__()
        self._theirs = theirs

    async def concept_map(self, tenant_id: str, item_ids: Collection[str] = ()) -> ConceptMap:
        known = await super().concept_map(tenant_id, item_ids)
        if self._theirs.concept_id not in known.concepts:
            theirs = ConceptMap(known.version, {self._theirs.concept_id: self._theirs})
            assert await super().import_concepts(tenant_id, theirs)
        return known


async def test_given_another_import_in_between_then_all_is_checked_anew(
    path: Path,
) -> None:
    imported = await load(_Crowded(Concept("x", "X", "s")), path, concept("a"))
    assert (imported.version, imported.added_concepts) == (2, ["a"])

    crowded = _Crowded(Concept("b", "B", "s"))
    await load(crowded, path, concept("a"), concept("b"))
    again = await load(crowded, path, concept("a"), concept("b"))
    assert not again.different


async def test_given_the_map_of_the_ledger_then_a_repaired_graph_agrees(
    path: Path, graph: EmbeddedGraph
) -> None:
    ledger = MemoryLedger()
    await load(ledger, path, concept("a", name="A"), concept("b", "a"), concept("c", "b"))
    await graph.merge_map("t", [MappedConcept("c", "See", ("x",)), MappedConcept("y", "Y", ("c",))])
    looking = GraphMap(ledger=ledger, graph=graph, retrying=Retrying(), dry_run=True)
    repairing = GraphMap(ledger=ledger, graph=graph, retrying=Retrying())

    looked = await looking.of_tenant("t")
    (repaired,) = [differences_of_tenant async for differences_of_tenant in repairing.of(None)]

    assert looked == repaired
    assert [difference.should.concept_id for difference in repaired] == ["a", "b", "c"]
    assert str(repaired[2]) == (
        "concept 'c' of tenant 't': the graph has name 'See', prerequisites 'x', the ledger "
        "name 'c', prerequisites 'b'"
    )
    assert await graph.mapped("t", ["a", "b", "c", "y"]) == [
        MappedConcept("a", "A"),
        MappedConcept("b", "b", ("a",)),
        MappedConcept("c", "c", ("b",)),
        MappedConcept("y", "Y", ("c",)),
    ], "what is not registered stays"
    assert await repairing.of_tenant("t") == []


class _Moving(MemoryLedger):
    """Another import comes while the graph is written, once."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    async def concept_map(self, tenant_id: str, item_ids: Collection[str] = ()) -> ConceptMap:
        self.looks += 1
        known = await super().concept_map(tenant_id, item_ids)
        if self.looks == 1:
            newer = Concept("a", "newer", "s")
            await super().import_concepts(tenant_id, ConceptMap(known.version, {"a": newer}))
        return known


async def test_given_an_import_meanwhile_then_a_repaired_graph_has_the_newer_map(
    graph: EmbeddedGraph,
) -> None:
    ledger = _Moving()
    await ledger.import_concepts("t", ConceptMap(0, {"a": Concept("a", "older", "s")}))

    await GraphMap(ledger=ledger, graph=graph, retrying=Retrying()).of_tenant("t")

    assert await graph.mapped("t", ["a"]) == [MappedConcept("a", "newer")]


def test_given_the_command_when_run_twice_then_it_says_what_it_did(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    servers = SimpleNamespace(ledger=MemoryLedger(), graph=EmbeddedGraph())
    monkeypatch.setattr(concepts, "open_servers", lambda _: nullcontext(servers))
    written(
        path,
        *(concept(f"c{n}", *(["c0"] if n else ())) for n in range(12)),
        items=[item("q", "c1", note="x")],
    )

    planned = CliRunner().invoke(app, ["concepts", "import", str(path), "--dry-run"])
    first = CliRunner().invoke(app, ["concepts", "import", str(path), "--tenant", "t"])
    written(path, concept("c1"), concept("c2", "c1"))
    second = CliRunner().invoke(app, ["concepts", "import", str(path), "--tenant", "t", "--json"])
    asyncio.run(servers.graph.close())

    assert planned.exit_code == first.exit_code == second.exit_code == 0, first.output
    assert planned.stdout.splitlines()[0] == (
        "concepts: 12 would be added, 0 would be changed, 0 unchanged"
    )
    assert first.stdout.splitlines() == [
        "concepts: 12 added, 0 changed, 0 unchanged",
        "  added: c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 and 2 more",
        "items: 1 added, 0 changed, 0 unchanged",
        "  added: q",
        (
            "prerequisites added: 11 (c0 → c1, c0 → c2, c0 → c3, c0 → c4, c0 → c5, c0 → c6, "
            "c0 → c7, c0 → c8, c0 → c9, c0 → c10 and 1 more)"
        ),
        "graph: 12 concepts written",
    ]
    assert "items[0].note is not a field of a concept map and was ignored" in first.stderr
    document = json.loads(second.stdout)
    assert document["concepts"] == {"added": [], "changed": ["c1", "c2"], "unchanged": []}
    assert document["prerequisites"] == {
        "added": [["c1", "c2"]],
        "removed": [["c0", "c1"], ["c0", "c2"]],
    }
    assert document["graph"] == ["c1", "c2"]


def test_given_a_tenant_that_is_none_when_run_then_the_option_is_named(path: Path) -> None:
    result = CliRunner().invoke(app, ["concepts", "import", str(path), "--tenant", ""])

    assert result.exit_code == 2
    assert "--tenant is ''" in result.output
