"""A few thousand of the fuzzed entries of `python -m bench.fuzz`, which runs a million."""

from bench.fuzz import fuzz
from tests.security.fuzzing import KINDS

_ENTRIES = 6_000


def test_given_fuzzed_entries_and_tokens_when_judged_then_each_is_refused() -> None:
    outcome = fuzz(_ENTRIES, seed=2)
    assert outcome.wrong == []
    assert {kind for kind, _ in outcome.codes} == KINDS.keys()
    codes = {"invalid", "unauthenticated", "forbidden", "too_large"}
    assert {code for _, code in outcome.codes} <= codes
    # Or what refuses everything would pass.
    assert outcome.good == _ENTRIES // 1_000
