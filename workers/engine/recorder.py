"""Recording a batch: load its learners, fold, commit, until no learner is in conflict."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Self

from contracts.rejections import RejectionCode
from contracts.responses import ResponseRecorded
from workers.admission.admission import Admitted
from workers.common.errors import LedgerRefused, Refused
from workers.common.rate_limit import RateLimit
from workers.common.retrying import Impatience, Patience
from workers.engine.folding import fold_in_turns
from workers.engine.rate_limiting import Allotment, Entries, allot, arrival_of, counted, over_limit
from workers.engine.registry import Registry
from workers.estimation.fold import Folded, Work
from workers.estimation.learner import LearnerKey, Response
from workers.estimation.parameters import Parameters
from workers.ledger.exchange import Commit, Committed, Erasure, Loaded, Recorded, Touched
from workers.ledger.parameter_versions import Versions, versions_of
from workers.ledger.parameters import BUILT_IN
from workers.ledger.recording import RecordingLedger
from workers.metrics.meter import Meter
from workers.publishing.mastery_events import mastery_events
from workers.streams.batch import RawEntry


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
    entries: Entries = field(default_factory=dict)
    over: list[Admitted] = field(default_factory=list)
    """Those that the rate does not let through, if what was loaded is still so."""
    later: Entries = field(default_factory=dict)
    """Those to be judged once the ones over are settled."""

    def divide(self, allotment: Allotment) -> None:
        """Set apart what the rate does not let through."""
        self.entries, self.over, self.later = allotment

    def unite(self) -> bool:
        """Take back what was set apart; returns whether anything was."""
        apart = bool(self.over)
        for one in reversed(self.over):
            name = one.response.response_id
            self.entries[name] = [one, *self.later.pop(name, [])]
        self.over = []
        return apart

    def responses(self) -> list[Response]:
        """Of each response what its first entry says."""
        return [first.response for first, *_ in self.entries.values()]


class Recorder:
    """Sees the admitted responses of a batch into the ledger, each exactly once.

    Args:
        ledger: the system of record.
        parameters: under which states are computed; of those of a ledger the active ones, which
            each of its answers names.
        patience: waits for the ledger while it is away.
        meter: counts.
        rate_limit: how many responses of a learner are let through; None: all.
        registry: knows which items and concepts are registered; None: any will do.
    """

    def __init__(
        self,
        *,
        ledger: RecordingLedger,
        parameters: Parameters | Versions,
        patience: Patience,
        meter: Meter,
        rate_limit: RateLimit | None = None,
        registry: Registry | None = None,
    ) -> None:
        self._ledger = ledger
        self._versions = versions_of(parameters)
        self._patience = patience
        self._meter = meter
        self._rate_limit = rate_limit
        self._registry = registry

    def impatient(self) -> "Recorder":
        """The same, but raising `LedgerUnavailable` instead of waiting."""
        return Recorder(
            ledger=self._ledger,
            parameters=self._versions,
            patience=Impatience(),
            meter=self._meter,
            rate_limit=self._rate_limit,
            registry=self._registry,
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
        await self._look_up(admitted)
        pending = await self._load(_grouped(admitted))
        results: list[Result] = []
        while pending:
            pending, parameters = await self._of_one_version(pending)
            working: list[tuple[_Group, Loaded, Work]] = []
            again: list[_Group] = []
            for group, state in pending:
                if state.erasure is not None:
                    gone = self._settle_erased(group, state.erasure)
                    results += gone
                    if gone:
                        # What is left of a response may say something else than its first entry.
                        again.append(group)
                        continue
                results += self._settle_recorded(stream, group, state)
                results += self._settle_unregistered(group)
                group.divide(allot(group.entries, state.counts, self._rate_limit))
                if new := group.responses():
                    work = Work(group.key, state.learner, new, state.log)
                    working.append((group, state, work))
                else:
                    results += self._settle_over(group, again)
            if not working:
                pending = await self._load([group for group in again if group.entries])
                continue
            with self._meter.stage("fold"):
                folded = await fold_in_turns([work for _, _, work in working], parameters)
            commits = [
                self._commit_of(stream, group, state, one)
                for (group, state, _), one in zip(working, folded, strict=True)
            ]
            await before_commit()
            answers = await self._commit(commits)
            pending = []
            conflicts = 0
            for (group, _, work), commit, answer in zip(working, commits, answers, strict=True):
                if isinstance(answer, Committed):
                    results += self._settle_applied(stream, group, work, commit, answer)
                    results += self._settle_over(group, again)
                    continue
                conflicts += 1
                if group.unite():
                    again.append(group)  # the answer tells nothing of those
                else:
                    pending.append((group, answer))
            self._meter.conflicts.inc(conflicts)
            pending += await self._load([group for group in again if group.entries])
        return results

    def _commit_of(self, stream: str, group: _Group, state: Loaded, folded: Folded) -> Commit:
        owners = [group.entries[response.response_id][0] for response in folded.responses]
        arrivals = [arrival_of(one, self._rate_limit) for one in owners]
        added = counted(arrivals)
        return Commit(
            folded,
            [self._name(stream, one) for one in owners],
            arrivals,
            state.counts.after(added) if added else None,
        )

    async def _look_up(self, admitted: Sequence[Admitted]) -> None:
        registry = self._registry
        if registry is not None:
            await self._patience.until_answered(lambda: registry.look_up(admitted))

    async def _load(self, groups: list[_Group]) -> list[tuple[_Group, Loaded]]:
        if not groups:
            return []
        limit, version = self._rate_limit, self._versions.active.version
        touched = [
            Touched(
                group.key,
                group.responses(),
                version,
                [arrival_of(first, limit) for first, *_ in group.entries.values()],
            )
            for group in groups
        ]
        with self._meter.stage("load"):
            loaded = await self._patience.until_answered(lambda: self._ledger.load(touched))
        return list(zip(groups, loaded, strict=True))

    async def _of_one_version(
        self, pending: list[tuple[_Group, Loaded]]
    ) -> tuple[list[tuple[_Group, Loaded]], Parameters]:
        """What was loaded, and the parameters that were active then.

        Answers between which another version was activated are asked for anew: a log is only in
        those by which the state is under another version.
        """
        while len(named := {state.active_version for _, state in pending}) > 1:
            pending = await self._load([group for group, _ in pending])
        (active,) = named
        if active is None:
            # A schema that does not know what states under others are made of: half would be lost.
            if self._versions.active.version != BUILT_IN:
                raise LedgerRefused(
                    "mastery_load names no active version, and version "
                    f"{self._versions.active.version} is: run `mastery migrate up`"
                )
            return pending, self._versions.active
        reach = partial(self._versions.switch_to, active)
        return pending, await self._patience.until_answered(reach)

    async def _commit(self, commits: list[Commit]) -> list[Committed | Loaded]:
        with self._meter.stage("commit"):
            return await self._patience.until_answered(lambda: self._ledger.commit(commits))

    @staticmethod
    def _settle_erased(group: _Group, erasure: Erasure) -> list[Result]:
        """Settle what the erasure of its learner leaves nothing to do about.

        What entered before it ends as nothing: a dead letter would keep what was erased.
        """
        results = []
        for name, entries in list(group.entries.items()):
            left = []
            for one in entries:
                if arrival_of(one, None).entered_ms <= erasure.until_ms:
                    results.append(Result.of(one))
                elif erasure.refuse:
                    results.append(Result.of(one, refusal=_erased()))
                else:
                    left.append(one)
            group.entries[name] = left
            if not left:
                del group.entries[name]
        return results

    def _settle_unregistered(self, group: _Group) -> list[Result]:
        """Settle what is new and names an item or a concept that nobody has registered."""
        if self._registry is None:
            return []
        results = []
        for name, entries in list(group.entries.items()):
            left = []
            for one in entries:
                if refusal := self._registry.refusal(one):
                    results.append(Result.of(one, refusal=refusal))
                else:
                    left.append(one)
            group.entries[name] = left
            if not left:
                del group.entries[name]
        return results

    def _settle_over(self, group: _Group, again: list[_Group]) -> list[Result]:
        """Settle what the rate does not let through: what was loaded is proven to be so."""
        if self._rate_limit is None or not group.over:
            return []
        results = [Result.of(one, refusal=over_limit(one, self._rate_limit)) for one in group.over]
        group.divide(Allotment(group.later, [], {}))
        again.append(group)
        return results

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
        self._meter.predicted(responses, commit.folded.outcomes)
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


def _erased() -> Refused:
    return Refused(
        RejectionCode.FORBIDDEN,
        "data.response.student_id is that of a learner who was erased, and whose later responses "
        "are refused: publish none, or let `mastery learner erase` run without --refuse",
        "data.response.student_id",
    )


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
