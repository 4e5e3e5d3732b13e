"""Validity of mastery, on cases worked out by hand."""

import math
from itertools import pairwise

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.estimation.parameters import BktParameters, ConceptParameters, Parameters
from workers.modelling.calibration.ceilings import ceiling, ceiling_warning, ceilings_of
from workers.modelling.judging.validity import (
    MasteryTrace,
    PairTraces,
    Validity,
    log_odds_of,
    validity,
)
from workers.modelling.judging.validity_difference import following_by_learner, validity_difference


def trace(*rows: tuple[int, float, float]) -> MasteryTrace:
    """Rows of pair, mastery after the answer, and score."""
    pair, mastery, score = zip(*rows, strict=True) if rows else ((), (), ())
    return MasteryTrace(
        np.array(pair, dtype=np.int64),
        log_odds_of(np.array(mastery, dtype=np.float64)),
        np.array(score, dtype=np.float64),
    )


# Pair 0 is mastered at its third answer, lapses once, and seven answers follow, of which five
# count. Pair 1 is mastered at its first and last answer. Pair 2 never is.
THREE = trace(
    (0, 0.2, 0.0),
    (2, 0.5, 1.0),
    (0, 0.6, 1.0),
    (0, 0.95, 1.0),
    (1, 0.99, 1.0),
    (0, 0.90, 0.0),
    (0, 0.97, 1.0),
    (2, 0.4, 0.0),
    (0, 0.98, 1.0),
    (0, 0.98, 0.5),
    (0, 0.98, 1.0),
    (0, 0.98, 0.0),
    (0, 0.98, 0.0),
)


