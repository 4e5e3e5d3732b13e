"""Parameters as a person reads them."""

from workers.cli.parameters.table import tables
from workers.estimation.items import ItemParameters
from workers.estimation.parameters import BktParameters, ConceptParameters, Parameters

_ADD = BktParameters(prior=0.4, learn=0.15, guess=0.22, slip=0.07)


def test_given_a_version_when_shown_then_guess_and_slip_are_columns() -> None:
    parameters = Parameters(
        concepts={"b": ConceptParameters(), "a": ConceptParameters(mastery=_ADD)}
    )
    assert list(tables(parameters, 10)) == [
        "concept      prior  learn  guess   slip  forget",
        "a            0.400  0.150  0.220  0.070   0.000",
        "b            0.250  0.100  0.200  0.100   0.000",
        "(any other)  0.250  0.100  0.200  0.100   0.000",
    ]


def test_given_items_when_shown_then_only_used_parameters_have_columns() -> None:
    items = {
        "q2": ItemParameters(difficulty=1.5, discrimination=0.8, guess=0.3, slip=0.1),
        "q1": ItemParameters(thresholds=(-1.0, 0.0)),
    }
    assert list(tables(Parameters(items=items), 10))[3:] == [
        "item  difficulty  discrimination  guess   slip",
        "q1        -0.500           1.000      -      -",
        "q2        +1.500           0.800  0.300  0.100",
    ]


def test_given_many_concepts_when_shown_then_the_rest_is_counted() -> None:
    mean = ItemParameters(difficulty=0.25)
    decaying = BktParameters(0.4, 0.15, 0.22, 0.07, decay_per_day=0.01)
    concepts = {f"c{n}": ConceptParameters(decaying, item=mean) for n in range(5)}
    lines = list(tables(Parameters(concepts=concepts), 2))
    assert lines[0].split()[-2:] == ["decay/day", "difficulty"]
    assert lines[1].split()[-2:] == ["0.010", "+0.250"]
    assert lines[-1] == "… and 3 more concepts: give --show 5, or --json"
    assert len(lines) == 5
