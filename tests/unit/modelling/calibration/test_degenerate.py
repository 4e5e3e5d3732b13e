"""Degenerate parameters: each kind is told, and good ones are not."""

import pytest

from workers.estimation.items import ItemParameters
from workers.estimation.parameters import BktParameters, ConceptParameters, Parameters
from workers.modelling.calibration.degenerate import degenerate
from workers.modelling.calibration.fitted import Fitted
from workers.modelling.calibration.tallies import Tallies, Tally


@pytest.mark.parametrize(
    ("mastery", "expected"),
    [
        (BktParameters(0.3, 0.1, 0.6, 0.1), ["guess is 0.60"]),
        (BktParameters(0.3, 0.1, 0.1, 0.7), ["slip is 0.70"]),
        (BktParameters(0.995, 0.1, 0.2, 0.1), ["prior is 0.995"]),
        (BktParameters(0.3, 0.0001, 0.2, 0.1), ["learn is 0.0001"]),
        (BktParameters(0.3, 0.1, 0.2, 0.1), []),
        (None, []),
    ],
)
def test_given_a_concept_when_checked_then_what_is_degenerate_is_told(
    mastery: BktParameters | None, expected: list[str]
) -> None:
    fitted = Fitted(Parameters(concepts={"c": ConceptParameters(mastery)}))
    told = degenerate(fitted, Tallies(1, {"c": Tally(100, 50.0)}, {}))
    assert len(told) == len(expected)
    for sentence, start in zip(told, expected, strict=True):
        assert sentence.startswith(f"concept 'c': {start}")


@pytest.mark.parametrize(
    ("item", "tally", "expected"),
    [
        (ItemParameters(0.0, 0.1), Tally(50, 20.0), "item 'q': discrimination is 0.10"),
        (ItemParameters(-4.5), Tally(50, 49.0), "item 'q': difficulty is -4.5 logits"),
        (ItemParameters(guess=0.5, slip=0.45), Tally(50, 20.0), "item 'q': guess + slip is 0.95"),
        (ItemParameters(guess=0.2, slip=0.1), Tally(4, 2.0), "1 of 1 items have fewer than 5"),
        (ItemParameters(2.0), Tally(5, 0.0), "1 of 1 items have 5 answers or more, all alike"),
        (ItemParameters(2.0), Tally(5, 5.0), "1 of 1 items have 5 answers or more, all alike"),
        (ItemParameters(2.0), Tally(5, 1.0), None),
    ],
)
def test_given_an_item_when_checked_then_what_is_degenerate_is_told(
    item: ItemParameters, tally: Tally, expected: str | None
) -> None:
    told = degenerate(Fitted(Parameters(items={"q": item})), Tallies(1, {}, {"q": tally}))
    assert len(told) == (expected is not None)
    assert not told or told[0].startswith(str(expected))
