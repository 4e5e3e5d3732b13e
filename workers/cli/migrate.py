"""`mastery migrate up|down|history|current|draft`: the database's schema."""

import asyncio
from typing import Annotated

import typer

from workers.common.errors import SettingsError
from workers.config.loading import load_settings
from workers.ledger.schema.migrations import Migrations

app = typer.Typer(
    name="migrate", help="Bring the database's schema up, or take it back.", no_args_is_help=True
)


@app.command()
def up(
    to: Annotated[str | None, typer.Option(help="The last version to apply.")] = None,
) -> None:
    """Apply all pending migrations."""
    applied = asyncio.run(_migrations().up(to))
    typer.echo("\n".join(f"applied {version}" for version in applied) or "nothing is pending")


@app.command()
def down(
    steps: Annotated[int, typer.Option(min=1, help="How many to take back.")] = 1,
    to: Annotated[
        str | None, typer.Option(help="The version that is to be the newest; 0 for none.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Take back the newest migrations, with the data they hold."""
    migrations = _migrations()
    if not yes:
        typer.confirm("Data of the tables taken back are lost. Go on?", abort=True)
    gone = asyncio.run(migrations.down(steps, target=to))
    typer.echo("\n".join(f"took back {version}" for version in gone) or "nothing is applied")


@app.command()
def history() -> None:
    """List all migrations, oldest first, and whether each is applied."""
    for entry in asyncio.run(_migrations().history()):
        typer.echo(f"{'applied' if entry.applied else 'pending'}  {entry.version}  {entry.name}")


@app.command()
def current() -> None:
    """Print the newest version applied."""
    typer.echo(asyncio.run(_migrations().current()) or "no migration is applied")


@app.command()
def draft(
    name: Annotated[
        str, typer.Argument(help="What it does: small letters, digits and underscores.")
    ],
) -> None:
    """Draft the next migration from changed files in supabase/schemas (needs a checkout)."""
    # Only this command starts a server of its own.
    from workers.ledger.schema.drafting import draft as draft_migration  # noqa: PLC0415

    made = asyncio.run(draft_migration(name))
    if made is None:
        typer.echo("nothing to draft: the migrations give what supabase/schemas says")
        return
    for path in made.files:
        typer.echo(f"wrote {path}")
    for change in made.changed:
        typer.echo(f"changes {change}")
    for part in made.by_hand:
        typer.echo(f"write by hand, in both files: {part}")


def _migrations() -> Migrations:
    settings = load_settings()
    if settings.database_url is not None:
        return Migrations(
            settings.database_url.get_secret_value(), jwt_tenant_claim=settings.jwt_tenant_claim
        )
    if settings.supabase_url is not None:
        raise SettingsError(
            "PostgREST, which SUPABASE_URL names, can't change the schema: set DATABASE_URL to a "
            "direct connection of that database, or apply supabase/migrations by `supabase db push`"
        )
    typer.echo("the embedded database migrates itself at each start: there is nothing to do")
    raise typer.Exit
