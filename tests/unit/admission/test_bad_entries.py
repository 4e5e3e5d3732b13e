"""Bad entries of all kinds get the code they must get, each by itself and quickly."""

import json
import random
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import bad_entries
from tests.support.bad_entries import ISSUER, BadEntry, bad_entry, spread
from tests.support.bad_entry_kinds import CONFLICTS, KINDS, early
from tests.support.doubles import admission, entry_id, raw
from tests.support.examples import examples
from tests.support.factories import MISSING, START_US, changed, claims, event, event_json
from tests.support.fuzzed_entries import FUZZED
from tests.support.whole_run import simulated_rows
from workers.admission.verdicts import Admitted, Judged, Rejection
from workers.common.times import from_us
from workers.publishing.rejection_event import rejection_event
from workers.streams.batch import RawEntry

SLOWEST_S = 1.0
"""Processor time: far more than the slowest takes, on a slow machine too."""


def judged(bad: BadEntry) -> Judged:
    return admission(issuer=ISSUER).judge(RawEntry(entry_id(0), bad.fields))


def code(verdict: Judged) -> str:
    return verdict.refusal.code.value if isinstance(verdict, Rejection) else "admitted"


@pytest.mark.parametrize("kind", KINDS)
def test_given_a_bad_entry_when_judged_then_it_gets_its_code(kind: str) -> None:
    bad = bad_entry(kind, 7, START_US // 1_000_000, random.Random(7))
    assert code(judged(bad)) == bad.code


@settings(max_examples=examples(400))
@given(st.sampled_from(sorted(FUZZED)), st.integers(0, 2**64))
def test_given_any_damage_when_judged_then_it_gets_its_code(kind: str, seed: int) -> None:
    bad = bad_entry(kind, 7, START_US // 1_000_000, random.Random(seed))
    verdict = judged(bad)
    assert code(verdict) == bad.code, bad.fields
    assert isinstance(verdict, Rejection)
    assert verdict.refusal.reason.encode()
    assert len(verdict.refusal.reason) < 1_000


@pytest.mark.parametrize("kind", KINDS)
def test_given_a_bad_entry_when_its_fault_is_removed_then_it_is_admitted(kind: str) -> None:
    """So that each kind is refused for its own fault."""
    make = KINDS[kind].make
    kept: dict[str, Any] = {}

    def spared(candidate: Any, chance: random.Random) -> Any:
        kept.update(candidate)
        return make(candidate, chance)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(KINDS, kind, KINDS[kind]._replace(make=spared))
        bad_entry(kind, 7, START_US // 1_000_000, random.Random(7))
    verdict = admission(issuer=ISSUER).judge(raw(json.dumps(kept).encode()))
    assert code(verdict) == "admitted"


def test_given_the_kinds_when_counted_then_there_are_many_of_every_code() -> None:
    codes = {kind.code for kind in (KINDS | CONFLICTS).values()}
    assert codes == {
        "invalid", "too_large", "unauthenticated", "forbidden", "conflict"
    }  # fmt: skip
    assert len(KINDS) + len(CONFLICTS) >= 60


def test_given_spread_entries_made_twice_then_they_are_equal_and_complete() -> None:
    rows = simulated_rows(300, 5)
    count = 2 * (len(KINDS) + len(CONFLICTS))
    made = list(spread(rows, count, START_US // 1_000_000, seed=3))
    assert made == list(spread(rows, count, START_US // 1_000_000, seed=3))
    bad = [entry for _, entry in made if entry is not None]
    assert len(bad) == count
    assert len(made) == count + len(rows)
    assert {entry.kind for entry in bad} == {*KINDS, *CONFLICTS}
    known: set[str] = set()
    for fields, entry in made:
        if entry is not None and entry.code != "conflict":
            continue
        said = json.loads(fields[b"event"])["data"]["response"]["response_id"]
        assert (said in known) is (entry is not None)
        known.add(said)


@pytest.mark.parametrize("kind", KINDS)
def test_given_a_bad_entry_when_refused_then_the_dead_letter_has_its_bytes(kind: str) -> None:
    bad = bad_entry(kind, 7, START_US // 1_000_000, random.Random(7))
    verdict = judged(bad)
    assert isinstance(verdict, Rejection)
    letter = rejection_event("s", verdict.entry, verdict.refusal, 1, from_us(START_US))
    should = bad.fields.get(b"event", bad.fields)
    assert bad_entries.recovered(json.loads(letter)["data"]) == should


MANY = {str(n): n for n in range(4_000)}
EARLY = early(event(correct=MISSING, score=1.0))
LARGEST: dict[str, bytes] = {
    "wrong concepts": json.dumps(event(concept_ids=[1] * 15_000)).encode(),
    "empty concepts": json.dumps(event(concept_ids=[""] * 12_000)).encode(),
    "audiences": json.dumps(event(claim_changes={"aud": [1] * 15_000})).encode(),
    "one key again and again": b"{" + b'"a":1,' * 9_000 + b'"a":1}',
    "many keys": json.dumps(MANY).encode(),
    "many claims": json.dumps(event() | {"data": {"claims": MANY}}).encode(),
    "a long time": event_json(answered_at="2026-11-21T09:29:58." + "1" * 60_000 + "Z"),
    "a long number": json.dumps(event(score=9)).replace(": 9,", ": 9." + "1" * 60_000).encode(),
    "escapes": event_json(item_id="\x00" * 10_000),
    "nothing but brackets": b"[" * 65_000,
    "nothing but quotes": b'"' * 65_000,
    "nothing but backslashes": b'{"' + b"\\" * 65_000,
    "white space": b" " * 65_000,
    "long strings in many places": json.dumps(
        event(item_id="x" * 9_000, session_id="x" * 9_000, scale="x" * 9_000)
        | {"id": "x" * 9_000, "type": "x" * 9_000}
    ).encode(),
    "version 0": json.dumps(changed(EARLY, "data.claims", MANY)).encode(),
}


@pytest.mark.parametrize("text", LARGEST.values(), ids=LARGEST.keys())
def test_given_an_entry_of_the_largest_size_then_judging_takes_no_time(text: bytes) -> None:
    assert len(text) < 65_531
    taken = []
    for _ in range(3):
        began = time.thread_time()
        verdict = admission().judge(raw(text))
        taken.append(time.thread_time() - began)
        assert isinstance(verdict, Rejection)
        assert len(verdict.refusal.reason) < 600
    assert min(taken) < SLOWEST_S


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)
PLACES = [
    *EARLY,
    "data.claims",
    *(f"data.claims.{name}" for name in claims()),
    *(f"data.response.{name}" for name in (*EARLY["data"]["response"], "concept_ids", "scale")),
]


@given(st.lists(st.tuples(st.sampled_from(PLACES), JSON), min_size=1, max_size=3))
def test_given_version_0_with_any_values_when_judged_then_it_never_raises(
    changes: list[tuple[str, Any]],
) -> None:
    candidate = EARLY
    for path, value in sorted(changes, key=lambda change: -len(change[0])):
        candidate = changed(candidate, path, value)
    verdict = admission().judge(raw(json.dumps(candidate).encode()))
    if isinstance(verdict, Rejection):
        assert verdict.refusal.reason.encode()


@given(
    st.text(max_size=30),
    st.sampled_from(["practice.response.recorded.v", "practice.", ""]),
)
def test_given_any_type_when_judged_then_it_is_known_or_told(end: str, begin: str) -> None:
    verdict = admission().judge(raw(json.dumps(event() | {"type": begin + end}).encode()))
    if isinstance(verdict, Rejection):
        assert code(verdict) == "invalid"
        assert verdict.refusal.reason.startswith(("type is", "data.response.concept_id"))


def test_given_version_0_when_judged_then_it_counts_as_the_current_version() -> None:
    current = event(correct=MISSING, score=1.0, scale=MISSING)
    older = early(event(correct=MISSING, score=1.0))

    verdict, other = (admission().judge(raw(json.dumps(e).encode())) for e in (current, older))

    assert isinstance(verdict, Admitted)
    assert isinstance(other, Admitted)
    assert (verdict.key, verdict.response) == (other.key, other.response)
    # What goes to the dead letters, should it be refused later, is what was published.
    assert json.loads(other.entry.fields[b"event"]) == older


def test_given_an_unknown_major_version_then_only_its_type_is_told() -> None:
    future = {"specversion": "1.0", "id": "7", "type": "practice.response.recorded.v2", "data": {}}
    verdict = admission().judge(raw(json.dumps(future).encode()))
    assert isinstance(verdict, Rejection)
    assert verdict.refusal.field == "type"
    for part in ("recorded.v2", "must be practice.response.recorded.v1", "publish"):
        assert part in verdict.refusal.reason
    assert "more)" not in verdict.refusal.reason
