"""`mastery migrate up|down|history|current|draft`: the schema of the database."""

from typing import Annotated

import typer

from workers.cli.commands.options import Yes

app = typer.Typer(help="Upgrade or downgrade the database schema.", no_args_is_help=True)


@app.command()
def up(
    to: Annotated[str | None, typer.Option(help="The last version to apply.")] = None,
) -> None:
    """Apply all pending migrations."""
    from workers.cli.migrate import up as apply

    apply(to)


@app.command()
def down(
    steps: Annotated[int, typer.Option(min=1, help="How many migrations to roll back.")] = 1,
    to: Annotated[
        str | None, typer.Option(help="The newest version to keep; 0 keeps none.")
    ] = None,
    yes: Yes = False,
) -> None:
    """Roll back the newest migrations and delete their data."""
    from workers.cli.migrate import down as roll_back

    roll_back(steps, to, yes=yes)


@app.command()
def history() -> None:
    """List all migrations, oldest first, as applied or pending."""
    from workers.cli.migrate import history as list_migrations

    list_migrations()


@app.command()
def current() -> None:
    """Print the newest applied version."""
    from workers.cli.migrate import current as print_current

    print_current()


@app.command()
def draft(
    name: Annotated[
        str, typer.Argument(help="Its name: lower-case letters, digits and underscores.")
    ],
) -> None:
    """Draft the next migration from changed files in supabase/schemas (needs a checkout)."""
    from workers.cli.migrate import draft as draft_next

    draft_next(name)
