"""Steps of tests that repair a learner: correct, look at what is stored, read what is told."""

from collections.abc import Sequence
from typing import Any

from contracts.mastery import MasteryData
from tests.support.ledger_steps import PARAMETERS, record
from workers.estimation.learner import LearnerKey, Response
from workers.estimation.replay import replay
from workers.ledger.memory.ledger import MemoryLedger
from workers.ledger.repair import Rewrite
from workers.ledger.rows import Stored
from workers.operations.repair.correcting import Corrected, Corrector, Verdict
from workers.operations.repair.verifying import differences

KEY = LearnerKey("school-7", "student-42")
VOID = Verdict("void", "cheated")


async def ledger_with(log: Sequence[Response], *keys: LearnerKey) -> MemoryLedger:
    ledger = MemoryLedger()
    for key in keys or (KEY,):
        await record(ledger, key, log)
    return ledger


async def correct(
    ledger: MemoryLedger, verdict: Verdict, *responses: Response, dry_run: bool = False
) -> list[Corrected]:
    corrector = Corrector(ledger=ledger, parameters=PARAMETERS, verdict=verdict, dry_run=dry_run)
    return await corrector.correct((KEY, response.response_id) for response in responses)


async def stored(ledger: MemoryLedger, key: LearnerKey = KEY) -> Stored:
    (learner,) = await ledger.stored([key])
    return learner


async def assert_counts(ledger: MemoryLedger, log: Sequence[Response]) -> Stored:
    learner = await stored(ledger)
    assert list(differences(learner, replay(log, PARAMETERS), PARAMETERS)) == []
    return learner


async def told(ledger: MemoryLedger) -> list[dict[str, Any]]:
    """Data of what waits to be told, valid by the contract."""
    waiting = await ledger.pending_changes()
    await ledger.forget_changes([pending_change.number for pending_change in waiting])
    events = []
    for pending_change in waiting:
        data = {
            **pending_change.key._asdict(),
            **pending_change.change.data,
            "version": pending_change.version,
        }
        MasteryData.model_validate(data)
        assert pending_change.change.concept_id == data["concept_id"]
        events.append(data)
    return events


class Overtaken(MemoryLedger):
    """Somebody else commits just before each of the first rewrites."""

    def __init__(self, *late: Response) -> None:
        super().__init__()
        self.late = list(late)

    async def rewrite(self, rewrites: Sequence[Rewrite]) -> list[int | None]:
        if self.late:
            await record(self, KEY, [self.late.pop()])
        return await super().rewrite(rewrites)
