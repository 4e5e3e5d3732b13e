"""Versions and clocks as a check judges them."""

from collections.abc import Iterator

import pytest

from workers.cli.check.findings import clock_warning, older


@pytest.mark.parametrize(
    ("version", "least", "expected"),
    [
        ("6.0.16", (6, 2), True),
        ("6.2.0", (6, 2), False),
        ("7.0.15", (6, 2), False),
        ("5.9", (6, 2), True),
        ("4.4.12", (5,), True),
        ("2026.01", (5,), False),
        ("unknown", (6, 2), False),
    ],
)
def test_given_a_version_then_it_is_compared_by_its_numbers(
    version: str, least: tuple[int, ...], expected: bool
) -> None:
    assert older(version, least) is expected


@pytest.mark.parametrize(
    ("server_s", "said"),
    [
        (104.0, None),
        (106.0, None),
        (96.0, None),
        (107.0, "6 s ahead of"),
        (94.0, "6 s behind"),
    ],
)
async def test_given_clocks_then_a_difference_beyond_the_delay_is_told(
    server_s: float, said: str | None
) -> None:
    own: Iterator[float] = iter((100.0, 101.0, 101.0))

    async def now() -> float:
        return server_s

    warning = await clock_warning("Redis", now, own=lambda: next(own))
    assert (warning is None) if said is None else (said in (warning or ""))
