"""Compare stored estimates with the response log."""

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import typer

from workers.app.servers import open_reading_ledger
from workers.app.worker import parameters_source
from workers.cli.one_learner import learner_count, require_known, scope_of
from workers.cli.progress import progress_bar
from workers.cli.setting_up import set_up
from workers.config.settings import Settings
from workers.ledger.protocol import Ledger
from workers.operations.repair.scope import Scope
from workers.operations.repair.verifying import TOLERANCE, Difference, verify


@dataclass(slots=True)
class Comparison:
    """The findings of a verification."""

    learners: int = 0
    responses: int = 0
    unsealed: int = 0
    outdated: int = 0
    differences: list[Difference] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return the findings for JSON."""
        return {
            "learners": self.learners,
            "responses": self.responses,
            "rows_without_checksum": self.unsealed,
            "learners_outdated": self.outdated,
            "differences": [
                {
                    **difference.key._asdict(),
                    "what": difference.what,
                    "stored": str(difference.stored),
                    "expected": str(difference.replayed),
                }
                for difference in self.differences
            ],
        }

    def lines(self, show: int) -> list[str]:
        """Return the findings as lines of text, with at most `show` differences."""
        count = len(self.differences)
        lines = [str(difference) for difference in self.differences[:show]]
        if count > show:
            lines.append(f"… and {count - show} more")
        if self.unsealed:
            lines.append(
                f"{self.unsealed} rows have no checksum, because they are older than checksums: "
                "`mastery rebuild` adds it"
            )
        if self.outdated:
            lines.append(
                f"{self.outdated} learners wait for a replay under the active parameters: workers "
                "do it in the background"
            )
        lines.append(
            f"{self.learners} learners, {self.responses} responses: "
            + (f"{count} differences" if count else f"no difference over {TOLERANCE:g}")
        )
        return lines


def run_verification(
    tenant: str | None, student: str | None, *, sample: int | None, show: int, as_json: bool
) -> None:
    """Verify all learners, a sample or one; exit with 1 on any difference.

    Args:
        tenant: only learners of this tenant; None for all, or for the default one of `student`.
        student: the only student to verify.
        sample: number of learners to draw at random.
        show: print at most this many differences.
        as_json: print JSON.
    """
    scope = scope_of(tenant, student)
    if scope.tenant_id is not None and sample is not None:
        raise typer.BadParameter("--sample draws among all learners: omit --tenant and --student")
    settings = set_up()
    comparison = asyncio.run(_verify(settings, scope, sample))
    if as_json:
        typer.echo(json.dumps(comparison.document(), indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(comparison.lines(show)))
    if comparison.differences:
        raise typer.Exit(1)


async def _verify(settings: Settings, scope: Scope, sample: int | None) -> Comparison:
    async with AsyncExitStack() as stack:
        ledger = await open_reading_ledger(settings, stack)
        await require_known(ledger, scope.learner)
        return await _compared(ledger, settings, scope, sample)


async def compare(ledger: Ledger, settings: Settings) -> tuple[int, int, list[Difference]]:
    """Verify all learners, with a progress bar.

    Returns:
        The number of learners, the number of responses, and all differences.
    """
    comparison = await _compared(ledger, settings)
    return comparison.learners, comparison.responses, comparison.differences


async def _compared(
    ledger: Ledger,
    settings: Settings,
    scope: Scope | None = None,
    sample: int | None = None,
) -> Comparison:
    comparison = Comparison()
    total = await learner_count(ledger, scope or Scope())
    versions = parameters_source(settings, ledger)
    await versions.refresh()
    with progress_bar() as bar:
        task = bar.add_task("verifying", total=total if sample is None else min(sample, total or 0))
        async for page in verify(ledger, versions, sample=sample, scope=scope):
            comparison.learners += page.learners
            comparison.responses += page.responses
            comparison.unsealed += page.unsealed
            comparison.outdated += page.outdated
            comparison.differences += page.differences
            bar.update(task, completed=comparison.learners)
    return comparison
