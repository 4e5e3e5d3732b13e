"""Strict mode: a response to what nobody has registered is refused, and can be sent again."""

from collections.abc import Iterable

import pytest

from contracts.rejections import RejectionCode
from tests.support.doubles import (
    PARAMETERS,
    admitted,
    by_entry,
    entry_id,
    fast_retrying,
    key_of,
    record,
    recorder,
)
from workers.common.errors import LedgerUnavailable
from workers.engine.recorder import Recorder
from workers.engine.registered_names import Registry
from workers.ledger.concept_map import Concept, ConceptMap, Item, Name, Registered
from workers.ledger.memory.ledger import MemoryLedger
from workers.metrics.engine_metrics import EngineMetrics

TENANT = "school-7"


class _Ledger(MemoryLedger):
    """Counts what is looked up, and is away as often as wanted."""

    def __init__(self, *, away: int = 0) -> None:
        super().__init__()
        self.asked: list[tuple[list[str], list[str]]] = []
        self.away = away

    async def registered(self, concepts: Iterable[Name], items: Iterable[Name]) -> Registered:
        if self.away:
            self.away -= 1
            raise LedgerUnavailable("away")
        concepts, items = list(concepts), list(items)
        self.asked.append(([concept.id for concept in concepts], [item.id for item in items]))
        return await super().registered(concepts, items)

    async def register(self, *names: str, tenant: str = TENANT) -> None:
        known = await self.concept_map(tenant)
        concepts = {n: Concept(n, n, "default") for n in names if not n.startswith("q")}
        items = {n: Item(n, ("c",), "default") for n in names if n.startswith("q")}
        assert await self.import_concepts(tenant, ConceptMap(known.version, concepts, items))


def strict(ledger: _Ledger, **options: int) -> Recorder:
    return Recorder(
        ledger=ledger,
        parameters=PARAMETERS,
        retrying=fast_retrying(),
        meter=EngineMetrics("0"),
        registry=Registry(ledger, **options),
    )


async def test_given_registered_names_when_recorded_then_they_are_asked_for_once() -> None:
    ledger = _Ledger()
    await ledger.register("a", "b", "q1", "q2")
    work = strict(ledger)
    first = [
        admitted(number=0, item_id="q1", concept_ids=["b", "a"]),
        admitted(number=1, item_id="q2", concept_ids=["a"]),
    ]

    results = await record(work, first)
    again = await record(work, [admitted(number=2, item_id="q1", concept_ids=["a"])])

    assert [settled_entry.refusal for settled_entry in (*results, *again)] == [None] * 3
    assert ledger.asked == [(["a", "b"], ["q1", "q2"])]


@pytest.mark.parametrize(
    ("item_id", "concept_ids", "field", "value"),
    [
        ("q9", ["a"], "data.response.item_id", "'q9'"),
        ("q1", ["a", "x"], "data.response.concept_ids.1", "'x'"),
        ("q1", ["x", "a"], "data.response.concept_ids.0", "'x'"),
        ("eyJhbGciOi", ["a"], "data.response.item_id", "what looks like a token"),
    ],
)
async def test_given_an_unknown_name_when_recorded_then_it_alone_is_not_found(
    item_id: str, concept_ids: list[str], field: str, value: str
) -> None:
    ledger = _Ledger()
    await ledger.register("a", "q1")
    await ledger.register("x", "q9", tenant="another")

    results = await record(
        strict(ledger),
        [
            admitted(number=0, item_id="q1", concept_ids=["a"]),
            admitted(number=1, item_id=item_id, concept_ids=concept_ids),
            admitted("other", number=2, item_id=item_id, concept_ids=concept_ids),
        ],
    )

    refused = [result for result in results if result.refusal is not None]
    assert len(refused) == 2
    for settled_entry in refused:
        assert settled_entry.refusal is not None
        assert (settled_entry.refusal.code, settled_entry.refusal.field) == (
            RejectionCode.NOT_FOUND,
            field,
        )
        assert settled_entry.refusal.code.status == 404
        assert f"{field} is {value}, and no " in settled_entry.refusal.reason
        assert "'school-7'" in settled_entry.refusal.reason
        assert "mastery concepts import" in settled_entry.refusal.reason
        assert "mastery rejected redrive" in settled_entry.refusal.reason
    (stored,) = await ledger.stored([key_of()])
    assert [response.item_id for response in stored.log] == ["q1"]


async def test_given_an_import_when_the_event_comes_again_then_it_counts() -> None:
    ledger = _Ledger()
    work = strict(ledger)
    entry = admitted(number=0, item_id="q1", concept_ids=["a"])
    (refused,) = await record(work, [entry])
    assert refused.refusal is not None

    await ledger.register("a", "q1")
    (result,) = await record(work, [entry])

    assert result.refusal is None
    assert len(result.events) == 1


async def test_given_a_recorded_response_that_comes_again_then_it_is_as_before() -> None:
    ledger = _Ledger()
    entry = admitted(number=0, item_id="q1", concept_ids=["a"])
    (first,) = await record(recorder(ledger), [entry])

    repeat = admitted(number=0, entry=5, item_id="q1", concept_ids=["a"])
    results = by_entry(await record(strict(ledger), [entry, repeat, admitted(number=1)]))

    owner, copy, other = (results[entry_id(number)] for number in (0, 5, 1))
    assert first.events == owner.events
    assert (owner.refusal, copy.refusal) == (None, None)
    assert other.refusal is not None
    assert other.refusal.code is RejectionCode.NOT_FOUND


async def test_given_a_ledger_that_is_away_when_recorded_then_it_is_waited_for() -> None:
    ledger = _Ledger(away=3)
    await ledger.register("a", "q1")

    (result,) = await record(strict(ledger), [admitted(number=0, item_id="q1", concept_ids=["a"])])

    assert result.refusal is None
    ledger.away = 1
    with pytest.raises(LedgerUnavailable):
        await record(
            strict(ledger).without_retry(), [admitted(number=1, item_id="q1", concept_ids=["a"])]
        )


async def test_given_more_names_than_are_kept_then_all_are_asked_for_anew() -> None:
    ledger = _Ledger()
    await ledger.register("a", "q1", "q2")
    work = strict(ledger, most=2)
    for number, item_id in enumerate(("q1", "q2", "q2", "q2")):
        await record(work, [admitted(number=number, item_id=item_id, concept_ids=["a"])])

    assert ledger.asked == [(["a"], ["q1"]), ([], ["q2"]), (["a"], ["q2"])]
