"""New parameters: a learner is replayed under them when next seen, and is never half of each."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from tests.support.factories import answer
from tests.support.ledger_steps import commit_of, folded, load, record, stored
from workers.common.errors import LedgerUnavailable
from workers.estimation.documents import parameters_document
from workers.estimation.fold import FoldTask, fold
from workers.estimation.learner import Learner, LearnerKey, Response
from workers.estimation.parameters import BktParameters, Parameters
from workers.estimation.replay import replay
from workers.ledger.corrections import Correction
from workers.ledger.exchange import Commit, Committed, Conflict, Loaded, Touched
from workers.ledger.protocol import Ledger
from workers.ledger.sql.commit import commit_request
from workers.ledger.sql.documents import encoded
from workers.ledger.sql.ledger import SqlLedger
from workers.ledger.sql.load import load_request, read_load
from workers.ledger.sql.rewrite import rewrite_request
from workers.operations.repair.rewriting import rewriting
from workers.operations.repair.verifying import differences

pytestmark = pytest.mark.asyncio(loop_scope="module")

FIRST = [
    answer(1, concepts=("a",), scale="math"),
    answer(2, concepts=("b",), scale="verbal"),
    answer(3, concepts=("a", "c"), scale="math"),
]
NEXT = answer(4, concepts=("a",), scale="math")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def new(ledger: Ledger) -> Parameters:
    """A version that is stored, and not active."""
    parameters = Parameters(default=BktParameters(0.4, 0.2, 0.15, 0.05))
    version = await ledger.store("classical", parameters_document(parameters), {}, "")
    return replace(parameters, version=version)


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _built_in(ledger: Ledger) -> AsyncIterator[None]:
    """The module's tests share a ledger: each leaves the built-in version active."""
    yield
    await ledger.activate(1, "as it was")


def folded_under(new: Parameters, key: LearnerKey, state: Loaded, response: Response) -> Commit:
    (learner_fold,) = fold([FoldTask(key, state.learner, [response], state.log)], new)
    return commit_of(learner_fold)


async def test_given_a_state_under_others_when_next_seen_then_all_is_renewed(
    ledger: Ledger, key: LearnerKey, new: Parameters
) -> None:
    await record(ledger, key, FIRST)
    await ledger.activate(new.version, "better")

    commit = folded_under(new, key, await load(ledger, key, [NEXT]), NEXT)
    (answered,) = await ledger.commit([commit])

    assert isinstance(answered, Committed)
    learner = await stored(ledger, key)
    assert list(differences(learner, replay([*FIRST, NEXT], new), new)) == []
    told = {change["concept_id"] for change in commit.outcomes[0]["concepts"]}
    assert told == {"a", "b", "c"}


async def test_given_a_new_learner_then_it_keeps_the_parameters_of_its_fold(
    ledger: Ledger, key: LearnerKey, new: Parameters
) -> None:
    await ledger.activate(new.version, "better")

    made = folded_under(new, key, await load(ledger, key, [NEXT]), NEXT)
    (answered,) = await ledger.commit([made])

    assert isinstance(answered, Committed)
    assert list(differences(await stored(ledger, key), replay([NEXT], new), new)) == []


async def test_given_an_old_worker_in_between_then_the_conflict_brings_the_log(
    ledger: Ledger, key: LearnerKey, new: Parameters
) -> None:
    await record(ledger, key, FIRST[:2])
    await ledger.activate(new.version, "better")
    early = folded_under(new, key, await load(ledger, key, [NEXT]), NEXT)
    await ledger.activate(1, "worse")
    await record(ledger, key, FIRST[2:])
    await ledger.activate(new.version, "better after all")

    (conflict,) = await ledger.commit([early])
    assert isinstance(conflict, Conflict)
    loaded = await load(ledger, key, [NEXT])
    (answered,) = await ledger.commit([folded_under(new, key, loaded, NEXT)])

    assert isinstance(answered, Committed)
    assert list(differences(await stored(ledger, key), replay([*FIRST, NEXT], new), new)) == []


async def test_given_a_repeat_under_new_parameters_then_nothing_is_replayed(
    ledger: Ledger, key: LearnerKey, new: Parameters
) -> None:
    await record(ledger, key, FIRST)
    await ledger.activate(new.version, "better")

    loaded = await load(ledger, key, [FIRST[0]])

    assert loaded.log is None
    assert list(loaded.recorded) == [FIRST[0].response_id]


