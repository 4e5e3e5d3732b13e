"""A replica that cancels a query in order to replay."""

from typing import Any

import pytest
from typing_extensions import override

from workers.common.errors import LedgerUnavailable
from workers.ledger.sql import replica
from workers.ledger.sql.direct import DirectLedger
from workers.ledger.sql.replica import ReplicaLedger

_CANCELLED = "canceling statement due to conflict with recovery (SQLSTATE 40001)"


class _CaughtUp(ReplicaLedger):
    @override
    async def behind(self, position: str) -> int:
        return 0


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Answers of the replica, call by call."""
    left: list[Any] = []

    async def call(*_: object) -> Any:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def at_once(_: float) -> None:
        pass

    async def position(_: str) -> str:
        return "0/1"

    monkeypatch.setattr(DirectLedger, "_call", call)
    monkeypatch.setattr(replica, "jittered_sleep", at_once)
    monkeypatch.setattr(replica, "primary_position", position)
    return left


async def test_given_a_cancelled_query_then_it_is_asked_again(answers: list[Any]) -> None:
    answers += [LedgerUnavailable(_CANCELLED), LedgerUnavailable(_CANCELLED), [7]]
    assert await _CaughtUp("postgresql://r", "postgresql://p").count() == 7


@pytest.mark.parametrize(("reason", "left"), [(_CANCELLED, 1), ("the network is away", 5)])
async def test_given_no_end_of_errors_then_the_last_one_is_raised(
    answers: list[Any], reason: str, left: int
) -> None:
    answers += [LedgerUnavailable(reason)] * 6
    with pytest.raises(LedgerUnavailable, match=reason[:20]):
        await _CaughtUp("postgresql://r", "postgresql://p").count()
    assert len(answers) == left
