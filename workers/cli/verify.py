"""`mastery verify`: is what is stored what the log gives?"""

import asyncio
from contextlib import AsyncExitStack
from typing import Annotated, Final

import typer

from workers.adapters import open_ledger
from workers.app import parameters_of
from workers.cli.progress import progress_bar
from workers.ledger.protocol import Ledger
from workers.logs import configure_logs
from workers.settings import Settings, load_settings
from workers.verification import TOLERANCE, Difference
from workers.verification import verify as verified

_SHOWN: Final = 20


def verify(
    show: Annotated[int, typer.Option(min=1, help="Print at most so many differences.")] = _SHOWN,
) -> None:
    """Recompute all estimates from the response log and compare them with what is stored."""
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    if asyncio.run(_verify(settings, show)):
        raise typer.Exit(1)


async def _verify(settings: Settings, show: int) -> int:
    async with AsyncExitStack() as stack:
        ledger = await open_ledger(settings, stack)
        learners, responses, found = await compare(ledger, settings)
    for difference in found[:show]:
        typer.echo(str(difference))
    if len(found) > show:
        typer.echo(f"… and {len(found) - show} more")
    typer.echo(
        f"{learners} learners, {responses} responses: "
        + (f"{len(found)} differences" if found else f"no difference over {TOLERANCE:g}")
    )
    return len(found)


async def compare(ledger: Ledger, settings: Settings) -> tuple[int, int, list[Difference]]:
    """Verify all learners under a progress bar.

    Returns:
        Number of learners, number of responses, and all differences.
    """
    learners = responses = 0
    found: list[Difference] = []
    with progress_bar() as bar:
        task = bar.add_task("verifying", total=None)
        async for page in verified(ledger, parameters_of(settings)):
            learners += page.learners
            responses += page.responses
            found += page.differences
            bar.update(task, completed=learners)
    return learners, responses, found
