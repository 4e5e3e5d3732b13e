"""The fold: whatever arrives when, the state is that of a replay, and each outcome is true."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import oracle
from tests.support.factories import answer, bkt_parameters, calibrated_parameters, logs, rows
from workers.estimation import snapshots
from workers.estimation.answering import apply, concept_prediction
from workers.estimation.fold import Folded, FoldTask, fold
from workers.estimation.learner import (
    Learner,
    LearnerKey,
    Outcome,
    Position,
    Response,
    SessionState,
)
from workers.estimation.parameters import BktParameters, Parameters
from workers.estimation.replay import replay, replay_many
from workers.estimation.snapshots import Snapshot

# Coverage would take most of their time, and many other tests run the same lines.
pytestmark = pytest.mark.untraced

CLASSICAL = Parameters()
KEY = LearnerKey("school-7", "student-42")
TINY = Decimal("1e-12")


def exact(bkt: BktParameters) -> oracle.Bkt:
    return oracle.Bkt.of_floats(bkt.prior, bkt.learn, bkt.guess, bkt.slip, bkt.forget)


def near(value: float, expected: Decimal) -> bool:
    return abs(Decimal(value) - expected) <= TINY


@dataclass
class DictLedger:
    """Ledger in a dict: loads the touched part, and for a late answer the log from a snapshot."""

    parameters: Parameters = CLASSICAL
    learner: Learner = field(default_factory=Learner)
    log: dict[str, Response] = field(default_factory=dict)
    told: list[tuple[Response, Outcome]] = field(default_factory=list)
    snapshots: dict[tuple[int, Position], Snapshot] = field(default_factory=dict)

    def feed(self, batch: Sequence[Response]) -> Folded | None:
        """Fold those of a batch that are new, and store what comes of it."""
        new = list({r.response_id: r for r in batch if r.response_id not in self.log}.values())
        if not new:
            return None
        last = self.learner.last
        late = last is not None and (
            any(r.position < last for r in new)
            or self.learner.parameters_version != self.parameters.version
        )
        base = self._base(min(r.position for r in new)) if late else None
        tail = [r for r in self.log.values() if base is None or r.position > base.position]
        task = FoldTask(KEY, self._loaded(new, whole=late), new, tail if late else None, base)
        before = copy.deepcopy(task.learner)
        (folded,) = fold([task], self.parameters)
        assert task.learner == before, "the fold must not change what it was given"
        for name in ("concepts", "abilities", "sessions"):
            # Nothing but what is named is stored.
            now = getattr(folded.learner, name)
            getattr(self.learner, name).update({id_: now[id_] for id_ in getattr(folded, name)})
        self.learner.last = folded.learner.last
        self.learner.parameters_version = folded.learner.parameters_version
        self._keep_snapshots(folded, len(self.log), len(self.log) + len(new))
        self.log.update((r.response_id, r) for r in new)
        self.told += zip(folded.responses, folded.outcomes, strict=True)
        return folded

    def _base(self, before: Position) -> Snapshot | None:
        version = self.parameters.version
        earlier = [at for under, at in self.snapshots if under == version and at < before]
        return self.snapshots[version, max(earlier)] if earlier else None

    def _keep_snapshots(self, folded: Folded, before: int, after: int) -> None:
        version, first, last = self.parameters.version, folded.changed_from, folded.learner.last
        taken = list(folded.snapshots)
        if first is None:
            if last is not None and snapshots.crosses(before, after):
                states = dict(self.learner.concepts), dict(self.learner.abilities)
                taken = [Snapshot(last, after, *states)]
        else:
            self.snapshots = {at: one for at, one in self.snapshots.items() if at[1] < first}
        self.snapshots |= {(version, one.position): one for one in taken}

    def check_snapshots(self) -> None:
        """Compare each snapshot with a replay of the answers up to it."""
        log = list(self.log.values())
        for (_, position), snapshot in self.snapshots.items():
            learner = replay([r for r in log if r.position <= position], self.parameters)
            assert learner.last == position == snapshot.position
            assert learner.concepts == snapshot.concepts
            assert learner.abilities == snapshot.abilities

    def _loaded(self, new: list[Response], *, whole: bool) -> Learner:
        stored = self.learner
        concepts = {c for r in new for c in r.concept_ids}
        scales = {r.scale for r in new}
        sessions = {r.session_id for r in new}
        return Learner(
            stored.version,
            stored.last,
            stored.parameters_version,
            {c: s for c, s in stored.concepts.items() if whole or c in concepts},
            {a: s for a, s in stored.abilities.items() if whole or a in scales},
            {p: s for p, s in stored.sessions.items() if whole or p in sessions},
        )


@st.composite
def deliveries(draw: st.DrawFn) -> list[list[Response]]:
    """A log in any order, some of it repeated, cut into batches anywhere."""
    log = draw(logs())
    repeated = draw(st.lists(st.sampled_from(log), max_size=len(log)))
    arrivals = draw(st.permutations(log + repeated))
    cuts = sorted(draw(st.sets(st.integers(1, len(arrivals)), max_size=8)))
    edges = [0, *cuts, len(arrivals)]
    return [arrivals[a:b] for a, b in pairwise(edges) if a < b]


@given(deliveries(), bkt_parameters())
def test_given_any_arrival_then_the_state_is_the_replay_to_the_last_bit(
    batches: list[list[Response]], bkt: BktParameters
) -> None:
    parameters = Parameters(default=bkt)
    ledger = DictLedger(parameters)
    for batch in batches:
        ledger.feed(batch)
    assert ledger.learner == replay(list(ledger.log.values()), parameters)


@given(deliveries(), calibrated_parameters(), st.integers(1, 4))
def test_given_snapshots_when_folded_in_any_order_then_all_are_replays(
    batches: list[list[Response]], parameters: Parameters, every: int
) -> None:
    ledger = DictLedger(parameters)
    with patch.object(snapshots, "EVERY", every):
        for batch in batches:
            ledger.feed(batch)
    ledger.check_snapshots()
    assert ledger.learner == replay(list(ledger.log.values()), parameters)


@given(deliveries(), calibrated_parameters())
def test_given_calibrated_parameters_in_any_order_then_state_is_the_replay(
    batches: list[list[Response]], parameters: Parameters
) -> None:
    ledger = DictLedger(parameters)
    for batch in batches:
        ledger.feed(batch)
    log = list(ledger.log.values())
    assert ledger.learner == replay(log, parameters)
    assert replay_many([log] * 9, parameters) == [ledger.learner] * 9
    told = {c.concept_id: c.mastery for _, o in ledger.told for c in o.concepts}
    assert told == {c: state.mastery for c, state in ledger.learner.concepts.items()}


@given(deliveries(), calibrated_parameters())
def test_given_calibrated_parameters_then_earlier_answers_predict_each_one(
    batches: list[list[Response]], parameters: Parameters
) -> None:
    ledger = DictLedger(parameters)
    for batch in batches:
        known = list(ledger.log.values())
        folded = ledger.feed(batch)
        if folded is None:
            continue
        for response, outcome in zip(folded.responses, folded.outcomes, strict=True):
            new = folded.responses[: folded.responses.index(response)]
            earlier = [r for r in [*known, *new] if r.position < response.position]
            before = replay(earlier, parameters)
            alone = [
                concept_prediction(before, concept, response, parameters)
                for concept in response.concept_ids
            ]
            own = outcome.concepts[: len(alone)]
            assert [c.probability_correct for c in own] == alone
            expected = apply(before, response, parameters)
            assert outcome.probability_correct == expected.probability_correct
            assert list(expected.concepts) == alone
            assert 0.0 <= outcome.probability_correct <= 1.0


@given(deliveries(), st.lists(bkt_parameters(), min_size=1, max_size=3), st.data())
def test_given_new_parameters_in_between_then_the_replay_is_under_the_last(
    batches: list[list[Response]], versions: list[BktParameters], data: st.DataObject
) -> None:
    known = [Parameters(version=n, default=bkt) for n, bkt in enumerate(versions, 1)]
    ledger = DictLedger()
    told: dict[str, float] = {}
    for batch in batches:
        ledger.parameters = data.draw(st.sampled_from(known))
        folded = ledger.feed(batch)
        if folded is None:
            continue
        told |= {c.concept_id: c.mastery for o in folded.outcomes for c in o.concepts}
        assert ledger.learner == replay(list(ledger.log.values()), ledger.parameters)
        # Whatever became another is told: subscribers know what is stored.
        assert told == {c: state.mastery for c, state in ledger.learner.concepts.items()}


@given(deliveries(), bkt_parameters())
def test_given_any_arrival_when_folded_then_the_state_is_the_oracles(
    batches: list[list[Response]], bkt: BktParameters
) -> None:
    ledger = DictLedger(Parameters(default=bkt))
    for batch in batches:
        ledger.feed(batch)
    truth = oracle.replay(rows([r for batch in batches for r in batch]), exact(bkt))
    state = ledger.learner
    assert state.concepts.keys() == truth.concepts.keys()
    for concept, mastery in truth.mastery().items():
        assert near(state.concepts[concept].mastery, mastery)
        assert state.concepts[concept].attempts == truth.concepts[concept].attempts
        assert state.concepts[concept].answered_at_us == truth.concepts[concept].last_answered_at
    assert {s: a.responses for s, a in state.abilities.items()} == {
        s: a.responses for s, a in truth.abilities.items()
    }
    assert state.sessions == {
        s: SessionState(t.responses, t.correct, t.started_at, t.ended_at)
        for s, t in truth.sessions.items()
    }


@given(deliveries(), bkt_parameters())
def test_given_any_arrival_then_outcomes_tell_values_after_their_commit(
    batches: list[list[Response]], bkt: BktParameters
) -> None:
    ledger = DictLedger(Parameters(default=bkt))
    for batch in batches:
        last = ledger.learner.last
        folded = ledger.feed(batch)
        if folded is None:
            continue
        whole = oracle.replay(rows(list(ledger.log.values())), exact(bkt), steps=True)
        predicted = {step.response_id: step for step in whole.steps}
        late = [r for r in folded.responses if last is not None and r.position < last]
        known = [r for r in ledger.log.values() if r not in folded.responses]
        for response, outcome in zip(folded.responses, folded.outcomes, strict=True):
            step = predicted[response.response_id]
            # A late answer is told with all late ones in; any other with those before it.
            counted = [*known, *late]
            if response not in late:
                counted += [
                    r for r in folded.responses if r.position <= response.position and r not in late
                ]
            now = oracle.replay(rows(counted), exact(bkt))
            mastery = now.mastery()
            assert [c.concept_id for c in outcome.concepts] == list(response.concept_ids)
            for change in outcome.concepts:
                concept = change.concept_id
                assert near(change.probability_correct, step.probability_correct[concept])
                assert near(change.mastery, mastery[concept])
                assert change.attempts == now.concepts[concept].attempts
                assert change.last_answered_at_us == now.concepts[concept].last_answered_at
            theta, error = now.abilities[response.scale].estimate()
            assert near(outcome.ability.estimate.theta, theta)
            assert near(outcome.ability.estimate.standard_error, error)
            if response.session_id is None:
                assert outcome.session is None
            else:
                session = now.sessions[response.session_id]
                assert outcome.session is not None
                assert outcome.session[:2] == (session.responses, session.correct)


@given(deliveries(), bkt_parameters(), st.floats(0.05, 0.95))
def test_given_any_arrival_then_outcomes_make_one_unbroken_chain(
    batches: list[list[Response]], bkt: BktParameters, threshold: float
) -> None:
    parameters = Parameters(mastery_threshold=threshold, default=bkt)
    ledger = DictLedger(parameters)
    for batch in batches:
        ledger.feed(batch)
    told: dict[str, float] = {}
    thetas: dict[str, float] = {}
    for response, outcome in ledger.told:
        for change in outcome.concepts:
            previous = told.get(change.concept_id)
            if previous is None:
                assert change.previous_mastery == pytest.approx(bkt.prior, abs=1e-15)
            else:
                assert change.previous_mastery == previous
            was, now = change.previous_mastery >= threshold, change.mastery >= threshold
            assert change.mastered is now
            assert change.transition == {
                (False, True): "mastered",
                (True, False): "lapsed",
            }.get((was, now), "none")
            told[change.concept_id] = change.mastery
        assert outcome.ability.previous_theta == pytest.approx(
            thetas.get(response.scale, 0.0), abs=1e-15
        )
        thetas[response.scale] = outcome.ability.estimate.theta
    assert told == {c: state.mastery for c, state in ledger.learner.concepts.items()}


@given(deliveries())
def test_given_any_batch_then_it_names_the_newest_answer_of_each_change(
    batches: list[list[Response]],
) -> None:
    ledger = DictLedger()
    for batch in batches:
        folded = ledger.feed(batch)
        if folded is None:
            continue
        new = list(enumerate(folded.responses))
        assert folded.responses == sorted(folded.responses, key=lambda r: r.position)
        assert folded.concepts == {c: at for at, r in new for c in r.concept_ids}
        assert folded.abilities == {r.scale: at for at, r in new}
        assert folded.sessions == {r.session_id: at for at, r in new if r.session_id is not None}
        assert folded.estimates == {r.scale: folded.outcomes[at].ability.estimate for at, r in new}


def test_given_the_same_moment_when_folded_then_the_id_decides_who_is_late() -> None:
    first, second = sorted((answer(k, at=0) for k in (1, 2)), key=lambda r: r.response_id)
    ledger = DictLedger()
    ledger.feed([second])
    with pytest.raises(ValueError, match="has to be replayed"):
        fold([FoldTask(KEY, ledger.learner, [first])], CLASSICAL)
    ledger.feed([first])
    assert ledger.learner.last == second.position
    assert ledger.learner == replay([first, second], CLASSICAL)
