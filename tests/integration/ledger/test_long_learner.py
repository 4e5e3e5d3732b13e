"""A learner whose log takes longer than a statement may: audit, repair, replay, export, erasure."""

import asyncio
import hashlib
import time
import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from tests.integration.ledger.conftest import supabase_project
from tests.support.background_replay import DOCUMENT, Meter
from tests.support.doubles import fast_retrying
from tests.support.factories import answer
from tests.support.ledger_steps import PARAMETERS, folded, load
from tests.support.servers import exclusive_supabase, fresh_database, server_variables
from workers.common.errors import LedgerTooSlow
from workers.estimation.learner import LearnerKey
from workers.ledger.exchange import Committed, Conflict
from workers.ledger.parameter_versions import ParametersSource
from workers.ledger.protocol import Ledger
from workers.ledger.sql.direct import DirectLedger
from workers.ledger.sql.postgrest import PostgrestLedger
from workers.operations.repair.background_replay import Replayer
from workers.operations.repair.correcting import Corrector, Verdict
from workers.operations.repair.rebuilding import Rebuilder
from workers.operations.repair.verifying import verify

KEY = LearnerKey("school-7", "long")
ANSWERS = 40_000
SHARE = 3
"""A statement may take this share of the time that reading the whole log takes, on any machine. One
about a page takes far less."""

MIDDLE = str(uuid.UUID(hashlib.md5(str(ANSWERS // 2).encode(), usedforsecurity=False).hexdigest()))
RELOAD = "notify pgrst, 'reload config'"

LEARNER = """
insert into mastery.learners (tenant_id, student_id, version, responses)
values ($1, $2, currval('mastery.learner_version'), $3)
"""
FILL = """
insert into public.student_responses (
  tenant_id, student_id, response_id, session_id, item_id, concept_ids, scale, score, answered_at,
  version, entry, outcome)
select $1, $2, md5(n::text)::uuid, 's' || n / 50, 'i' || n % 200, array['c' || n % 20], 'math',
       (n % 3 > 0)::int, timestamptz '2020-01-01' + n * interval '60 s',
       nextval('mastery.learner_version'), 'practice.responses.v1/' || n || '-0', '{"window": 60}'
  from generate_series(1, $3::int) as n
"""
"""Fills a log as a bulk import would: no state and no checksums yet."""


@pytest_asyncio.fixture(params=["direct", "postgrest"])
async def ledger(request: pytest.FixtureRequest) -> AsyncIterator[DirectLedger | PostgrestLedger]:
    """A ledger of one long learner, whose statements are cancelled early."""
    if request.param == "direct":
        (url,) = server_variables("TEST_DATABASE_URL")
        async with fresh_database(url, migrated=True) as own:
            await _fill(own)
            short = await _short(DirectLedger(own))
            await _execute(own, f"alter database {own.rsplit('/', 1)[1]} set {short}")
            opened: DirectLedger | PostgrestLedger = DirectLedger(own)
            yield opened
            await opened.close()
        return
    async with exclusive_supabase(supabase_project()) as project:
        await _fill(project.database_url)
        opened = PostgrestLedger(project.url, project.service_role_key)
        short = await _short(DirectLedger(project.database_url))
        # PostgREST reads the settings of the roles that it takes on.
        await _execute(project.database_url, f"alter role service_role set {short}", RELOAD)
        try:
            await _until_short(opened)
            yield opened
        finally:
            reset = "alter role service_role reset statement_timeout"
            await _execute(project.database_url, reset, RELOAD)
            await opened.close()


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def _fill(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(FILL, *KEY, ANSWERS)
        await connection.execute(LEARNER, *KEY, ANSWERS)
    finally:
        await connection.close()


async def _short(ledger: DirectLedger) -> str:
    """Write the setting under which reading the whole log takes too long."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        await ledger.stored([KEY])
        times.append(time.perf_counter() - began)
    await ledger.close()
    return f"statement_timeout = '{1_000 * min(times) / SHARE:.0f}ms'"


async def _until_short(ledger: Ledger) -> None:
    for _ in range(100):
        try:
            await ledger.stored([KEY])
        except LedgerTooSlow:
            return
        await asyncio.sleep(0.1)
    pytest.fail("PostgREST has not read the timeout")


async def test_given_a_long_learner_then_all_repairs_work_within_the_limit(ledger: Ledger) -> None:
    with pytest.raises(LedgerTooSlow):
        await ledger.stored([KEY])

    (rebuilt,) = [page async for page in Rebuilder(ledger=ledger, parameters=PARAMETERS).rebuild()]
    assert (rebuilt.repaired, rebuilt.damaged) == ([KEY], [])
    assert rebuilt.sealed >= ANSWERS
    await _assert_right(ledger, ParametersSource(ledger, 0.95))

    corrector = Corrector(ledger=ledger, parameters=PARAMETERS, verdict=Verdict("void", "cheated"))
    (corrected,) = await corrector.correct([(KEY, MIDDLE)])
    assert corrected.ending == "corrected"
    await _assert_right(ledger, ParametersSource(ledger, 0.95))

    await ledger.activate(await ledger.store("bkt", DOCUMENT, {}, ""), "better")
    source = ParametersSource(ledger, 0.95)
    replayer = Replayer(ledger=ledger, versions=source, meter=Meter(), retrying=fast_retrying())
    assert await replayer.replay() == 1
    await _assert_right(ledger, source)


async def _assert_right(ledger: Ledger, source: ParametersSource) -> None:
    (verified,) = [page async for page in verify(ledger, source)]
    assert verified == (1, ANSWERS, [], 0, 0)


async def test_given_an_erasure_under_way_then_commits_wait_until_it_ends(
    ledger: DirectLedger | PostgrestLedger,
) -> None:
    new = answer(1)
    early = folded(KEY, await load(ledger, KEY, [new]), [new])
    arrived_ms = early.arrivals[0].entered_ms if early.arrivals else 0
    request = {"tenant": KEY.tenant_id, "student": KEY.student_id, "until_ms": arrived_ms - 1}

    begun = await ledger._call("mastery_erase", {**request, "refuse": False, "limit": 100})
    assert (begun["done"], begun["rows"]["student_responses"]) == (False, 100)
    assert (await load(ledger, KEY, [new])).erasing
    assert await ledger.commit([early]) == [Conflict()]
    assert await ledger.forget_erasures(2**60) == 0

    erased = await ledger.erase(KEY, arrived_ms - 1, refuse=False)

    assert erased.version is not None
    assert erased.version > begun["version"]
    assert erased.rows["student_responses"] == ANSWERS - 100
    state = await load(ledger, KEY, [new])
    assert not state.erasing
    (committed,) = await ledger.commit([folded(KEY, state, [new])])
    assert isinstance(committed, Committed)
    assert (await ledger.erase(KEY, 0, refuse=False, dry_run=True)).rows["student_responses"] == 1
