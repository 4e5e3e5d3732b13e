"""Events whose claims have to be those of their token."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.claims import Claims
from contracts.rejections import RejectionCode
from tests.support.doubles import admission
from tests.support.issuer import SigningKey, token_claims
from tests.support.token_checks import ES256, LATER_MS, NOW_MS, keys_of, verifier
from tests.support.token_events import token_event
from workers.admission.verdicts import Admitted, Deferred, Judged, Rejection
from workers.identity.comparison import differing_claim, same
from workers.identity.keys import KeySet
from workers.identity.verified_tokens import VerifiedTokens
from workers.streams.batch import RawEntry

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


def judge(
    event: bytes, *, at_ms: int = NOW_MS, now_ms: int | None = None, keys: KeySet | None = None
) -> Judged:
    checked = VerifiedTokens(verifier(keys))
    changed = admission()
    object.__setattr__(changed, "authenticator", checked)
    return changed.judge(RawEntry(f"{at_ms}-0", {b"event": event}), now_ms)


def unauthenticated(event: bytes, **how: Any) -> Rejection:
    verdict = judge(event, **how)
    assert isinstance(verdict, Rejection)
    assert verdict.refusal.code is RejectionCode.UNAUTHENTICATED
    return verdict


def test_given_the_tokens_own_claims_then_the_event_is_admitted() -> None:
    claims = token_claims(app_metadata={"groups": ["a", 1, None]}, nbf=NOW_MS // 1000)
    verdict = judge(token_event(claims, ES256.sign(claims)))
    assert isinstance(verdict, Admitted)
    assert (verdict.key.tenant_id, verdict.key.student_id) == ("school-7", "student-42")


@pytest.mark.parametrize("left_out", ["tenant_id", "role"])
def test_given_claims_left_out_then_they_are_the_tokens(left_out: str) -> None:
    claims = token_claims(tenant_id="school-8", role="service_role")
    said = {name: value for name, value in claims.items() if name != left_out}
    verdict = judge(token_event(said, ES256.sign(claims), student_id="student-43"))
    assert isinstance(verdict, Admitted)
    assert (verdict.key.tenant_id, verdict.key.student_id) == ("school-8", "student-43")


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": "student-43"},
        {"tenant_id": "school-8"},
        {"role": "service_role"},
        {"role": None},
        {"iss": "https://issuer.example/auth/v2"},
        {"aud": ["authenticated"]},
        {"exp": 4_000_000_000},
        {"iat": 1},
        {"nbf": 1},
        {"admin": 1},
        {"extra": "x"},
    ],
)
def test_given_claims_that_are_not_the_tokens_then_they_are_refused(
    changes: dict[str, Any],
) -> None:
    claims = token_claims(admin=True)
    verdict = unauthenticated(token_event({**claims, **changes}, ES256.sign(claims)))
    (name,) = changes
    assert verdict.refusal.field == f"data.claims.{name}"
    assert "school-8" not in verdict.refusal.reason


def test_given_no_token_then_it_is_demanded() -> None:
    assert unauthenticated(token_event(token_claims(), None)).refusal.field == "data.token"


@pytest.mark.parametrize(("at_s", "good"), [(3_600 + 59, True), (3_600 + 60, False)])
def test_given_a_token_then_its_expiry_is_judged_at_the_entry(at_s: int, good: bool) -> None:
    one = _judged({}, at_s, now_s=6 * 86_400)
    assert isinstance(one, Admitted if good else Rejection)


@pytest.mark.parametrize(
    ("changes", "now_s", "good"),
    [
        ({}, -60, True),
        ({}, -61, False),
        ({"nbf": NOW_MS // 1000 + 100}, 40, True),
        ({"nbf": NOW_MS // 1000 + 100}, 39, False),
    ],
)
def test_given_a_token_then_its_beginning_is_judged_at_present(
    changes: dict[str, Any], now_s: int, good: bool
) -> None:
    for at_s in (now_s, now_s - 600):
        one = _judged(changes, at_s, now_s=now_s)
        assert isinstance(one, Admitted if good else Rejection)


@pytest.mark.parametrize(("now_s", "good"), [(3_600 + 59, True), (3_600 + 60, False)])
def test_given_an_id_to_come_then_the_expiry_is_judged_at_present(now_s: int, good: bool) -> None:
    one = _judged({}, 86_400, now_s=now_s)
    assert isinstance(one, Admitted if good else Rejection)


def _judged(changes: dict[str, Any], at_s: int, *, now_s: int) -> Judged:
    """Judge at `now_s` an event with an id of `at_s`, both in seconds after its token's issue."""
    issued_s = NOW_MS // 1000
    claims = token_claims(**{"iat": issued_s, "exp": issued_s + 3_600, **changes})
    event = token_event(claims, ES256.sign(claims), number=-1_000)
    return judge(event, at_ms=NOW_MS + 1000 * at_s, now_ms=NOW_MS + 1000 * now_s)


