"""Verify stored rows against their checksums and against a replay of the log."""

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from itertools import chain
from typing import Final, NamedTuple

from workers.common.errors import ParametersRefused
from workers.common.rate_limit import newest
from workers.estimation.ability import estimates
from workers.estimation.bkt import probability
from workers.estimation.learner import Learner, LearnerKey
from workers.estimation.parameters import Parameters
from workers.estimation.replay import replay_many
from workers.ledger.audit import AuditLedger
from workers.ledger.corrections import LOG_TABLES, Altered
from workers.ledger.parameter_versions import Versions, versions_of
from workers.ledger.rows import Stored
from workers.operations.repair.log_replay import LogReplay
from workers.operations.repair.long_logs import in_parts, replay_all
from workers.operations.repair.rewriting import concept_row
from workers.operations.repair.scope import Scope
from workers.operations.repair.snapshots import SnapshotComparison, compared

TOLERANCE: Final = 1e-9
"""Largest difference between stored and replayed numbers that is ignored."""
PAGE: Final = 100
"""Learners looked at at once, with their logs."""
_NOT_REPLAYED: Final = frozenset({"concept_id", "version"})
"""Columns of a concept that do not follow from the log."""


class Difference(NamedTuple):
    """A stored value that is wrong."""

    key: LearnerKey
    what: str
    """Table and column, with the concept, scale or session."""
    stored: object
    replayed: object
    """The right value."""
    by: str = "the log gives"
    """The source of the right value, as a phrase before it."""

    def __str__(self) -> str:
        """One line for a person."""
        return (
            f"tenant {self.key.tenant_id!r}, student {self.key.student_id!r}: {self.what} "
            f"is {self.stored}, {self.by} {self.replayed}"
        )


class Verified(NamedTuple):
    """The result for one page of learners."""

    learners: int
    responses: int
    differences: list[Difference]
    unsealed: int = 0
    """Rows from before there were checksums: only a replay shows an alteration."""
    outdated: int = 0
    """Learners not yet replayed under the active version of the parameters."""


async def pages(
    ledger: AuditLedger,
    only: LearnerKey | None = None,
    sample: int | None = None,
    *,
    scope: Scope | None = None,
    page: int = PAGE,
) -> AsyncIterator[list[LearnerKey]]:
    """Yield pages of learners: by default all who have a row in any table.

    Args:
        ledger: the system of record.
        only: this learner.
        sample: this many learners, drawn at random.
        scope: the learners of a scope, if neither `only` nor `sample` is given.
        page: learners of a page.
    """
    if only is not None:
        yield [only]
    elif sample is not None:
        drawn = await ledger.sample(sample)
        for at in range(0, len(drawn), page):
            yield drawn[at : at + page]
    else:
        async for keys in (scope or Scope()).learners(lambda after: ledger.holders(after, page)):
            yield keys


async def verify(
    ledger: AuditLedger,
    parameters: Parameters | Versions,
    *,
    only: LearnerKey | None = None,
    sample: int | None = None,
    scope: Scope | None = None,
    page: int = PAGE,
) -> AsyncIterator[Verified]:
    """Compare learners, page by page; safe while workers run.

    A learner's log and state are read in one snapshot; a long log is read by pages, again if
    something changes behind them. A state is compared with a replay under the
    version of the parameters that the state names.

    Args:
        ledger: the system of record.
        parameters: the versions of a ledger, or one version for all states.
        only: see `pages`.
        sample: see `pages`.
        scope: see `pages`.
        page: see `pages`.
    """
    versions = versions_of(parameters)
    async for keys in pages(ledger, only, sample, scope=scope, page=page):
        differing: list[Difference] = []
        learners = responses = unsealed = outdated = 0
        async for part in in_parts(ledger, keys):
            rows = []
            for stored in part:
                if stored.left_out:
                    long, added = await _verify_by_pages(ledger, stored, versions)
                    rows.append(long)
                    differing += added
                else:
                    rows.append(stored)
            whole = [stored for stored in rows if stored.totals is None]
            for under, some in await _by_version(whole, versions):
                replayed = replay_many([stored.log for stored in some], under)
                differing += [
                    difference
                    for stored, learner in zip(some, replayed, strict=True)
                    for difference in differences(stored, learner, under)
                ]
            active = versions.active.version
            learners += len(rows)
            responses += sum(stored.responses_read for stored in rows)
            unsealed += sum(stored.unsealed for stored in rows)
            outdated += sum(
                stored.version > 0 and stored.parameters_version != active for stored in rows
            )
        yield Verified(learners, responses, differing, unsealed, outdated)


async def _verify_by_pages(
    ledger: AuditLedger, stored: Stored, versions: Versions
) -> tuple[Stored, list[Difference]]:
    """Compare a learner whose log is long.

    Returns:
        The learner without the log, as compared, and the differences.
    """
    while True:
        ((under, _),) = await _by_version([stored], versions)
        replay = LogReplay(stored, under, stored.corrections)
        now = await replay_all(ledger, stored, replay)
        if now is not None and now.parameters_version == stored.parameters_version:
            return now, list(_differences(now, replay.learner, under, replay.comparison))
        (stored,) = await ledger.stored([stored.key], 0)


async def _by_version(
    rows: list[Stored], versions: Versions
) -> list[tuple[Parameters, list[Stored]]]:
    """Group learners by the parameters of their states, in the order of the rows.

    A state that names an unavailable version is compared under the active one.
    """
    groups: dict[int, tuple[Parameters, list[Stored]]] = {}
    for stored in rows:
        under = versions.active
        if stored.version and stored.parameters_version != under.version:
            with suppress(ParametersRefused):
                under = await versions.of(stored.parameters_version)
        groups.setdefault(under.version, (under, []))[1].append(stored)
    return list(groups.values())


