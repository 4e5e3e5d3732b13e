"""Runs that end early and go on, on a ledger in memory and embedded servers."""

import asyncio
import copy
import json
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from contracts.mastery import MasteryChanged
from contracts.streams import UNLOCKED, shard_of, shards
from tests.support.factories import learner_log
from tests.support.ledger_steps import copier
from workers.app.servers import Servers
from workers.cli.progress import progress_bar
from workers.cli.reconcile.report import Report
from workers.cli.reconcile.run import Order, Run
from workers.common.errors import LedgerUnavailable
from workers.estimation.learner import LearnerKey
from workers.graph.changes import MasteryChange
from workers.graph.embedded import EmbeddedGraph
from workers.graph.repairs import Repair
from workers.ledger.concept_map import Concept, ConceptMap
from workers.ledger.memory.ledger import MemoryLedger
from workers.operations.reconciliation.since import Since
from workers.operations.repair.scope import Cursor, Phase, Scope
from workers.reference.examples import EXAMPLES
from workers.streams.embedded_redis import EmbeddedRedis

STUDENTS = 130
ALL = Since.of_text("1h")


class StoppingLedger(MemoryLedger):
    """Tells when it was asked for the second page of learners."""

    def __init__(self) -> None:
        super().__init__()
        self.stop: asyncio.Event | None = None
        self.away = 0

    async def learners(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        page = await super().learners(after, limit)
        if self.stop is not None and after is not None and after.student_id:
            self.stop.set()
            await asyncio.Event().wait()
        return page

    async def ping(self) -> None:
        if self.away:
            raise LedgerUnavailable("not there")


@pytest.fixture(scope="module")
def practised() -> Callable[[], StoppingLedger]:
    """Makes ledgers in which all students have answered."""
    logs = {
        LearnerKey(f"t{number % 2}", f"s{number:03}"): learner_log(2, seed=number, concepts=2)
        for number in range(STUDENTS)
    }
    return copier(StoppingLedger(), logs)


@pytest.fixture
async def servers(
    tmp_path: Path, practised: Callable[[], StoppingLedger]
) -> AsyncIterator[Servers]:
    redis, graph = EmbeddedRedis(), EmbeddedGraph(tmp_path / "graph")
    ledger = practised()
    try:
        broker = redis.broker(logger=logging.getLogger("faststream"))
        yield Servers(broker, redis.client(), ledger, graph)
    finally:
        await graph.close()
        await redis.close()


async def run(
    servers: Servers, order: Order, stopped: asyncio.Event | None = None, shard_count: int = 0
) -> Report:
    report = Report(3, order.dry_run, order.since is not None)
    with progress_bar() as bar:
        await Run(servers, shard_count, order, report, bar).until_done(stopped or asyncio.Event())
    json.dumps(report.document())
    return report


async def published(servers: Servers, shard_count: int = 0) -> list[dict[str, Any]]:
    events = []
    for number, shard in enumerate(shards(shard_count)):
        entries: Any = await servers.redis.xrange(shard.mastery)
        for _, fields in entries:
            data = MasteryChanged.model_validate_json(fields[b"event"]).data
            assert shard_of(data.tenant_id, data.student_id, shard_count) == number
            events.append(json.loads(fields[b"event"]))
    return events


async def stop_at_second_page(servers: Servers) -> asyncio.Event:
    assert isinstance(servers.ledger, StoppingLedger)
    servers.ledger.stop = asyncio.Event()
    return servers.ledger.stop


async def go_on(servers: Servers) -> None:
    assert isinstance(servers.ledger, StoppingLedger)
    servers.ledger.stop = None


async def test_given_a_stop_while_comparing_when_resumed_then_the_rest_follows(
    servers: Servers,
) -> None:
    report = await run(servers, Order(Scope()), await stop_at_second_page(servers))

    assert (report.finished, report.good, report.learners) == (False, False, 100)
    assert report.cursor is not None
    assert list(report.lines())[-1] == f"stopped early: continue with --cursor {report.cursor}"

    await go_on(servers)
    rest = await run(servers, Order(Scope(), cursor=Cursor.of_text(str(report.cursor))))

    assert (rest.finished, rest.good, rest.cursor) == (True, True, None)
    assert rest.learners == STUDENTS - 100
    again = await run(servers, Order(Scope(), dry_run=True))
    assert (again.different, again.good) == (0, True)
    assert list(again.lines()) == [f"{STUDENTS} learners compared with the graph: no difference"]


async def test_given_a_stop_in_publishing_when_resumed_then_each_event_is_once(
    servers: Servers,
) -> None:
    report = await run(servers, Order(Scope(), ALL), await stop_at_second_page(servers))

    assert (report.finished, report.published_learners, report.learners) == (False, 100, 0)
    assert report.cursor is not None
    assert report.since_us is not None
    assert report.options.startswith("--publish --since 20")

    await go_on(servers)
    rest = await run(servers, Order(Scope(), ALL, report.cursor))

    assert rest.finished
    assert rest.published_learners == STUDENTS - 100
    assert rest.learners == STUDENTS
    events = await published(servers)
    assert len(events) == len({event["id"] for event in events}) == report.events + rest.events
    assert len({event["data"]["student_id"] for event in events}) == STUDENTS


async def test_given_a_cursor_of_the_comparison_then_nothing_is_published_again(
    servers: Servers,
) -> None:
    cursor = Cursor(Phase.GRAPH, LearnerKey("t1", "s001"))

    report = await run(servers, Order(Scope(), ALL, cursor))

    assert report.finished
    assert report.learners == STUDENTS // 2 - 1
    assert await published(servers) == []


async def test_given_shards_and_a_scope_then_events_go_to_their_learners_shard(
    servers: Servers,
) -> None:
    report = await run(servers, Order(Scope("t1"), ALL), shard_count=3)

    events = await published(servers, 3)
    assert len(events) == report.events > 0
    assert {event["data"]["tenant_id"] for event in events} == {"t1"}
    assert report.published_learners == report.learners == STUDENTS // 2


async def test_given_a_dry_run_then_it_counts_and_sends_and_changes_nothing(
    servers: Servers,
) -> None:
    report = await run(servers, Order(Scope(), ALL, dry_run=True))

    assert report.events > 0
    assert await published(servers) == []
    assert await servers.graph.students() == []
    assert (report.finished, report.good) == (True, False)
    first, *shown, last = report.lines()
    assert first == f"{report.events} events of {STUDENTS} learners would be published"
    assert [line.partition(":")[0] for line in shown] == ["missing"] * 3
    assert last.endswith(f" differences ({report.different} missing)")


async def test_given_since_later_than_all_responses_then_nothing_is_published(
    servers: Servers,
) -> None:
    report = await run(servers, Order(Scope(), Since.of_text("9000-01-01T00:00:00Z")))

    assert (report.published_learners, report.events) == (0, 0)


async def test_given_repairs_then_the_report_counts_them_by_kind(servers: Servers) -> None:
    await run(servers, Order(Scope()))
    (learner,) = await servers.graph.learners([LearnerKey("t0", "s000")])
    change = learner.mastery[0]
    await servers.graph.repair(Repair([change], [change._replace(mastery=0.5)]))
    await servers.graph.merge(
        [MasteryChange("t0", "x", "c0", 0.5, 1, False, change.answered_at, 1)]
    )

    report = await run(servers, Order(Scope()))

    assert report.good
    (line,) = report.lines()
    told = "3 differences (1 altered, 1 stray, 1 orphaned), repaired"
    assert line == f"{STUDENTS} learners compared with the graph: {told}"
    document = report.document()
    assert (document["different"], document["repaired"]) == (3, 3)
    assert document["kinds"] == {"altered": 1, "stray": 1, "node": 1}
    assert document["published"] is None


async def test_given_what_comes_back_when_repaired_then_the_run_is_not_good(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run(servers, Order(Scope()))
    (learner,) = await servers.graph.learners([LearnerKey("t0", "s000")])
    change = learner.mastery[0]
    wrong = change._replace(mastery=0.5)
    await servers.graph.repair(Repair([change], [wrong]))

    async def in_vain(repair: Repair) -> None:
        assert repair.removals == [wrong]

    monkeypatch.setattr(servers.graph, "repair", in_vain)
    report = await run(servers, Order(Scope()))

    assert (report.finished, report.good) == (True, False)
    *left, last = report.lines()
    assert len(left) == 1
    assert last.endswith("1 differences (1 altered), 1 came back after the repair")
    assert report.document()["repaired"] == 0


async def test_given_untold_rows_then_the_report_says_so() -> None:
    report = Report(3, dry_run=False, publish=True, finished=True, untold=2)

    assert "2 rewritten scales or sessions" in list(report.lines())[1]
    assert report.options == "the same options"


async def test_given_a_ledger_that_is_away_at_the_start_then_it_says_so(servers: Servers) -> None:
    assert isinstance(servers.ledger, StoppingLedger)
    servers.ledger.away = 1

    with pytest.raises(LedgerUnavailable):
        await run(servers, Order(Scope()))


def unlocked(tenant_id: str, student_id: str) -> bytes:
    example = copy.deepcopy(EXAMPLES["practice.concept.unlocked.v1"])
    example["data"] |= {"tenant_id": tenant_id, "student_id": student_id, "concept_id": "next"}
    return json.dumps(example).encode()


async def test_given_a_lost_graph_when_reconciled_then_map_and_unlocks_are_back(
    servers: Servers,
) -> None:
    concepts = {"next": Concept("next", "Next", "s", ("c0",)), "c0": Concept("c0", "C", "s")}
    await servers.ledger.import_concepts("t0", ConceptMap(0, concepts))
    for tenant_id, student_id in (("t0", "s000"), ("t0", "s002"), ("t1", "s001"), ("t0", "gone")):
        await servers.redis.xadd(UNLOCKED, {"event": unlocked(tenant_id, student_id)})
    await servers.redis.xadd(UNLOCKED, {"event": "of somebody else"})

    planned = await run(servers, Order(Scope("t0"), dry_run=True))
    only = await run(servers, Order(Scope("t0", "s000")))
    report = await run(servers, Order(Scope("t0")))
    again = await run(servers, Order(Scope("t0")))

    assert (len(planned.concepts), only.unlocked) == (2, 0), "no concept yet to be tied to"
    assert (len(report.concepts), report.unlocked) == (2, 2)
    assert report.document()["kinds"]["concept"] == report.document()["kinds"]["unlocked"] == 2
    assert any("2 concepts of the map, 2 unlocked concepts" in line for line in report.lines())
    assert any("concept 'next' of tenant 't0'" in line for line in planned.lines())
    assert again.different == 0
    (learner,) = await servers.graph.learners([LearnerKey("t0", "s000")])
    (concept,) = learner.unlocked
    assert (concept.concept_id, concept.entry, concept.version) == ("next", "", 1912)


async def test_given_no_redis_when_reconciled_then_the_graph_is_still_repaired(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise ConnectionError("away")

    monkeypatch.setattr(servers.redis, "xrange", away)
    with capture_logs() as logs:
        report = await run(servers, Order(Scope("t0", "s000")))

    assert report.good
    assert [line["event"] for line in logs] == ["unlocked_concepts_not_compared"]
