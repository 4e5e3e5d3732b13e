"""`mastery rejected list|show|redrive|purge`: the dead letters."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, TypeVar

import typer
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from contracts.rejections import RejectionCode
from workers.cli.rejected import view
from workers.cli.rejected.options import (
    All,
    Code,
    Cursor,
    DryRun,
    Ids,
    Json,
    Limit,
    Limited,
    Since,
    SomeIds,
    Student,
    Tenant,
    Until,
    Yes,
)
from workers.cli.rejected.run import Choice, Tally, run_over
from workers.common.errors import SettingsError
from workers.config.loading import load_settings
from workers.config.settings import Settings
from workers.operations.dead_letters.dead_letter import DeadLetter, DeadLetterId
from workers.operations.dead_letters.outcome import Outcome
from workers.operations.dead_letters.purging import Purger
from workers.operations.dead_letters.reading import DeadLetters
from workers.operations.dead_letters.redriving import Redriver, preview
from workers.operations.dead_letters.selection import Selection

Result = TypeVar("Result")

_LIMIT: Final = 50

app = typer.Typer(
    name="rejected",
    help="Look at dead letters, send them again, take them away.",
    no_args_is_help=True,
)


@app.command("list")
def list_(  # noqa: PLR0917  # typer reads the parameters by name
    ids: Ids = None,
    code: Code = None,
    tenant: Tenant = None,
    student: Student = None,
    since: Since = None,
    until: Until = None,
    limit: Limited = _LIMIT,
    cursor: Cursor = None,
    as_json: Json = False,
) -> None:
    """List dead letters, the oldest first; the cursor of the next page goes to standard error."""
    chosen = _choice(ids, code, tenant, student, since, until, cursor, limit)
    listing = view.JsonListing() if as_json else view.TableListing()

    async def print_page(page: list[DeadLetter]) -> list[Outcome]:
        listing.add(page)
        return []

    tally = _run(lambda letters, _: run_over(letters, chosen, print_page))
    listing.close()
    _conclude(tally)


@app.command()
def show(
    ids: SomeIds,
    as_json: Json = False,
) -> None:
    """Print dead letters whole, with the event as it was; tokens are never shown."""
    found = _run(lambda letters, _: letters.get(ids))
    shown = [view.whole(letter) for letter in found.values()]
    if as_json:
        typer.echo(view.as_json(shown[0] if len(ids) == 1 and shown else shown))
    else:
        view.console().print(
            "\n\n".join(map(view.detail, found.values())), soft_wrap=True, end="\n" if found else ""
        )
    _conclude(Tally(missing=[one for one in ids if one not in found]))


@app.command()
def redrive(  # noqa: PLR0917  # typer reads the parameters by name
    ids: Ids = None,
    code: Code = None,
    tenant: Tenant = None,
    student: Student = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    cursor: Cursor = None,
    everything: All = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Send dead letters again, each once; they stay listed until they are purged."""
    chosen = _choice(ids, code, tenant, student, since, until, cursor, limit)
    _not_by_accident(chosen, everything, "redrive")

    async def work(letters: DeadLetters, client: Redis) -> Tally:
        async def previewed(page: list[DeadLetter]) -> list[Outcome]:
            return preview(page)

        act = previewed if dry_run else Redriver(client).redrive
        return await run_over(letters, chosen, act, title="redriving", counted=not dry_run)

    _report(_run(work), dry_run=dry_run, as_json=as_json)


@app.command()
def purge(  # noqa: PLR0917  # typer reads the parameters by name
    ids: Ids = None,
    code: Code = None,
    tenant: Tenant = None,
    student: Student = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    cursor: Cursor = None,
    everything: All = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Take dead letters away for good, redriven or not; asks before."""
    chosen = _choice(ids, code, tenant, student, since, until, cursor, limit)
    _not_by_accident(chosen, everything, "purge")

    async def work(letters: DeadLetters, client: Redis) -> Tally:
        purger = Purger(client)

        async def act(page: list[DeadLetter]) -> list[Outcome]:
            return await purger.purge(page, dry_run=dry_run)

        def confirmed(count: int) -> None:
            if not yes:
                typer.confirm(f"Purge {count} dead letters for good?", abort=True, err=True)

        return await run_over(
            letters, chosen, act, title="purging", counted=not dry_run, before=confirmed
        )

    _report(_run(work), dry_run=dry_run, as_json=as_json)


def _choice(  # noqa: PLR0917  # in the order of the options
    ids: list[DeadLetterId] | None,
    code: list[RejectionCode] | None,
    tenant: str | None,
    student: str | None,
    since: datetime | None,
    until: datetime | None,
    cursor: DeadLetterId | None,
    limit: int | None,
) -> Choice:
    selection = Selection.of(
        codes=frozenset(code or ()), tenant_id=tenant, student_id=student, since=since, until=until
    )
    if ids and not (selection.everything and cursor is None):
        raise typer.BadParameter("give ids or filters, not both")
    return Choice(tuple(dict.fromkeys(ids or ())), selection, cursor, None if ids else limit)


def _not_by_accident(chosen: Choice, everything: bool, verb: str) -> None:
    narrowed = bool(chosen.ids) or not chosen.selection.everything
    if narrowed and everything:
        raise typer.BadParameter("--all goes with no ids and no filter: leave one of them out")
    if not narrowed and not everything:
        raise typer.BadParameter(f"name what to {verb}: ids, a filter, or --all for everything")


def _run(work: Callable[[DeadLetters, Redis], Coroutine[Any, Any, Result]]) -> Result:
    settings = load_settings()

    async def opened() -> Result:
        async with _client(settings) as client:
            letters = DeadLetters(client, settings.stream_shards, settings.jwt_tenant_claim)
            return await work(letters, client)

    return asyncio.run(opened())


@asynccontextmanager
async def _client(settings: Settings) -> AsyncIterator[Redis]:
    if settings.redis_url is None:
        raise SettingsError(
            "REDIS_URL is unset: an embedded Redis begins and ends with its process, dead letters "
            "included; set REDIS_URL to the Redis of the worker"
        )
    client = Redis.from_url(
        settings.redis_url,
        socket_timeout=5,
        socket_connect_timeout=5,
        # Somebody waits for the answer; redis-py's own default tries for half a minute.
        retry=Retry(ExponentialBackoff(cap=1, base=0.1), retries=3),
    )
    async with client:
        yield client


def _report(tally: Tally, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        typer.echo(view.as_json({"dry_run": dry_run, **tally.as_dict()}))
    else:
        for line in tally.lines(dry_run=dry_run):
            typer.echo(view.plain(line))
    _conclude(tally)


def _conclude(tally: Tally) -> None:
    for one in tally.missing:
        typer.echo(f"mastery: there is no dead letter {one}", err=True)
    if tally.cursor is not None:
        typer.echo(f"next: --cursor {tally.cursor}", err=True)
    if tally.failed:
        raise typer.Exit(1)
