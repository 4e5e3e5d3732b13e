"""Unknown and retired keys, and the cache of verified tokens."""

from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.issuer import SigningKey, token_claims
from tests.support.token_checks import (
    EDDSA,
    ES256,
    LATER_MS,
    NOW_MS,
    STUDENT,
    keys_of,
    refusal,
    verifier,
)
from workers.common.errors import KeyUnknown, Refused
from workers.identity.keys import KeySet

# Keys that are not known


def test_given_an_unknown_key_and_no_newer_key_set_then_it_is_not_refused() -> None:
    token = SigningKey("new").sign(token_claims())
    with pytest.raises(KeyUnknown):
        verifier(keys_of(ES256)).verify(token, NOW_MS, LATER_MS)
    with pytest.raises(KeyUnknown):
        verifier(KeySet()).verify(token, NOW_MS, NOW_MS)
    with pytest.raises(Refused):
        verifier(keys_of(ES256)).verify(token, NOW_MS, LATER_MS - 1)


def test_given_no_kid_then_a_fitting_key_counts_or_a_newer_set_is_awaited() -> None:
    nameless, other = SigningKey(None), SigningKey(None)
    claims = token_claims()
    checked = verifier(keys_of(nameless, ES256))
    assert checked.verify(nameless.sign(claims), NOW_MS, LATER_MS).identity == STUDENT
    anonymous = jwt.encode(claims, ES256.private, "ES256")
    assert checked.verify(anonymous, NOW_MS, LATER_MS).identity == STUDENT
    with pytest.raises(KeyUnknown):
        checked.verify(other.sign(claims), NOW_MS, LATER_MS)
    assert "key set" in str(refusal(other.sign(claims), checked))


def test_given_a_retired_key_then_it_serves_earlier_entries_alone() -> None:
    (key,) = keys_of(ES256).keys
    retired = KeySet((key.retired(NOW_MS),), LATER_MS)
    token = ES256.sign(token_claims())
    checked = verifier(retired)
    assert checked.verify(token, NOW_MS - 1, NOW_MS - 1).identity == STUDENT
    # Cached now, and refused all the same.
    assert "retired" in str(refusal(token, checked))
    with pytest.raises(KeyUnknown):
        checked.verify(token, NOW_MS, LATER_MS)


def test_given_a_cached_token_whose_key_is_gone_then_it_no_longer_counts() -> None:
    known = [keys_of(ES256)]
    checked = verifier(keys=lambda: known[0])
    token = ES256.sign(token_claims())
    checked.verify(token, NOW_MS, NOW_MS)
    known[0] = keys_of(EDDSA)
    assert "key set" in str(refusal(token, checked))
    # Another key under its id is another key.
    known[0] = keys_of(SigningKey("es"))
    assert "'kid' names" in str(refusal(token, checked))


# The cache


def test_given_a_token_again_then_its_signature_is_not_checked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checked = verifier(cached=2)
    looked = []
    real = jwt.PyJWS.decode_complete

    def counted(self: jwt.PyJWS, *arguments: Any) -> Any:
        looked.append(arguments)
        return real(self, *arguments)

    monkeypatch.setattr(jwt.PyJWS, "decode_complete", counted)
    first, two, three = (ES256.sign(token_claims(f"student-{n}")) for n in range(3))
    for token, count in (
        (first, 1),
        (first, 1),
        (two, 2),
        (first, 2),
        (three, 3),
        (first, 3),
        (two, 4),
    ):
        checked.verify(token, NOW_MS, NOW_MS)
        assert len(looked) == count


@given(st.lists(st.integers(0, 6), max_size=40), st.integers(1, 4))
@settings(max_examples=examples(50), deadline=None)
def test_given_any_order_of_tokens_then_the_cache_changes_no_answer(
    order: list[int], cached: int
) -> None:
    checked = verifier(cached=cached)
    for number in order:
        verified = checked.verify(TOKENS[number], NOW_MS, NOW_MS)
        assert verified.identity.subject == f"student-{number}"
        assert len(checked._cache) <= cached


TOKENS = [EDDSA.sign(token_claims(f"student-{number}")) for number in range(7)]
