"""Run the worker from the command line."""

import asyncio
from collections.abc import Sequence

from workers.app.lifecycle import stop_on_signals
from workers.app.worker import ROLES, Role, running_worker
from workers.cli.setting_up import set_up
from workers.config.settings import Settings


def run_worker(roles: Sequence[str] | None, *, burst: bool) -> None:
    """Run the worker until it is stopped.

    Args:
        roles: see `Role`; all roles if None or empty.
        burst: stop as soon as every stream of the roles is drained; without HTTP.
    """
    settings = set_up()
    asyncio.run(_run(settings, tuple(map(Role, roles)) if roles else ROLES, burst=burst))


async def _run(settings: Settings, roles: tuple[Role, ...], *, burst: bool) -> None:
    stopped = stop_on_signals()
    # A run until drained ends before anybody could ask it anything, and needs no free port.
    async with running_worker(settings, roles, http=not burst) as (running, _):
        await running.run(burst=burst, stopped=stopped)
