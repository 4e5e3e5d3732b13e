"""Batches grow under load, and an event alone waits for nothing."""

import pytest

from workers.graph.coalescing import REST_S, largest_batch, rest_s


@pytest.mark.parametrize(
    ("batch_size", "largest"), [(1, 4), (20, 80), (500, 2_000), (1_000, 2_000), (5_000, 5_000)]
)
def test_given_a_batch_size_then_the_projection_reads_more(batch_size: int, largest: int) -> None:
    assert largest_batch(batch_size) == largest


@pytest.mark.parametrize(
    ("entries", "rest"), [(0, 0.0), (1, 0.0), (9, 0.0), (10, REST_S), (1_999, REST_S), (2_000, 0.0)]
)
def test_given_a_batch_when_done_then_only_load_without_backlog_rests(
    entries: int, rest: float
) -> None:
    assert rest_s(entries, 2_000) == rest
