"""Property tests, and tests marked `untraced`, run without coverage."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st


@given(st.none())
def test_given_a_property_test_when_it_runs_then_nothing_traces_it(nothing: None) -> None:
    assert sys.gettrace() is nothing


@pytest.mark.untraced
def test_given_an_untraced_test_when_it_runs_then_nothing_traces_it() -> None:
    assert sys.gettrace() is None


def test_given_any_other_test_under_coverage_then_it_is_traced(
    request: pytest.FixtureRequest,
) -> None:
    if request.config.getoption("cov_source", default=None):
        assert sys.gettrace() is not None