class TestValidity:
    def test_answers_after_and_before_the_declaring_one_count(self) -> None:
        at = validity(THREE).at_threshold
        assert at.share == pytest.approx(2 / 3)
        assert at.threshold == pytest.approx(0.95)
        # Scores 0, 1, 1, .5, 1 after; 0, 1 before.
        assert at.right_after == pytest.approx(3.5 / 5)
        assert at.answers_after == 5
        assert at.right_before == pytest.approx(1 / 2)
        assert at.answers_before == 2
        assert at.without_following == 1

    def test_at_most_five_answers_before_count(self) -> None:
        rows = [(0, 0.5, score) for score in (0.0, 0.0, 1.0, 1.0, 1.0, 0.5, 1.0)]
        at = validity(trace(*rows, (0, 0.96, 1.0))).at_threshold
        assert at.right_before == pytest.approx(4.5 / 5)
        assert at.answers_before == 5

    def test_lapses_are_counted_within_a_pair(self) -> None:
        measured = validity(THREE)
        assert measured.pairs == 3
        assert measured.lapses == pytest.approx(1 / 2)

    def test_answers_until_mastery_are_those_of_mastered_pairs(self) -> None:
        # Numbers 3 and 1.
        assert validity(THREE).answers_until == pytest.approx((1.5, 2.0, 2.5))

    def test_a_share_moves_the_threshold_to_the_peaks(self) -> None:
        # Peaks .98, .99 and .5: the first of three is at most 1/3, two are 2/3.
        by_share = validity(THREE, shares=(1 / 3, 0.4, 1.0)).at_shares
        assert by_share[1 / 3].share == pytest.approx(1 / 3)
        assert by_share[1 / 3].threshold == pytest.approx(0.99)
        assert math.isnan(by_share[1 / 3].right_after)
        assert by_share[0.4].threshold == pytest.approx(0.98)
        # Pair 0 reaches .98 at its sixth answer: .5, 1, 0, 0 follow.
        assert by_share[0.4].right_after == pytest.approx(1.5 / 4)
        assert by_share[0.4].answers_after == 4
        assert by_share[1.0].share == 1.0

    def test_ties_are_declared_together(self) -> None:
        rows = [(pair, 0.9, 1.0) for pair in range(4)]
        at = validity(trace(*rows, (4, 0.1, 0.0)), shares=(0.3,)).at_shares[0.3]
        assert at.share == pytest.approx(0.8)

    def test_certainty_of_one_can_be_tied_and_declared(self) -> None:
        at = validity(trace((0, 1.0, 1.0), (1, 1.0, 1.0), (1, 1.0, 0.0)), shares=(0.5,))
        assert at.at_shares[0.5].share == 1.0
        assert at.at_shares[0.5].threshold == 1.0
        assert at.at_shares[0.5].right_after == 0.0

    def test_three_tenths_of_ten_pairs_are_three(self) -> None:
        measured = validity(trace(*((pair, 0.05 + pair / 20, 1.0) for pair in range(10))))
        assert measured.at_shares[0.3].share == pytest.approx(0.3)

    def test_without_mastered_pairs_figures_are_not_defined(self) -> None:
        measured = validity(trace((0, 0.5, 1.0), (1, 0.4, 0.0)))
        assert measured.at_threshold.share == 0.0
        assert math.isnan(measured.at_threshold.right_after)
        assert math.isnan(measured.lapses)
        assert all(math.isnan(share) for share in measured.answers_until)

    def test_without_answers_nothing_is_defined(self) -> None:
        measured = validity(trace())
        assert measured.pairs == 0
        assert math.isnan(measured.at_threshold.share)
        assert math.isnan(measured.at_shares[0.5].threshold)

    def test_a_share_of_nobody_is_refused(self) -> None:
        with pytest.raises(ValueError, match="share"):
            validity(THREE, shares=(0.0,))

    @pytest.mark.parametrize("of", [THREE, trace()])
    def test_a_document_is_read_as_it_was(self, of: MasteryTrace) -> None:
        document = orjson.loads(orjson.dumps(validity(of).document()))
        assert Validity.of(document).document() == document

    @given(
        st.lists(
            st.tuples(st.integers(0, 5), st.floats(0.0, 1.0), st.sampled_from((0.0, 0.5, 1.0))),
            min_size=1,
        ),
        st.floats(0.01, 1.0),
    )
    def test_a_share_is_the_least_at_or_above_the_wanted_one(
        self, rows: list[tuple[int, float, float]], share: float
    ) -> None:
        of = trace(*rows)
        trails = PairTraces(of)
        level = trails.threshold_at(share)
        declared = np.count_nonzero(trails.declaring(level) >= 0)
        higher = np.count_nonzero(trails.declaring(np.nextafter(level, np.inf)) >= 0)
        assert declared >= share * trails.pairs.size - 1e-6
        assert higher < share * trails.pairs.size or math.isinf(level)

    @given(
        st.lists(
            st.tuples(
                st.integers(0, 3), st.sampled_from((0.1, 0.9, 0.95, 0.99)), st.floats(0.0, 1.0)
            ),
            max_size=60,
        )
    )
    def test_arrays_equal_a_plain_walk_over_pairs(
        self, rows: list[tuple[int, float, float]]
    ) -> None:
        after, before, lapses, lonely = [], [], 0, 0
        for pair in range(4):
            own = [(mastery >= 0.95, score) for which, mastery, score in rows if which == pair]
            at = next((k for k, (mastered, _) in enumerate(own) if mastered), None)
            if at is None:
                continue
            after += [score for _, score in own[at + 1 : at + 6]]
            before += [score for _, score in own[max(at - 5, 0) : at]]
            lonely += at == len(own) - 1
            lapses += sum(a and not b for (a, _), (b, _) in pairwise(own))
        crossing = validity(trace(*rows)).at_threshold
        assert (crossing.answers_after, crossing.answers_before) == (len(after), len(before))
        assert crossing.without_following == lonely
        if after:
            assert crossing.right_after == pytest.approx(sum(after) / len(after))
        if before:
            assert crossing.right_before == pytest.approx(sum(before) / len(before))
        assert PairTraces(trace(*rows)).lapses(float(log_odds_of(np.array(0.95)))) == lapses


