"""Steps of the ledger tests: load, fold and commit, as the recorder does."""

import asyncio
import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from workers.common.rate_limit import RateLimit
from workers.engine.rate_limiting import counted
from workers.engine.recorder import interval_ends
from workers.estimation.fold import Folded, FoldTask, fold
from workers.estimation.learner import LearnerKey, Response
from workers.estimation.parameters import Parameters
from workers.estimation.replay import replay
from workers.ledger.audit import AuditLedger
from workers.ledger.exchange import Arrival, Commit, Committed, Conflict, Loaded, Recorded, Touched
from workers.ledger.memory.ledger import MemoryLedger
from workers.ledger.recording import RecordingLedger
from workers.ledger.rows import Stored
from workers.operations.repair.verifying import differences

_Ledger = TypeVar("_Ledger", bound=MemoryLedger)

PARAMETERS = Parameters()
LIMIT = RateLimit(600, "minute")


def entry_of(response: Response) -> str:
    """Return the entry that owns a response."""
    return f"practice.responses.v1/{response.answered_at_us // 1000}-{response.response_id[:4]}"


async def load(
    ledger: RecordingLedger,
    key: LearnerKey,
    responses: Sequence[Response],
    *,
    earlier: bool = False,
) -> Loaded:
    """Load one learner from the ledger; `earlier` sends the request of a worker before rates."""
    touched = Touched(key, list(responses), arrivals=None if earlier else arrivals(responses))
    (loaded,) = await ledger.load([touched])
    return loaded


def folded(
    key: LearnerKey,
    state: Loaded,
    responses: Sequence[Response],
    *,
    earlier: bool = False,
    parameters: Parameters = PARAMETERS,
) -> Commit:
    """Fold responses onto a loaded state, and return the commit."""
    task = FoldTask(key, state.learner, list(responses), state.log, state.base)
    (learner_fold,) = fold([task], parameters)
    if earlier:
        return commit_of(learner_fold)
    came = arrivals(learner_fold.responses)
    entries = [entry_of(response) for response in learner_fold.responses]
    kept, ends = state.counts.after(counted(came)), interval_ends(state.responses, learner_fold)
    return Commit(learner_fold, entries, came, kept, ends)


def arrivals(responses: Sequence[Response]) -> list[Arrival]:
    """Make arrivals of responses that entered their stream when answered, counted by the minute."""
    moments = [response.answered_at_us // 1000 for response in responses]
    return [Arrival(entered_ms, LIMIT.window_of(entered_ms)) for entered_ms in moments]


def commit_of(folded: Folded) -> Commit:
    """Make a commit without arrivals, as a worker of an earlier version does."""
    return Commit(folded, [entry_of(response) for response in folded.responses])


async def commit(ledger: RecordingLedger, *commits: Commit) -> list[Committed | Conflict]:
    return await ledger.commit(list(commits))


async def record(
    ledger: RecordingLedger,
    key: LearnerKey,
    responses: Sequence[Response],
    parameters: Parameters = PARAMETERS,
) -> list[int]:
    """Load, fold and commit; check that the commit is applied, and return the versions."""
    commit_ = folded(key, await load(ledger, key, responses), responses, parameters=parameters)
    (answer,) = await ledger.commit([commit_])
    assert isinstance(answer, Committed)
    return answer.versions


def copier(ledger: _Ledger, logs: Mapping[LearnerKey, Sequence[Response]]) -> Callable[[], _Ledger]:
    """Record logs in a ledger, and return what makes a copy of it within a few milliseconds."""

    async def record_all() -> None:
        for key, log in logs.items():
            await record(ledger, key, log)

    asyncio.run(record_all())
    text = pickle.dumps(ledger)

    def copied() -> _Ledger:
        ledger: _Ledger = pickle.loads(text)  # noqa: S301  # our own bytes
        return ledger

    return copied


async def persist(
    ledger: RecordingLedger,
    key: LearnerKey,
    responses: Sequence[Response],
    *,
    earlier: bool = False,
    parameters: Parameters = PARAMETERS,
) -> int:
    """Load, fold and commit until it is applied; return the number of conflicts."""
    state, conflicts = await load(ledger, key, responses, earlier=earlier), 0
    while True:
        new = [response for response in responses if response.response_id not in state.recorded]
        if not new:
            return conflicts
        made = folded(key, state, new, earlier=earlier, parameters=parameters)
        (answer,) = await ledger.commit([made])
        if isinstance(answer, Committed):
            return conflicts
        state = await load(ledger, key, responses, earlier=earlier)
        conflicts += 1


async def stored(ledger: AuditLedger, key: LearnerKey) -> Stored:
    (learner,) = await ledger.stored([key])
    return learner


async def assert_stored(
    ledger: AuditLedger,
    key: LearnerKey,
    log: Sequence[Response],
    parameters: Parameters = PARAMETERS,
) -> Stored:
    """Check that everything stored of a learner is the result of this log, to the last bit."""
    learner = await stored(ledger, key)
    assert by_id(learner.log) == by_id(log)
    replayed = replay(log, parameters)
    assert list(differences(learner, replayed, parameters)) == []
    assert {row.concept_id: row.state for row in learner.concepts} == replayed.concepts
    assert {row.scale: row.state for row in learner.abilities} == replayed.abilities
    return learner


def by_id(log: Sequence[Response]) -> dict[str, Response]:
    return {response.response_id: response for response in log}


def recorded_of(commit_: Commit, versions: Sequence[int]) -> dict[str, Recorded]:
    """Return the ledger's expected answer for the responses of an applied commit."""
    learner_fold = commit_.folded
    return {
        response.response_id: Recorded(response, version, entry, document)
        for response, version, entry, document in zip(
            learner_fold.responses, versions, commit_.entries, documents(commit_), strict=True
        )
    }


def documents(commit_: Commit) -> list[dict[str, Any]]:
    """Return the outcomes of a commit after a round trip through JSON."""
    return [json.loads(json.dumps(outcome)) for outcome in commit_.outcomes]
