"""Too little to calibrate by is refused, with how much there is and how much is needed."""

import pytest

from tests.support.factories import answer
from workers.modelling.calibration.answers import Answers, AnswersBuilder
from workers.modelling.calibration.facts import facts_of
from workers.modelling.calibration.sufficiency import shortage


def made(fitted: list[int], held_out: list[int], scale: str = "math") -> Answers:
    """Learners with so many answers each."""
    builder = AnswersBuilder()
    for counts, held in ((fitted, False), (held_out, True)):
        for count in counts:
            log = [answer(n, concepts=["c"], item="q", scale=scale) for n in range(count)]
            builder.add(log, held_out=held)
    return builder.built()


@pytest.mark.parametrize(
    ("fitted", "held_out", "said"),
    [
        ([30] * 10, [1, 1], None),
        ([30] * 9 + [29], [1, 1], "299 answers of 10 learners may be fitted to"),
        ([100] * 9, [1, 1], "900 answers of 9 learners may be fitted to"),
        ([30] * 10, [50], "1 learners are held out for comparison, and 2 are needed"),
        ([30] * 10, [], "0 learners are held out"),
        ([5], [], "5 answers of 1 learners may be fitted to, and 300 answers of 10 learners are"),
        ([], [], "0 answers of 0 learners"),
        ([], [40, 40], "0 answers of 0 learners"),
    ],
)
def test_given_answers_when_counted_then_the_shortage_is_named(
    fitted: list[int], held_out: list[int], said: str | None
) -> None:
    sentence = shortage(facts_of(made(fitted, held_out)))
    if said is None:
        assert sentence is None
    else:
        assert sentence is not None
        assert said in sentence
        assert "Let more learners practise first" in sentence
        assert "math" not in sentence


def test_given_many_small_scales_then_their_answers_do_not_add_up() -> None:
    builder = AnswersBuilder()
    for number in range(40):
        scale = f"scale-{number % 4}"
        log = [answer(n, concepts=["c"], item="q", scale=scale) for n in range(20)]
        builder.add(log, held_out=number >= 36)
    sentence = shortage(facts_of(builder.built()))
    assert sentence is not None
    assert "180 answers of 9 learners" in sentence
