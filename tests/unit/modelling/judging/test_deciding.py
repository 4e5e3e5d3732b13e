"""The rule `if-better`: each of its branches, its boundaries, and what its reason says."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.modelling.judging.test_comparing import gains
from workers.estimation.items import ItemParameters
from workers.estimation.parameters import BktParameters, ConceptParameters, Parameters
from workers.modelling.judging.comparing import Comparison
from workers.modelling.judging.deciding import LEAST_GAIN, MOST_LOSS, Decision, decide, judge

_BASE = gains(*[0.1] * 40)
_KNOWN = Parameters(
    concepts={"a": ConceptParameters(BktParameters(0.4, 0.2, 0.2, 0.1))},
    items={"q": ItemParameters(0.0, 1.0)},
)
_FORGETS = Parameters(
    concepts={"secret": ConceptParameters(BktParameters(0.4, 0.2, 0.2, 0.1, 0.3))}
)


def compared(
    gain: float, error: float = 1e-5, validity_gain: float = 0.0, validity_error: float = 0.01
) -> Comparison:
    return replace(
        _BASE,
        gain=gain,
        standard_error=error,
        validity_gain=validity_gain,
        validity_error=validity_error,
    )


def decided(
    comparison: Comparison,
    *,
    unreachable: int = 0,
    present_reachable: bool = True,
    all_known: bool = False,
) -> Decision:
    return decide(
        comparison,
        unreachable=unreachable,
        concepts=119,
        present_reachable=present_reachable,
        all_known=all_known,
    )


@pytest.mark.parametrize("present_reachable", [True, False])
def test_given_mastery_out_of_reach_then_not_activated_whatever_it_gains(
    present_reachable: bool,
) -> None:
    decision = decided(compared(0.5), unreachable=118, present_reachable=present_reachable)
    assert not decision.activate
    assert "out of reach on 118 of 120 concepts" in decision.reason


@pytest.mark.parametrize(
    ("gain", "activate"),
    [(0.1, True), (0.0, True), (-MOST_LOSS, True), (-MOST_LOSS - 1e-9, False), (-0.2, False)],
)
def test_given_the_active_out_of_reach_then_replaced_unless_it_loses_much(
    gain: float, activate: bool
) -> None:
    # Validity and the least gain are no matter then.
    unsure = compared(gain, error=1.0, validity_gain=-0.5)
    decision = decided(unsure, present_reachable=False, all_known=True)
    assert decision.activate is activate
    assert "is not under the active version" in decision.reason
    assert ("more than 0.005 nats" in decision.reason) is not activate


def test_given_clearly_less_valid_mastery_then_not_activated() -> None:
    decision = decided(compared(0.1, validity_gain=-0.05))
    assert not decision.activate
    assert "declares 40% of the learner-concept pairs" in decision.reason
    assert "lower by 0.0500 ± 0.0100" in decision.reason
    assert decided(compared(0.1, validity_gain=-0.01)).activate


def test_given_no_answer_after_a_declaration_then_prediction_decides() -> None:
    nan = float("nan")
    assert decided(compared(0.1, validity_gain=nan, validity_error=nan)).activate


@pytest.mark.parametrize(("gain", "error"), [(0.0, 0.0), (0.1, 0.1), (-0.1, 0.01)])
def test_given_no_gain_beyond_doubt_then_not_activated(gain: float, error: float) -> None:
    decision = decided(compared(gain, error))
    assert not decision.activate
    assert "not lower with 95 % confidence" in decision.reason


@pytest.mark.parametrize(
    ("gain", "all_known", "activate"),
    [
        (LEAST_GAIN, True, True),
        (LEAST_GAIN - 1e-9, True, False),
        (LEAST_GAIN - 1e-9, False, True),
        (1e-4, False, True),
    ],
)
def test_given_all_known_then_it_takes_the_least_gain(
    gain: float, all_known: bool, activate: bool
) -> None:
    decision = decided(compared(gain), all_known=all_known)
    assert decision.activate is activate
    assert ("knows all concepts and items already" in decision.reason) is not activate


def test_given_versions_when_judged_then_reach_and_known_are_theirs() -> None:
    small = compared(0.001)
    assert not judge(small, _KNOWN, _KNOWN).activate
    assert judge(small, _KNOWN, Parameters()).activate
    without_item = replace(_KNOWN, items={})
    assert judge(small, _KNOWN, without_item).activate
    assert not judge(small, without_item, _KNOWN).activate
    # A reason may be read by another tenant than the concept's.
    unreachable = judge(small, _FORGETS, Parameters())
    assert not unreachable.activate
    assert "1 of 2 concepts" in unreachable.reason
    assert "secret" not in unreachable.reason
    assert judge(compared(-0.004), _KNOWN, _FORGETS).activate


def test_given_two_learners_then_no_reason_has_a_figure_that_is_none() -> None:
    for pair in ((0.1, 0.3), (0.0, 0.0), (-0.2, 0.1)):
        for present_reachable in (True, False):
            decision = decided(gains(*pair), present_reachable=present_reachable)
            assert "nan" not in decision.reason


@given(
    st.floats(-1.0, 1.0),
    st.floats(0.0, 1.0),
    st.floats(-1.0, 1.0),
    st.floats(0.0, 1.0),
    st.booleans(),
    st.booleans(),
)
def test_given_any_figures_then_more_gain_or_validity_never_speaks_against(  # noqa: PLR0917
    gain: float,
    error: float,
    validity_gain: float,
    validity_error: float,
    present_reachable: bool,
    all_known: bool,
) -> None:
    def activate(gain: float, validity_gain: float) -> bool:
        return decided(
            compared(gain, error, validity_gain, validity_error),
            present_reachable=present_reachable,
            all_known=all_known,
        ).activate

    if activate(gain, validity_gain):
        assert activate(gain + 0.1, validity_gain)
        assert activate(gain, validity_gain + 0.1)


def test_given_a_decision_when_written_then_it_comes_back() -> None:
    decision = Decision(False, "it loses")
    assert Decision.of(decision.document()) == decision
    assert decision.sentence == "not to be activated: it loses"
    assert Decision(True, "it gains").sentence == "to be activated: it gains"
