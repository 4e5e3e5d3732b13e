"""Settle entries by what the ledger holds: recorded, erased, unregistered, over the rate limit."""

from collections.abc import Callable, Sequence

from workers.admission.verdicts import Admitted
from workers.common.rate_limit import RateLimit
from workers.engine.group import LearnerGroup, owner_name
from workers.engine.rate_limiting import arrival_of, over_limit, split_by_limit
from workers.engine.refusals import conflicting_content, learner_erased, same_content
from workers.engine.registered_names import Registry
from workers.ledger.exchange import Commit, Committed, Conflict, Erasure, Recorded
from workers.metrics.meter import Meter
from workers.publishing.settled import Settled


class Settling:
    """Settles the entries of loaded and committed learners, and takes them out of their groups.

    Args:
        rate_limit: the most responses of a learner in a window; None: no limit.
        registry: knows the registered items and concepts; None: any may be used.
        meter: counts applied, late and repeated responses and conflicts.
    """

    def __init__(
        self, rate_limit: RateLimit | None, registry: Registry | None, meter: Meter
    ) -> None:
        self._rate_limit = rate_limit
        self._registry = registry
        self._meter = meter

    def loaded(
        self, stream: str, groups: Sequence[LearnerGroup]
    ) -> tuple[list[Settled], list[LearnerGroup], list[LearnerGroup]]:
        """Settle what needs no fold.

        Returns:
            The settled entries, the learners with new responses to fold, and those to load again.
        """
        settled: list[Settled] = []
        ready: list[LearnerGroup] = []
        again: list[LearnerGroup] = []
        for group in groups:
            erasure = group.state.erasure
            if erasure is not None and (gone := _settle_erased(group, erasure)):
                settled += gone
                # The entries left of a response may differ from its first one, which was asked for.
                _load_again(group, again)
                continue
            settled += self._settle_recorded(stream, group)
            settled += self._settle_unregistered(group)
            # The cache gives states only to learners within the limit.
            if not group.state.from_cache:
                group.set_apart(split_by_limit(group.entries, group.state.counts, self._rate_limit))
            if group.entries:
                ready.append(group)
            else:
                settled += self._settle_over(group, again)
        return settled, ready, again

    def committed(
        self,
        stream: str,
        groups: Sequence[LearnerGroup],
        commits: Sequence[Commit],
        answers: Sequence[Committed | Conflict],
    ) -> tuple[list[Settled], list[LearnerGroup]]:
        """Settle what was committed.

        Returns:
            The settled entries, and the learners to load again: those with entries left, and those
            that another worker changed meanwhile.
        """
        settled: list[Settled] = []
        over: list[Settled] = []
        again: list[LearnerGroup] = []
        applied: list[Commit] = []
        late = 0
        for group, commit, answer in zip(groups, commits, answers, strict=True):
            if not isinstance(answer, Committed):
                _load_again(group, again)
                continue
            applied.append(commit)
            settled += _settle_applied(stream, group, commit, answer)
            if commit.folded.changed_from is not None:
                last = group.state.learner.last
                late += sum(last is not None and r.position < last for r in commit.folded.responses)
            over += self._settle_over(group, again)
        self._meter.conflicts.inc(len(commits) - len(applied))
        self._meter.late.inc(late)
        self._count(applied, sum(settled_entry.refusal is None for settled_entry in settled))
        return settled + over, again

    def _count(self, applied: Sequence[Commit], entries: int) -> None:
        """Count the responses of applied commits, whose entries have the same content."""
        responses = sum(len(commit.folded.responses) for commit in applied)
        self._meter.applied.inc(responses)
        self._meter.duplicates.inc(entries - responses)
        # The predictions that are watched are those of the active parameters.
        watched = [c.folded for c in applied if c.parameters_version == c.taken_as_active]
        self._meter.predicted(
            [response for folded in watched for response in folded.responses],
            [outcome for folded in watched for outcome in folded.outcomes],
        )
        for commit in applied:
            self._meter.touched(commit.folded.key)

    def _settle_recorded(self, stream: str, group: LearnerGroup) -> list[Settled]:
        """Settle the entries of responses that were in the log already."""
        settled = [
            _settle(stream, admitted, recorded)
            for response_id, recorded in group.state.recorded.items()
            for admitted in group.entries.pop(response_id)
        ]
        self._meter.duplicates.inc(sum(settled_entry.refusal is None for settled_entry in settled))
        return settled

    def _settle_unregistered(self, group: LearnerGroup) -> list[Settled]:
        """Settle new responses to an item or with a concept that is not registered."""
        registry = self._registry
        if registry is None:
            return []

        def unregistered(admitted: Admitted) -> Settled | None:
            refusal = registry.refusal(admitted)
            return None if refusal is None else Settled.of(admitted, refusal=refusal)

        return _take(group, unregistered)

    def _settle_over(self, group: LearnerGroup, again: list[LearnerGroup]) -> list[Settled]:
        """Settle the entries over the rate limit: the ledger proved the counts current."""
        limit = self._rate_limit
        if limit is None or not group.over:
            return []
        settled = [
            Settled.of(admitted, refusal=over_limit(admitted, limit)) for admitted in group.over
        ]
        group.entries, group.over, group.later = group.later, [], {}
        _load_again(group, again)
        return settled


def _settle_applied(
    stream: str, group: LearnerGroup, commit: Commit, committed: Committed
) -> list[Settled]:
    """Settle the entries of responses that this commit brought into the log."""
    settled = []
    for fields in zip(
        commit.folded.responses, committed.versions, commit.entries, commit.outcomes, strict=True
    ):
        recorded = Recorded(*fields)
        settled += [
            _settle(stream, admitted, recorded)
            for admitted in group.entries.pop(recorded.response.response_id)
        ]
    return settled


def _settle_erased(group: LearnerGroup, erasure: Erasure) -> list[Settled]:
    """Settle the entries that the learner's erasure covers.

    An entry from before it is only acknowledged: a dead letter would keep what was erased.
    """

    def erased(admitted: Admitted) -> Settled | None:
        if arrival_of(admitted, None).entered_ms <= erasure.until_ms:
            return Settled.of(admitted)
        return Settled.of(admitted, refusal=learner_erased()) if erasure.refuse else None

    return _take(group, erased)


def _take(group: LearnerGroup, settle: Callable[[Admitted], Settled | None]) -> list[Settled]:
    """Settle entries one by one; those for which `settle` returns None stay in the group."""
    settled = []
    for name, entries in list(group.entries.items()):
        left = []
        for admitted in entries:
            if (settled_entry := settle(admitted)) is None:
                left.append(admitted)
            else:
                settled.append(settled_entry)
        if left:
            group.entries[name] = left
        else:
            del group.entries[name]
    return settled


def _load_again(group: LearnerGroup, again: list[LearnerGroup]) -> None:
    """Ask for a learner's state anew, if entries are left."""
    group.forget_state()
    if group.entries:
        again.append(group)


def _settle(stream: str, admitted: Admitted, recorded: Recorded) -> Settled:
    """Settle an entry whose response is in the log: only its owner publishes.

    The owner may come again if its worker died before the acknowledgement: its events follow from
    the stored outcome, so they are the same.
    """
    if not same_content(admitted.response, recorded.response):
        return Settled.of(admitted, refusal=conflicting_content(admitted, recorded.response))
    if recorded.entry != owner_name(stream, admitted):
        return Settled.of(admitted, repeated=recorded)
    return Settled.of(admitted, recorded=recorded)