def differences(stored: Stored, replayed: Learner, parameters: Parameters) -> Iterator[Difference]:
    """Yield the differences of a learner's rows from their checksums and the replayed state.

    Args:
        stored: the learner's rows.
        replayed: the state replayed from the learner's log.
        parameters: the parameters of the replay.
    """
    comparison = compared(stored.snapshots, stored.log, parameters)
    yield from _differences(stored, replayed, parameters, comparison)


def _differences(
    stored: Stored, replayed: Learner, parameters: Parameters, comparison: SnapshotComparison
) -> Iterator[Difference]:
    yield from log_differences(stored)
    for row in stored.altered:
        if row.table not in LOG_TABLES:
            yield _altered(stored.key, row)
    if stored.version < stored.newest_version:
        yield Difference(
            stored.key, "learners.version", stored.version, stored.newest_version, "a row has"
        )
    if not _counted(stored):
        yield from _miscounted(stored)
    snapshots = comparison.differences(stored.snapshots, _same)
    for what, is_, should in chain(_values(stored, replayed, parameters), snapshots):
        if not _same(is_, should):
            yield Difference(stored.key, what, is_, should)


def log_differences(stored: Stored) -> Iterator[Difference]:
    """Yield the alterations of a learner's log as far as it was read: no replay repairs them."""
    for row in stored.altered:
        if row.table in LOG_TABLES:
            yield _altered(stored.key, row)
    if stored.left_out and stored.totals is None:
        return
    known = stored.corrected_read
    for response_id in dict.fromkeys(correction.response_id for correction in stored.corrections):
        if response_id not in known:
            what = f"student_responses of {response_id!r}"
            yield Difference(stored.key, what, "missing", "was corrected", "but it")
    if _counted(stored):
        yield from _miscounted(stored)


def _counted(stored: Stored) -> bool:
    """Return True if the learner's row can be trusted about the length of the log."""
    return stored.version > 0 and all(row.table != "learners" for row in stored.altered)


def _miscounted(stored: Stored) -> Iterator[Difference]:
    for table, count, rows in (
        ("student_responses", stored.response_count, stored.responses_read),
        ("response_corrections", stored.correction_count, len(stored.corrections)),
    ):
        if count is not None and count != rows:
            what = f"the number of rows of {table}"
            yield Difference(stored.key, what, rows, count, "there were")


def _altered(key: LearnerKey, row: Altered) -> Difference:
    what = f"the checksum of {row.table}" + (f" {row.of!r}" if row.of else "")
    return Difference(key, what, row.given, row.checksum, "it was written with")


def _same(stored: object, replayed: object) -> bool:
    if isinstance(stored, float) and isinstance(replayed, float):
        return abs(stored - replayed) <= TOLERANCE
    if isinstance(stored, tuple) and isinstance(replayed, tuple):
        return len(stored) == len(replayed) and all(map(_same, stored, replayed))
    return stored == replayed


def _values(
    stored: Stored, replayed: Learner, parameters: Parameters
) -> Iterator[tuple[str, object, object]]:
    yield "learners.position", stored.last, replayed.last
    yield "learners.parameters_version", stored.parameters_version, parameters.version
    if stored.kept is not None:
        yield "learners.rate_counts", stored.kept, newest(stored.windows)
    yield from _concept_values(stored, replayed, parameters)
    yield from _ability_values(stored, replayed, parameters)
    sessions = {row.session_id: row for row in stored.sessions}
    yield "practice_sessions", sorted(sessions), sorted(replayed.sessions)
    for session_id, state in replayed.sessions.items():
        if (row := sessions.get(session_id)) is not None:
            for name in state._fields:
                what = f"practice_sessions.{name} of {session_id!r}"
                yield what, getattr(row, name), getattr(state, name)


def _concept_values(
    stored: Stored, replayed: Learner, parameters: Parameters
) -> Iterator[tuple[str, object, object]]:
    rows = {row.concept_id: row for row in stored.concepts}
    yield "concept_mastery", sorted(rows), sorted(replayed.concepts)
    for concept_id, state in replayed.concepts.items():
        row = rows.get(concept_id)
        if row is None:
            continue
        of = f"of {concept_id!r}"
        for name, should in concept_row(concept_id, state, parameters)._asdict().items():
            if name not in _NOT_REPLAYED:
                what = f"concept_mastery.{name.removesuffix('_us')} {of}"
                yield what, getattr(row, name), should
        of_odds = probability(row.odds_mantissa, row.odds_exponent)
        yield f"concept_mastery.mastery {of} against its own odds", row.mastery, of_odds


def _ability_values(
    stored: Stored, replayed: Learner, parameters: Parameters
) -> Iterator[tuple[str, object, object]]:
    rows = {row.scale: row for row in stored.abilities}
    yield "student_ability", sorted(rows), sorted(replayed.abilities)
    estimated = estimates(list(replayed.abilities.values()))
    for (scale, state), estimate in zip(replayed.abilities.items(), estimated, strict=True):
        row = rows.get(scale)
        if row is None:
            continue
        of = f"of {scale!r}"
        yield f"student_ability.theta {of}", row.theta, estimate.theta
        yield f"student_ability.standard_error {of}", row.standard_error, estimate.standard_error
        yield f"student_ability.responses {of}", row.responses, state.responses
        yield f"student_ability.score {of}", row.score, state.score
        for name in ("variance", "surprise", "surprise_variance"):
            yield f"student_ability.{name} {of}", getattr(row, name), getattr(state, name)
        yield f"student_ability.parameters_version {of}", row.parameters_version, parameters.version
