"""Migrate the database schema from the command line."""

import asyncio

import typer

from workers.common.errors import SettingsError
from workers.config.loading import load_settings
from workers.ledger.schema.drafting import draft as draft_migration
from workers.ledger.schema.migrations import Migrations


def up(to: str | None) -> None:
    """Apply pending migrations, up to a version."""
    applied = asyncio.run(_migrations().up(to))
    typer.echo("\n".join(f"applied {version}" for version in applied) or "nothing is pending")


def down(steps: int, to: str | None, *, yes: bool) -> None:
    """Roll back migrations, after confirmation.

    Args:
        steps: number of migrations.
        to: the newest version to keep, instead of `steps`; ``0`` keeps none.
        yes: skip the confirmation.
    """
    migrations = _migrations()
    if not yes:
        typer.confirm("This deletes the data of the tables rolled back. Continue?", abort=True)
    gone = asyncio.run(migrations.down(steps, target=to))
    typer.echo("\n".join(f"rolled back {version}" for version in gone) or "nothing is applied")


def history() -> None:
    """List all migrations, oldest first."""
    for entry in asyncio.run(_migrations().history()):
        typer.echo(f"{'applied' if entry.applied else 'pending'}  {entry.version}  {entry.name}")


def current() -> None:
    """Print the newest applied version."""
    typer.echo(asyncio.run(_migrations().current()) or "no migration is applied")


def draft(name: str) -> None:
    """Draft the next migration from changed files in supabase/schemas.

    Args:
        name: the name of the migration, in lower-case letters, digits and underscores.
    """
    drafted = asyncio.run(draft_migration(name))
    if drafted is None:
        typer.echo("nothing to draft: the migrations give what supabase/schemas says")
        return
    for path in drafted.files:
        typer.echo(f"wrote {path}")
    for change in drafted.changed:
        typer.echo(f"changes {change}")
    for part in drafted.by_hand:
        typer.echo(f"write by hand, in both files: {part}")


def _migrations() -> Migrations:
    settings = load_settings()
    if settings.database_url is not None:
        return Migrations(
            settings.database_url.get_secret_value(), jwt_tenant_claim=settings.jwt_tenant_claim
        )
    if settings.supabase_url is not None:
        raise SettingsError(
            "PostgREST (SUPABASE_URL) can't change the schema: set DATABASE_URL to a direct "
            "connection of that database, or apply supabase/migrations with `supabase db push`"
        )
    typer.echo("nothing to do: the embedded database migrates itself at each start")
    raise typer.Exit
