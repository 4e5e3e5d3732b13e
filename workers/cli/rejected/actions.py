"""List, show, redrive and purge dead letters."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import typer
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from contracts.streams import other_shards
from workers.cli.rejected import view
from workers.cli.rejected.choice import Choice
from workers.cli.rejected.run import Tally, run_over
from workers.common.errors import SettingsError
from workers.config.loading import load_settings
from workers.config.settings import Settings
from workers.operations.dead_letters.dead_letter import DeadLetter, DeadLetterId
from workers.operations.dead_letters.display import whole
from workers.operations.dead_letters.outcome import Outcome
from workers.operations.dead_letters.purging import Purger
from workers.operations.dead_letters.reading import DeadLetters
from workers.operations.dead_letters.redriving import Redriver, preview
from workers.streams.old_shards import OldShards

Result = TypeVar("Result")


def list_letters(chosen: Choice, *, as_json: bool) -> None:
    """List dead letters, oldest first."""
    listing = view.JsonListing() if as_json else view.TableListing()

    async def print_page(page: list[DeadLetter]) -> list[Outcome]:
        listing.add(page)
        return []

    tally = _run(lambda letters, _: run_over(letters, chosen, print_page))
    listing.close()
    _conclude(tally)


def show(ids: Sequence[DeadLetterId], *, as_json: bool) -> None:
    """Print whole dead letters, without tokens; exit with 1 if one is missing."""
    by_id = _run(lambda letters, _: letters.get(ids))
    shown = [whole(letter) for letter in by_id.values()]
    if as_json:
        typer.echo(view.as_json(shown[0] if len(ids) == 1 and shown else shown))
    else:
        view.console().print(
            "\n\n".join(map(view.detail, by_id.values())), soft_wrap=True, end="\n" if by_id else ""
        )
    _conclude(Tally(missing=[letter_id for letter_id in ids if letter_id not in by_id]))


def redrive(chosen: Choice, *, dry_run: bool, as_json: bool) -> None:
    """Send dead letters again, each once; exit with 1 if one named by id could not be sent."""

    async def work(letters: DeadLetters, client: Redis) -> Tally:
        async def previewed(page: list[DeadLetter]) -> list[Outcome]:
            return preview(page)

        act = previewed if dry_run else Redriver(client).redrive
        return await run_over(letters, chosen, act, title="redriving", counted=not dry_run)

    _report(_run(work), dry_run=dry_run, as_json=as_json)


def purge(chosen: Choice, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Delete dead letters, after confirmation unless `yes`."""

    async def work(letters: DeadLetters, client: Redis) -> Tally:
        purger = Purger(client)

        async def act(page: list[DeadLetter]) -> list[Outcome]:
            return await purger.purge(page, dry_run=dry_run)

        def confirm(count: int) -> None:
            if not yes:
                typer.confirm(f"Purge {count} dead letters for good?", abort=True, err=True)

        return await run_over(
            letters, chosen, act, title="purging", counted=not dry_run, before=confirm
        )

    _report(_run(work), dry_run=dry_run, as_json=as_json)


def _run(work: Callable[[DeadLetters, Redis], Coroutine[Any, Any, Result]]) -> Result:
    settings = load_settings()

    async def opened() -> Result:
        async with _client(settings) as client:
            old = OldShards(client, other_shards(settings.stream_shards))
            await old.look()
            letters = DeadLetters(
                client, settings.stream_shards, settings.jwt_tenant_claim, old=old.found
            )
            return await work(letters, client)

    return asyncio.run(opened())


@asynccontextmanager
async def _client(settings: Settings) -> AsyncIterator[Redis]:
    if settings.redis_url is None:
        raise SettingsError(
            "REDIS_URL is unset: an embedded Redis ends with its process and loses its dead "
            "letters; set REDIS_URL to the Redis of the worker"
        )
    client = Redis.from_url(
        settings.redis_url,
        socket_timeout=5,
        socket_connect_timeout=5,
        # A person waits for the answer; redis-py's default retries for half a minute.
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
    for letter_id in tally.missing:
        typer.echo(f"mastery: there is no dead letter {letter_id}", err=True)
    if tally.cursor is not None:
        typer.echo(f"next: --cursor {tally.cursor}", err=True)
    if tally.failed:
        raise typer.Exit(1)
