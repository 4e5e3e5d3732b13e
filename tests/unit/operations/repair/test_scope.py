import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.estimation.learner import LearnerKey
from workers.graph.protocol import SessionKey
from workers.operations.reconciliation.pairs import Pairs
from workers.operations.reconciliation.since import Since
from workers.operations.repair.scope import Cursor, Phase, Scope

KEYS = [LearnerKey(tenant, str(n)) for tenant in ("a", "b", "c") for n in range(5)]


async def following(after: LearnerKey) -> list[LearnerKey]:
    return [key for key in KEYS if key > after][:2]


async def pages(scope: Scope, after: LearnerKey | None = None) -> list[LearnerKey]:
    return [key async for page in scope.learners(following, after) for key in page]


async def test_given_no_limits_then_all_come_in_order() -> None:
    assert await pages(Scope()) == KEYS
    assert await pages(Scope(), KEYS[7]) == KEYS[8:]


async def test_given_a_tenant_then_only_its_learners_come() -> None:
    assert await pages(Scope("b")) == KEYS[5:10]
    assert await pages(Scope("b"), KEYS[6]) == KEYS[7:10]
    assert await pages(Scope("bb")) == []


async def test_given_one_learner_then_it_comes_unless_it_is_done() -> None:
    assert await pages(Scope("b", "x")) == [("b", "x")]
    assert await pages(Scope("b", "x"), LearnerKey("b", "x")) == []


async def test_given_sessions_then_they_are_paged_alike() -> None:
    keys = [SessionKey(*key) for key in KEYS]

    async def after(key: SessionKey) -> list[SessionKey]:
        return [candidate for candidate in keys if candidate > key][:3]

    in_scope = [key async for page in Scope("b").pages(after, SessionKey("b", "")) for key in page]
    assert in_scope == keys[5:10]


def test_given_a_student_without_a_tenant_then_it_is_refused() -> None:
    with pytest.raises(ValueError, match="tenant"):
        Scope(None, "s")


@given(st.text(), st.text(), st.sampled_from(Phase))
def test_given_a_cursor_then_its_text_gives_it_back(
    tenant: str, student: str, phase: Phase
) -> None:
    cursor = Cursor(phase, LearnerKey(tenant, student))
    assert Cursor.of_text(str(cursor)) == cursor
    assert str(cursor).isascii()


@pytest.mark.parametrize("text", ["", "x", "é", "W10=", "WzEsMiwzXQ==", "WyJncmFwaCIsImEiXQ=="])
def test_given_no_cursor_then_it_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        Cursor.of_text(text)


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("1970-01-01T01:00:00.5+01:00", 500_000),
        ("90s", 9_910_000_000),
        ("2h", 2_800_000_000),
        ("999w", 0),
    ],
)
def test_given_a_moment_or_an_age_then_it_is_meant_by_the_clock_given(text: str, us: int) -> None:
    assert Since.of_text(text).by(10_000_000_000) == us


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-11-21T09:30:00", "2026-11-21", "2y", "-2h", "0001-01-01T00:00+14"],
)
def test_given_no_time_then_it_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a time"):
        Since.of_text(text)


def test_given_very_many_pairs_then_those_added_are_known_and_others_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workers.operations.reconciliation.pairs._UNSORTED", 10_000)
    pairs = Pairs()
    assert ("a", "b") not in pairs
    for tenth in range(10):
        pairs.update((str(n), "x") for n in range(tenth * 3_000, (tenth + 1) * 3_000))
    pairs.update([("1", "x"), ("last", "x")])

    assert all((str(n), "x") in pairs for n in (0, 1, 9_999, 15_000, 29_999, "last"))
    assert not any((str(n), "y") in pairs for n in range(1_000))
    assert ("1x",) not in pairs
    assert ("", "1x") not in pairs
