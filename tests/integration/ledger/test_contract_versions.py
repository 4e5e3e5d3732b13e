"""Versions of parameters: kept as they were stored, one of them active, and who is under others."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.ledger.conftest import OpenLedger
from tests.support.factories import answer
from tests.support.ledger_steps import PARAMETERS as BUILT_IN
from tests.support.ledger_steps import arrivals, commit_of, folded, record
from workers.common.errors import ParametersRefused
from workers.estimation.documents import parameters_document, parameters_of
from workers.estimation.fold import FoldTask, fold
from workers.estimation.learner import LearnerKey
from workers.estimation.parameters import BktParameters, ConceptParameters, Parameters
from workers.estimation.scales import ScaleParameters
from workers.ledger.exchange import MOST_REPLAYED, Commit, Committed, Touched
from workers.ledger.parameters import Outdated
from workers.ledger.protocol import Ledger
from workers.operations.repair.rewriting import rewriting

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARAMETERS = Parameters(
    version=7,
    mastery_threshold=0.5,
    default=BktParameters(1 / 3, 1e-100, 0.1 + 0.2, 5e-9),
    concepts={'a "quoted" \\ {one}': ConceptParameters(BktParameters(0.4, 0.2, 0.15, 0.05))},
    any_scale=ScaleParameters(mean=-0.1, variance=2.0, predicts=True),
)
DOCUMENT = parameters_document(PARAMETERS)
DIAGNOSTICS = {
    "log_likelihood": -1234.5678901234567,
    "warnings": ["ö"],
    "nested": {"a": [1, None]},
    "items": {"i": [3, 0.9]},
    "concepts": {"c": {"infit": 1.5}},
}


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _built_in(ledger: Ledger) -> AsyncIterator[None]:
    """The module's tests share a ledger: each leaves the built-in version active."""
    yield
    await ledger.activate(1, "as it was")


async def store(ledger: Ledger, note: str = "a note", **fields: Any) -> int:
    return await ledger.store("bkt", DOCUMENT | fields, DIAGNOSTICS, note)


async def outdated(ledger: Ledger, tenant: str) -> list[Outdated]:
    """Read the outdated learners of one tenant, page by page."""
    keys: list[Outdated] = []
    after = None
    while page := await ledger.outdated(after, 2):
        keys += page
        after = page[-1]
    assert keys == sorted(keys)
    return [learner for learner in keys if learner.key.tenant_id == tenant]


async def test_given_a_stored_version_when_read_then_it_has_the_stored_bits(
    ledger: Ledger,
) -> None:
    version = await store(ledger)

    stored = await ledger.version(version)
    assert (stored.version, stored.model, stored.note) == (version, "bkt", "a note")
    assert stored.diagnostics == DIAGNOSTICS
    assert stored.created_at is not None
    assert stored.created_at.endswith("Z")
    # Version and threshold are not the document's to say.
    assert stored.document == {
        k: v for k, v in DOCUMENT.items() if k not in {"version", "mastery_threshold"}
    }
    assert parameters_of(dict(stored.document)) == replace(
        PARAMETERS, version=1, mastery_threshold=0.95
    )


async def test_given_more_versions_then_numbers_rise_and_no_document_is_listed(
    ledger: Ledger,
) -> None:
    first, second = await store(ledger, "one"), await store(ledger, "two")

    listed = await ledger.versions()
    assert 2 <= first < second
    assert [version.version for version in listed] == sorted(version.version for version in listed)
    by_number = {version.version: version for version in listed}
    assert by_number[1].model == "classical"
    assert (by_number[first].note, by_number[second].note) == ("one", "two")
    # Warnings, and what there is of each item and concept, may be a megabyte each.
    assert by_number[second].diagnostics == {
        "log_likelihood": DIAGNOSTICS["log_likelihood"],
        "nested": DIAGNOSTICS["nested"],
    }
    assert not hasattr(by_number[second], "document")


async def test_given_the_built_in_version_then_it_is_the_classical_parameters(
    ledger: Ledger,
) -> None:
    stored = await ledger.version(1)

    assert (stored.model, stored.created_at) == ("classical", None)
    assert parameters_of(dict(stored.document)) == Parameters(version=1)


async def test_given_two_activations_then_the_last_one_counts(
    ledger: Ledger,
) -> None:
    version = await store(ledger)

    await ledger.activate(version, "better by 0.01")
    active = await ledger.activation()
    assert (await ledger.active_version(), active.version) == (version, version)
    assert active.reason == "better by 0.01"
    assert active.activated_at is not None

    await ledger.activate(1, "no, it was not")
    back = await ledger.activation()
    assert (back.version, back.reason) == (1, "no, it was not")
    assert back.activated_at is not None
    assert back.activated_at > active.activated_at


async def test_given_no_such_version_when_read_or_activated_then_it_is_refused(
    ledger: Ledger,
) -> None:
    with pytest.raises(ParametersRefused, match=r"no version 999999.*parameters list"):
        await ledger.version(999_999)
    with pytest.raises(ParametersRefused, match="no version 999999"):
        await ledger.activate(999_999, "a slip")

    assert await ledger.active_version() == 1