async def test_given_inactive_parameters_when_committed_then_all_is_a_conflict(
    ledger: Ledger, key: LearnerKey, new: Parameters
) -> None:
    stranger = LearnerKey(key.tenant_id, "seen for the first time")
    await record(ledger, key, FIRST)
    loaded = await load(ledger, key, [NEXT])
    assert (loaded.active_version, loaded.log) == (1, None)
    of_known = folded(key, loaded, [NEXT])
    of_new = folded(stranger, Loaded(Learner()), [NEXT])
    before = await stored(ledger, key)
    await ledger.activate(new.version, "better")

    known, unknown = await ledger.commit([of_known, of_new])

    assert isinstance(known, Conflict)
    assert isinstance(unknown, Conflict)
    again = await load(ledger, key, [NEXT])
    assert again.active_version == new.version
    assert again.learner.version == before.version
    # As the active version needs it.
    assert {one.response_id for one in again.log or ()} == {one.response_id for one in FIRST}
    never = await load(ledger, stranger, [NEXT])
    assert never == Loaded(Learner(), active_version=new.version, whole=True)
    assert await stored(ledger, key) == before
    assert [holder for holder in await ledger.holders() if holder.tenant_id == key.tenant_id] == [
        key
    ]

    (answered,) = await ledger.commit([folded_under(new, key, again, NEXT)])
    assert isinstance(answered, Committed)
    assert list(differences(await stored(ledger, key), replay([*FIRST, NEXT], new), new)) == []


async def test_given_a_worker_of_one_version_and_another_active_then_it_waits(
    ledger: Ledger, key: LearnerKey, new: Parameters
) -> None:
    if not isinstance(ledger, SqlLedger):
        pytest.skip("no worker of an earlier version has this ledger")
    made = folded(key, Loaded(Learner()), [NEXT])
    request = commit_request([made], [encoded(outcome) for outcome in made.outcomes])
    del request["load"]["active"]
    await ledger.activate(new.version, "better")

    with pytest.raises(LedgerUnavailable, match="replace it"):
        await ledger._call("mastery_commit", request)

    await ledger.activate(1, "worse")
    assert (await ledger._call("mastery_commit", request))["conflicts"] == []


async def test_given_a_replayed_learner_then_that_worker_has_the_log_and_waits(
    ledger: Ledger, key: LearnerKey, new: Parameters
) -> None:
    if not isinstance(ledger, SqlLedger):
        pytest.skip("no worker of an earlier version has this ledger")
    await record(ledger, key, FIRST[:2])
    await ledger.activate(new.version, "better")
    commit = folded_under(new, key, await load(ledger, key, [FIRST[2]]), FIRST[2])
    await ledger.commit([commit])
    touched = load_request([Touched(key, [NEXT], 1)])
    del touched["active"]

    (loaded,) = read_load(await ledger._call("mastery_load", touched), [key])

    # Without its log it could not be folded, which would look like the fault of its answer.
    assert {response.response_id for response in loaded.log or ()} == {
        response.response_id for response in FIRST
    }
    made = folded(key, loaded, [NEXT])
    request = commit_request([made], [encoded(outcome) for outcome in made.outcomes])
    del request["load"]["active"]
    with pytest.raises(LedgerUnavailable, match="replace it"):
        await ledger._call("mastery_commit", request)


async def test_given_one_known_version_and_another_active_then_no_row_changes(
    ledger: Ledger, key: LearnerKey, new: Parameters
) -> None:
    if not isinstance(ledger, SqlLedger):
        pytest.skip("nobody of an earlier version has this ledger")
    await record(ledger, key, FIRST)
    learner = await stored(ledger, key)
    rewrite = rewriting(
        learner, Parameters(), Correction(FIRST[0].response_id, "void", None, "wrong")
    )
    assert rewrite is not None
    request = rewrite_request([rewrite])
    del request["active"]
    await ledger.activate(new.version, "better")

    with pytest.raises(LedgerUnavailable, match="use the version"):
        await ledger._call("mastery_rewrite", request)
    assert await stored(ledger, key) == learner

    # Of this version: it is outdated then, and replayed as all others.
    (version,) = await ledger.rewrite([rewrite])
    assert version is not None
    assert key in {outdated.key for outdated in await ledger.outdated()}
    await ledger.activate(1, "worse")
    request["expected"] = f"{{{version}}}"
    request |= {name: "{}" for name in request if name.startswith("x_")}
    (again,) = await ledger._call("mastery_rewrite", request)
    assert again > version
