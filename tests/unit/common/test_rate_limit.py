"""Rate limits: as written in the settings, and what a learner's counts are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.common.rate_limit import KEPT_WINDOWS, Counts, RateLimit, newest


@pytest.mark.parametrize(
    ("text", "moment_ms", "window"),
    [
        ("600/minute", 1_795_253_459_999, 1_795_253_400),
        ("600/minute", 1_795_253_460_000, 1_795_253_460),
        ("1/second", 1_795_253_459_999, 1_795_253_459),
        ("999999999/hour", 1_795_253_459_999, 1_795_251_600),
    ],
)
def test_given_a_limit_when_read_then_its_text_and_windows_are_kept(
    text: str, moment_ms: int, window: int
) -> None:
    limit = RateLimit.parse(text)
    assert limit is not None
    assert str(limit) == text
    assert limit.window_of(moment_ms) == window


def test_given_off_when_read_then_there_is_no_limit() -> None:
    assert RateLimit.parse("off") is None


@pytest.mark.parametrize(
    "text", ["", "0/minute", "-1/minute", "600", "600/day", "600 / minute", "6e2/minute", "OFF"]
)
def test_given_something_else_when_read_then_the_error_names_the_remedy(text: str) -> None:
    with pytest.raises(ValueError, match=r"RATE_LIMIT is .*600/minute, or off"):
        RateLimit.parse(text)


@given(st.lists(st.integers(0, 30), max_size=200))
def test_given_windows_in_any_order_then_kept_counts_plus_log_are_exact(
    windows: list[int],
) -> None:
    log: dict[int, int] = {}
    kept: dict[int, int] = {}
    for window in windows:
        older = {window: log.get(window, 0)} if kept and window < min(kept) else {}
        counts = Counts(kept, older)
        assert counts.of(window) == log.get(window, 0)
        kept = counts.after({window: 1})
        log[window] = log.get(window, 0) + 1
        assert kept == newest(log)
        assert list(kept) == sorted(kept)
        assert len(kept) <= KEPT_WINDOWS