class TestDifference:
    # Learner 0 has pairs 0 and 1, learner 1 has pair 2; each pair's first answer declares it.
    NEW = trace((0, 0.9, 1.0), (0, 0.9, 1.0), (1, 0.9, 1.0), (2, 0.9, 1.0), (2, 0.9, 0.0))
    PRESENT = NEW._replace(log_odds=log_odds_of(np.array([0.1, 0.9, 0.9, 0.9, 0.9])))
    LEARNER = np.array([0, 0, 1])

    def test_answers_are_summed_by_learner(self) -> None:
        right, answers = following_by_learner(self.NEW, self.LEARNER, 1.0)
        assert right.tolist() == [1.0, 0.0]
        assert answers.tolist() == [1.0, 1.0]

    def test_the_error_is_that_of_linearised_ratios(self) -> None:
        # New: (1 + 0) of 2 = .5. Present: pair 0 declared at its last answer, 0 of 1.
        # u_0 = (1 - .5)/2 - 0 = .25, u_1 = (0 - .5)/2 - 0 = -.25; 2/1 · (.0625 + .0625) = .25.
        difference, error = validity_difference(self.NEW, self.PRESENT, self.LEARNER, 1.0)
        assert difference == pytest.approx(0.5)
        assert error == pytest.approx(0.5)

    def test_a_model_differs_from_itself_by_nothing(self) -> None:
        assert validity_difference(self.NEW, self.NEW, self.LEARNER, 1.0) == (0.0, 0.0)

    def test_one_learner_gives_no_error(self) -> None:
        difference, error = validity_difference(
            self.NEW, self.NEW, np.zeros(3, dtype=np.int64), 1.0
        )
        assert difference == 0.0
        assert math.isnan(error)

    def test_without_following_answers_nothing_is_known(self) -> None:
        alone = trace((0, 0.9, 1.0), (1, 0.9, 1.0))
        difference = validity_difference(alone, alone, np.array([0, 1]), 0.5)
        assert all(math.isnan(value) for value in difference)

    def test_the_error_is_that_of_repeated_samples(self) -> None:
        rng = np.random.default_rng(1)
        drawn = [validity_difference(*self._sample(rng), 0.5) for _ in range(400)]
        differences, errors = np.array(drawn).T
        assert errors.mean() == pytest.approx(differences.std(ddof=1), rel=0.12)

    @staticmethod
    def _sample(
        rng: np.random.Generator,
    ) -> tuple[MasteryTrace, MasteryTrace, np.ndarray]:
        """150 learners with two pairs of four answers, and two noisy models of mastery."""
        able = rng.normal(size=150)
        pair = np.repeat(np.arange(300), 4)
        learner_of_pair = np.repeat(np.arange(150), 2)
        of = able[learner_of_pair[pair]]
        score = (rng.random(pair.size) < 1.0 / (1.0 + np.exp(-of))).astype(np.float64)
        new, present = (of + rng.normal(size=pair.size) * noise for noise in (0.5, 2.0))
        return (
            MasteryTrace(pair, new, score),
            MasteryTrace(pair, present, score),
            learner_of_pair,
        )


class TestCeiling:
    def test_forgetting_lowers_the_ceiling(self) -> None:
        model = BktParameters(prior=0.3, learn=0.1, guess=0.2, slip=0.1, forget=0.13)
        assert ceiling(model) == pytest.approx(0.87)

    def test_learning_of_the_unknown_can_be_the_ceiling(self) -> None:
        model = BktParameters(prior=0.3, learn=0.9, guess=0.2, slip=0.1, forget=0.5)
        assert ceiling(model) == pytest.approx(0.9)

    def test_a_concept_without_own_parameters_has_the_default_ceiling(self) -> None:
        forgets = BktParameters(prior=0.3, learn=0.1, guess=0.2, slip=0.1, forget=0.2)
        parameters = Parameters(concepts={"a": ConceptParameters(forgets)})
        assert ceilings_of(parameters, ["a", "b"]) == {"a": 0.8, "b": 1.0}

    def test_low_ceilings_are_warned_of_the_lowest_first(self) -> None:
        warning = ceiling_warning({"a": 0.98, "b": 0.87, "c": 0.99})
        assert warning is not None
        assert "2 concepts" in warning
        assert "'b' (0.870), 'a' (0.980); fit" in warning

    def test_at_most_twenty_low_ceilings_are_named(self) -> None:
        warning = ceiling_warning({f"c{n}": 0.5 for n in range(23)})
        assert warning is not None
        assert warning.count("(0.500)") == 20
        assert "and 3 more" in warning

    def test_high_ceilings_bring_no_warning(self) -> None:
        assert ceiling_warning({"fractions": 0.99}) is None
