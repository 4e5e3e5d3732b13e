"""Check the ledger: version, schema, parameters and clock."""

from typing import Final

from workers.app.worker import parameters_source
from workers.cli.check.findings import Findings, clock_warning
from workers.common.postgres_dsn import address
from workers.config.settings import Settings
from workers.ledger.protocol import Ledger
from workers.ledger.schema.migrations import Migrations
from workers.ledger.sql.direct import ledger_errors, server_version
from workers.ledger.sql.pooler import Way, way

_POOLER_S: Final = 5.0
_LEAST: Final = 15
"""Views with `security_invoker`, on which row level security depends, came with Postgres 15."""


async def check_ledger(ledger: Ledger, settings: Settings) -> Findings:
    """Check the ledger in the settings.

    Raises:
        LedgerUnavailable: it is away.
        LedgerRefused: it refuses us, or its schema is not that of this version.
        ParametersRefused: the active parameters can't be read.
    """
    findings = Findings("Supabase" if settings.supabase_url else "Postgres, embedded")
    if settings.database_url is not None:
        dsn = settings.database_url.get_secret_value()
        major = await server_version(dsn) // 10_000
        findings.summary = f"Postgres {major}"
        if major < _LEAST:
            findings.problems.append(f"Postgres {major} is too old: install {_LEAST} or newer")
            return findings
        await _check_schema(dsn, findings)
        if findings.problems:
            return findings
    await ledger.ping()
    active = (await parameters_source(settings, ledger).refresh()).version
    findings.summary += f", parameters version {active}"

    async def now_s() -> float:
        return await ledger.clock_us() / 1_000_000

    warning = await clock_warning("the database", now_s)
    findings.warnings += [] if warning is None else [warning]
    return findings


async def _check_schema(dsn: str, findings: Findings) -> None:
    if await _transaction_pooler(dsn, findings):
        findings.warnings.append(
            "pending migrations can't be seen through a transaction pooler: `mastery migrate "
            "history` shows them over the direct connection or the session pooler"
        )
        return
    pending = await Migrations(dsn).pending()
    if pending:
        findings.problems.append(f"{len(pending)} migrations are pending: run `mastery migrate up`")
    findings.summary += ", schema up to date"


async def _transaction_pooler(dsn: str, findings: Findings) -> bool:
    plain, pooled = address(dsn)
    if pooled:
        return True
    with ledger_errors():
        answering = await way(plain, _POOLER_S)
    if answering is Way.SERVER:
        return False
    if answering is Way.TRANSACTION_POOLER and pooled is False:
        findings.warnings.append(
            "DATABASE_URL says pgbouncer=false, but a transaction pooler answers: unless it keeps "
            "prepared statements (PgBouncer 1.21 with max_prepared_statements), workers meet each "
            "other's; say pgbouncer=true, or leave it out"
        )
    if pooled is None:
        findings.warnings.append(
            f"{answering.value} answers at DATABASE_URL, so no prepared statement is kept: say "
            "pgbouncer=true in its query, or pgbouncer=false for a pooler of sessions"
        )
    return answering is Way.TRANSACTION_POOLER
