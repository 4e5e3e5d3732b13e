"""The steps of a batch that need the ledger: load, fold, commit."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from workers.admission.verdicts import Admitted
from workers.common.errors import LedgerTooSlow
from workers.common.halving import halving
from workers.common.rate_limit import RateLimit
from workers.common.retrying import NoRetry, Retrying
from workers.engine.earlier_versions import EarlierVersions
from workers.engine.folding import fold_by_version, replay_in_turns
from workers.engine.group import LearnerGroup, owner_name
from workers.engine.learner_cache import LearnerCache
from workers.engine.rate_limiting import arrival_of, counted, over_in
from workers.engine.registered_names import Registry
from workers.engine.settling import Settling
from workers.estimation.fold import Folded, FoldTask
from workers.estimation.learner import LearnerKey, Position
from workers.estimation.parameters import Parameters
from workers.estimation.snapshots import crosses
from workers.ledger.exchange import (
    MOST_ANSWERS,
    Commit,
    Committed,
    Conflict,
    Loaded,
    LogPage,
    Touched,
)
from workers.ledger.parameter_versions import Versions, versions_of
from workers.ledger.recording import RecordingLedger
from workers.metrics.meter import Meter

_PAGE: Final = 1_000
"""Stored answers that a replay of a long log reads at once: some 10 ms in the ledger."""


class Recorder:
    """Records the admitted responses of a batch, each exactly once.

    Every step raises `Fatal` if the ledger refuses us; then no entry is at fault. Anything
    unexpected is the fault of one of the entries.

    Args:
        ledger: the system of record.
        parameters: the active parameters; every ledger answer names their version.
        retrying: waits for the ledger while it is away.
        meter: counts, and measures each step.
        rate_limit: the most responses of a learner in a window; None: no limit.
        registry: knows the registered items and concepts; None: any may be used.
        cache: keeps states, so that most loads are skipped.

    Attributes:
        settling: settles entries by what the ledger answers.
    """

    def __init__(
        self,
        *,
        ledger: RecordingLedger,
        parameters: Parameters | Versions,
        retrying: Retrying,
        meter: Meter,
        rate_limit: RateLimit | None = None,
        registry: Registry | None = None,
        cache: LearnerCache | None = None,
    ) -> None:
        self._ledger = ledger
        self._versions = versions_of(parameters)
        self._retrying = retrying
        self._meter = meter
        self._rate_limit = rate_limit
        self._registry = registry
        self._cache = cache or LearnerCache()
        self._earlier = EarlierVersions(self._versions, retrying)
        self.settling = Settling(rate_limit, registry, meter)

    def without_retry(self) -> "Recorder":
        """Return the same recorder, but raising `LedgerUnavailable` instead of waiting."""
        return Recorder(
            ledger=self._ledger,
            parameters=self._versions,
            retrying=NoRetry(),
            meter=self._meter,
            rate_limit=self._rate_limit,
            registry=self._registry,
            cache=self._cache,
        )

    async def ping(self) -> None:
        """Return if the ledger answers.

        Raises:
            LedgerUnavailable: it does not.
        """
        await self._ledger.ping()

    async def look_up(self, admitted: Sequence[Admitted]) -> None:
        """Look up the items and concepts of a batch, if they must be registered."""
        registry = self._registry
        if registry is not None and admitted:
            await self._retrying.call(lambda: registry.look_up(admitted))

    async def load(self, groups: Sequence[LearnerGroup], *, ahead: bool = False) -> Parameters:
        """Load the learners that are not loaded, and return the parameters active for all.

        If another version was activated in between, all are loaded again: an answer holds a
        learner's log only if the state is not under the version active then.

        Args:
            groups: the learners; one that takes too long alone is marked as slow, and not loaded.
            ahead: True while an earlier batch may not be committed yet: its states are taken from
                the cache, and learners of whom a part is unknown are not loaded.
        """
        # Without its log a learner who took too long may load in time.
        most_answers = 0 if any(group.slow for group in groups) else MOST_ANSWERS
        await self._load(self._not_in_cache(groups, ahead=ahead), most_answers)
        while len(active := {g.state.active_version for g in groups if g.loaded is not None}) > 1:
            for group in groups:
                group.forget_state()
            await self._load(self._to_load(groups, ahead=ahead), most_answers)
        if not active:
            return self._versions.active
        (version,) = active
        return await self._retrying.call(lambda: self._versions.switch_to(version))

    async def keep_versions(self, groups: Sequence[LearnerGroup], parameters: Parameters) -> None:
        """Keep learners under an earlier version if their logs are too long for a batch.

        Args:
            groups: loaded learners with new responses.
            parameters: the active ones.
        """
        for group in groups:
            await self._earlier.keep(group, parameters)

    async def replay(self, group: LearnerGroup, parameters: Parameters) -> None:
        """Replay a learner's log page by page.

        If the learner changes meanwhile, its state is forgotten, and has to be loaded again.
        """
        version, replay = group.state.learner.version, self._task(group).begin_replay(parameters)
        after, limit = replay.learner.last, _PAGE
        while True:
            try:
                page = await self._page(group.key, after, limit)
            except _PageTooLong:
                limit = max(1, limit // 2)
                continue
            if page.version != version:
                group.forget_state()
                return
            await replay_in_turns(replay, page.answers)
            if page.last is None:
                group.replayed = replay
                return
            after = page.last

    async def fold(
        self, stream: str, groups: Sequence[LearnerGroup], parameters: Parameters
    ) -> list[Commit]:
        """Fold the new responses of loaded learners; return what to commit, in the same order."""
        with self._meter.stage("fold"):
            folded = await fold_by_version(
                [self._task(group) for group in groups],
                [group.parameters or parameters for group in groups],
            )
        commits = [
            self._commit_of(stream, group, result)
            for group, result in zip(groups, folded, strict=True)
        ]
        for commit in commits:
            self._cache.keep_folded(commit)
        return commits

    @contextmanager
    def giving_up(self, commits: Sequence[Commit]) -> Iterator[None]:
        """Forget the states of commits if these are not answered."""
        try:
            yield
        except BaseException:
            for commit in commits:
                self._cache.settle(commit)
            raise

    async def commit(self, commits: Sequence[Commit]) -> list[Committed | Conflict]:
        """Commit in one transaction; in smaller ones if it takes too long.

        Earlier batches must be committed. A commit whose state was never stored is a conflict.
        """
        with self._meter.stage("commit"):
            possible = [commit for commit in commits if commit.follow()]
            answered = iter(
                await halving(self._ledger.commit, possible, self._retrying) if possible else ()
            )
        answers: list[Committed | Conflict] = []
        for commit in commits:
            answer = next(answered) if commit.after is None else Conflict()
            if isinstance(answer, Committed):
                commit.version = answer.versions[-1]
            self._cache.settle(commit)
            answers.append(answer)
        return answers

    def _not_in_cache(self, groups: Sequence[LearnerGroup], *, ahead: bool) -> list[LearnerGroup]:
        """Give learners their states from the cache; return those that have to be loaded.

        The cache does not prove rate counts, so a learner over the limit is loaded.
        """
        missing, limit = [], self._rate_limit
        for group in groups:
            if group.loaded is None:
                loaded = self._cache.loaded(
                    group.key, group.responses(), self._versions.active.version, ahead=ahead
                )
                if loaded is None or over_in(group.entries, loaded.counts, limit):
                    missing.append(group)
                else:
                    group.loaded = loaded
        return self._to_load(missing, ahead=ahead)

    def _to_load(self, groups: Sequence[LearnerGroup], *, ahead: bool) -> list[LearnerGroup]:
        """Return the learners whose stored state will not change before they are folded."""
        return [group for group in groups if not (ahead and self._cache.in_flight(group.key))]

    async def _load(self, groups: Sequence[LearnerGroup], most_answers: int) -> None:
        if not groups:
            return
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

        async def request(some: Sequence[Touched]) -> list[Loaded | None]:
            return list(await self._ledger.load(some, most_answers))

        with self._meter.stage("load"):
            answers = await halving(request, touched, self._retrying, too_slow=lambda _: None)
        for group, loaded in zip(groups, answers, strict=True):
            # During an erasure nothing can be committed: the learner waits, as one who is slow.
            group.slow = loaded is None or loaded.erasing
            group.loaded = None if group.slow else loaded
            if group.loaded is not None:
                self._cache.keep_loaded(group.key, group.loaded)

    async def _page(self, key: LearnerKey, after: Position | None, limit: int) -> LogPage:
        async def request() -> LogPage:
            try:
                return await self._ledger.log_page(key, after, limit)
            except LedgerTooSlow as error:
                if limit == 1:
                    raise
                raise _PageTooLong from error

        return await self._retrying.call(request)

    @staticmethod
    def _task(group: LearnerGroup) -> FoldTask:
        state = group.state
        return FoldTask(
            group.key, state.learner, group.responses(), state.log, state.base, group.replayed
        )

    def _commit_of(self, stream: str, group: LearnerGroup, folded: Folded) -> Commit:
        state = group.state
        owners = [group.entries[response.response_id][0] for response in folded.responses]
        arrivals = [arrival_of(owner, self._rate_limit) for owner in owners]
        added = counted(arrivals)
        return Commit(
            folded,
            [owner_name(stream, owner) for owner in owners],
            arrivals,
            state.counts.after(added) if added else None,
            interval_ends(state.responses, folded),
            state.from_cache,
            state.after,
            state.active_version,
        )


def interval_ends(before: int | None, folded: Folded) -> bool:
    """Return True if the ledger has to take a snapshot; a replay takes its own."""
    replayed = folded.changed_from is not None
    return before is not None and not replayed and crosses(before, before + len(folded.responses))


class _PageTooLong(Exception):
    """A page of a log takes too long to read."""