def test_given_an_unknown_key_then_the_entry_waits_since_it_was_added() -> None:
    claims = token_claims()
    event = token_event(claims, SigningKey("new").sign(claims))
    verdict = judge(event, keys=keys_of(ES256, fetched_ms=NOW_MS))
    assert isinstance(verdict, Deferred)
    assert verdict.since_ms == NOW_MS
    assert unauthenticated(event, keys=keys_of(ES256, fetched_ms=LATER_MS))


def test_given_an_id_from_the_future_then_the_entry_does_not_wait_for_it() -> None:
    claims = token_claims(exp=NOW_MS // 1000 + 10_000_000)
    event = token_event(claims, SigningKey("new").sign(claims))
    far = NOW_MS + 1_000_000_000
    verdict = judge(event, at_ms=far, now_ms=NOW_MS, keys=keys_of(ES256, fetched_ms=NOW_MS))
    assert isinstance(verdict, Deferred)
    assert verdict.since_ms == NOW_MS
    again = admission()
    object.__setattr__(
        again, "authenticator", VerifiedTokens(verifier(keys_of(ES256, fetched_ms=LATER_MS)))
    )
    entry = RawEntry(f"{far}-0", {b"event": event}, deferred_ms=verdict.since_ms)
    assert isinstance(again.judge(entry, LATER_MS + 5), Rejection)


@pytest.mark.parametrize(("age_s", "good"), [(604_800, True), (604_801, False)])
def test_given_an_entry_that_waited_for_long_then_either_mode_refuses_it(
    age_s: int, good: bool
) -> None:
    claims = token_claims()
    event = token_event(claims, ES256.sign(claims))
    entry = RawEntry(f"{NOW_MS}-0", {b"event": event})
    now_ms = NOW_MS + 1000 * age_s
    for verdict in (judge(event, now_ms=now_ms), admission().judge(entry, now_ms)):
        assert isinstance(verdict, Admitted if good else Rejection)
        if isinstance(verdict, Rejection):
            assert verdict.refusal.code is RejectionCode.UNAUTHENTICATED
            assert "mastery rejected redrive" in verdict.refusal.reason
    # Redriven, it is a new entry whose event is as old as before.
    anew = entry._replace(entry_id=f"{now_ms}-0", redriven_from=entry.entry_id)
    assert isinstance(admission().judge(anew, now_ms), Admitted)


# Sameness


@given(JSON)
def test_given_any_json_when_written_and_read_then_it_is_the_same(value: Any) -> None:
    assert same(value, json.loads(json.dumps(value)))


@given(JSON, JSON)
def test_given_any_two_values_then_they_are_the_same_if_json_says_so(
    value: Any, other: Any
) -> None:
    assert same(value, other) is same(other, value) is (canonical(value) == canonical(other))


def canonical(value: Any) -> Any:
    """A value in which true is not one."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, list):
        return [canonical(member) for member in value]
    if isinstance(value, dict):
        return {name: canonical(member) for name, member in value.items()}
    return value


@pytest.mark.parametrize(
    ("value", "other"),
    [(True, 1), (False, 0), (1, "1"), (None, False), ([1], [True]), ({"a": 0}, {"a": False}),
     ([], {}), ([1], [1, 1]), ({"a": 1}, {"b": 1}), (float("nan"), float("nan")), (None, 0)],
)  # fmt: skip
def test_given_values_that_python_may_confuse_then_they_differ(value: Any, other: Any) -> None:
    assert not same(value, other)
    assert not same(other, value)
    assert same(1, 1.0)


@given(st.dictionaries(st.text(), JSON, max_size=5), st.sets(st.text(), max_size=3))
def test_given_any_claims_then_what_they_name_is_compared_and_no_more(
    extra: dict[str, Any], left_out: set[str]
) -> None:
    claims = {**extra, **token_claims()}
    verified = verifier().verify(ES256.sign(claims), NOW_MS, NOW_MS) if _signable(claims) else None
    if verified is None:
        return
    may_go = left_out - {"sub", "iss", "aud", "exp", "iat"}  # those an event has to name
    said = {name: value for name, value in claims.items() if name not in may_go}
    assert differing_claim(Claims.model_validate(said), verified) is None
    assert differing_claim(Claims.model_validate({**said, "more": 1}), verified) == (
        None if same(claims.get("more"), 1) else "more"
    )


def _signable(claims: dict[str, Any]) -> bool:
    try:
        verifier().verify(ES256.sign(claims), NOW_MS, NOW_MS)
    except Exception:  # noqa: BLE001  # surrogates, NUL in a tenant: tested elsewhere
        return False
    return True
