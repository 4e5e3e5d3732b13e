"""Recording a batch: load its learners, fold, commit, until no learner is in conflict."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

from contracts.rejections import RejectionCode
from contracts.responses import ResponseRecorded
from workers.errors import Refused
from workers.estimation.fold import Work, fold
from workers.estimation.learner import LearnerKey, Response
from workers.estimation.parameters import Parameters
from workers.intake.admission import Admitted
from workers.intake.raw_batch import RawEntry
from workers.ledger.protocol import Commit, Committed, Ledger, Loaded, Recorded, Touched
from workers.meter import Meter
from workers.outlet.events import mastery_events
from workers.patience import Impatience, Patience


@dataclass(slots=True)
class Result:
    """How an entry ended.

    Args:
        version: the learner's version it took: the order in which events are published.
        entry: the entry, now to be acknowledged.
        events: what its acknowledgement publishes; none for a repeat that another entry owns.
        refusal: why it is refused instead.
        event: what the entry says, if that could be read.
        tenant_id: whose it is, if that is known.
    """

    version: int
    entry: RawEntry
    events: Sequence[bytes] = ()
    refusal: Refused | None = None
    event: ResponseRecorded | None = None
    tenant_id: str | None = None

    @classmethod
    def of(
        cls,
        admitted: Admitted,
        *,
        version: int = 0,
        events: Sequence[bytes] = (),
        refusal: Refused | None = None,
    ) -> Self:
        """How an admitted entry ended."""
        return cls(version, admitted.entry, events, refusal, admitted.event, admitted.key.tenant_id)


@dataclass(slots=True)
class _Group:
    """The entries of one learner in a batch that are not settled yet, by response.

    Of a new response the first entry becomes the owner. Of one in the log any of them may be the
    owner: each is compared with what the log says, and none with another.
    """

    key: LearnerKey
    entries: dict[str, list[Admitted]] = field(default_factory=dict)

    def responses(self) -> list[Response]:
        """Of each response what its first entry says."""
        return [first.response for first, *_ in self.entries.values()]


class Recorder:
    """Sees the admitted responses of a batch into the ledger, each exactly once.

    Args:
        ledger: the system of record.
        parameters: under which states are computed.
        patience: waits for the ledger while it is away.
        meter: counts.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        parameters: Parameters,
        patience: Patience,
        meter: Meter,
    ) -> None:
        self._ledger = ledger
        self._parameters = parameters
        self._patience = patience
        self._meter = meter

    def impatient(self) -> "Recorder":
        """The same, but raising `LedgerUnavailable` instead of waiting."""
        return Recorder(
            ledger=self._ledger,
            parameters=self._parameters,
            patience=Impatience(),
            meter=self._meter,
        )

    async def ping(self) -> None:
        """Return if the ledger answers.

        Raises:
            LedgerUnavailable: it does not.
        """
        await self._ledger.ping()

    async def record(
        self,
        stream: str,
        admitted: Sequence[Admitted],
        before_commit: Callable[[], Awaitable[None]],
    ) -> list[Result]:
        """Record a batch.

        Args:
            stream: where the entries came from.
            admitted: the entries.
            before_commit: awaited before each commit.

        Raises:
            Fatal: the ledger refuses us; no entry is at fault.
            Exception: anything unexpected is the fault of one of the entries.
        """
        pending = await self._load(_grouped(admitted))
        results: list[Result] = []
        while pending:
            working: list[tuple[_Group, Work]] = []
            for group, state in pending:
                results += self._settle_recorded(stream, group, state)
                if new := group.responses():
                    working.append((group, Work(group.key, state.learner, new, state.log)))
            if not working:
                break
            with self._meter.stage("fold"):
                folded = fold([work for _, work in working], self._parameters)
            commits = [
                Commit(
                    one,
                    [self._name(stream, group.entries[r.response_id][0]) for r in one.responses],
                )
                for (group, _), one in zip(working, folded, strict=True)
            ]
            await before_commit()
            answers = await self._commit(commits)
            pending = []
            for (group, work), commit, answer in zip(working, commits, answers, strict=True):
                if isinstance(answer, Committed):
                    results += self._settle_applied(stream, group, work, commit, answer)
                else:
                    pending.append((group, answer))
            self._meter.conflicts.inc(len(pending))
        return results

    async def _load(self, groups: list[_Group]) -> list[tuple[_Group, Loaded]]:
        version = self._parameters.version
        touched = [Touched(group.key, group.responses(), version) for group in groups]
        with self._meter.stage("load"):
            loaded = await self._patience.until_answered(lambda: self._ledger.load(touched))
        return list(zip(groups, loaded, strict=True))

    async def _commit(self, commits: list[Commit]) -> list[Committed | Loaded]:
        with self._meter.stage("commit"):
            return await self._patience.until_answered(lambda: self._ledger.commit(commits))

    def _settle_recorded(self, stream: str, group: _Group, state: Loaded) -> list[Result]:
        """Settle the entries whose response is in the log already."""
        results = [
            self._settled(stream, admitted, recorded)
            for response_id, recorded in state.recorded.items()
            for admitted in group.entries.pop(response_id)
        ]
        self._meter.duplicates.inc(sum(one.refusal is None for one in results))
        return results

    def _settle_applied(
        self, stream: str, group: _Group, work: Work, commit: Commit, committed: Committed
    ) -> list[Result]:
        """Settle the entries whose response this commit brought into the log."""
        results = []
        responses = commit.folded.responses
        for one in zip(responses, committed.versions, commit.entries, commit.outcomes, strict=True):
            recorded = Recorded(*one)
            results += [
                self._settled(stream, admitted, recorded)
                for admitted in group.entries.pop(recorded.response.response_id)
            ]
        last, applied = work.learner.last, len(responses)
        self._meter.applied.inc(applied)
        self._meter.late.inc(sum(last is not None and r.position < last for r in responses))
        self._meter.duplicates.inc(sum(one.refusal is None for one in results) - applied)
        return results

    def _settled(self, stream: str, admitted: Admitted, recorded: Recorded) -> Result:
        """How an entry ends whose response is in the log: only the owner's publishes.

        The owner may come again, if its worker went away before it was acknowledged: its events
        are made of the stored outcome, and are the same.
        """
        if not _same(admitted.response, recorded.response):
            return Result.of(admitted, refusal=_conflict(admitted, recorded.response))
        if recorded.entry != self._name(stream, admitted):
            return Result.of(admitted)
        events = mastery_events(admitted, recorded.version, recorded.outcome)
        return Result.of(admitted, version=recorded.version, events=events)

    @staticmethod
    def _name(stream: str, admitted: Admitted) -> str:
        return f"{stream}/{admitted.entry.first_id}"


def _grouped(admitted: Sequence[Admitted]) -> list[_Group]:
    """Sort a batch by learner and response, in the order of its entries."""
    groups: dict[LearnerKey, _Group] = {}
    for one in admitted:
        group = groups.setdefault(one.key, _Group(one.key))
        group.entries.setdefault(one.response.response_id, []).append(one)
    return list(groups.values())


def _same(one: Response, other: Response) -> bool:
    return one == other or _in_any_order(one) == _in_any_order(other)


def _in_any_order(response: Response) -> Response:
    """The order in which an answer names its concepts means nothing."""
    return response._replace(concept_ids=tuple(sorted(response.concept_ids)))


def _conflict(admitted: Admitted, known: Response) -> Refused:
    sent, stored = _in_any_order(admitted.response), _in_any_order(known)
    differing = [
        name.removesuffix("_us")
        for name in Response._fields
        if getattr(sent, name) != getattr(stored, name)
    ]
    return Refused(
        RejectionCode.CONFLICT,
        f"data.response.response_id {known.response_id} is known with another "
        f"{', '.join(differing)}: make a new response_id for each answer",
        f"data.response.{differing[0]}",
    )
