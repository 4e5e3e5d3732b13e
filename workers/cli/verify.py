"""`mastery verify`: is what is stored what was written, and what the log gives?"""

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import typer

from workers.app.servers import open_ledger
from workers.app.worker import parameters_source
from workers.cli.one_learner import Student, Tenant, one_learner, require_known
from workers.cli.progress import progress_bar
from workers.common.logs import configure_logs
from workers.config.loading import load_settings
from workers.config.settings import Settings
from workers.estimation.learner import LearnerKey
from workers.ledger.protocol import Ledger
from workers.operations.repair.verifying import TOLERANCE, Difference
from workers.operations.repair.verifying import verify as verified

_SHOWN: Final = 20


@dataclass(slots=True)
class Comparison:
    """What a verification found."""

    learners: int = 0
    responses: int = 0
    unsealed: int = 0
    outdated: int = 0
    differences: list[Difference] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "learners": self.learners,
            "responses": self.responses,
            "rows_without_checksum": self.unsealed,
            "learners_outdated": self.outdated,
            "differences": [
                {
                    **one.key._asdict(),
                    "what": one.what,
                    "stored": str(one.stored),
                    "expected": str(one.replayed),
                }
                for one in self.differences
            ],
        }

    def lines(self, show: int) -> list[str]:
        """For a person."""
        found = self.differences
        lines = [str(one) for one in found[:show]]
        if len(found) > show:
            lines.append(f"… and {len(found) - show} more")
        if self.unsealed:
            lines.append(
                f"{self.unsealed} rows have no checksum, being from before there were any: "
                "`mastery rebuild` gives them one"
            )
        if self.outdated:
            lines.append(
                f"{self.outdated} learners wait to be replayed under the active version of the "
                "parameters: workers do it in the background"
            )
        lines.append(
            f"{self.learners} learners, {self.responses} responses: "
            + (f"{len(found)} differences" if found else f"no difference over {TOLERANCE:g}")
        )
        return lines


def verify(  # typer reads the parameters by name
    sample: Annotated[
        int | None, typer.Option(min=1, help="Only so many learners, drawn at random.")
    ] = None,
    tenant: Tenant = None,
    student: Student = None,
    show: Annotated[int, typer.Option(min=1, help="Print at most so many differences.")] = _SHOWN,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, all differences.")] = False,
) -> None:
    """Compare what is stored with what was written, and with what the response log gives."""
    only = one_learner(tenant, student)
    if only is not None and sample is not None:
        raise typer.BadParameter("--sample and --student exclude each other")
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    found = asyncio.run(_verify(settings, only, sample))
    if as_json:
        typer.echo(json.dumps(found.document(), indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(found.lines(show)))
    if found.differences:
        raise typer.Exit(1)


async def _verify(settings: Settings, only: LearnerKey | None, sample: int | None) -> Comparison:
    async with AsyncExitStack() as stack:
        ledger = await open_ledger(settings, stack)
        await require_known(ledger, only)
        return await _compared(ledger, settings, only, sample)


async def compare(ledger: Ledger, settings: Settings) -> tuple[int, int, list[Difference]]:
    """Verify all learners under a progress bar.

    Returns:
        Number of learners, number of responses, and all differences.
    """
    found = await _compared(ledger, settings)
    return found.learners, found.responses, found.differences


async def _compared(
    ledger: Ledger,
    settings: Settings,
    only: LearnerKey | None = None,
    sample: int | None = None,
) -> Comparison:
    found = Comparison()
    total = 1 if only is not None else await ledger.count()
    versions = parameters_source(settings, ledger)
    await versions.refresh()
    with progress_bar() as bar:
        task = bar.add_task("verifying", total=total if sample is None else min(sample, total))
        async for page in verified(ledger, versions, only=only, sample=sample):
            found.learners += page.learners
            found.responses += page.responses
            found.unsealed += page.unsealed
            found.outdated += page.outdated
            found.differences += page.differences
            bar.update(task, completed=found.learners)
    return found
