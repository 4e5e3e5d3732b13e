"""Select the learners named on the command line."""

import typer

from workers.cli.choices import DEFAULT_TENANT
from workers.estimation.learner import LearnerKey
from workers.ledger.audit import AuditLedger
from workers.ledger.protocol import Ledger
from workers.operations.repair.scope import Scope


def scope_of(tenant: str | None, student: str | None) -> Scope:
    """Return the learners that `--tenant` and `--student` name.

    Args:
        tenant: only learners of this tenant; None for all, or for the default one of `student`.
        student: only this student.
    """
    if student is not None and tenant is None:
        tenant = DEFAULT_TENANT
    return Scope(tenant, student)


async def learner_count(ledger: Ledger, scope: Scope) -> int | None:
    """Count the learners in scope for a progress bar; None if only reading them would tell."""
    if scope.learner is not None:
        return 1
    return None if scope.tenant_id is not None else await ledger.count()


def unknown_learner(key: LearnerKey) -> str:
    """Say that nothing is held about a learner, in the words of all commands."""
    return f"nothing is held about student {key.student_id!r} of tenant {key.tenant_id!r}"


async def require_known(ledger: AuditLedger, key: LearnerKey | None) -> None:
    """Refuse a learner of whom the ledger has nothing.

    Args:
        ledger: the system of record.
        key: the learner; None names nobody, and nothing is looked up.

    Raises:
        BadParameter: the ledger has nothing about the learner.
    """
    if key is None:
        return
    (stored,) = await ledger.stored([key], 0)
    if not (stored.version or stored.newest_version):
        raise typer.BadParameter(unknown_learner(key))
