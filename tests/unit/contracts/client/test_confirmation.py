"""What a confirmation asks for, and how its answer is read."""

import pytest
from redis.exceptions import AskError, MovedError, RedisError, ResponseError

from contracts.client.confirmation import (
    Confirmation,
    NotConfirmedError,
    commands,
    ids_of,
    redirected,
)

TWO = Confirmation(replicas=2, timeout_s=0.5)
DISK = Confirmation(on_disk=True)


def test_given_a_confirmation_then_wait_or_waitaof_is_asked_for_in_time() -> None:
    assert TWO.command(2.0) == ("WAIT", 2, 500)
    assert TWO.command(0.2) == ("WAIT", 2, 200)
    assert DISK.command(2.0) == ("WAITAOF", 1, 1, 1000)
    assert Confirmation(timeout_s=1e-9).command(2.0) == ("WAIT", 1, 1)


@pytest.mark.parametrize("wrong", [{"replicas": 0}, {"replicas": -1}, {"timeout_s": 0.0}])
def test_given_what_confirms_nothing_then_it_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"replicas|timeout_s"):
        Confirmation(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "answer", "confirmed"),
    [(TWO, 2, True), (TWO, 3, True), (TWO, 1, False), (DISK, [1, 1], True), (DISK, [0, 1], False)],
)
def test_given_an_answer_then_too_few_replicas_raise(
    wanted: Confirmation, answer: object, confirmed: bool
) -> None:
    if confirmed:
        assert ids_of([b"1-0", answer], wanted, asking=False) == [b"1-0"]
        return
    with pytest.raises(NotConfirmedError, match="publish it again"):
        ids_of([b"1-0", answer], wanted, asking=False)


def test_given_an_error_then_the_confirmation_after_it_is_not_believed() -> None:
    moved = MovedError("1 127.0.0.1:1")
    with pytest.raises(MovedError):
        ids_of([moved, 2], TWO, asking=False)
    assert redirected(moved, added=False)
    assert redirected(AskError("1 127.0.0.1:1"), added=False)
    assert not redirected(moved, added=True)
    assert not redirected(ResponseError("x"), added=False)
    assert issubclass(NotConfirmedError, RedisError)


def test_given_a_slot_that_moves_then_each_entry_is_asked_for() -> None:
    sent = commands("s", [{"event": "a"}, {"event": "b"}], ("WAIT", 1, 1), asking=True)
    assert [command[0] for command in sent] == ["ASKING", "XADD", "ASKING", "XADD", "WAIT"]
    assert ids_of([b"OK", b"1-0", b"OK", b"2-0", 1], Confirmation(), asking=True) == [
        b"1-0",
        b"2-0",
    ]
