"""Recording a batch: load its learners, fold, commit, until no learner is in conflict."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import structlog

from contracts.rejections import RejectionCode
from workers.errors import Fatal, MasteryError, Refused, Unavailable
from workers.estimation.fold import Folded, Work, fold
from workers.estimation.learner import LearnerKey, Response
from workers.estimation.parameters import Parameters
from workers.intake.admission import Admitted
from workers.intake.raw_batch import RawEntry
from workers.ledger.outcomes import outcome_document
from workers.ledger.protocol import Commit, Committed, Ledger, Loaded, Recorded, Touched
from workers.meter import Meter
from workers.outlet.events import mastery_events
from workers.patience import Patience

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Result:
    """How an entry ended.

    Args:
        version: the learner's version it took: the order in which events are published.
        entry: the entry, now to be acknowledged.
        events: what its acknowledgement publishes; none for a repeat that another entry owns.
        refusal: why it is refused instead.
    """

    version: int
    entry: RawEntry
    events: Sequence[bytes] = ()
    refusal: Refused | None = None


@dataclass(slots=True)
class _Group:
    """The entries of one learner in a batch; the first entry with a response owns it."""

    key: LearnerKey
    owners: dict[str, Admitted] = field(default_factory=dict)


class Recorder:
    """Sees the admitted responses of a batch into the ledger, each exactly once.

    Args:
        ledger: the system of record.
        parameters: under which states are computed.
        patience: waits for the ledger while it is away.
        meter: counts.
        max_deliveries: tries of an entry alone after which it is poison.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        parameters: Parameters,
        patience: Patience,
        meter: Meter,
        max_deliveries: int,
    ) -> None:
        self._ledger = ledger
        self._parameters = parameters
        self._patience = patience
        self._meter = meter
        self._max_deliveries = max_deliveries

    async def record(self, stream: str, admitted: list[Admitted]) -> list[Result]:
        """Record a batch; if something unexpected happens, each of its entries alone."""
        try:
            return await self._record_together(stream, admitted)
        except (Fatal, Unavailable):
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, only its own entry pays for it
            _log.warning("batch_failed", entries=len(admitted), error=_described(error))
        results = []
        for one in admitted:
            results += await self._record_alone(stream, one)
        return results

    async def _record_alone(self, stream: str, one: Admitted) -> list[Result]:
        for attempt in range(1, self._max_deliveries + 1):
            try:
                return await self._record_together(stream, [one])
            except (Fatal, Unavailable):
                raise
            except Exception as error:  # noqa: BLE001  # counted, and named in the rejection
                reason = _described(error)
                _log.warning(
                    "entry_failed", entry_id=one.entry.entry_id, attempt=attempt, error=reason
                )
            await asyncio.sleep(0.05 * 2**attempt)
        refusal = Refused(
            RejectionCode.POISON,
            f"the event failed {self._max_deliveries} times when tried alone ({reason}): "
            "report it, and send it again once that is mended",
        )
        return [Result(0, one.entry, refusal=refusal)]

    async def _record_together(self, stream: str, admitted: list[Admitted]) -> list[Result]:
        groups, results = _grouped(admitted)
        touched = [Touched(g.key, [a.response for a in g.owners.values()]) for g in groups]
        with self._meter.stage("load"):
            loaded = await self._patience.until_answered(lambda: self._ledger.load(touched))
        pending = list(zip(groups, loaded, strict=True))
        while pending:
            works: list[Work] = []
            working: list[_Group] = []
            for group, state in pending:
                new = self._settle_recorded(stream, group, state, results)
                if new:
                    works.append(Work(group.key, state.learner, new, state.log))
                    working.append(group)
            if not works:
                break
            with self._meter.stage("fold"):
                folded = fold(works, self._parameters)
            commits = [
                Commit(
                    one, [self._name(stream, group.owners[r.response_id]) for r in one.responses]
                )
                for group, one in zip(working, folded, strict=True)
            ]
            with self._meter.stage("commit"):
                answers = await self._patience.until_answered(
                    lambda commits=commits: self._ledger.commit(commits)  # type: ignore[misc]
                )
            self._patience.answered("ledger")
            pending = []
            for group, work, one, answer in zip(working, works, folded, answers, strict=True):
                if isinstance(answer, Committed):
                    results += self._applied(group, work, one, answer)
                else:
                    pending.append((group, answer))
            self._meter.conflicts.inc(len(pending))
        return results

    def _settle_recorded(
        self, stream: str, group: _Group, state: Loaded, results: list[Result]
    ) -> list[Response]:
        """Settle the entries whose response is in the log; returns the new responses."""
        new = []
        for admitted in group.owners.values():
            recorded = state.recorded.get(admitted.response.response_id)
            if recorded is None:
                new.append(admitted.response)
            else:
                results.append(self._repeated(stream, admitted, recorded))
        return new

    def _repeated(self, stream: str, admitted: Admitted, recorded: Recorded) -> Result:
        if not _same(admitted.response, recorded.response):
            return Result(0, admitted.entry, refusal=_conflict(admitted, recorded.response))
        self._meter.duplicates.inc()
        if recorded.entry != self._name(stream, admitted):
            return Result(0, admitted.entry)
        # This very entry was applied, but its worker went away before it was acknowledged.
        events = mastery_events(admitted, recorded.version, recorded.outcome)
        return Result(recorded.version, admitted.entry, events)

    def _applied(
        self, group: _Group, work: Work, folded: Folded, committed: Committed
    ) -> Iterator[Result]:
        last = work.learner.last
        self._meter.applied.inc(len(folded.responses))
        self._meter.late.inc(sum(last is not None and r.position < last for r in folded.responses))
        for response, outcome, version in zip(
            folded.responses, folded.outcomes, committed.versions, strict=True
        ):
            owner = group.owners[response.response_id]
            document = outcome_document(response, outcome)
            yield Result(version, owner.entry, mastery_events(owner, version, document))

    @staticmethod
    def _name(stream: str, admitted: Admitted) -> str:
        return f"{stream}/{admitted.entry.entry_id}"


def _grouped(admitted: list[Admitted]) -> tuple[list[_Group], list[Result]]:
    """Sort a batch by learner; an entry that repeats another one's response is settled here."""
    groups: dict[LearnerKey, _Group] = {}
    results = []
    for one in admitted:
        group = groups.get(one.key)
        if group is None:
            group = groups[one.key] = _Group(one.key)
        owner = group.owners.setdefault(one.response.response_id, one)
        if owner is one:
            continue
        same = _same(one.response, owner.response)
        refusal = None if same else _conflict(one, owner.response)
        results.append(Result(0, one.entry, refusal=refusal))
    return list(groups.values()), results


def _same(one: Response, other: Response) -> bool:
    return one._replace(concept_ids=()) == other._replace(concept_ids=()) and set(
        one.concept_ids
    ) == set(other.concept_ids)


def _conflict(admitted: Admitted, known: Response) -> Refused:
    response = admitted.response
    differing = [
        name for name in Response._fields if getattr(response, name) != getattr(known, name)
    ]
    name = differing[0].removesuffix("_us")
    return Refused(
        RejectionCode.CONFLICT,
        f"data.response.response_id {response.response_id} is known with another "
        f"{', '.join(d.removesuffix('_us') for d in differing)}: make a new response_id for each answer",
        f"data.response.{name}",
    )


def _described(error: Exception) -> str:
    text = (
        f"{type(error).__name__}: {error}"
        if isinstance(error, MasteryError)
        else type(error).__name__
    )
    return text[:300]
