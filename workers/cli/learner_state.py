"""Show the current state of one learner."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import typer

from workers.app.servers import open_ledger
from workers.cli.columns import columns
from workers.cli.one_learner import require_known
from workers.cli.setting_up import set_up
from workers.common.times import iso
from workers.config.settings import Settings
from workers.estimation.learner import LearnerKey
from workers.ledger.current import Current


def show(tenant: str, student: str, *, as_json: bool) -> None:
    """Print mastery, ability and practice sessions of a learner.

    Args:
        tenant: the student's tenant.
        student: the student.
        as_json: print JSON.

    Raises:
        BadParameter: the learner is unknown.
    """
    settings = set_up()
    current = asyncio.run(_current(settings, LearnerKey(tenant, student)))
    if as_json:
        typer.echo(json.dumps(_document(current), indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(_lines(current)))


async def _current(settings: Settings, key: LearnerKey) -> Current:
    async with AsyncExitStack() as stack:
        ledger = await open_ledger(settings, stack)
        await require_known(ledger, key)
        current = await ledger.current([key])
        return current[0] if current else Current(key)


def _document(current: Current) -> dict[str, Any]:
    return {
        **current.key._asdict(),
        "concepts": [
            {
                "concept_id": concept.concept_id,
                "mastery": concept.mastery,
                "mastery_interval": concept.interval,
                "mastered": concept.mastered,
                "attempts": concept.attempts,
                "answered_at": iso(concept.answered_at_us),
                "version": concept.version,
                "parameters_version": concept.parameters_version,
            }
            for concept in current.concepts
        ],
        "abilities": [ability._asdict() for ability in current.abilities],
        "sessions": [session._asdict() for session in current.sessions],
    }


def _lines(current: Current) -> Iterator[str]:
    key = current.key
    yield f"student {key.student_id!r} of tenant {key.tenant_id!r}"
    concepts = sorted(current.concepts)
    yield ""
    yield from columns(
        ["concept", "mastery", "95 % interval", "mastered", "attempts", "answered at"],
        [
            [
                concept.concept_id,
                f"{concept.mastery:.3f}",
                "-" if concept.interval is None else "{:.3f} to {:.3f}".format(*concept.interval),
                "yes" if concept.mastered else "no",
                str(concept.attempts),
                iso(concept.answered_at_us),
            ]
            for concept in concepts
        ],
        right=["mastery", "attempts"],
    )
    yield ""
    yield from columns(
        ["scale", "ability", "standard error"],
        [
            [ability.scale, f"{ability.theta:+.3f}", f"{ability.standard_error:.3f}"]
            for ability in sorted(current.abilities)
        ],
        right=["ability", "standard error"],
    )
    if current.sessions:
        yield ""
        yield from columns(
            ["session", "responses", "correct"],
            [
                [session.session_id, str(session.responses), str(session.correct)]
                for session in sorted(current.sessions)
            ],
            right=["responses", "correct"],
        )