async def test_given_a_superseded_activation_then_nothing_changes_under_it(
    ledger: Ledger,
) -> None:
    first, second = await store(ledger, "one"), await store(ledger, "two")
    before = await ledger.activation()

    assert await ledger.activate(first, "better", expected=before)
    latest = await ledger.activation()
    assert (latest.version, latest.reason) == (first, "better")
    assert not await ledger.activate(second, "better than what was", expected=before)
    # As one whose answer was lost, and who asks again.
    assert await ledger.activate(first, "once more", expected=before)
    assert await ledger.activation() == latest

    # The same version as then, of another decision.
    await ledger.activate(before.version, "no, it was not")
    back = await ledger.activation()
    assert not await ledger.activate(first, "better", expected=before)
    assert await ledger.activation() == back
    assert await ledger.activate(second, "better", expected=back)
    assert await ledger.active_version() == second
    with pytest.raises(ParametersRefused, match="no version 999999"):
        await ledger.activate(999_999, "a slip", expected=back)


async def test_given_many_activating_from_the_same_version_then_one_succeeds(
    open_ledger: OpenLedger,
) -> None:
    ledgers = [open_ledger() for _ in range(4)]
    versions = [await store(writer) for writer in ledgers]
    before = await ledgers[0].activation()

    done = await asyncio.gather(
        *(
            ledger.activate(version, "better", expected=before)
            for ledger, version in zip(ledgers, versions, strict=True)
        )
    )

    assert sorted(done) == [False, False, False, True]
    assert await ledgers[0].active_version() == versions[done.index(True)]


async def test_given_another_version_activated_then_old_learners_are_outdated(
    ledger: Ledger, tenant: str
) -> None:
    version = await store(ledger)
    keys = [LearnerKey(tenant, name) for name in ("a", "b", "c", "d", "e")]
    for key in keys[1:]:
        await record(ledger, key, [answer(1)])
    await ledger.activate(version, "now")
    # As a worker that has noticed records a learner that it never saw.
    (loaded,) = await ledger.load([Touched(keys[0], [answer(1)], version)])
    new = replace(PARAMETERS, version=version)
    (new_state,) = fold([FoldTask(keys[0], loaded.learner, [answer(1)])], new)
    await ledger.commit([commit_of(new_state)])

    assert await outdated(ledger, tenant) == [Outdated(1, key) for key in keys[1:]]
    assert await ledger.outdated_count() >= len(keys) - 1

    await ledger.activate(1, "back")
    assert await outdated(ledger, tenant) == [Outdated(version, keys[0])]


async def test_given_an_activation_then_logs_in_order_share_a_small_room(
    ledger: Ledger, tenant: str
) -> None:
    keys = [LearnerKey(tenant, name) for name in ("a", "b", "late")]
    for key in keys:
        await record(ledger, key, [answer(n) for n in range(1, MOST_REPLAYED)])
    await ledger.activate(await store(ledger), "now")

    new = [answer(MOST_REPLAYED), answer(MOST_REPLAYED), answer(0)]
    loaded = await ledger.load([Touched(k, [r]) for k, r in zip(keys, new, strict=True)])

    assert [state.replay is not None for state in loaded] == [True, True, True]
    assert [state.log is not None for state in loaded] == [True, False, True]
    assert loaded[1].learner.concepts.keys() == {"c"}


async def test_given_an_earlier_version_in_a_commit_then_the_learner_keeps_it(
    ledger: Ledger, tenant: str
) -> None:
    keys = [LearnerKey(tenant, name) for name in ("stays", "moves")]
    log = [answer(n) for n in range(99)]
    for key in keys:
        await record(ledger, key, log)
    version = await store(ledger)
    await ledger.activate(version, "now")
    last = [answer(99)]
    touched = [Touched(key, last, version, arrivals(last)) for key in keys]
    loaded = [state for learner in touched for state in await ledger.load([learner])]
    new = replace(PARAMETERS, version=version)
    commits = [
        folded(keys[0], loaded[0], last),
        folded(keys[1], loaded[1], last, parameters=new),
    ]
    assert not await _applied(ledger, commits[0])

    commits[0].active_version = version
    assert await _applied(ledger, *commits)

    stored = await ledger.stored(keys)
    assert [learner.parameters_version for learner in stored] == [1, version]
    for learner, parameters in zip(stored, (BUILT_IN, new), strict=True):
        assert rewriting(learner, parameters) is None
        assert {row.parameters_version for row in learner.concepts} == {parameters.version}
        assert {row.parameters_version for row in learner.abilities} == {parameters.version}
        assert [row.parameters_version for row in learner.snapshots] == [parameters.version]
    assert await outdated(ledger, tenant) == [Outdated(1, keys[0])]


async def _applied(ledger: Ledger, *commits: Commit) -> bool:
    return all(isinstance(reply, Committed) for reply in await ledger.commit(list(commits)))
