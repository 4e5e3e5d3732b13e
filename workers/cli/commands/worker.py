"""`mastery worker`: processes the streams until it is stopped."""

from typing import Annotated

import typer

from workers.cli.choices import Role


def worker(
    burst: Annotated[
        bool,
        typer.Option(
            "--burst",
            help="Without HTTP; exit with 0 once every stream of the roles is drained.",
        ),
    ] = False,
    role: Annotated[
        list[Role] | None, typer.Option(help="Only this role; repeatable. All roles if not given.")
    ] = None,
) -> None:
    """Run the worker and its HTTP server."""
    from workers.cli.worker import run_worker

    run_worker(role, burst=burst)
