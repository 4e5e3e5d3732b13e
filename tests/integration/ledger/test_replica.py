"""Commands that read from a streaming replica of a real Postgres."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from typer.testing import CliRunner, Result

from tests.faults.processes import free_port, until
from tests.faults.servers import PostgresServer, scratch
from tests.support.doubles import admitted, key_of, record, recorder
from tests.support.postgres_connections import value
from workers.cli.main import app
from workers.common.errors import LedgerRefused, LedgerUnavailable
from workers.estimation.parameters import Parameters
from workers.ledger.sql.direct import DirectLedger
from workers.ledger.sql.replica import ReplicaLedger
from workers.operations.repair.verifying import verify

pytestmark = [pytest.mark.servers, pytest.mark.asyncio(loop_scope="module")]


@dataclass
class Pair:
    """A database on a primary, and the same one on its replica."""

    primary: str
    replica: str
    answers: int = 0

    async def answer(self) -> None:
        """Commit one more answer to the primary."""
        self.answers += 1
        ledger = DirectLedger(self.primary)
        try:
            await record(recorder(ledger), [admitted(number=self.answers)])
        finally:
            await ledger.close()

    async def pause(self) -> None:
        await value(self.replica, "select pg_wal_replay_pause()")
        paused = "select pg_get_wal_replay_pause_state() = 'paused'"
        await until(lambda: value(self.replica, paused), "replay pauses", within_s=10)

    async def resume(self) -> None:
        await value(self.replica, "select pg_wal_replay_resume()")


_WITHIN_S = 60.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair() -> AsyncIterator[Pair]:
    with scratch() as directory:
        primary = PostgresServer(directory / "primary")
        primary.create()
        servers = [primary]
        try:
            await primary.serving()
            url = await primary.database()
            replica = primary.replica(directory / "replica")
            servers.append(replica)
            await replica.serving()
            yield Pair(url, url.replace(f":{primary.port}/", f":{replica.port}/"))
        finally:
            for server in reversed(servers):
                server.process.kill()


async def _responses(ledger: DirectLedger) -> int:
    (stored,) = await ledger.stored([key_of()])
    return stored.responses_read


async def test_given_a_commit_then_the_replica_is_read_with_it(pair: Pair) -> None:
    for _ in range(5):
        await pair.answer()
        ledger = ReplicaLedger(pair.replica, pair.primary)
        assert await _responses(ledger) == pair.answers
        await ledger.close()


async def test_given_a_replica_that_lags_then_it_is_waited_for(pair: Pair) -> None:
    await pair.answer()
    await pair.pause()
    try:
        await pair.answer()
        lagging = ReplicaLedger(pair.replica, pair.primary, timeout_s=0.3)
        with pytest.raises(LedgerUnavailable, match="bytes of journal behind the primary"):
            await lagging.ping()
    finally:
        await pair.resume()
    await lagging.ping()
    direct = DirectLedger(pair.primary)
    assert await _responses(lagging) == await _responses(direct)
    for ledger in (lagging, direct):
        await ledger.close()


async def test_given_commits_all_the_while_then_the_replica_has_no_difference(pair: Pair) -> None:
    ledger = ReplicaLedger(pair.replica, pair.primary)
    answering = asyncio.create_task(_answer_on(pair))
    read: list[int] = []
    # Commits arrive at the replica on the way, however fast it is read.
    async with asyncio.timeout(_WITHIN_S):
        while len(read) < 20 or read[-1] == read[0]:
            async for page in verify(ledger, Parameters()):
                assert page.differences == []
                read.append(page.responses)
    answering.cancel()
    await ledger.close()


async def _answer_on(pair: Pair) -> None:
    while True:
        await pair.answer()


async def test_given_a_primary_in_place_of_the_replica_then_it_is_refused(pair: Pair) -> None:
    ledger = ReplicaLedger(pair.primary, pair.primary)
    with pytest.raises(LedgerRefused, match="DATABASE_REPLICA_URL is no streaming replica"):
        await ledger.ping()
    await ledger.close()


async def test_given_no_replica_there_then_its_setting_is_named(pair: Pair) -> None:
    ledger = ReplicaLedger(f"postgresql://postgres@127.0.0.1:{free_port()}/x", pair.primary)
    with pytest.raises(LedgerUnavailable, match="is DATABASE_REPLICA_URL right"):
        await ledger.ping()
    await ledger.close()


async def test_given_the_primary_is_away_then_the_replica_is_read_anyway(pair: Pair) -> None:
    await pair.answer()
    at_once = ReplicaLedger(pair.replica, pair.primary)
    expected = await _responses(at_once)
    away = ReplicaLedger(pair.replica, f"postgresql://postgres@127.0.0.1:{free_port()}/x")
    assert await _responses(away) == expected
    for ledger in (at_once, away):
        await ledger.close()


@pytest.mark.parametrize(
    "command",
    [["verify"], ["evaluate", "--live"], ["learner", "export", "student-42", "--tenant=school-7"]],
    ids=" ".join,
)
async def test_given_a_replica_when_a_command_reads_then_from_there(
    pair: Pair, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", pair.primary)
    monkeypatch.setenv("DATABASE_REPLICA_URL", pair.replica)
    monkeypatch.setenv("LEDGER_TIMEOUT_S", "10")
    await pair.answer()
    assert (await _run(command)).exit_code == 0
    await pair.pause()
    try:
        await pair.answer()
        monkeypatch.setenv("LEDGER_TIMEOUT_S", "0.3")
        lagging = await _run(command)
    finally:
        await pair.resume()
    assert "bytes of journal behind" in str(lagging.exception)


async def test_given_a_replica_when_checked_then_its_state_is_told(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", pair.primary)
    monkeypatch.setenv("DATABASE_REPLICA_URL", pair.replica)
    assert "replica   ok: a streaming replica, up to date" in (await _run(["check"])).output
    monkeypatch.setenv("DATABASE_REPLICA_URL", pair.primary)
    assert "is no streaming replica" in (await _run(["check"])).output


async def _run(command: list[str]) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, command)
