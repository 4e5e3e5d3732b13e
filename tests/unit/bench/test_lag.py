"""The simulation of lag: it loses nothing, and agrees with what can be computed by hand."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.lag.simulation import Arrival, Outage, Rates, arrivals_of, simulate

RATES = Rates(entry_s=0.001, lone_s=0.01, batch=100)


@given(
    st.lists(st.tuples(st.floats(0, 5), st.integers(1, 400)), min_size=1, max_size=20),
    st.lists(st.tuples(st.floats(0, 8), st.floats(0, 2)), max_size=3),
)
def test_given_any_arrivals_and_outages_then_every_entry_is_acknowledged(
    chunks: list[tuple[float, int]], gaps: list[tuple[float, float]]
) -> None:
    arrivals = [Arrival(*chunk) for chunk in sorted(chunks)]
    outages = [Outage(at, at + lasting) for at, lasting in sorted(gaps)]

    trace, waits = simulate(arrivals, RATES, outages)

    assert len(waits) == sum(arrival.entries for arrival in arrivals)
    assert trace.points[-1][1] == 0
    assert min(waits) >= RATES.lone_s - 1e-9


def test_given_a_burst_at_once_then_it_drains_at_the_reader_s_rate() -> None:
    trace, waits = simulate([Arrival(0.0, 1_000)], RATES)

    assert trace.peak == 1_000
    assert max(waits) == pytest.approx(1_000 * RATES.entry_s + RATES.lone_s)


def test_given_an_outage_then_what_was_taken_is_done_again_after_it() -> None:
    trace, waits = simulate([Arrival(0.0, 100)], RATES, [Outage(0.05, 2.0)])

    assert max(waits) == pytest.approx(2.0 + 100 * RATES.entry_s + RATES.lone_s)
    assert trace.drained_s == pytest.approx(2.0, abs=0.2)


def test_given_poisson_arrivals_of_one_then_waits_are_those_of_a_queue() -> None:
    """The mean wait of M/D/1 is s + s·u / (2·(1 - u)) at utilisation u (Pollaczek 1930)."""
    chance, now, arrivals, utilisation = random.Random(5), 0.0, [], 0.7
    for _ in range(20_000):
        now += chance.expovariate(utilisation / RATES.entry_s)
        arrivals.append(Arrival(now, 1))

    _, waits = simulate(arrivals, Rates(RATES.entry_s, 0.0, batch=1))

    expected = RATES.entry_s * (1 + utilisation / (2 * (1 - utilisation)))
    assert sum(waits) / len(waits) == pytest.approx(expected, rel=0.05)


def test_given_a_rate_over_time_then_as_many_entries_arrive() -> None:
    arrivals = arrivals_of([(0, 100), (10, 300), (20, 0)], 0.1)

    assert sum(arrival.entries for arrival in arrivals) == pytest.approx(2_000 + 1_500, abs=1)
    assert [arrival.at_s for arrival in arrivals] == sorted(arrival.at_s for arrival in arrivals)
