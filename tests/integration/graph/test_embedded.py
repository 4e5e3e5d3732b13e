import asyncio
import multiprocessing
from pathlib import Path

import ladybug
import pytest

from tests.support.graph_contents import assert_holds, history
from workers.common.errors import GraphRefused
from workers.graph.changes import changes_of
from workers.graph.concept_map import MappedConcept
from workers.graph.embedded import EmbeddedGraph
from workers.graph.statements import script


def _files(directory: Path) -> list[Path]:
    return list(directory.iterdir())


async def test_given_a_directory_when_opened_again_then_the_graph_is_still_there(
    tmp_path: Path,
) -> None:
    events = history(30)
    first = EmbeddedGraph(tmp_path / "new" / "graph")
    await first.prepare()
    await first.merge(changes_of(events))
    await first.close()

    second = EmbeddedGraph(tmp_path / "new" / "graph")
    try:
        await assert_holds(second, events)
    finally:
        await second.close()


async def test_given_a_graph_of_the_version_before_when_prepared_then_it_goes_on(
    tmp_path: Path,
) -> None:
    new = ("ALTER TABLE", "CREATE REL TABLE IF NOT EXISTS UNLOCKED")
    with (
        ladybug.Database(tmp_path / "graph.lbug") as database,
        ladybug.Connection(database) as connection,
    ):
        for text in script("tables"):
            if not text.startswith(new):
                connection.execute(text)
        connection.execute("CREATE (:Concept {tenant_id: 't', id: 'a'})")
    graph = EmbeddedGraph(tmp_path)
    try:
        await graph.prepare()
        await graph.merge_map("t", [MappedConcept("a", "A"), MappedConcept("b", "B", ("a",))])

        assert await graph.mapped("t", ["a", "b"]) == [
            MappedConcept("a", "A"),
            MappedConcept("b", "B", ("a",)),
        ]
        assert await graph.faults() == []
    finally:
        await graph.close()


async def test_given_no_directory_when_closed_then_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    graph = EmbeddedGraph()
    await graph.prepare()
    assert _files(tmp_path)

    await graph.close()

    assert _files(tmp_path) == []


async def test_given_a_graph_never_used_when_closed_then_no_file_was_made(tmp_path: Path) -> None:
    graph = EmbeddedGraph(tmp_path / "graph")

    await graph.close()

    assert _files(tmp_path) == []


def _open(directory: Path, told: "multiprocessing.Queue[str]") -> None:
    async def ping() -> str:
        graph = EmbeddedGraph(directory)
        try:
            await graph.ping()
        except GraphRefused as error:
            return str(error)
        finally:
            await graph.close()
        return "opened"

    told.put(asyncio.run(ping()))


async def test_given_a_graph_open_elsewhere_then_it_refuses_and_says_why(
    tmp_path: Path,
) -> None:
    graph = EmbeddedGraph(tmp_path)
    await graph.prepare()
    context = multiprocessing.get_context("spawn")
    told: multiprocessing.Queue[str] = context.Queue()
    process = context.Process(target=_open, args=(tmp_path, told))
    process.start()
    try:
        answer = await asyncio.to_thread(told.get, timeout=300)
    finally:
        await asyncio.to_thread(process.join)
        told.close()
        await graph.close()

    assert "end the process that has it open" in answer


async def test_given_a_path_that_is_no_directory_when_opened_then_it_refuses(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("not a directory")
    graph = EmbeddedGraph(tmp_path / "file")

    with pytest.raises(GraphRefused, match="can't be opened"):
        await graph.ping()
    (fault,) = await graph.faults()
    await graph.close()

    assert "can't be opened" in fault


async def test_given_a_file_of_another_kind_when_opened_then_it_refuses(tmp_path: Path) -> None:
    (tmp_path / "graph.lbug").write_text("not a graph " * 1000)
    graph = EmbeddedGraph(tmp_path)

    with pytest.raises(GraphRefused, match="can't be opened"):
        await graph.prepare()
    await graph.close()


async def test_given_tables_of_another_version_then_the_fault_is_found(tmp_path: Path) -> None:
    with (
        ladybug.Database(tmp_path / "graph.lbug", buffer_pool_size=2**26) as database,
        ladybug.Connection(database) as connection,
    ):
        connection.execute(
            "CREATE NODE TABLE Student(number SERIAL, id STRING, PRIMARY KEY(number))"
        )
    graph = EmbeddedGraph(tmp_path)
    await graph.prepare()

    (fault,) = await graph.faults()
    await graph.close()

    assert "tenant_id" in fault
    assert "mastery reconcile" in fault


async def test_given_no_tables_when_merged_then_it_names_what_is_missing(
    tmp_path: Path,
) -> None:
    graph = EmbeddedGraph(tmp_path)

    with pytest.raises(GraphRefused, match="Student"):
        await graph.merge(changes_of(history(5)))
    await graph.close()


async def test_given_a_long_merge_then_the_event_loop_goes_on(tmp_path: Path) -> None:
    graph = EmbeddedGraph(tmp_path)
    await graph.prepare()
    merging = asyncio.create_task(graph.merge(changes_of(history(3000, students=900))))
    turns = 0
    while not merging.done():
        await asyncio.sleep(0.005)
        turns += 1
    await merging
    await graph.close()

    # A merge in the loop's own thread leaves it one turn. No limit in seconds: a busy machine
    # breaks each.
    assert turns > 10


async def test_given_a_cancelled_merge_when_closed_then_it_is_whole_or_absent(
    tmp_path: Path,
) -> None:
    events = history(300)
    graph = EmbeddedGraph(tmp_path)
    await graph.prepare()
    merging = asyncio.create_task(graph.merge(changes_of(events)))
    await asyncio.sleep(0.01)
    merging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await merging
    await graph.close()

    again = EmbeddedGraph(tmp_path)
    learners = await again.stored()
    if learners:
        await assert_holds(again, events)
    await again.close()
