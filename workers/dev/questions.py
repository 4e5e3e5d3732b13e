"""Generate the text of a question from its concept and number, always the same."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from random import Random
from typing import Final, NamedTuple


class Question(NamedTuple):
    """A question with one right answer."""

    text: str
    answer: str
    choices: tuple[str, ...]
    """Four distinct answers, the right one among them."""


_Draft = tuple[str, object, list[object]]
"""Text, right answer, and likely wrong answers, which may repeat each other or the right one."""

_CHOICES: Final = 4


def question(concept_id: str, number: int) -> Question:
    """Make a question.

    Args:
        concept_id: a concept of `workers.demo.curriculum`.
        number: 1 or more; another number gives another question.
    """
    random = Random(f"{concept_id}/{number}")  # noqa: S311  # repeatable, and no secret
    text, right, wrong = _MAKERS[concept_id](random)
    answer = str(right)
    others = list(dict.fromkeys(str(value) for value in wrong if str(value) != answer))
    choices = [answer, *others[: _CHOICES - 1]]
    random.shuffle(choices)
    return Question(text, answer, tuple(choices))


def _place_value(random: Random) -> _Draft:
    digits = random.sample(range(1, 10), 4)
    place = random.randrange(4)
    number = int("".join(map(str, digits)))
    value = digits[place] * 10 ** (3 - place)
    wrong: list[object] = [digits[place] * 10**power for power in range(5)]
    return f"What is the value of the digit {digits[place]} in {number:,}?", value, wrong


def _negative(random: Random) -> _Draft:
    a, b = random.randint(2, 15), random.randint(16, 40)
    return f"{a} - {b} = ?", a - b, [b - a, a + b, -(a + b)]


def _order(random: Random) -> _Draft:
    a, b, c = random.randint(2, 9), random.randint(2, 9), random.randint(2, 9)
    return (
        f"{a} + {b} · {c} = ?",
        a + b * c,
        [(a + b) * c, a * b + c, a + b + c, a + b * c + b, a + b * c - 1],
    )


def _equivalent(random: Random) -> _Draft:
    a = random.randint(1, 7)
    b = random.randint(a + 1, 12)
    k = random.randint(2, 6)
    wrong: list[object] = [b + k, a * k + b, b * k + k, a * k, b * k + 1]
    return f"{a}/{b} = {a * k}/?", b * k, wrong


def _add(random: Random) -> _Draft:
    b, d = random.sample((3, 4, 5, 6, 7, 8, 10), 2)
    a, c = random.randint(1, b - 1), random.randint(1, d - 1)
    right = Fraction(a, b) + Fraction(c, d)
    wrong: list[object] = [
        f"{a + c}/{b + d}", f"{a + c}/{b * d}", f"{a * d + c * b + 1}/{b * d}", f"{a * c}/{b * d}",
    ]  # fmt: skip
    return f"{a}/{b} + {c}/{d} = ?", right, wrong


def _multiply(random: Random) -> _Draft:
    b, d = random.randint(3, 9), random.randint(3, 9)
    a, c = random.randint(2, b - 1), random.randint(2, d - 1)
    wrong: list[object] = [
        Fraction(a * d, b * c), Fraction(a * d + b * c, b * d), Fraction(a * c, b * d + 1),
        f"{a + c}/{b + d}",
    ]  # fmt: skip
    return f"{a}/{b} · {c}/{d} = ?", Fraction(a * c, b * d), wrong


def _round(random: Random) -> _Draft:
    # Hundredths, with a last digit that rounds up or down but never a tie.
    whole, tenth = random.randint(1, 20), random.randint(1, 8)
    hundredth = random.choice((1, 2, 3, 6, 7, 8))
    up = hundredth > 5
    shown = f"{whole}.{tenth}{hundredth}"
    wrong: list[object] = [f"{whole}.{tenth + (not up)}", f"{whole + 1}.0", f"{whole}.{tenth - 1}"]
    return f"Round {shown} to one decimal place.", f"{whole}.{tenth + up}", wrong


def _percent(random: Random) -> _Draft:
    percent, amount = random.choice((5, 15, 20, 25, 30, 40)), 20 * random.randint(3, 30)
    right = percent * amount // 100
    return (
        f"What is {percent} % of {amount}?",
        right,
        [amount - right, right * 10, right + 5, percent],
    )


def _share(random: Random) -> _Draft:
    a, b = random.sample(range(1, 7), 2)
    part = random.randint(3, 12)
    total = (a + b) * part
    return (
        f"{total} marbles are shared in the ratio {a} : {b}. How many are in the first share?",
        a * part,
        [b * part, total // (a + 1), total - a, part, a * part + 1, a * part + 2],
    )


def _simplify(random: Random) -> _Draft:
    a, b, c = random.randint(5, 9), random.randint(2, 9), random.randint(2, 3)
    wrong: list[object] = [f"{a + b + c}x", f"{a + c}x + {b}", f"{a - c}x - {b}", f"{a - c + b}x"]
    return f"Simplify {a}x + {b} - {c}x.", f"{a - c}x + {b}", wrong


def _equation(random: Random) -> _Draft:
    a, x, b = random.randint(2, 9), random.randint(2, 12), random.randint(1, 20)
    return f"{a}x + {b} = {a * x + b}. What is x?", x, [a * x, x + b, x + 1, x - 1, a * x + 2 * b]


def _area(random: Random) -> _Draft:
    base, height = 2 * random.randint(2, 9), random.randint(3, 12)
    return (
        f"A triangle has a base of {base} cm and a height of {height} cm. What is its area in cm²?",
        base * height // 2,
        [
            base * height,
            base + height,
            base * height // 4 + 1,
            2 * (base + height),
            base * height // 2 + base,
        ],
    )


_MAKERS: Final[Mapping[str, Callable[[Random], _Draft]]] = {
    "numbers.place-value": _place_value,
    "numbers.negative": _negative,
    "numbers.order-of-operations": _order,
    "fractions.equivalent": _equivalent,
    "fractions.add": _add,
    "fractions.multiply": _multiply,
    "decimals.round": _round,
    "percent.of-amount": _percent,
    "ratio.share": _share,
    "algebra.simplify": _simplify,
    "algebra.equation": _equation,
    "geometry.area": _area,
}
