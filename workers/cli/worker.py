"""`mastery worker`: consumes the streams until it is stopped."""

import asyncio
from typing import Annotated

import typer

from workers.app.lifecycle import stop_on_signals
from workers.app.worker import ROLES, Role, running_worker
from workers.common.logs import configure_logs
from workers.config.loading import load_settings
from workers.config.settings import Settings


def worker(
    burst: Annotated[
        bool, typer.Option("--burst", help="End with 0 when every stream of the roles is drained.")
    ] = False,
    role: Annotated[
        list[Role] | None, typer.Option(help="Only this role; may be given several times.")
    ] = None,
) -> None:
    """Run the worker and its HTTP side."""
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    asyncio.run(_run(settings, tuple(role) if role else ROLES, burst=burst))


async def _run(settings: Settings, roles: tuple[Role, ...], *, burst: bool) -> None:
    stopped = stop_on_signals()
    async with running_worker(settings, roles) as (running, _):
        await running.run(burst=burst, stopped=stopped)
