"""Invariants of the design, which hold after every run.

The tables are read with plain SQL and the streams with plain commands, and compared with the
decimal oracle and with what was published. Nothing here asks the engine.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import orjson

from contracts.mastery import MasteryChanged
from contracts.rejections import RejectionCode, ResponseRejected
from contracts.streams import ENGINE_GROUP
from tests.model.incarnation import SHARDS
from tests.model.publishing import Published
from tests.model.replay import Replay
from tests.model.snapshots import snapshot_differences
from tests.model.tables import Key, Learner, Tables, answer_of
from tests.model.world import World
from workers.common.retrying import Retrying
from workers.operations.reconciliation.publication import Publication
from workers.operations.repair.scope import Scope


class Audit:
    """The state of all servers after a run, compared with what was published.

    Args:
        world: whose run it was.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._tables: Tables
        self._events: dict[str, list[tuple[bytes, MasteryChanged]]] = {}
        """By mastery stream."""
        self._rejected: list[ResponseRejected] = []

    async def differences(self) -> list[str]:
        """Everything that is not as it must be."""
        await self._look()
        wrong = [*self._world.errors, *await self._pending(), *self._overtaken()]
        wrong += self._log_differences()
        if wrong:
            return wrong
        replay = Replay(self._tables)
        wrong += self._rejection_differences()
        wrong += self._event_differences()
        wrong += self._order_differences()
        wrong += replay.of_predictions()
        wrong += replay.of_state()
        wrong += snapshot_differences(self._tables)
        if self._world.lost:
            await self._publish_again()
        wrong += replay.of_graph([event.data for _, event in self._all_events()])
        return wrong

    async def _look(self) -> None:
        self._tables = await Tables.read(self._world.connection)
        await self._read_events()
        for shard in self._world.used:
            letters: Any = await self._world.redis.xrange(shard.rejected)
            self._rejected += [
                ResponseRejected.model_validate_json(fields[b"event"]) for _, fields in letters
            ]

    async def _read_events(self) -> None:
        for stream in (shard.mastery for shard in SHARDS):
            events: Any = await self._world.redis.xrange(stream)
            self._events[stream] = [
                (entry_id, MasteryChanged.model_validate_json(fields[b"event"]))
                for entry_id, fields in events
            ]

    def _all_events(self) -> list[tuple[bytes, MasteryChanged]]:
        return [event for events in self._events.values() for event in events]

    async def _publish_again(self) -> None:
        """Do what `mastery reconcile --publish` does."""
        ledger, retrying = self._world.ledger, Retrying()
        publication = Publication(
            ledger=ledger,
            client=self._world.redis,
            shard_count=self._world.shard_count,
            retrying=retrying,
            scope=Scope(),
            dry_run=False,
        )
        async for _ in publication.run(0):
            pass
        await self._read_events()

    async def _pending(self) -> list[str]:
        wrong = []
        for shard in self._world.used:
            pending: Any = await self._world.redis.xpending(shard.responses, ENGINE_GROUP)
            if pending["pending"]:
                wrong.append(f"{pending['pending']} entries of {shard.responses} are pending")
        return wrong

    def _overtaken(self) -> Iterator[str]:
        for life in self._world.lives:
            if life.overtaken:
                yield f"worker {life.number} had three batches committed and not acknowledged"

    # 2: the log is the distinct admitted responses ---------------------------------------------

    def _log_differences(self) -> Iterator[str]:
        published = self._published()
        for key in published.keys() - self._tables.log.keys():
            if any(entry.entry not in self._world.lost for entry in published[key]):
                yield f"{key} was admitted and is not in the log"
        for key in self._tables.log.keys() - published.keys():
            yield f"{key} is in the log and was never admitted"
        for key in self._tables.log.keys() & published.keys():
            stored, owner = answer_of(self._tables.log[key]), self._tables.log[key]["entry"]
            entries = {entry.entry: entry for entry in published[key]}
            if owner not in entries:
                yield f"{key} is owned by {owner}, which is none of its entries"
            elif entries[owner].answer != stored:
                yield f"{key} is stored as {stored}, its owner says {entries[owner].answer}"
        versions = [(*key[:2], row["version"]) for key, row in self._tables.log.items()]
        if len(set(versions)) != len(versions):
            yield "two responses of a learner have one version"

    def _published(self) -> dict[Key, list[Published]]:
        by_key: defaultdict[Key, list[Published]] = defaultdict(list)
        for entry in self._world.entries:
            if entry.answer is not None:
                by_key[entry.answer.key].append(entry)
        return by_key

    # 3: each refused entry once among the rejected, each response's events once -----------------

    def _rejection_differences(self) -> Iterator[str]:
        wanted = Counter(
            (entry.entry, code)
            for entry in self._world.entries
            if entry.entry not in self._world.lost and (code := self._code_of(entry)) is not None
        )
        counts = Counter(
            (f"{rejection.data.stream}/{rejection.data.entry_id}", rejection.data.code)
            for rejection in self._rejected
        )
        for what in (wanted - counts).elements():
            yield f"not rejected, or too seldom: {what}"
        for what in (counts - wanted).elements():
            yield f"rejected, or too often: {what}"

    def _code_of(self, entry: Published) -> RejectionCode | None:
        if entry.answer is None:
            return entry.code
        stored = answer_of(self._tables.log[entry.answer.key])
        return None if entry.answer.says_the_same_as(stored) else RejectionCode.CONFLICT

    def _event_differences(self) -> Iterator[str]:
        wanted: Counter[tuple[Any, ...]] = Counter()
        possible: Counter[tuple[Any, ...]] = Counter()
        event_of = {entry.entry: entry.event_id for entry in self._world.entries}
        for key, row in self._tables.log.items():
            outcome = orjson.loads(row["outcome"])
            changed = [change["concept_id"] for change in outcome["concepts"]]
            if changed[: len(row["concept_ids"])] != row["concept_ids"]:
                yield f"the outcome of {key} is of {changed}, not of {row['concept_ids']}"
            # Nobody publishes for an owner that was lost; `reconcile --publish` is the remedy.
            counter = possible if row["entry"] in self._world.lost else wanted
            for concept in changed:
                counter[(*key, concept, row["version"], event_of[row["entry"]])] += 1
        counts = Counter(
            (
                event.data.tenant_id,
                event.data.student_id,
                event.data.response_id,
                event.data.concept_id,
                event.data.version,
                event.causationid,
            )
            for _, event in self._all_events()
        )
        for what in (wanted - counts).elements():
            yield f"no event {what}"
        for what in (counts - wanted - possible).elements():
            yield f"an event too many {what}"
        if len({event.id for _, event in self._all_events()}) != len(self._all_events()):
            yield "two events have one id"
        for _, event in self._all_events():
            if event.correlationid != f"of {event.causationid}":
                yield f"event {event.id} carries the request of another: {event.correlationid}"

    def _order_differences(self) -> Iterator[str]:
        """Check that a worker commits and publishes in the order of versions."""
        for stream, events in self._events.items():
            boundaries = iter(self._world.published_by[stream])
            number, until = next(boundaries, (0, b""))
            newest: dict[tuple[int, Learner], int] = {}
            for entry_id, event in events:
                while until and _order(entry_id) > _order(until):
                    number, until = next(boundaries)
                data = event.data
                learner = data.tenant_id, data.student_id
                committed_by = self._world.committed_by.get((*learner, data.response_id))
                if committed_by != number:
                    continue
                if data.version < newest.get((number, learner), 0):
                    yield f"worker {number} published {data.version} of {learner} too late"
                newest[number, learner] = data.version


def _order(entry_id: bytes) -> tuple[int, ...]:
    return tuple(map(int, entry_id.split(b"-"))) if entry_id else (0, 0)
